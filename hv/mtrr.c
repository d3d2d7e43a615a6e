/* SPDX-License-Identifier: MIT */
/*
 * The memory types that the MTRRs give: SDM Vol. 3, 12.11. EPT replaces them (29.3.7), so what EPT01 maps that is no RAM has the type that it
 * has without L0: device registers are mostly uncacheable, but tables of ACPI, the firmware's own memory and persistent memory are not.
 * Below 1 MB, where the fixed ranges count, what is no RAM is uncacheable to L1.
 */
#include "hv/core.h"

enum { MTRR_CAP = 0xfe, MTRR_PHYSBASE = 0x200, MTRR_DEF_TYPE = 0x2ff };
#define CAP_VARIABLE(cap) ((unsigned)(cap) & 0xff)
#define DEF_ENABLE (1ull << 11)
#define MASK_VALID (1ull << 11)
#define FIXED_END 0x100000ull

static uint64_t msr(uint32_t index)
{
    uint64_t value;

    return hal_rdmsr(index, &value) ? value : 0;
}

bool mtrr_type(uint64_t base, uint64_t size, enum memory_type *type)
{
    const uint64_t cap = msr(MTRR_CAP), all = msr(MTRR_DEF_TYPE);
    bool found = false;

    *type = MEMORY_UC;
    if (!(all & DEF_ENABLE) || base < FIXED_END)
        return true;
    for (unsigned i = 0; i < CAP_VARIABLE(cap); i++) {
        const uint64_t place = msr(MTRR_PHYSBASE + 2 * i), mask = msr(MTRR_PHYSBASE + 2 * i + 1);
        const enum memory_type this = (enum memory_type)(place & 0xff);
        if (!(mask & MASK_VALID) || (base ^ place) & mask & ~(size - 1))
            continue;
        if (mask & (size - 1) & ~PAGE_OFFSET)
            return false;                       /* the range ends within */
        *type = found && *type != this ? MEMORY_UC : this;      /* 12.11.4.1 has WT where WT and WB overlap: not here */
        found = true;
    }
    if (!found)
        *type = (enum memory_type)(all & 0xff);
    return true;
}
