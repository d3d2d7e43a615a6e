/* SPDX-License-Identifier: MIT */
/* The rows of both tables of refusals, and telling of one. */
#include "model/refusal.h"

#include "model/cpu/raise.h"

const struct refusal refusal_table[REFUSAL_COUNT] = {
#define REFUSAL(instruction, name, outcome, section, text, refused)                                                 \
    [REFUSED_##instruction##_##name] = { #instruction "." #name, (outcome), (section), (text) },
#include "model/cpu/refusals.def"
#define REFUSAL(instruction, name, outcome, section, text, refused)                                                 \
    [REFUSED_##instruction##_##name] = { #instruction "." #name, (outcome), (section), (text) },
#include "model/vmx/refusals.def"
};

void refusal_notify(const struct attempt *attempt, const struct refusal *refusal)
{
    cpu_notify(attempt->cpu, &(struct notice){ .kind = NOTICE_REFUSED, .a = attempt->id, .b = attempt->operand,
                                               .c = attempt->value, .refusal = refusal, .attempt = attempt });
}

enum status refusal_raise(struct cpu *cpu, const struct attempt *attempt, const struct refusal *refusal)
{
    refusal_notify(attempt, refusal);
    return cpu_fault(cpu, refusal->outcome == OUTCOME_UD ? VECTOR_UD : refusal->outcome == OUTCOME_SS ? VECTOR_SS : VECTOR_GP, 0);
}
