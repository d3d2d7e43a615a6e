/* SPDX-License-Identifier: MIT */
/*
 * INIT: which of two an INIT was that ended a guest's run, and what L1's does. L0 has no interrupt of its own: it fetches another
 * processor back from its guest ("kick") by an INIT, which ends every guest's run (SDM Vol. 3, 26.2) and carries no name.
 * So L0 keeps account of the INITs that it has sent. At most one of them is on its way to a processor, and the first INIT that
 * comes out there while one is counts as it.
 *
 * What a processor's INITs of L0's own stand for, and what each event makes of that, is one table. While one is on its way
 * (any state but NONE) the processor must not do what would let the INIT do its architectural work, or get lost:
 * leave VMX operation, where it would reset the processor, or disable its local APIC, which would not accept it.
 * init_on_its_way() tells; who asks lets its guest execute the instruction again, and the INIT comes out before it.
 */
#include "hv/core.h"

enum own_init {
    OWN_NONE,                       /* none is on its way: an INIT that comes out is L1's */
    OWN_KICK,                       /* one is, and does nothing but end the guest's run */
    OWN_FOR_L1,                     /* one is, and stands for an INIT of L1's that was blocked until now */
};
enum init_event {
    INIT_KICK,                      /* another processor wants this one back */
    INIT_POST,                      /* L1's blocked INIT is due in L2: L0 sends one to itself, so that it comes out there */
    INIT_OUT,                       /* an INIT ended the guest's run */
    INIT_STARTED,                   /* a SIPI: what was on its way then has come, and wait-for-SIPI has swallowed or held it */
    INIT_UNSENT,                    /* the INIT could not be sent: one of L1's waits there already, and comes out */
    INIT_EVENTS
};
static const struct { uint8_t next; bool send, ours; } table[][INIT_EVENTS] = {
    [OWN_NONE] = {
        [INIT_KICK] = { .next = OWN_KICK, .send = true }, [INIT_POST] = { .next = OWN_FOR_L1, .send = true }, [INIT_OUT] = { .next = OWN_NONE },
        [INIT_STARTED] = { .next = OWN_NONE }, [INIT_UNSENT] = { .next = OWN_NONE },
    },
    [OWN_KICK] = {
        [INIT_KICK] = { .next = OWN_KICK }, [INIT_POST] = { .next = OWN_FOR_L1 }, [INIT_OUT] = { .next = OWN_NONE, .ours = true },
        [INIT_STARTED] = { .next = OWN_NONE }, [INIT_UNSENT] = { .next = OWN_NONE },
    },
    [OWN_FOR_L1] = {
        [INIT_KICK] = { .next = OWN_FOR_L1 }, [INIT_POST] = { .next = OWN_FOR_L1 }, [INIT_OUT] = { .next = OWN_NONE },
        [INIT_STARTED] = { .next = OWN_NONE }, [INIT_UNSENT] = { .next = OWN_NONE },
    },
};

/* `lock` is held. */
static bool step(struct presence *p, enum init_event event, bool *ours)
{
    const uint8_t state = p->own_init;

    p->own_init = table[state][event].next;
    if (ours)
        *ours = table[state][event].ours;
    return table[state][event].send;
}

/* Nothing goes to a processor that L0 is not beneath, or whose local APIC is disabled. */
static void send(struct hv_machine *m, unsigned cpu, enum init_event event)
{
    struct presence *p = &m->presence[cpu];
    bool sent;

    hal_lock(&m->lock);
    sent = p->over_l0 && !p->unreachable && step(p, event, NULL);
    hal_unlock(&m->lock);
    if (sent && !hal_kick(cpu, HAL_KICK_INIT)) {
        hal_lock(&m->lock);
        step(p, INIT_UNSENT, NULL);
        hal_unlock(&m->lock);
    }
}

void init_kick(struct hv_machine *m, unsigned cpu) { send(m, cpu, INIT_KICK); }

bool init_on_its_way(const struct hv_cpu *cpu)
{
    return cpu->presence->own_init != OWN_NONE && !cpu->presence->unreachable;
}

/*
 * One that was on its way when a list of L1's disabled the local APIC, which no instruction does, had been accepted, and ended the guest's next
 * run, or it was lost. So none is on its way while the APIC is disabled, and the account begins anew when it is enabled.
 */
void init_reachable(struct hv_cpu *cpu, bool reachable)
{
    if (reachable && cpu->presence->unreachable)
        cpu->presence->own_init = OWN_NONE;
    cpu->presence->unreachable = !reachable;
}

/*
 * L1's INIT resets its local APIC, which is disabled on the way (apic.c), and accepts no INIT meanwhile. So that is one step with the account, and
 * is done where none of L0's is on its way; one that is stands for L1's, which comes out with it.
 */
static void init_l1(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    bool now;

    cpu->init_held = false;
    hal_lock(&m->lock);
    now = !init_on_its_way(cpu);
    if (now)
        apic_init();
    else
        step(cpu->presence, INIT_POST, NULL);
    hal_unlock(&m->lock);
    if (now)
        vmcs01_init(cpu);
}

bool init_of_l0(struct hv_cpu *cpu)
{
    struct hv_machine *m = cpu->machine;
    bool ours;

    hal_lock(&m->lock);
    step(cpu->presence, INIT_OUT, &ours);
    hal_unlock(&m->lock);
    return ours;
}

void init_exit(struct hv_cpu *cpu, bool just_started)
{
    if (init_of_l0(cpu))
        return;
    /* Blocked in the wait-for-SIPI state: one that comes out when the SIPI has ended that state, and not even the trial's exit has come
     * (nmi.c), is the first half of INIT-SIPI, and has done its work. */
    if (just_started)
        return;
    if (cpu->nested.on)                         /* blocked in VMX root operation (SDM Vol. 3, 26.2) */
        cpu->init_held = true;
    else
        init_l1(cpu);
}

void init_before_l2(struct hv_cpu *cpu)
{
    if (!cpu->init_held || cpu->presence->unreachable)
        return;
    cpu->init_held = false;
    send(cpu->machine, hal_cpu_index(), INIT_POST);
}

void init_after_vmxoff(struct hv_cpu *cpu)
{
    if (cpu->init_held)
        init_l1(cpu);
}

void init_started(struct hv_cpu *cpu)
{
    hal_lock(&cpu->machine->lock);
    step(cpu->presence, INIT_STARTED, NULL);
    hal_unlock(&cpu->machine->lock);
}
