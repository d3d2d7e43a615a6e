/* SPDX-License-Identifier: MIT */
/* Evaluates the table of refused VMX instructions: model/vmx/refusals.def. */
#include "model/refusal.h"

#include <stddef.h>

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
#define REFUSAL(instruction, name, outcome, section, text, refused)                                                 \
        if (refused)                                                                                                \
            return &refusal_table[REFUSED_##instruction##_##name];
#include "model/vmx/refusals.def"
    }
    return NULL;
}
