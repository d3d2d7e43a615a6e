/* SPDX-License-Identifier: MIT */
/*
 * Every exit reason has its line here: handled, or impossible by the controls of vmcs01 and then a named stop. Nothing
 * is skipped. SDM Vol. 3, Appendix C.
 */
#include "hv/core.h"

/* Exits of L1 by VMX instructions tell no more than an operand; no event was being delivered (SDM Vol. 3, 28.2). */
static bool vmx_instruction(uint32_t reason)
{
    switch ((enum exit_reason)reason) {
    case EXIT_REASON_vmcall: case EXIT_REASON_vmclear: case EXIT_REASON_vmlaunch: case EXIT_REASON_vmptrld:
    case EXIT_REASON_vmptrst: case EXIT_REASON_vmread: case EXIT_REASON_vmresume: case EXIT_REASON_vmwrite:
    case EXIT_REASON_vmxoff: case EXIT_REASON_vmxon: case EXIT_REASON_invept: case EXIT_REASON_invvpid:
        return true;
    default:
        return false;
    }
}

/* Exits of L1 whose reason says all: instructions without operands. */
static bool plain_instruction(uint32_t reason)
{
    return reason == EXIT_REASON_cpuid || reason == EXIT_REASON_vmlaunch || reason == EXIT_REASON_vmresume;
}

uint64_t exit_guest_physical(struct hv_cpu *cpu)
{
    exit_need(cpu, EXIT_guest_physical);
    return cpu->exit.guest_physical;
}

void exit_invent(struct hv_cpu *cpu, struct exit_record exit)
{
    cpu->exit = exit;
    cpu->exit.known = cpu->exit.own = EXIT_ALL;
}

static _Noreturn void unexpected(uint32_t reason)
{
    switch ((enum exit_reason)reason) {
#define EXIT_REASON(name, number, text)                                                                             \
    case EXIT_REASON_##name:                                                                                        \
        hal_fail_stop("an exit of L1 that its controls exclude: " text);
#include "arch/exit_reasons.def"
    case EXIT_REASON_none:
        break;
    }
    hal_fail_stop("an exit of L1 with an exit reason that this core does not know");
}

/* INVD would lose what L0 wrote: caches are written back first. */
static void invd(void)
{
    hal_write_back_invalidate();
    guest_advance();
}

/*
 * Task switches exit always, to be carried out by software (SDM Vol. 3, 26.4.2), which L0 does not: to L1 no TSS to switch to is present. So the
 * instruction, or the delivery through a task gate, ends with #NP(selector) (8.3); EXT is set for what is no instruction (6.13).
 */
static void deny_task_switch(struct hv_cpu *cpu)
{
    exit_need(cpu, EXIT_vectoring);
    const uint32_t event = cpu->exit.vectoring;
    const bool external = event & INTERRUPTION_VALID && INTERRUPTION_TYPE(event) < EVENT_SOFTWARE_INTERRUPT;

    inject_exception(cpu, VECTOR_NP, (cpu->exit.qualification & 0xfffc) | external);
}

static void handle_l1(struct hv_cpu *cpu)
{
    const uint32_t reason = cpu->exit.reason;
    const bool just_started = cpu->just_started;

    cpu->just_started = false;
    if (reason & EXIT_REASON_ENTRY_FAILURE)
        hal_fail_stop("the processor refused L1's state in vmcs01");
    if (cpu->presence->abandoned && late_go_back(cpu))
        return;
    if (cpu->vmcs01.nmi_window && nmi_exit(cpu))
        return;
    if (reason == EXIT_REASON_vmcall && late_call(cpu))
        return;
    if (vmx_instruction(reason)) {
        nested_instruction(cpu);
        return;
    }
    hal_log(HAL_EVENT_HANDLED, reason, cpu->exit.qualification, 0, 0);
    switch ((enum exit_reason)reason) {
    case EXIT_REASON_exception_or_nmi:
        if (!machine_check_deliver(cpu))
            unexpected(reason);
        return;
    case EXIT_REASON_triple_fault:
        vmcs01_shutdown(cpu);
        return;
    case EXIT_REASON_init_signal:
        init_exit(cpu, just_started);
        return;
    case EXIT_REASON_startup_ipi:
        vmcs01_startup(cpu, (uint8_t)cpu->exit.qualification);
        init_started(cpu);
        cpu->just_started = true;
        return;
    case EXIT_REASON_cpuid:
        cpuid_exit(cpu);
        return;
    case EXIT_REASON_getsec:                    /* CPUID reports neither SMX nor immediate operands; L1 is no SEAM module's host */
    case EXIT_REASON_seamcall: case EXIT_REASON_tdcall: case EXIT_REASON_rdmsr_immediate: case EXIT_REASON_wrmsrns_immediate:
        inject_exception(cpu, VECTOR_UD, 0);
        return;
    case EXIT_REASON_invd:
        invd();
        return;
    case EXIT_REASON_cr_access:
        cr_exit(cpu);
        return;
    case EXIT_REASON_rdmsr:
        msr_read_exit(cpu);
        return;
    case EXIT_REASON_wrmsr:
        (void)msr_write_exit(cpu);
        return;
    case EXIT_REASON_xsetbv:
        xsetbv_exit(cpu);
        return;
    case EXIT_REASON_ept_violation:
        ept01_violation(cpu);
        return;
    case EXIT_REASON_task_switch:
        deny_task_switch(cpu);
        return;
    default:
        unexpected(reason);
    }
}

/* What every handler looks at, and the log, is read here; what only some need they ask for. */
void exit_handle(struct hv_cpu *cpu)
{
    if (cpu->level == 2) {
        exit_need(cpu, EXIT_qualification);
        nested_exit(cpu);
        return;
    }
    if (!plain_instruction(cpu->exit.reason))
        exit_need(cpu, EXIT_qualification | EXIT_instruction_information);
    handle_l1(cpu);
}
