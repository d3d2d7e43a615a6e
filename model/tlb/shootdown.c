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

bool shootdown_missed(const struct cpu *cpu, uint64_t stay, struct sighting *seen)
{
    if (!seen->stay)
        *seen = (struct sighting){ stay, cpu->clock };
    return !cpu->model->shootdown_patience || !others_are_active(cpu) ||
           (seen->stay != stay && cpu->clock - seen->clock >= cpu->model->shootdown_patience);
}
