/* SPDX-License-Identifier: MIT */
/* The rows of both tables of refusals, and telling of one. */
#include "model/refusal.h"

#include "model/cpu/raise.h"
#include "model/model.h"

const struct refusal refusal_table[REFUSAL_COUNT] = {
#define REFUSAL(instruction, name, outcome, section, text, refused)                                                 \
    [REFUSED_##instruction##_##name] = { #instruction "." #name, (outcome), (section), (text) },
#include "model/cpu/refusals.def"
#define REFUSAL(instruction, name, outcome, section, text, refused)                                                 \
    [REFUSED_##instruction##_##name] = { #instruction "." #name, (outcome), (section), (text) },
#include "model/vmx/refusals.def"
};

struct attempt attempt_of(const struct cpu *cpu, const struct insn *insn)
{
    return (struct attempt){ .cpu = cpu, .capability = &cpu->model->capability, .id = insn->id, .insn = insn };
}

unsigned refusal_vector(const struct attempt *attempt, const struct refusal *refusal)
{
    if (refusal->outcome == OUTCOME_OPERAND && attempt->insn && attempt->insn->segment == SEG_SS)
        return VECTOR_SS;
    return refusal->outcome == OUTCOME_UD ? VECTOR_UD : VECTOR_GP;
}

void refusal_notify(const struct attempt *attempt, const struct refusal *refusal)
{
    cpu_notify(attempt->cpu, &(struct notice){ .kind = NOTICE_REFUSED, .a = attempt->id, .b = attempt->operand,
                                               .c = attempt->value, .refusal = refusal, .attempt = attempt });
}

enum status refusal_raise(struct cpu *cpu, const struct attempt *attempt, const struct refusal *refusal)
{
    refusal_notify(attempt, refusal);
    return cpu_fault(cpu, (enum vector)refusal_vector(attempt, refusal), 0);
}
