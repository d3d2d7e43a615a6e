/* SPDX-License-Identifier: MIT */
/*
 * The memory types that the MTRRs give: SDM Vol. 3, 12.11. EPT replaces them (29.3.7), so what EPT01 maps that is no RAM has the type that it
 * has without L0: device registers are mostly uncacheable, but tables of ACPI, the firmware's own memory and persistent memory are not.
 */
#include "hv/core.h"

enum { MTRR_CAP = 0xfe, MTRR_PHYSBASE = 0x200, MTRR_DEF_TYPE = 0x2ff };
#define CAP_VARIABLE(cap) ((unsigned)(cap) & 0xff)
#define CAP_FIXED (1ull << 8)
#define DEF_FIXED (1ull << 10)
#define DEF_ENABLE (1ull << 11)
#define MASK_VALID (1ull << 11)
#define FIXED_END 0x100000ull

/* The fixed ranges: eight of one size in each MSR. */
static const struct { uint32_t msr, first, size; } fixed[] = {
    { 0x250, 0x00000, 0x10000 }, { 0x258, 0x80000, 0x4000 }, { 0x259, 0xa0000, 0x4000 }, { 0x268, 0xc0000, 0x1000 },
    { 0x269, 0xc8000, 0x1000 }, { 0x26a, 0xd0000, 0x1000 }, { 0x26b, 0xd8000, 0x1000 }, { 0x26c, 0xe0000, 0x1000 },
    { 0x26d, 0xe8000, 0x1000 }, { 0x26e, 0xf0000, 0x1000 }, { 0x26f, 0xf8000, 0x1000 },
};

static uint64_t msr(uint32_t index)
{
    uint64_t value;

    return hal_rdmsr(index, &value) ? value : 0;
}

static enum memory_type fixed_type(uint64_t page)
{
    unsigned i = sizeof fixed / sizeof *fixed - 1;

    while (page < fixed[i].first)
        i--;
    return (enum memory_type)(msr(fixed[i].msr) >> 8 * ((page - fixed[i].first) / fixed[i].size) & 0xff);
}

/* 12.11.4.1: UC wins, WT wins over WB; what else overlaps is undefined. */
static enum memory_type both(enum memory_type a, enum memory_type b)
{
    if (a == b || (a == MEMORY_WT && b == MEMORY_WB))
        return a;
    return a == MEMORY_WB && b == MEMORY_WT ? b : MEMORY_UC;
}

bool mtrr_type(uint64_t base, uint64_t size, enum memory_type *type)
{
    const uint64_t cap = msr(MTRR_CAP), all = msr(MTRR_DEF_TYPE);
    bool found = false;

    *type = MEMORY_UC;
    if (!(all & DEF_ENABLE))
        return true;
    if (base < FIXED_END && cap & CAP_FIXED && all & DEF_FIXED) {
        *type = fixed_type(base);
        return size == PAGE_SIZE;
    }
    for (unsigned i = 0; i < CAP_VARIABLE(cap); i++) {
        const uint64_t place = msr(MTRR_PHYSBASE + 2 * i), mask = msr(MTRR_PHYSBASE + 2 * i + 1);
        const enum memory_type this = (enum memory_type)(place & 0xff);
        if (!(mask & MASK_VALID) || (base ^ place) & mask & ~(size - 1))
            continue;
        if (mask & (size - 1) & ~PAGE_OFFSET)
            return false;                       /* the range ends within */
        *type = found ? both(*type, this) : this;
        found = true;
    }
    if (!found)
        *type = (enum memory_type)(all & 0xff);
    return true;
}
