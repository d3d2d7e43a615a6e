/* SPDX-License-Identifier: MIT */
/* Evaluates the table of refused VMX instructions: model/vmx/refusals.def. */
#include "model/refusal.h"

#include <stddef.h>

#include "model/cpu/access.h"
#include "model/cpu/raise.h"
#include "model/cpu/walk.h"
#include "model/vmx/internal.h"

/* ---- the words in which the rows are written ---- */

enum { INVEPT_SINGLE = 1, INVVPID_ADDRESS = 0, INVVPID_ALL = 2 };

static bool compatibility_mode(const struct cpu *cpu)
{
    return cpu_long_mode(cpu) && !cpu_64bit(cpu);
}

static bool beyond_width(const struct cpu *cpu, uint64_t pa)
{
    return pa >> cpu->model->physical_address_width;
}

static uint32_t region_dword(const struct attempt *a)
{
    return memory_read32(&a->cpu->model->memory, a->operand);
}

static bool high_of_no_64bit_field(uint64_t encoding)
{
    return VMCS_ENCODING_HIGH(encoding) && VMCS_ENCODING_WIDTH(encoding) != VMCS_WIDTH_64;
}

const struct refusal *vmx_refuses(enum refusal_group group, const struct attempt *a)
{
    const struct cpu *cpu = a->cpu;
    const struct vmx_capability *c = a->capability;

    switch ((int)group) {
    default:
        break;
#define GROUP(name)                                                                                                 \
        break;                                                                                                      \
    case REFUSALS_##name:
#define WHERE(condition)                                                                                            \
        if (condition) {
#define END                                                                                                         \
        }
#define REFUSAL(instruction, name, outcome, section, text, refused)                                                 \
        if (refused)                                                                                                \
            return &refusal_table[REFUSED_##instruction##_##name];
#include "model/vmx/refusals.def"
    }
    return NULL;
}

/* What is looked at before a memory operand is, and once it is known. */
static const struct refusal *before_operand(struct attempt *a)
{
    switch (a->id) {
    case INSN_vmxon:
        return vmx_refuses(REFUSALS_vmxon, a);
    case INSN_vmread:
    case INSN_vmwrite:
        a->field = field_of(a->capability, a->operand);
        return vmx_refuses(REFUSALS_field_access, a);
    case INSN_invept:
        return vmx_refuses(REFUSALS_invept_type, a);
    case INSN_invvpid:
        return vmx_refuses(REFUSALS_invvpid_type, a);
    case INSN_vmlaunch:
    case INSN_vmresume:
        return vmx_refuses(REFUSALS_entry, a);
    case INSN_vmcall:
        return vmx_refuses(REFUSALS_vmcall, a);
    default:
        return NULL;
    }
}

static const struct refusal *with_operand(const struct attempt *a)
{
    switch (a->id) {
    case INSN_vmxon:
        return vmx_refuses(REFUSALS_vmxon_region, a);
    case INSN_vmclear:
        return vmx_refuses(REFUSALS_vmclear, a);
    case INSN_vmptrld:
        return vmx_refuses(REFUSALS_vmptrld, a);
    case INSN_invept:
        return vmx_refuses(REFUSALS_invept, a);
    case INSN_invvpid:
        return vmx_refuses(REFUSALS_invvpid, a);
    default:
        return NULL;
    }
}

/* The bytes of a memory operand (31.3). */
static unsigned operand_length(const struct attempt *a)
{
    if (a->id == INSN_invept || a->id == INSN_invvpid)
        return 16;
    return (a->id == INSN_vmread || a->id == INSN_vmwrite) && !cpu_64bit(a->cpu) ? 4 : 8;
}

const struct refusal *vmx_refusal_find(struct attempt *a)
{
    const struct refusal *refusal = vmx_undefined(a);

    if (!refusal)
        refusal = vmx_refuses(REFUSALS_vmx_privilege, a);
    if (!refusal)
        refusal = before_operand(a);
    if (!refusal && a->insn && a->insn->kind == OPERAND_MEMORY) {
        const struct attempt access = operand_attempt(a->cpu, a->insn, operand_length(a), a->id == INSN_vmread || a->id == INSN_vmptrst);

        refusal = cpu_refuses(REFUSALS_operand, &access);
        if (refusal)
            *a = access;
    }
    return refusal ? refusal : with_operand(a);
}
