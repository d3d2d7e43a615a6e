/* SPDX-License-Identifier: MIT */
/* The rows of both tables of refusals, and telling of one. */
#include "model/refusal.h"

#include "model/cpu/cr.h"
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

static const struct refusal *register_refusal(const struct attempt *a)
{
    switch (a->id) {
    case INSN_lmsw:
    case INSN_clts:
        return cpu_refuses(REFUSALS_cr0, a);
    case INSN_mov_to_cr:
        return a->operand == 2 ? NULL : cpu_refuses(a->operand == 0 ? REFUSALS_cr0 : a->operand == 3 ? REFUSALS_cr3 :
                                                    a->operand == 4 ? REFUSALS_cr4 : REFUSALS_cr8, a);
    case INSN_mov_to_dr:
        return cpu_refuses(REFUSALS_dr, a);
    case INSN_rdmsr:
        return cpu_refuses(REFUSALS_rdmsr, a);
    case INSN_wrmsr:
        return cpu_refuses(REFUSALS_wrmsr, a);
    case INSN_xsetbv:
        return cpu_refuses(REFUSALS_xsetbv, a);
    default:
        return NULL;
    }
}

const struct refusal *refusal_find(struct attempt *attempt)
{
    struct attempt first = *attempt;            /* its operand becomes the register's number */
    const struct refusal *refusal;

    if (insn_is_vmx(attempt->id))
        return vmx_refusal_find(attempt);
    refusal = execute_refuses(&first);
    if (!refusal) {
        refusal = register_refusal(attempt);
        return refusal || attempt->id != INSN_mov_to_cr ? refusal : cr_pdptes_refuse(attempt);
    }
    *attempt = first;
    return refusal;
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
