/* SPDX-License-Identifier: MIT */
/* VM entries: SDM Vol. 3, ch. 27, in its order. */
#include "model/cpu/deliver.h"
#include "model/vmx/apic.h"
#include "model/vmx/check.h"
#include "model/vmx/internal.h"

/* 27.1 "Basic VM-Entry Checks". */
static vmx_result basic_checks(struct cpu *cpu, bool launch)
{
    const struct attempt attempt = vmx_attempt(cpu, launch ? INSN_vmlaunch : INSN_vmresume, 0);
    const struct refusal *refusal = vmx_refuses(REFUSALS_entry, &attempt);

    return refusal ? vmx_refused(cpu, &attempt, refusal) : VMX_SUCCEED;
}

static enum status fail_early(struct cpu *cpu, vmx_result failure, vmx_result *result)
{
    vmx_notify(cpu, NOTICE_ENTRY_FAILED, vmx_vmptrst(cpu), (uint64_t)(int64_t)failure, 0, 0);
    *result = failure;
    return STATUS_OK;
}

/* 27.6 "Event Injection". From now on the event is in delivery: an exit on the way reports it as IDT vectoring. */
static void inject(struct cpu *cpu, const struct vmcs *v)
{
    uint32_t information = (uint32_t)VMCS(v, entry_interruption_information);

    cpu->event = vectoring_injection(v);
    cpu->vmx.mtf_pending = (information & INTERRUPTION_VALID) && INTERRUPTION_TYPE(information) == EVENT_OTHER;
    if (!cpu->event.valid) {
        if (cpu->activity == ACTIVITY_SHUTDOWN || cpu->activity == ACTIVITY_WAIT_FOR_SIPI)
            cpu->pending_debug = 0;             /* 27.7.3 */
        return;
    }
    delivery_begin(cpu);
    vmx_notify(cpu, NOTICE_INJECT, cpu->event.vector, cpu->event.type, cpu->event.error_code, cpu->event.has_error_code);
}

static void enter_non_root(struct cpu *cpu, const struct vmcs *v)
{
    struct vmx *vmx = &cpu->vmx;
    uint32_t proc2 = proc2_controls(v);

    vmx->non_root = true;
    vmx->ept = proc2 & PROC2_enable_ept;
    vmx->eptp = vmx->ept ? VMCS(v, ept_pointer) : 0;
    vmx->vpid = proc2 & PROC2_enable_vpid ? (uint16_t)VMCS(v, virtual_processor_identifier) : 0;
    vmx->nmi_blocking_by_iret = false;
    vmx->pause_latest = ~0ull;
    vmx->entry_clock = cpu->clock;
    vmx->entry_instructions = cpu->instructions;
    cpu->monitor = (struct monitor){ .armed = false };          /* 27.3.3 */
    cpu->stay++;
    if (cpu->model->cpu_count > 1)
        shootdown_entered(cpu);
    if (!(proc2 & PROC2_enable_vpid))
        tlb_vmx_transition(cpu);
    timer_start(cpu, v);
}

/* 25.1, 25.10: with VMCS shadowing the entry makes the linked VMCS active. */
static void link(struct cpu *cpu, const struct vmcs *v)
{
    if ((proc2_controls(v) & PROC2_vmcs_shadowing) && VMCS(v, vmcs_link_pointer) != ~0ull)
        vmcs_activate(cpu, VMCS(v, vmcs_link_pointer))->linked = true;
}

enum status vmx_enter(struct cpu *cpu, bool launch, vmx_result *result)
{
    bool nmi_blocked = cpu->interruptibility & BLOCKING_BY_NMI;
    struct vmcs *v = cpu->vmx.current;
    struct check_outcome outcome;
    unsigned bad_msr;

    *result = basic_checks(cpu, launch);
    if (v && v->cpu != cpu->index)
        region_mistake(cpu, REGION_ACTIVE_ELSEWHERE, v->pa, v->cpu, cpu->rip);
    if (*result == VM_ERROR_vmresume_not_launched && v->moved && v->former_cpu != cpu->index)
        region_mistake(cpu, REGION_MOVED, v->pa, v->former_cpu, cpu->rip);
    if (*result != VMX_SUCCEED)
        return fail_early(cpu, *result, result);
    outcome = check_entry(cpu, v);
    if (outcome.failed && outcome.group == CHECK_CONTROLS)
        return fail_early(cpu, vmx_fail(cpu, VM_ERROR_entry_invalid_control), result);
    if (outcome.failed && outcome.group == CHECK_HOST)
        return fail_early(cpu, vmx_fail(cpu, VM_ERROR_entry_invalid_host_state), result);
    if (outcome.failed)
        return exit_failed_entry(cpu, v, EXIT_REASON_entry_failure_guest_state, outcome.qualification, nmi_blocked);

    cpu->vmx.entered_from = (struct vmx_root){ cpu->rip, cpu->seg[SEG_FS].base, cpu->seg[SEG_GS].base, cpu->seg[SEG_TR].base,
                                               cpu->cr0, cpu->cr4, CPU_MSR(cpu, ia32_efer), cpu->cr3, cpu->gdtr.base, cpu->gdtr.limit, cpu->idtr };
    guest_load(cpu, v);
    bad_msr = msr_area_load(cpu, VMCS(v, entry_msr_load_address), VMCS(v, entry_msr_load_count));
    if (bad_msr)
        return exit_failed_entry(cpu, v, EXIT_REASON_entry_failure_msr_loading, bad_msr, nmi_blocked);

    v->launch_state = LAUNCH_LAUNCHED;
    enter_non_root(cpu, v);
    link(cpu, v);
    vmx_notify(cpu, NOTICE_ENTRY, v->pa, cpu->rip, launch, 0);
    inject(cpu, v);
    apic_enter(cpu);
    vmx_update_intercepts(cpu);
    return STATUS_VM_ENTRY;
}
