/* SPDX-License-Identifier: MIT */
/* VM exits: SDM Vol. 3, ch. 28, in its order; and the end of VM entries that fail late (27.8). */
#include "model/vmx/apic.h"
#include "model/vmx/internal.h"

enum status vmx_abort(struct cpu *cpu, struct vmcs *vmcs, uint32_t indicator)
{
    vmcs_abort(cpu, vmcs, indicator);
    cpu->activity = ACTIVITY_SHUTDOWN;
    cpu->vmx.aborted = true;
    vmx_notify(cpu, NOTICE_SHUTDOWN, indicator, 0, 0, 0);
    return STATUS_SHUTDOWN;
}

static bool caused_by_nmi(const struct exit_information *information)
{
    return information->reason == EXIT_REASON_exception_or_nmi &&
           INTERRUPTION_TYPE(information->interruption_information) == EVENT_NMI;
}

/* 28.3.4: the pending debug exceptions are saved as clear for all VM exits but these. */
static bool saves_pending_debug(const struct cpu *cpu, const struct exit_information *information)
{
    switch (information->reason) {
    case EXIT_REASON_init_signal:
    case EXIT_REASON_tpr_below_threshold:
    case EXIT_REASON_virtualized_eoi:
    case EXIT_REASON_apic_write:
    case EXIT_REASON_monitor_trap_flag:
        return true;
    case EXIT_REASON_exception_or_nmi:
        if (INTERRUPTION_TYPE(information->interruption_information) == EVENT_HARDWARE_EXCEPTION) {
            unsigned vector = INTERRUPTION_VECTOR(information->interruption_information);

            if (vector == VECTOR_MC || vector == VECTOR_DB)
                return vector == VECTOR_MC;
        }
        break;
    default:
        break;
    }
    return cpu->interruptibility & BLOCKING_BY_MOV_SS;
}

/* 28.2. An event in delivery when another one became a triple fault is not reported (28.2.4). */
static void record(struct cpu *cpu, struct vmcs *v, const struct exit_information *information)
{
    static const struct event none = { .valid = false };
    const struct event *delivering =
        information->reason == EXIT_REASON_triple_fault ? &none : &cpu->vmx.delivering;

    VMCS(v, exit_reason) = information->reason;
    VMCS(v, exit_qualification) = information->qualification;
    VMCS(v, guest_linear_address) = information->guest_linear_address;
    VMCS(v, guest_physical_address) = information->guest_physical_address;
    VMCS(v, exit_interruption_information) = information->interruption_information;
    VMCS(v, exit_interruption_error_code) = information->interruption_error_code;
    VMCS(v, exit_instruction_length) = information->instruction_length;
    VMCS(v, exit_instruction_information) = information->instruction_information;
    vectoring_record(v, delivering);
    vmx_notify(cpu, NOTICE_EXIT, information->reason, information->qualification, cpu->rip, v->pa);
}

static void leave_non_root(struct cpu *cpu)
{
    struct vmx *vmx = &cpu->vmx;

    cpu->model->exits++;
    vmx->non_root = false;
    vmx->ept = false;
    vmx->vpid = 0;
    vmx->eptp = 0;
    vmx->delivering = (struct event){ .valid = false };
    vmx->nmi_blocking_by_iret = false;
    vmx->preemption_deadline = ~0ull;
    vmx->mtf_pending = false;
    apic_leave(cpu);
    cpu->event = (struct event){ .valid = false };
    cpu->pending_debug = 0;
    cpu->activity = ACTIVITY_ACTIVE;
    cpu->monitor = (struct monitor){ .armed = false };          /* 28.5.6 */
}

enum status exit_to_host(struct cpu *cpu, struct vmcs *v, bool nmi_blocked)
{
    bool ia32e = cpu_long_mode(cpu);
    uint32_t indicator;

    leave_non_root(cpu);
    if (ia32e && !(exit_controls(v) & EXIT_host_address_space_size))    /* 28.5: the guest entered IA-32e mode by itself */
        return vmx_abort(cpu, v, ABORT_IA32E_MODE);
    cpu->interruptibility = nmi_blocked ? BLOCKING_BY_NMI : 0;
    indicator = host_load(cpu, v);
    if (!(proc2_controls(v) & PROC2_enable_vpid))
        tlb_vmx_transition(cpu);
    vmx_update_intercepts(cpu);
    if (indicator)
        return vmx_abort(cpu, v, indicator);
    if (msr_area_load(cpu, VMCS(v, exit_msr_load_address), VMCS(v, exit_msr_load_count)))
        return vmx_abort(cpu, v, ABORT_LOADING_MSRS);
    return STATUS_VM_EXIT;
}

enum status vmx_exit(struct cpu *cpu, const struct exit_information *information)
{
    struct vmcs *v = cpu->vmx.current;
    bool blocked = cpu->interruptibility & BLOCKING_BY_NMI;

    record(cpu, v, information);
    VMCS(v, entry_interruption_information) &= ~(uint64_t)INTERRUPTION_VALID;
    guest_save(cpu, v);
    if (!saves_pending_debug(cpu, information))
        VMCS(v, guest_pending_debug_exceptions) = 0;
    v->exits++;
    /* The areas are processed as in root operation: no TSC offset, for example (28.4). */
    cpu->vmx.non_root = false;
    if (msr_area_store(cpu, VMCS(v, exit_msr_store_address), VMCS(v, exit_msr_store_count)))
        return vmx_abort(cpu, v, ABORT_SAVING_MSRS);
    /* With virtual NMIs the guest's blocking was not the processor's (26.3, 28.5.5). */
    if (pin_controls(v) & PIN_virtual_nmis)
        blocked = false;
    return exit_to_host(cpu, v, blocked || caused_by_nmi(information));
}

enum status exit_failed_entry(struct cpu *cpu, struct vmcs *v, enum exit_reason reason, uint64_t qualification,
                              bool nmi_blocked)
{
    VMCS(v, exit_reason) = reason | EXIT_REASON_ENTRY_FAILURE;
    VMCS(v, exit_qualification) = qualification;
    vmx_notify(cpu, NOTICE_ENTRY_FAILED, v->pa, VMCS(v, exit_reason), qualification, 0);
    return exit_to_host(cpu, v, nmi_blocked);
}
