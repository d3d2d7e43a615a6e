/* SPDX-License-Identifier: MIT */
/*
 * Late load: L0 slid beneath a running system at that system's request, and may be removed again until the system says
 * "finalise". Each processor is loaded by itself; when one fails, those that are loaded already go back.
 */
#include "hv/core.h"

#include "arch/late_load.h"

static uint64_t bit(void) { return 1ull << hal_cpu_index(); }

void late_loaded(struct hv_machine *m)
{
    hal_lock(&m->lock);
    m->loaded |= bit();
    hal_unlock(&m->lock);
}

void late_failed(struct hv_machine *m)
{
    uint64_t others = 0;

    hal_lock(&m->lock);
    if (m->late && !m->finalised)
        others = m->loaded;
    m->abandoned = others;
    hal_unlock(&m->lock);
    for (unsigned i = 0; i < hal_cpu_count(); i++)
        if (others >> i & 1)
            pages_kick(m, i);
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

/* Its VMCSs are kept for the next load. */
static _Noreturn void unload(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    struct hal_capture state;

    read_state(cpu, &state);
    vmcs_leave_operation(cpu);
    cpu->level = cpu->told_level = 0;
    hal_lock(&m->lock);
    m->loaded &= ~bit();
    m->abandoned &= ~bit();
    hal_unlock(&m->lock);
    hal_release(&state);
}

bool late_everywhere(const struct hv_machine *m)
{
    return !m->late || (m->finalised && m->loaded == (1ull << hal_cpu_count()) - 1);
}

void late_init(struct hv_cpu *cpu)
{
    if (cpu->machine->abandoned & bit() && !cpu->nested.on)
        unload(cpu);
}

/* SDM Vol. 3, 26.1.2: VMCALL exits before its privilege is checked. A program at CPL 3 gets #UD, as without L0. */
bool late_call(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    enum late_answer answer = LATE_UNKNOWN;

    if (!m->late || cpu->nested.on || guest_cpl() || !guest_64bit() || guest_register(cpu, RAX) != LATE_CALL)
        return false;
    hal_log(HAL_EVENT_HANDLED, EXIT_REASON_vmcall, 0, 0, 0);
    guest_advance();
    switch (guest_register(cpu, RBX)) {
    case LATE_FINALISE:
        m->finalised = true;
        answer = LATE_DONE;
        break;
    case LATE_UNLOAD:
        answer = LATE_REFUSED;
        if (m->finalised)
            break;
        guest_set_register(cpu, RAX, LATE_DONE);
        unload(cpu);
    }
    guest_set_register(cpu, RAX, answer);
    return true;
}
