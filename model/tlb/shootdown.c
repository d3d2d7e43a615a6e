/* SPDX-License-Identifier: MIT */
#include "model/tlb/shootdown.h"

#include "model/model.h"

static bool others_are_active(const struct cpu *cpu)
{
    const struct model *model = cpu->model;

    for (unsigned i = 0; i < model->cpu_count; i++)
        if (i != cpu->index && cpu_runs(&model->cpu[i]))
            return true;
    return false;
}

void shootdown_entered(struct cpu *cpu)
{
    const struct model *model = cpu->model;

    cpu->exits_at_entry = model->exits;
    for (unsigned i = 0; i < model->cpu_count; i++)
        if (i != cpu->index && model->cpu[i].activity == ACTIVITY_ACTIVE && !model->cpu[i].vmx.non_root)
            cpu->exits_at_entry = ~0ull;
}

void shootdown_l1_entered(struct cpu *cpu)
{
    const struct model *model = cpu->model;

    cpu->shadowed_exits_at_entry = model->shadowed_exits;
    for (unsigned i = 0; i < model->cpu_count; i++)
        if (i != cpu->index && model->cpu[i].activity == ACTIVITY_ACTIVE && !model->cpu[i].vmx.shadowed_eptp)
            cpu->shadowed_exits_at_entry = ~0ull;
}

void shootdown_l1_exited(struct cpu *cpu)
{
    cpu->model->shadowed_exits++;
}

/* Whoever has changed an entry before this stay or in it is done with it. */
static bool others_are_guests(const struct cpu *cpu, bool by_guest)
{
    if (by_guest)
        return cpu->shadowed_exits_at_entry == cpu->model->shadowed_exits;
    return cpu->vmx.non_root && cpu->exits_at_entry == cpu->model->exits;
}

bool shootdown_missed(const struct cpu *cpu, uint64_t stay, struct sighting *seen, bool by_guest)
{
    if (!seen->stay)
        *seen = (struct sighting){ stay, cpu->clock };
    return !cpu->model->shootdown_patience || !others_are_active(cpu) || others_are_guests(cpu, by_guest) ||
           (seen->stay != stay && cpu->clock - seen->clock >= cpu->model->shootdown_patience);
}
