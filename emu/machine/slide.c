/* SPDX-License-Identifier: MIT */
/* See slide.h. */
#include "emu/machine/slide.h"

#include "emu/machine/parts.h"

uint64_t slide_horizon(struct machine *machine)
{
    struct trigger *trigger = &machine->board.trigger;

    return trigger->kind != TRIGGER_INSTRUCTIONS || trigger->fired ? UINT64_MAX : trigger_instructions(trigger, model_instructions(machine->model));
}

static bool between_instructions(const struct cpu *cpu)
{
    return !cpu->event.valid && !cpu->interruptibility && !cpu->pending_debug && (cpu->activity == ACTIVITY_ACTIVE || cpu->activity == ACTIVITY_HLT);
}

bool slide_awaited(const struct machine *machine, const struct cpu *cpu)
{
    return machine->board.trigger.fired && !machine->slid[cpu->index];
}

void slide(struct machine *machine, struct cpu *cpu)
{
    if (!slide_awaited(machine, cpu) || !between_instructions(cpu))
        return;
    machine->slid[cpu->index] = true;
    cpu->monitor.waiting = false;               /* MWAIT may end at any time: SDM Vol. 2, MWAIT */
    if (machine->trace.file)
        trace_line(&machine->trace, cpu, 0, "slide", "rip=%#llx", (unsigned long long)cpu->rip);
    native_slide(machine->native, cpu);
    machine_settle(machine, cpu);
}
