/* SPDX-License-Identifier: MIT */
/*
 * Late load: L0 slid beneath a running system at that system's request, and may be removed again until the system says
 * "finalise". Each processor is loaded by itself; when one fails, those that are loaded already go back.
 */
#include "hv/core.h"

void late_loaded(struct hv_cpu *cpu)
{
    hal_lock(&cpu->machine->lock);
    cpu->presence->over_l0 = true;
    hal_unlock(&cpu->machine->lock);
}

void late_failed(struct hv_machine *m)
{
    for (unsigned i = 0; i < processors_kept(); i++) {
        hal_lock(&m->lock);
        m->presence[i].abandoned = m->late && !m->rolls_back && !m->finalised && m->presence[i].over_l0;
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
    state.nmi = cpu->due & HAL_NMI;
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
 * Can hal_release() put the processor into the guest's state?  Its way must be mapped in the guest's paging. It ends with IRET, which unblocks NMIs; CR4.LA57 cannot change in
 * IA-32e mode; no debug exception is pending any more behind it, and a single step over the VMCALL would be; and with CR4.CET in force the last instructions on the way are the guest's, with shadow stacks and branch tracking
 * as they are.
 */
static bool passage_mapped(const struct hv_cpu *cpu)
{
    const struct walk walk = cpu->passage ? l1_walk(cpu->machine, cpu->passage, false) : (struct walk){ 0 };

    return !cpu->passage || (!walk.fault && walk.address == cpu->machine->pool.base.value);
}

static bool can_be_released(const struct hv_cpu *cpu)
{
    const uint64_t cr4 = guest_visible_cr4();
    uint64_t cet = 0;

    if (cr4 & CR4_CET && !hal_rdmsr(MSR_ia32_s_cet, &cet))
        return false;
    return guest_long_mode() && !(cet & (CET_SH_STK_EN | CET_TRACKER)) && !((cr4 ^ cpu->loaded_cr4) & CR4_LA57) &&
           !(vmread32(VMCS_guest_interruptibility_state) & BLOCKING_BY_NMI) && !vmread(VMCS_guest_pending_debug_exceptions) && passage_mapped(cpu);
}

/*
 * Where the guest is does not matter, as long as what exited is done again, or was not begun, on bare hardware: nothing was being
 * delivered, and the guest is not shut down. Else it goes back at a later exit.
 */
static bool could_go_on_bare(struct hv_cpu *cpu)
{
    const uint32_t reason = cpu->exit.reason;

    if (cpu->nested.on || reason == EXIT_REASON_triple_fault || reason == EXIT_REASON_startup_ipi || !can_be_released(cpu))
        return false;
    exit_need(cpu, EXIT_vectoring);
    return !(cpu->exit.vectoring & INTERRUPTION_VALID) && vmread32(VMCS_guest_activity_state) <= ACTIVITY_HLT;
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

static enum late_answer tell_exits(struct hv_cpu *cpu)
{
    const uint64_t page = guest_register(cpu, RCX);

    _Static_assert(sizeof cpu->exits <= PAGE_SIZE, "the counts fit a page");
    if (page & PAGE_OFFSET || !l1_owns(cpu->machine, page))
        return LATE_REFUSED;
    l1_write(cpu->machine, page, &cpu->exits, sizeof cpu->exits);
    return LATE_DONE;
}

/* SDM Vol. 3, 26.1.2: VMCALL exits before its privilege is checked. A program at CPL 3 gets #UD, as without L0. */
bool late_call(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    enum late_answer answer = LATE_UNKNOWN;

    if (!m->late || guest_cpl() || !guest_64bit() || guest_register(cpu, RAX) != LATE_CALL || (cpu->nested.on && guest_register(cpu, RBX) != LATE_EXITS))
        return false;
    hal_log(HAL_EVENT_HANDLED, EXIT_REASON_vmcall, 0, 0, 0);
    switch (guest_register(cpu, RBX)) {
    case LATE_FINALISE:
        m->finalised = true;
        answer = LATE_DONE;
        break;
    case LATE_UNLOAD:
        answer = LATE_REFUSED;
        if (m->finalised || !can_be_released(cpu) || vmread(VMCS_guest_rflags) & RFLAGS_TF)
            break;
        unload_behind_call(cpu);
        return true;                            /* an INIT comes first; then the guest asks again */
    case LATE_EXITS:
        answer = tell_exits(cpu);
        break;
    }
    guest_advance();
    guest_set_register(cpu, RAX, answer);
    return true;
}
