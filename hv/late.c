/* SPDX-License-Identifier: MIT */
/*
 * Late load: L0 slid beneath a running system at that system's request, and may be removed again until the system says
 * "finalise". Each processor is loaded by itself; when one fails, those that are loaded already go back.
 */
#include "hv/core.h"

#include "arch/late_load.h"

void late_loaded(struct hv_cpu *cpu)
{
    hal_lock(&cpu->machine->lock);
    cpu->presence->over_l0 = true;
    hal_unlock(&cpu->machine->lock);
}

void late_failed(struct hv_machine *m)
{
    for (unsigned i = 0; i < HV_CPUS; i++) {
        hal_lock(&m->lock);
        m->presence[i].abandoned = m->late && !m->finalised && m->presence[i].over_l0;
        hal_unlock(&m->lock);
        if (m->presence[i].abandoned)
            init_kick(m, i);
    }
}

/* The guest's state as it is now, for its life without L0: CR0 and CR4 as it sees them. */
static void read_state(const struct hv_cpu *cpu, struct hal_capture *s)
{
    *s = (struct hal_capture){
        .registers = cpu->registers, .rip = vmread(VMCS_guest_rip), .rsp = vmread(VMCS_guest_rsp),
        .rflags = vmread(VMCS_guest_rflags), .cr0 = guest_visible_cr0(), .cr3 = vmread(VMCS_guest_cr3),
        .cr4 = guest_visible_cr4(), .dr7 = vmread(VMCS_guest_dr7), .efer = vmread(VMCS_guest_ia32_efer),
        .pat = vmread(VMCS_guest_ia32_pat), .debugctl = vmread(VMCS_guest_ia32_debugctl),
        .sysenter_cs = vmread(VMCS_guest_ia32_sysenter_cs), .sysenter_esp = vmread(VMCS_guest_ia32_sysenter_esp),
        .sysenter_eip = vmread(VMCS_guest_ia32_sysenter_eip),
        .gdtr = { vmread(VMCS_guest_gdtr_base), (uint16_t)vmread(VMCS_guest_gdtr_limit) },
        .idtr = { vmread(VMCS_guest_idtr_base), (uint16_t)vmread(VMCS_guest_idtr_limit) },
        .activity = vmread32(VMCS_guest_activity_state),
    };
    for (unsigned i = 0; i < SEG_COUNT; i++)
        s->segment[i] = vmcs_read_segment((enum segment_register)i);
}

/* Its VMCSs are kept for the next load. False: an INIT of L0's is on its way here, and outside VMX operation it would reset the
 * processor. None is sent once `over_l0` is false. */
static bool unload(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    struct hal_capture state;
    bool may;

    hal_lock(&m->lock);
    may = !init_on_its_way(cpu);
    if (may)
        *cpu->presence = (struct presence){ .seen = cpu->presence->seen };
    hal_unlock(&m->lock);
    if (!may)
        return false;
    read_state(cpu, &state);
    state.nmi = cpu->nmi_due;
    cpu->nmi_due = false;
    vmcs_leave_operation(cpu);
    cpu->level = cpu->told_level = 0;
    hal_release(&state);
}

bool late_everywhere(const struct hv_machine *m)
{
    for (unsigned i = 0; i < hal_cpu_count() && m->late; i++)
        if (!m->finalised || i >= HV_CPUS || !m->presence[i].over_l0)
            return false;
    return true;
}

/*
 * Where the guest is does not matter, as long as the exit is repeated, or did not happen, on bare hardware, and hal_release() can put
 * the processor there: nothing was being delivered, NMIs are not blocked, the guest is in IA-32e mode and not shut down. Else it
 * goes back at a later exit.
 */
static bool could_go_on_bare(struct hv_cpu *cpu)
{
    const uint32_t reason = cpu->exit.reason;

    if (cpu->nested.on || reason == EXIT_REASON_triple_fault || reason == EXIT_REASON_startup_ipi || !guest_long_mode())
        return false;
    exit_complete(cpu);
    return !(cpu->exit.vectoring & INTERRUPTION_VALID) && vmread32(VMCS_guest_activity_state) <= ACTIVITY_HLT &&
           !(vmread32(VMCS_guest_interruptibility_state) & BLOCKING_BY_NMI);
}

bool late_go_back(struct hv_cpu *cpu)
{
    const bool kick = cpu->exit.reason == EXIT_REASON_init_signal && init_on_its_way(cpu) && init_of_l0(cpu);

    if (cpu->machine->finalised)
        cpu->presence->abandoned = false;
    else if ((kick || cpu->exit.reason != EXIT_REASON_init_signal) && could_go_on_bare(cpu))
        unload(cpu);
    if (kick)
        hal_log(HAL_EVENT_HANDLED, cpu->exit.reason, 0, 0, 0);
    return kick;
}

/* Returns if this cannot be now. */
static void unload_behind_call(struct hv_cpu *cpu)
{
    const uint64_t rip = vmread(VMCS_guest_rip), rax = guest_register(cpu, RAX);

    guest_advance();
    guest_set_register(cpu, RAX, LATE_DONE);
    if (!unload(cpu)) {
        vmwrite(VMCS_guest_rip, rip);
        guest_set_register(cpu, RAX, rax);
    }
}

/* SDM Vol. 3, 26.1.2: VMCALL exits before its privilege is checked. A program at CPL 3 gets #UD, as without L0. */
bool late_call(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    enum late_answer answer = LATE_UNKNOWN;

    if (!m->late || cpu->nested.on || guest_cpl() || !guest_64bit() || guest_register(cpu, RAX) != LATE_CALL)
        return false;
    hal_log(HAL_EVENT_HANDLED, EXIT_REASON_vmcall, 0, 0, 0);
    switch (guest_register(cpu, RBX)) {
    case LATE_FINALISE:
        m->finalised = true;
        answer = LATE_DONE;
        break;
    case LATE_UNLOAD:
        answer = LATE_REFUSED;
        if (m->finalised || vmread32(VMCS_guest_interruptibility_state) & BLOCKING_BY_NMI)
            break;
        unload_behind_call(cpu);
        return true;                            /* an INIT comes first; then the guest asks again */
    }
    guest_advance();
    guest_set_register(cpu, RAX, answer);
    return true;
}
