/* SPDX-License-Identifier: MIT */
/* The new world's tables, and the step into it. */
#include "scenarios/guests/lodger/world.h"

#include "arch/x86.h"
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"

enum { PAGE = 4096, PRESENT = 1, WRITABLE = 2, LARGE = 0x80, GLOBAL = 0x100, LARGE_SHIFT = 21, PCID = 5 };
enum { LEAF_1_ECX_PCID = 1 << 17, GDT_SIZE = 64, SELECTOR_TSS = 24, BUSY = 2, GATE_SIZE = 16 };

typedef uint64_t page_table[512];
static _Alignas(PAGE) page_table root, low, low_directory, direct, direct_directory, high, high_directory, high_table;
static _Alignas(PAGE) uint64_t gdt[PAGE / 8];
extern uint8_t nmi_entry[];
__asm__(".text\nnmi_entry:\n incq nmis_taken\n iretq\n");

static uint64_t at_world(const void *table) { return WORLD + (uint64_t)table; }
static unsigned slot(uint64_t linear, unsigned level) { return linear >> (12 + 9 * (level - 1)) & 511; }

static void build(void)
{
    root[0] = at_world(low) | PRESENT | WRITABLE;
    low[0] = at_world(low_directory) | PRESENT | WRITABLE;
    for (unsigned i = 0; i < WORLD_SIZE >> LARGE_SHIFT; i++)
        low_directory[i] = (WORLD + ((uint64_t)i << LARGE_SHIFT)) | PRESENT | WRITABLE | LARGE | GLOBAL;
    root[slot(DIRECT, 4)] = at_world(direct) | PRESENT | WRITABLE;
    direct[0] = at_world(direct_directory) | PRESENT | WRITABLE;
    for (unsigned i = 0; i < 512; i++)
        direct_directory[i] = (uint64_t)i << LARGE_SHIFT | PRESENT | WRITABLE | LARGE | GLOBAL;
    root[slot(DESCRIPTORS, 4)] = at_world(high) | PRESENT | WRITABLE;
    high[slot(DESCRIPTORS, 3)] = at_world(high_directory) | PRESENT | WRITABLE;
    high_directory[slot(DESCRIPTORS, 2)] = at_world(high_table) | PRESENT | WRITABLE;
    high_table[slot(DESCRIPTORS, 1)] = at_world(gdt) | PRESENT;     /* not writable */
}

void world_change(void)
{
    const struct descriptor_table old = store_gdtr(), writable = { GDT_SIZE - 1, (uint64_t)gdt }, final = { GDT_SIZE - 1, DESCRIPTORS };
    const uint64_t pcid = cpuid(1, 0).ecx & LEAF_1_ECX_PCID ? PCID : 0;
    uint64_t from = 0, to = WORLD, length = WORLD_SIZE;

    memcpy(gdt, (const void *)old.base, old.limit + 1u < GDT_SIZE ? old.limit + 1u : GDT_SIZE);
    gdt[SELECTOR_TSS / 8] &= ~((uint64_t)BUSY << 40);
    build();
    /* Nothing may be written between the copy and its use. */
    __asm__ volatile("rep movsb\n mov %3, %%cr3" : "+S"(from), "+D"(to), "+c"(length) : "r"(at_world(root)) : "memory");
    write_cr4(read_cr4() | CR4_PGE | (pcid ? CR4_PCIDE : 0));
    write_cr3(at_world(root) | pcid);
    write_cr0(read_cr0() | CR0_WP);
    __asm__ volatile("lgdt %0; ltr %w2; lgdt %1" : : "m"(writable), "m"(final), "r"(SELECTOR_TSS));
}

void world_hide_pool(bool hide)
{
    uint64_t *const entry = &direct_directory[POOL >> LARGE_SHIFT];

    *entry = hide ? 0 : POOL | PRESENT | WRITABLE | LARGE | GLOBAL;
    __asm__ volatile("invlpg (%0)" : : "r"(DIRECT + POOL) : "memory");
}

void nmi_gate(void)
{
    const uint64_t handler = (uint64_t)nmi_entry;
    uint16_t *const gate = (uint16_t *)(store_idtr().base + GATE_SIZE * VECTOR_NMI);

    gate[0] = (uint16_t)handler;
    gate[3] = (uint16_t)(handler >> 16);
    gate[4] = gate[5] = 0;
}
