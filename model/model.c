/* SPDX-License-Identifier: MIT */
/* The start of a machine's processors, and the one way to say that something is not implemented. */
#include "model/model.h"

#include <string.h>

enum { PHYSICAL_ADDRESS_WIDTH = 40 };

void model_init(struct model *model, unsigned cpu_count)
{
    model->cpu_count = cpu_count < 1 ? 1 : cpu_count > MODEL_CPU_MAX ? MODEL_CPU_MAX : cpu_count;
    model->physical_address_width = PHYSICAL_ADDRESS_WIDTH;
    model->random = model->shootdown_patience = model->exits = model->shadowed_exits = 0;
    model->refusal[0] = '\0';
    model->vmcs_cache.used = 0;         /* no slot counts before it was used */
    model->vmcs_cache.use_clock = 0;
    model->vmcs_cache.judged_generation = 0;
    model->vmcs_cache.judged_width = 0; /* none: the first entry counts from 1 */
    capability_init(&model->capability, NULL);
    tlb_init(&model->tlb, TLB_KEEP, 0);
    for (unsigned i = 0; i < MODEL_CPU_MAX; i++) {
        model->cpu[i] = (struct cpu){ .model = model, .index = i };
        cpu_power_on(&model->cpu[i]);
    }
}

uint64_t model_instructions(const struct model *model)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < model->cpu_count; i++)
        sum += model->cpu[i].instructions;
    return sum;
}

enum status model_refuse(struct cpu *cpu, const char *what)
{
    char *to = cpu->model->refusal;
    size_t length = strlen(what);

    if (length > REFUSAL_MAX - 1)
        length = REFUSAL_MAX - 1;
    memcpy(to, what, length);
    to[length] = '\0';
    return STATUS_REFUSED;
}
