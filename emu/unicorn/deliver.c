/* SPDX-License-Identifier: MIT */
/*
 * Delivery of cpu->event through the guest's IDT (SDM Vol. 3, 6.12, 6.14; 20.1.4 in real mode), done by the library. A
 * fault on the way leaves through leave() with `delivering` set; then struct cpu was not touched.
 */
#include "emu/unicorn/engine.h"

#include "model/cpu/deliver.h"
#include "model/cpu/walk.h"

static const char task_gate[] = "task gate: task switches are not implemented";

static bool meets_task_gate(struct engine *e, uint8_t vector)
{
    uint8_t gate[8];
    uint32_t offset = vector * 8u;
    if (!cpu_protected(e->cpu) || cpu_long_mode(e->cpu) || offset + 7 > e->cpu->idtr.limit)
        return false;
    return peek(e, e->cpu->idtr.base + offset, gate, sizeof gate) && (gate[5] & 0x1f) == 5;
}

/* A 64-bit gate to an address that is not canonical: #GP(EXT) before anything is pushed (SDM Vol. 2, INT n). The library pushes, and
 * fails to fetch. Other faults of the gate come first; the library finds them. */
static bool meets_wild_gate(struct engine *e, uint8_t vector)
{
    enum { INTERRUPT_OR_TRAP = 0x0e, TYPE = 0x1e };
    uint64_t gate[2];
    uint32_t offset = vector * 16u;
    if (!cpu_long_mode(e->cpu) || offset + 15 > e->cpu->idtr.limit || !peek(e, e->cpu->idtr.base + offset, gate, sizeof gate))
        return false;
    if ((gate[0] >> 40 & TYPE) != INTERRUPT_OR_TRAP || !(gate[0] >> 47 & 1) || !(gate[0] >> 16 & 0xfffc))
        return false;
    return !linear_canonical(e->cpu, (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32);
}

void deliver(struct engine *e)
{
    library_env *env = e->env;
    const struct event *event = &e->cpu->event;
    bool software = event->type == EVENT_SOFTWARE_INTERRUPT || event->type == EVENT_SOFTWARE_EXCEPTION;
    if (meets_task_gate(e, event->vector))
        refuse(e, task_gate, 0);
    e->delivering = true;
    delivery_begin(e->cpu);             /* an event that the model raised or injected has begun already */
    ENV64(env, CR + 16) = e->cpu->cr2;
    if (meets_wild_gate(e, event->vector))
        leave_event(e, VECTOR_GP, true, 0, BETWEEN_BLOCKS, 0);
    if (event->pushes_resume_flag)
        ENV64(env, EFLAGS) |= RFLAGS_RF;
    switch (event->type) {
    case EVENT_EXTERNAL_INTERRUPT:
    case EVENT_NMI:
        do_interrupt_x86_hardirq_x86_64(env, event->vector, 1);
        break;
    default:
        FIELD(int32_t, e->library, CPU_EXCEPTION_INDEX) = event->vector;
        ENV32(env, ERROR_CODE) = event->error_code;
        ENV32(env, EXCEPTION_IS_INT) = software;
        if (software)
            ENV64(env, EXCEPTION_NEXT_EIP) = ENV64(env, EIP) + event->instruction_length;
        else if (event->type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION)
            ENV64(env, EIP) += event->instruction_length;   /* the gate's DPL does not matter */
        x86_cpu_do_interrupt_x86_64(e->library);
        ENV32(env, EXCEPTION_IS_INT) = 0;
    }
    e->delivering = false;
    e->delivered = true;
    e->cpu->event.valid = false;        /* its other effects were the model's, before: model/cpu/deliver.def */
    ENV32(env, HFLAGS) &= ~(uint32_t)HF_SHADOW;
}
