/* SPDX-License-Identifier: MIT */
/* What a program runs in: descriptor tables, gates, page rights, registers; all but a fixed frame of it random. */
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"
#include "tests/processor/program.h"

_Alignas(4096) uint8_t window[WINDOW_PAGES][PAGE];
_Alignas(4096) static uint64_t pml4[512], pdpt[512], low_directory[512], low_table[512], window_directory[512], window_table[512];
_Alignas(16) static uint8_t handler_stack[8192];

enum { PRESENT = 1, WRITABLE = 2, USER = 4, ACCESSED = 0x20, DIRTY = 0x40, LARGE = 0x80 };
static uint64_t page_flags[WINDOW_PAGES];

static uint64_t physical(const void *p) { return (uintptr_t)p; }

static uint64_t *table(enum window_page page) { return (uint64_t *)window[page]; }

void environment_open(void)
{
    pml4[0] = physical(pdpt) | PRESENT | WRITABLE | USER;
    pdpt[0] = physical(low_directory) | PRESENT | WRITABLE;
    pdpt[WINDOW >> 30] = physical(window_directory) | PRESENT | WRITABLE | USER;
    low_directory[0] = physical(low_table) | PRESENT | WRITABLE;
    for (uint64_t i = 1; i < 8; i++)
        low_directory[i] = i << 21 | PRESENT | WRITABLE | LARGE;
    for (uint64_t i = 256; i < 512; i++)                    /* what lies below 1 MB is not the same everywhere */
        low_table[i] = i << 12 | PRESENT | WRITABLE;
    window_directory[0] = physical(window_table) | PRESENT | WRITABLE | USER;
    write_cr3(physical(pml4));
    __asm__ volatile("sgdt %0" : "=m"(harness_gdtr));
    outb(0x21, 0xff);                                       /* both 8259s: no interrupts */
    outb(0xa1, 0xff);
}

/* ---- descriptors ---- */

static uint64_t segment(uint32_t base, uint32_t limit, unsigned rights)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(rights & 0xff) << 40 |
           (uint64_t)(limit >> 16 & 15) << 48 | (uint64_t)(rights >> 12 & 15) << 52 | (uint64_t)(base >> 24) << 56;
}

static uint64_t gate(uint16_t selector, uint32_t offset, unsigned rights, unsigned parameters)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)(parameters & 31) << 32 | (uint64_t)rights << 40 |
           (uint64_t)(offset >> 16) << 48;
}

/* A selector that is often good for something, and now and then of any kind. */
uint16_t random_selector(struct program *p)
{
    static const uint16_t known[] = { CODE64, DATA0, CODE32, USER32, USER_DATA, USER64, CODE16, USER16, TASK, LOCAL_TABLE, 0, 1, 2, 3 };
    uint16_t selector;

    if (chance(p, 35))
        return known[below(p, sizeof known / sizeof *known)];
    if (chance(p, 3))
        return (uint16_t)random64(p);
    selector = chance(p, 75) ? RANDOM_FIRST + 8 * below(p, (GDT_SIZE - RANDOM_FIRST) / 8) : 4 | 8 * below(p, LDT_SIZE / 8);
    return (uint16_t)(selector | (chance(p, 60) ? p->level : below(p, 4)));
}

static uint32_t landing(struct program *p)
{
    return chance(p, 90) ? WINDOW_AT(PAGE_LANDING) : chance(p, 50) ? PAGE_LANDING * PAGE : (uint32_t)random64(p);
}

static uint64_t random_descriptor(struct program *p)
{
    unsigned dpl = chance(p, 60) ? p->level : below(p, 4), present = chance(p, 92) ? 0x80 : 0;
    unsigned rights = dpl << 5 | present;
    uint32_t base = chance(p, 60) ? 0 : WINDOW, limit = 0xfffff;

    if (chance(p, 25)) {                        /* system segments and gates */
        unsigned type = chance(p, 70) ? (unsigned[]){ 2, 9, 11, 12, 12, 14 }[below(p, 6)] : below(p, 16);
        if (type == 2)
            return segment(WINDOW_AT(PAGE_LDT), LDT_SIZE - 1, rights | type);
        if (type == 9 || type == 11 || type < 4)
            return segment(WINDOW_AT(PAGE_TSS), 0x67 + below(p, 16), rights | type);
        return gate(random_selector(p), landing(p), rights | type, below(p, 4));
    }
    rights |= 0x10 | below(p, 16) | (chance(p, 50) ? 1u << 14 : 0);
    if (chance(p, 40) && (rights & 8))
        rights = (rights & ~(1u << 14)) | 1u << 13 | (chance(p, 5) ? 1u << 14 : 0);
    if (chance(p, 80))
        rights |= 1u << 15;
    else
        limit = chance(p, 50) ? 0xffff : below(p, 0x3000);
    return segment(base, limit, rights);
}

static void prepare_tables(struct program *p)
{
    uint64_t *gdt = table(PAGE_GDT), *ldt = table(PAGE_LDT), *idt = table(PAGE_IDT);
    uint8_t *tss = window[PAGE_TSS];

    gdt[0] = 0;
    gdt[CODE64 / 8] = segment(0, 0xfffff, 0xa09b);
    gdt[DATA0 / 8] = segment(0, 0xfffff, 0xc093);
    gdt[CODE32 / 8] = segment(0, 0xfffff, 0xc09b);
    gdt[USER32 / 8] = segment(0, 0xfffff, 0xc0fb);
    gdt[USER_DATA / 8] = segment(0, 0xfffff, 0xc0f3);
    gdt[USER64 / 8] = segment(0, 0xfffff, 0xa0fb);
    gdt[CODE16 / 8] = segment(WINDOW, 0xffff, 0x009b);
    gdt[USER16 / 8] = segment(WINDOW, 0xffff, 0x00fb);
    gdt[TASK / 8] = segment(WINDOW_AT(PAGE_TSS), 0x67, 0x89);
    gdt[TASK / 8 + 1] = 0;
    gdt[LOCAL_TABLE / 8] = segment(WINDOW_AT(PAGE_LDT), LDT_SIZE - 1, 0x82);
    gdt[LOCAL_TABLE / 8 + 1] = 0;
    for (unsigned i = RANDOM_FIRST / 8; i < GDT_SIZE / 8; i++)
        gdt[i] = chance(p, 30) && i > RANDOM_FIRST / 8 ? 0 : random_descriptor(p);
    for (unsigned i = 0; i < LDT_SIZE / 8; i++)
        ldt[i] = random_descriptor(p);
    memset(idt, 0, PAGE);
    for (unsigned i = 0; i < 32; i++)           /* on a stack of their own, whatever the program has done to its stack */
        idt[2 * i] = gate(CODE64, (uint32_t)physical(stubs) + 16 * i, 0x8e, 1);
    idt[2 * 3] = gate(CODE64, (uint32_t)physical(stubs) + 16 * 3, 0xee, 1);
    for (unsigned i = GATE_FIRST; i <= GATE_LAST; i++)
        idt[2 * i] = gate(random_selector(p), landing(p), (chance(p, 85) ? 14 + below(p, 2) : below(p, 16)) | below(p, 4) << 5 |
                          (chance(p, 92) ? 0x80 : 0), chance(p, 70) ? 0 : 2);
    memset(tss, 0, PAGE);
    for (unsigned i = 0; i < 3; i++)
        *(uint64_t *)(tss + 4 + 8 * i) = WINDOW_AT(PAGE_INNER) + 0x400 * (i + 1) - (chance(p, 20) ? below(p, 16) : 0);
    *(uint64_t *)(tss + 0x24) = physical(handler_stack) + sizeof handler_stack;
    *(uint64_t *)(tss + 0x2c) = WINDOW_AT(PAGE_INNER) + 0x1000;
    *(uint16_t *)(tss + 0x66) = 0x68;
}

/* ---- pages ---- */

static void prepare_pages(struct program *p)
{
    for (unsigned i = 0; i < WINDOW_PAGES; i++) {
        uint64_t flags = PRESENT | WRITABLE | (chance(p, 50) ? ACCESSED | DIRTY : 0);
        switch (i) {
        case PAGE_CODE:
            flags |= p->level == 3 ? USER : 0;
            break;
        case PAGE_LANDING:
            flags |= chance(p, 80) ? USER : 0;
            break;
        case PAGE_DATA:
        case PAGE_STACK:
        case PAGE_STACK_LOW:
            flags |= p->level == 3 || chance(p, 10) ? USER : 0;
            if (chance(p, 4))
                flags &= ~(uint64_t)(chance(p, 50) ? WRITABLE : USER);
            break;
        case PAGE_GDT:
        case PAGE_TSS:
        case PAGE_INNER:
            flags &= ~(uint64_t)(chance(p, 6) ? WRITABLE : 0);
            flags |= chance(p, 10) ? USER : 0;
            break;
        case PAGE_LDT:
            flags &= ~(uint64_t)(chance(p, 6) ? WRITABLE : 0);
            flags &= ~(uint64_t)(chance(p, 4) ? PRESENT : 0);
            break;
        }
        page_flags[i] = flags;
    }
    page_flags[PAGE_TSS] |= WRITABLE;
    page_flags[PAGE_GDT] &= p->start.cr4 & CR4_SMAP ? ~(uint64_t)USER : ~0ull;     /* harness and handlers need these */
    page_flags[PAGE_TSS] &= p->start.cr4 & CR4_SMAP ? ~(uint64_t)USER : ~0ull;
    for (uint64_t i = 0; i < WINDOW_PAGES; i++)
        window_table[i] = physical(window[i]) | page_flags[i];
}

/* ---- registers ---- */

static uint16_t data_selector(struct program *p)
{
    return p->level == 3 ? USER_DATA : DATA0;
}

static void prepare_registers(struct program *p)
{
    struct start *s = &p->start;
    unsigned mode = below(p, 10);

    p->level = chance(p, 50) ? 3 : 0;
    p->bits = mode < 6 ? 64 : mode < 9 ? 32 : 16;
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = random64(p) >> below(p, 64);
    s->gpr[RBX] = WINDOW_AT(PAGE_DATA) + 8 * below(p, 64);
    s->frame[0] = p->bits == 16 ? PAGE_CODE * PAGE : WINDOW_AT(PAGE_CODE);
    s->frame[1] = p->bits == 64 ? p->level ? USER64 : CODE64 : p->bits == 32 ? p->level ? USER32 : CODE32 : p->level ? USER16 : CODE16;
    s->frame[2] = RFLAGS_FIXED | (chance(p, 50) ? RFLAGS_IOPL : (uint64_t)below(p, 4) << 12) | (chance(p, 20) ? RFLAGS_AC : 0) |
                  (chance(p, 6) ? RFLAGS_NT : 0) | (chance(p, 4) ? RFLAGS_TF : 0) | (chance(p, 4) ? RFLAGS_RF : 0) |
                  (random64(p) & RFLAGS_ARITHMETIC);
    s->frame[3] = WINDOW_AT(PAGE_STACK) + (chance(p, 85) ? 0x800 : 0x10) - (chance(p, 10) ? below(p, 8) : 0);
    s->frame[4] = p->level ? USER_DATA : p->bits == 64 && chance(p, 20) ? 0 : DATA0;
    s->cr0 = 0x80000033 | (chance(p, 70) ? CR0_WP : 0) | (chance(p, 30) ? CR0_AM : 0);
    s->cr4 = CR4_PAE | (chance(p, 30) ? CR4_SMAP : 0) | (chance(p, 20) ? CR4_SMEP : 0);
    for (unsigned i = 0; i < 4; i++)
        s->segment[i] = data_selector(p);
    s->tr = TASK;
    s->ldtr = chance(p, 80) ? LOCAL_TABLE : 0;
    s->gdtr.limit = GDT_SIZE - 1;
    s->gdtr.base = WINDOW_AT(PAGE_GDT);
    s->idtr.limit = 0x400 - 1;
    s->idtr.base = WINDOW_AT(PAGE_IDT);
}

void environment_prepare(struct program *p)
{
    write_cr4(CR4_PAE);
    write_cr0(0x80000033);                      /* tables are written whatever their pages say */
    prepare_registers(p);
    prepare_tables(p);
    prepare_pages(p);
    for (unsigned i = 0; i < PAGE / 8; i++)
        table(PAGE_DATA)[i] = chance(p, 50) ? landing(p) | (uint64_t)random_selector(p) << 32 : random_selector(p);
    memset(window[PAGE_STACK_LOW], 0x5a, 2 * PAGE);
    memset(window[PAGE_INNER], 0x5a, PAGE);
    memset(window[PAGE_LANDING], 0xcc, PAGE);   /* INT3: one byte, the same in every mode */
    memset(window[PAGE_CODE], 0xcc, PAGE);
    p->code = window[PAGE_CODE];
    wrmsr(0xc0000080, 0xd01);                   /* SCE, LME, LMA, NXE */
    wrmsr(0xc0000081, (uint64_t)(chance(p, 80) ? 0x200008 : (uint32_t)random64(p) & 0xfffcfffc) << 32);
    wrmsr(0xc0000082, WINDOW_AT(PAGE_LANDING));
    wrmsr(0xc0000084, random64(p) & 0x4ffd5);
    wrmsr(0x174, chance(p, 80) ? 8 : below(p, 4));
    wrmsr(0x175, WINDOW_AT(PAGE_INNER) + 0x800);
    wrmsr(0x176, WINDOW_AT(PAGE_LANDING));
    __asm__ volatile("mov %0, %%dr6; mov %0, %%cr2" : : "r"(0ull));
    write_cr3(physical(pml4));                  /* no translation survives */
}

/* ---- what is left behind ---- */

uint64_t environment_sum(enum window_page page, unsigned first)
{
    uint64_t sum = 0xcbf29ce484222325;

    for (unsigned i = first; i < PAGE; i++)
        sum = (sum ^ window[page][i]) * 0x100000001b3;
    return sum >> 32;
}

uint64_t environment_flags(void)
{
    uint64_t flags = 0;

    for (unsigned i = 0; i < WINDOW_PAGES; i++)
        flags |= (window_table[i] >> 5 & 3) << 2 * i;
    return flags;
}
