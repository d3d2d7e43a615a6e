/* SPDX-License-Identifier: MIT */
/* What L1 has in memory: descriptor tables, paging structures, task-state segments. */
#include "tests/entries/entries.h"

static uint64_t descriptor(uint64_t base, uint32_t limit, uint32_t rights)
{
    return (limit & 0xffff) | (base & 0xffffff) << 16 | (uint64_t)(rights & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
           (uint64_t)(rights >> 12 & 15) << 52 | (base >> 24 & 0xff) << 56;
}

/*
 * Half of the descriptors are such that loads of them succeed: code and data of each type, present, of every level, 16, 32 and 64 bits;
 * some are anything.
 */
static uint64_t random_descriptor(struct world *w)
{
    uint32_t limit = (uint32_t)OF(0xfffff, 0xfffff, 0xffff, 0xf, 0x7fff, 0), rights = AR_S | AR_PRESENT | (uint32_t)below(w, 16);
    uint64_t base = OF(0, 0, 0, 0, 0, 0, 0, 0x1000, 0x40000, 0x40000, once_in(w, 4) ? 0xffff0000 : 0);

    if (once_in(w, 8))
        return random_next(&w->random);
    rights |= (uint32_t)OF(0, 0, 0, 1, 2, 3, 3) << 5;
    if (rights & 8)                         /* code */
        rights |= (uint32_t)OF(0, AR_DB, AR_DB, AR_DB, AR_L, AR_L);
    else
        rights |= (uint32_t)OF(0, AR_DB, AR_DB);
    rights |= (uint32_t)OF(0, AR_G, AR_G, AR_AVL);
    if (once_in(w, 16))
        rights &= ~(uint32_t)AR_PRESENT;
    return descriptor(base, limit, rights);
}

/* In both formats: in IA-32e mode a TSS, an LDT and a call gate have 16 bytes, so every second place is the upper half of one. */
static void system_descriptors(struct world *w, uint64_t table, unsigned from)
{
    static const uint8_t types[] = { 1, 2, 3, 4, 5, 9, 11, 12, 2, 1, 9, 12 };

    for (unsigned i = 0; i < sizeof types; i++) {
        const bool gate = types[i] == 4 || types[i] == 5 || types[i] == 12;
        const uint32_t rights = AR_PRESENT | types[i] | (uint32_t)OF(0, 0, 3) << 5;
        const uint64_t offset = PLACE_CODE + 64 * below(w, 64);
        uint64_t low = descriptor(types[i] == 2 ? PLACE_LDT : PLACE_TSS + 0x100 * i, (uint32_t)OF(0x67, 0x67, 0x2b, 0xfff, 0x66), rights);

        if (gate)
            low = (offset & 0xffff) | 8 * below(w, 64) << 16 | (uint64_t)rights << 40 | (offset >> 16) << 48;
        put(w, table + from + 16 * i, low, 8);
        put(w, table + from + 16 * i + 8, once_in(w, 8) ? random_descriptor(w) : 0, 8);
    }
}

void memory_prepare(struct world *w)
{
    for (unsigned i = 0; i < 64; i++) {
        put(w, PLACE_GDT + 8 * i, i ? random_descriptor(w) : 0, 8);
        put(w, PLACE_LDT + 8 * i, random_descriptor(w), 8);
    }
    put(w, PLACE_GDT + 0x08, descriptor(0, 0xfffff, 0xb | AR_S | AR_PRESENT | AR_DB | AR_G), 8);
    put(w, PLACE_GDT + 0x10, descriptor(0, 0xfffff, 3 | AR_S | AR_PRESENT | AR_DB | AR_G), 8);
    put(w, PLACE_GDT + 0x18, descriptor(0, 0xfffff, 0xb | AR_S | AR_PRESENT | AR_L | AR_G), 8);
    put(w, PLACE_GDT + 0x20, descriptor(0, 0xffff, 0xb | AR_S | AR_PRESENT), 8);
    put(w, PLACE_GDT + 0x28, descriptor(0, 0xfffff, 0xfb | AR_S | AR_DB | AR_G), 8);
    put(w, PLACE_GDT + 0x30, descriptor(0, 0xfffff, 0xf3 | AR_S | AR_DB | AR_G), 8);
    put(w, PLACE_GDT + 0x38, descriptor(0, 0xfffff, 0xfb | AR_S | AR_L | AR_G), 8);
    put(w, PLACE_GDT + 0x60, descriptor(0, 0xffff, 3 | AR_S | AR_PRESENT), 8);
    put(w, PLACE_GDT + 0x68, descriptor(0, 0, 7 | AR_S | AR_PRESENT | AR_DB | AR_G), 8);
    for (unsigned level = 1; level < 3; level++) {
        put(w, PLACE_GDT + OUTER_CODE(level), descriptor(0, 0xfffff, 0xb | AR_S | AR_PRESENT | level << 5 | (uint32_t)OF(AR_DB, AR_L) | AR_G), 8);
        put(w, PLACE_GDT + OUTER_DATA(level), descriptor(0, 0xfffff, 3 | AR_S | AR_PRESENT | level << 5 | AR_DB | AR_G), 8);
    }
    system_descriptors(w, PLACE_GDT, 0x100);
    for (unsigned i = 0; i < 256; i++)
        put(w, 4 * i, PLACE_CODE + 16 * i, 4);      /* real-address mode */
    for (unsigned i = 0; i < 0x1000; i += 8)        /* stacks and selectors that may be good ones, in TSSs of both kinds */
        put(w, PLACE_TSS + i, PLACE_STACK | OF(0x10, 0x30, 0, 0x12) << 32, 8);
    for (unsigned i = 0; i < 256; i++) {            /* 16 bytes, as IA-32e mode has it; elsewhere every second one is empty */
        const uint64_t selector = OF(0x08, 0x18, 0x18, 0x20), offset = PLACE_CODE + 16 * i;
        const uint32_t type = (uint32_t)OF(14, 14, 15, 6, 7, 5);
        put(w, PLACE_IDT + 16 * i, (offset & 0xffff) | selector << 16 | (AR_PRESENT | type | OF(0, 3) << 5) << 40, 8);
        put(w, PLACE_IDT + 16 * i + 8, 0, 8);
    }
    for (unsigned i = 0; i < 1024; i++) {
        put(w, PLACE_DIRECTORY + 4 * i, i ? (i & 3) << 22 | 0x87 : PLACE_PT | 7, 4);
        put(w, PLACE_PT + 4 * i, i << 12 | 7, 4);
    }
    for (unsigned i = 0; i < 4; i++) {
        put(w, PLACE_PDPT_PAE + 8 * i, (PLACE_PDS + 0x1000 * i) | 1, 8);
        put(w, PLACE_PDPT + 8 * i, (PLACE_PDS + 0x1000 * i) | 7, 8);
    }
    for (unsigned i = 0; i < 2048; i++)
        put(w, PLACE_PDS + 8 * i, (uint64_t)(i & 7) << 21 | 0x87, 8);
    put(w, PLACE_PDPT + 8 * 511, (PLACE_PDS + 0x3000) | 7, 8);
    for (unsigned i = 0; i < 512; i += 255 + !!i) {     /* 0, 255, 511 */
        put(w, PLACE_PML4 + 8 * i, PLACE_PDPT | 7, 8);
        put(w, PLACE_PML5 + 8 * i, PLACE_PML4 | 7, 8);
    }
    put(w, PLACE_VMXON, VMCS_REVISION, 4);
}
