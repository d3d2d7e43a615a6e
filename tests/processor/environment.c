/* SPDX-License-Identifier: MIT */
/* What a program runs in: descriptor tables, gates, page rights, registers; all but a fixed frame of it random. */
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"
#include "tests/processor/program.h"

_Alignas(4096) static uint64_t pdpt[512], low_directory[512], low_table[512], window_directory[512], window_table[512];
_Alignas(4096) static uint32_t low_table32[1024], window_table32[1024];
uint64_t harness_cr3, harness_cr4 = CR4_PAE;

enum { PRESENT = 1, WRITABLE = 2, USER = 4, ACCESSED = 0x20, DIRTY = 0x40, LARGE = 0x80 };
#define NO_EXECUTE (1ull << 63)
#define INT3 0xcccccccccccccccc                 /* one byte, the same in every mode */
#define HARNESS_CR0 0x80000033
enum { ALIAS_FIRST = LOW / PAGE };
static const uint32_t msrs[] = { 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0xc0000103, 0x174, 0x175, 0x176,
                                 0x277 };

static uint64_t physical(const void *p) { return (uintptr_t)p; }

static uint64_t *table(enum window_page page) { return (uint64_t *)window[page]; }

/* Eight bytes at a time: on Bochs every iteration costs. */
static void fill(void *to, uint64_t value, size_t size)
{
    size /= 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(size) : "a"(value) : "memory");
}

void environment_open(void)
{
    fill(visible, 0, sizeof *visible);
    visible->pml4[0] = physical(pdpt) | PRESENT | WRITABLE | USER;
    pdpt[0] = physical(low_directory) | PRESENT | WRITABLE | USER;
    pdpt[WINDOW >> 30] = physical(window_directory) | PRESENT | WRITABLE | USER;
    visible->pae_pointers[0] = physical(low_directory) | PRESENT;
    visible->pae_pointers[WINDOW >> 30] = physical(window_directory) | PRESENT;
    low_directory[0] = physical(low_table) | PRESENT | WRITABLE | USER;
    for (uint64_t i = 256; i < 512; i++)                    /* what lies below 1 MB is not the same everywhere */
        low_table[i] = i << 12 | PRESENT | WRITABLE;
    window_directory[0] = physical(window_table) | PRESENT | WRITABLE | USER;
    visible->directory32[0] = (uint32_t)physical(low_table32) | PRESENT | WRITABLE | USER;
    visible->directory32[WINDOW >> 22] = (uint32_t)physical(window_table32) | PRESENT | WRITABLE | USER;
    for (uint32_t i = 256; i < 1024; i++)
        low_table32[i] = i << 12 | PRESENT | WRITABLE;
    harness_cr3 = physical(visible->pml4);
    write_cr3(harness_cr3);
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
    static const uint16_t known[] = { CODE64, DATA0, CODE32, USER32, USER_DATA, USER64, CODE16, USER16, TASK, LOCAL_TABLE, 0, 1, 2, 3,
                                      OTHER_TASK, OLD_TASK, TASK_GATE, STACK16 };
    uint16_t selector;

    if (p->virtual_8086)
        return chance(p, 80) ? LOW >> 4 : chance(p, 50) ? (LOW >> 4) - below(p, 32) : (uint16_t)random64(p);
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
        unsigned type = chance(p, 70) ? (unsigned[]){ 2, 9, 11, 12, 12, 14, 4, 5, 1, 3 }[below(p, p->mode == MODE_LONG ? 6 : 10)] : below(p, 16);
        if (type == 2)
            return segment(WINDOW_AT(PAGE_LDT), LDT_SIZE - 1, rights | type);
        if (type == 9 || type == 11)
            return segment(WINDOW_AT(p->mode == MODE_LONG ? PAGE_TSS : PAGE_TASKS) + (p->mode == MODE_LONG ? 0 : 0x100),
                           0x67 + below(p, 16) - 2 * (unsigned)chance(p, 5), rights | type);
        if (type < 4)
            return segment(WINDOW_AT(PAGE_TASKS) + 0x200, 0x2b + below(p, 8), rights | type);
        if (type == 5)
            return gate(chance(p, 60) ? (chance(p, 50) ? OTHER_TASK : OLD_TASK) : random_selector(p), 0, rights | type, 0);
        unsigned parameters = below(p, 4), offset = landing(p);
        return gate(random_selector(p), offset, rights | type, parameters);
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

static void prepare_segments(struct program *p)
{
    uint64_t *gdt = table(PAGE_GDT), *ldt = table(PAGE_LDT);

    gdt[0] = 0;
    gdt[CODE64 / 8] = segment(0, 0xfffff, 0xa09b);
    gdt[DATA0 / 8] = segment(0, 0xfffff, 0xc093);
    gdt[CODE32 / 8] = segment(0, 0xfffff, 0xc09b);
    gdt[USER32 / 8] = segment(0, 0xfffff, 0xc0fb);
    gdt[USER_DATA / 8] = segment(0, 0xfffff, 0xc0f3);
    gdt[USER64 / 8] = segment(0, 0xfffff, 0xa0fb);
    gdt[CODE16 / 8] = segment(WINDOW, 0xffff, 0x009b);
    gdt[USER16 / 8] = segment(WINDOW, 0xffff, 0x00fb);
    gdt[TASK / 8] = segment(WINDOW_AT(PAGE_TSS), chance(p, 50) ? 0x67 : 0xff, 0x89);
    gdt[TASK / 8 + 1] = 0;
    gdt[LOCAL_TABLE / 8] = segment(WINDOW_AT(PAGE_LDT), LDT_SIZE - 1, 0x82);
    gdt[LOCAL_TABLE / 8 + 1] = 0;
    gdt[OTHER_TASK / 8] = segment(WINDOW_AT(PAGE_TASKS), 0x67, (chance(p, 85) ? 0x89 : 0x8b) | (chance(p, 60) ? p->level << 5 : 0));
    gdt[OLD_TASK / 8] = segment(WINDOW_AT(PAGE_TASKS) + 0x200, 0x2b, 0x81 | (chance(p, 60) ? p->level << 5 : 0));
    gdt[TASK_GATE / 8] = gate(chance(p, 70) ? OTHER_TASK : OLD_TASK, 0, 0x85 | p->level << 5, 0);
    gdt[STACK16 / 8] = segment(WINDOW, 0xffff, 0x0093);
    gdt[FAULT_TASK / 8] = segment((uint32_t)physical(visible->fault_tss), 0x67, 0x89);
    for (unsigned i = RANDOM_FIRST / 8; i < GDT_SIZE / 8; i++)
        gdt[i] = chance(p, 30) && i > RANDOM_FIRST / 8 ? 0 : random_descriptor(p);
    for (unsigned i = 0; i < LDT_SIZE / 8; i++)
        ldt[i] = random_descriptor(p);
}

static unsigned gate_type(struct program *p)
{
    return chance(p, 85) ? p->mode == MODE_LONG ? 14 + below(p, 2) : (unsigned[]){ 14, 15, 6, 7, 5 }[below(p, 5)] : below(p, 16);
}

static void prepare_gates(struct program *p)
{
    int is_long = p->mode == MODE_LONG;
    uint64_t *idt = table(PAGE_IDT);
    unsigned size = is_long ? 2 : 1;            /* in quadwords */

    fill(idt, 0, PAGE);
    for (unsigned i = 0; i < 32; i++) {         /* in IA-32e mode on a stack of their own, whatever the program has done to its stack */
        unsigned dpl = i == 3 || (i == 4 && !is_long) ? 3 : 0;
        idt[size * i] = gate(is_long ? CODE64 : CODE32, (uint32_t)physical(is_long ? stubs : stubs_legacy) + 16 * i, 0x8e | dpl << 5, is_long);
    }
    if (!is_long)
        idt[8] = gate(FAULT_TASK, 0, 0x85, 0);
    for (unsigned i = GATE_FIRST; i <= GATE_LAST; i++) {
        unsigned type = gate_type(p), rights = type | below(p, 4) << 5 | (chance(p, 92) ? 0x80 : 0);
        uint16_t selector = type == 5 && chance(p, 80) ? (chance(p, 60) ? OTHER_TASK : OLD_TASK) : random_selector(p);
        if (p->virtual_8086)
            selector = chance(p, 70) ? CODE32 : 8 * below(p, 64);
        unsigned parameters = chance(p, 70) ? 0 : 2;
        idt[size * i] = gate(selector, landing(p), rights, parameters);
    }
}

static void prepare_tss(struct program *p)
{
    uint8_t *tss = window[PAGE_TSS];

    fill(tss, 0, PAGE);
    fill(window[PAGE_TASKS], 0, PAGE);
    for (unsigned i = 0; i < 3; i++)
        *(uint64_t *)(tss + 4 + 8 * i) = WINDOW_AT(PAGE_INNER) + 0x400 * (i + 1) - (chance(p, 20) ? below(p, 16) : 0);
    *(uint64_t *)(tss + 0x24) = physical(visible->handler_stack) + sizeof visible->handler_stack;
    *(uint64_t *)(tss + 0x2c) = WINDOW_AT(PAGE_INNER) + 0x1000;
    *(uint16_t *)(tss + 0x66) = 0x68;
    for (unsigned i = 0x68; i < 0x100; i++)
        tss[i] = (uint8_t)random64(p);
}

/* ---- pages ---- */

static uint64_t page_flags(struct program *p, unsigned page)
{
    uint64_t flags = PRESENT | WRITABLE | (chance(p, 50) ? ACCESSED | DIRTY : 0), user = p->level == 3 ? USER : 0;

    if (page >= PAGE_RIGHTS) {
        flags = (chance(p, 88) ? PRESENT : 0) | (chance(p, 70) ? WRITABLE : 0) | (chance(p, p->level ? 75 : 40) ? USER : 0) |
                (chance(p, 50) ? ACCESSED : 0) | (chance(p, 12) ? DIRTY : 0);
        if (p->mode != MODE_LEGACY)
            flags |= (chance(p, 25) ? NO_EXECUTE : 0) | (chance(p, 4) ? 1ull << 51 : 0);
        return flags;
    }
    switch (page) {
    case PAGE_CODE:
        return flags | user;
    case PAGE_LANDING:
        return flags | (chance(p, 80) ? USER : 0);
    case PAGE_DATA:
    case PAGE_STACK_LOW:
        flags |= user | (chance(p, 10) ? USER : 0);
        return chance(p, 4) ? flags & ~(uint64_t)(chance(p, 50) ? WRITABLE : USER) : flags;
    case PAGE_STACK:
        flags |= user;
        return chance(p, 4) && p->mode == MODE_LONG ? flags & ~(uint64_t)(chance(p, 50) ? WRITABLE : USER) : flags;
    case PAGE_GDT:
        return chance(p, 6) && p->mode == MODE_LONG ? flags & ~(uint64_t)WRITABLE : flags;
    case PAGE_INNER:
        flags |= chance(p, 5) ? USER : 0;
        return chance(p, 1) ? flags & ~(uint64_t)WRITABLE : flags;
    case PAGE_TASKS:
        return chance(p, 6) ? flags & ~(uint64_t)(chance(p, 50) ? WRITABLE : PRESENT) : flags;
    case PAGE_LDT:
        flags &= ~(uint64_t)(chance(p, 6) ? WRITABLE : 0);
        return chance(p, 4) ? flags & ~(uint64_t)PRESENT : flags;
    }
    return flags;
}

static uint64_t first_entries[WINDOW_PAGES];

static void prepare_pages(struct program *p)
{
    for (uint32_t i = 0; i < WINDOW_PAGES; i++)
        first_entries[i] = physical(window[i]) | page_flags(p, i);
    environment_pages(p);
}

void environment_pages(const struct program *p)
{
    for (uint32_t i = 0; i < WINDOW_PAGES; i++) {
        uint64_t entry = first_entries[i];
        window_table[i] = entry;
        low_table[ALIAS_FIRST + i] = p->mode == MODE_PAE ? entry : 0;
        window_table32[i] = (uint32_t)entry;
        low_table32[ALIAS_FIRST + i] = (uint32_t)entry;
    }
}

/* ---- registers ---- */

/* Breakpoints: on code of the step, on where it writes, on what it reads. */
static void prepare_breakpoints(struct program *p, unsigned at)
{
    struct start *s = p->start;
    int stack_is_inner = p->mode != MODE_LONG && p->level == 0;        /* the handler uses it, too */

    if (!chance(p, 12))
        return;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t base = p->virtual_8086 ? LOW : WINDOW;
        unsigned type = below(p, 4), length = type ? below(p, 4) : 0;
        s->dr[i] = base + (type == 0 ? PAGE_CODE * PAGE + at + below(p, 12) : stack_is_inner || chance(p, 50) ? PAGE_DATA * PAGE + 8 * below(p, 256)
                                                                           : PAGE_STACK * PAGE + 0x800 - 8 * below(p, 4));
        if (type == 2)                          /* I/O: undefined without CR4.DE */
            type = 3;
        if (length == 2)                        /* 8 bytes: not in every mode */
            length = 3;
        s->dr7 |= (chance(p, 60) ? 1ull + below(p, 2) : 0) << 2 * i | (uint64_t)(type | length << 2) << (16 + 4 * i);
    }
    s->dr7 |= 0x400;
}

void environment_registers(struct program *p, unsigned at)
{
    struct start *s = p->start;
    uint64_t flat = p->virtual_8086 ? 0 : WINDOW;
    uint16_t data = p->virtual_8086 ? LOW >> 4 : p->level ? USER_DATA : DATA0;

    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < 8; i++)
        s->gpr[i] = random64(p) >> below(p, 64);
    s->gpr[RBX] = flat + PAGE_DATA * PAGE + 8 * below(p, 64);
    s->gpr[RBP] = flat + PAGE_STACK * PAGE + 0x400 + 8 * below(p, 64);
    s->gpr[RSI] = flat + PAGE_DATA * PAGE + 8 * below(p, 256);
    s->frame[0] = (p->bits == 16 ? PAGE_CODE * PAGE : WINDOW_AT(PAGE_CODE)) + at;
    s->frame[1] = p->virtual_8086 ? LOW >> 4
                : p->bits == 64 ? p->level ? USER64 : CODE64 : p->bits == 32 ? p->level ? USER32 : CODE32 : p->level ? USER16 : CODE16;
    s->frame[2] = RFLAGS_FIXED | (chance(p, 50) ? RFLAGS_IOPL : (uint64_t)below(p, 4) << 12) | (chance(p, 20) ? RFLAGS_AC : 0) |
                  (chance(p, 4) ? RFLAGS_NT : 0) | (chance(p, 5) ? RFLAGS_TF : 0) | (chance(p, 4) ? RFLAGS_RF : 0) |
                  (random64(p) & (RFLAGS_ARITHMETIC | (chance(p, 20) ? RFLAGS_DF : 0))) | (p->virtual_8086 ? RFLAGS_VM : 0);
    s->frame[3] = flat + PAGE_STACK * PAGE + (chance(p, 85) || p->mode != MODE_LONG ? 0x800 : 0x10) - (chance(p, 10) ? below(p, 8) : 0);
    s->frame[4] = p->level || p->virtual_8086 ? data : p->bits == 64 && chance(p, 20) ? 0 : DATA0;
    s->cr0 = HARNESS_CR0 | (chance(p, 70) ? CR0_WP : 0) | (chance(p, 30) ? CR0_AM : 0) | (chance(p, 6) ? CR0_TS : 0) |
             (chance(p, 4) ? CR0_EM : 0);
    s->cr0 &= ~(chance(p, 20) ? CR0_MP : 0);
    s->cr4 = (p->mode == MODE_LEGACY ? 0 : CR4_PAE) | (chance(p, 30) ? CR4_SMAP : 0) | (chance(p, 20) ? CR4_SMEP : 0) |
             (chance(p, 40) ? CR4_FSGSBASE : 0) | (chance(p, 30) ? CR4_DE : 0) | (chance(p, 10) ? CR4_TSD : 0) |
             (chance(p, 80) ? CR4_OSFXSR : 0) | (chance(p, 20) ? CR4_UMIP : 0) | (chance(p, 30) ? CR4_PGE : 0) |
             (chance(p, 15) ? CR4_VME : 0) | (chance(p, 15) ? CR4_PVI : 0);
    s->cr3 = p->mode == MODE_LONG ? physical(visible->pml4) : p->mode == MODE_PAE ? physical(visible->pae_pointers) : physical(visible->directory32);
    for (unsigned i = 0; i < 4; i++)
        s->segment[i] = data;
    s->tr = TASK;
    s->ldtr = chance(p, 80) ? LOCAL_TABLE : 0;
    s->gdtr.limit = GDT_SIZE - 1;
    s->gdtr.base = WINDOW_AT(PAGE_GDT);
    s->idtr.limit = p->mode == MODE_LONG ? 0x400 - 1 : 0x200 - 1;
    s->idtr.base = WINDOW_AT(PAGE_IDT);
    prepare_breakpoints(p, at);
}

void harness_state(void)
{
    write_cr0(HARNESS_CR0);                     /* tables are written whatever their pages say */
    write_cr4(harness_cr4);
    wrmsr(0xc0000080, 0xd01);                   /* SCE, LME, LMA, NXE */
}

void environment_prepare(struct program *p)
{
    unsigned mode = below(p, 20);

    harness_state();
    p->mode = mode < 10 ? MODE_LONG : mode < 15 ? MODE_PAE : MODE_LEGACY;
    p->level = chance(p, 50) ? 3 : 0;
    mode = below(p, 10);
    p->bits = p->mode == MODE_LONG && mode < 6 ? 64 : mode < 7 || mode == 9 ? 32 : 16;
    p->virtual_8086 = p->mode != MODE_LONG && p->bits == 16 && chance(p, 60);
    p->level = p->virtual_8086 ? 3 : p->level;
    prepare_segments(p);
    prepare_gates(p);
    if (p->mode == MODE_LONG)
        prepare_tss(p);
    else
        tasks_prepare(p, (uint32_t)(p->mode == MODE_PAE ? physical(visible->pae_pointers) : physical(visible->directory32)));
    prepare_pages(p);
    for (unsigned i = 0; i < PAGE / 8; i++)
        table(PAGE_DATA)[i] = i >= 64 ? table(PAGE_DATA)[i - 64]
                            : chance(p, 50) ? landing(p) | (uint64_t)random_selector(p) << 32 : random_selector(p);
    fill(window[PAGE_CODE], INT3, 2 * PAGE);    /* and PAGE_LANDING */
    fill(window[PAGE_RIGHTS], INT3, 4 * PAGE);
    p->code = window[PAGE_CODE];
    write_cr4(harness_cr4 | CR4_OSFXSR);        /* what earlier programs have left in XMM1 depends on where the batch began */
    __asm__ volatile("pxor %%xmm1, %%xmm1" : : : "memory");
    write_cr4(harness_cr4);
    wrmsr(0xc0000081, (uint64_t)(chance(p, 80) ? 0x200008 : (uint32_t)random64(p) & 0xfffcfffc) << 32);
    wrmsr(0xc0000082, WINDOW_AT(PAGE_LANDING));
    wrmsr(0xc0000083, 0);
    wrmsr(0xc0000084, random64(p) & 0x4ffd5);
    wrmsr(0xc0000102, 0x1234);
    wrmsr(0xc0000103, 0);
    wrmsr(0x174, chance(p, 80) ? 8 : below(p, 4));
    wrmsr(0x175, WINDOW_AT(PAGE_INNER) + 0x800);
    wrmsr(0x176, WINDOW_AT(PAGE_LANDING));
    wrmsr(0x277, 0x0007040600070406);
}

void environment_again(void)
{
    harness_state();
    memset((void *)&record, 0, sizeof record);
    /* Zeros: whether a pushed selector has its upper half written is open (SDM Vol. 2, PUSH). */
    fill(window[PAGE_STACK_LOW], 0, 2 * PAGE);
    fill(window[PAGE_INNER], 0, PAGE);
    ((uint8_t *)(table(PAGE_GDT) + TASK / 8))[5] = 0x89;
    ((uint8_t *)(table(PAGE_GDT) + FAULT_TASK / 8))[5] = 0x89;
    __asm__ volatile("mov %0, %%dr6; mov %0, %%cr2" : : "r"(0ull));
    __asm__ volatile("fninit");
    write_cr3(harness_cr3);                     /* no translation survives */
    tasks_again();
}

/* ---- what is left behind ---- */

uint32_t environment_sum(enum window_page page, unsigned first, unsigned end)
{
    const uint64_t *words = (const uint64_t *)window[page];
    uint64_t sum = 0xcbf29ce484222325;

    for (unsigned i = first / 8; i < end / 8; i++)
        sum = ((sum << 5 | sum >> 59) ^ (i == first / 8 ? words[i] >> 8 * (first % 8) : words[i])) * 0x100000001b3;
    return (uint32_t)(sum >> 32);
}

int environment_written(const struct program *p, enum window_page page)
{
    return environment_flags(p) >> 2 * page & 2;
}

uint32_t environment_flags(const struct program *p)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < WINDOW_PAGES; i++) {
        uint64_t entry = p->mode == MODE_LEGACY ? window_table32[i] : window_table[i];
        uint64_t alias = p->mode == MODE_LEGACY ? low_table32[ALIAS_FIRST + i] : low_table[ALIAS_FIRST + i];
        sum |= ((entry | alias) >> 5 & 3) << 2 * i;
    }
    return (uint32_t)sum;
}

uint32_t environment_msrs(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < sizeof msrs / sizeof *msrs; i++) {
        sum = (sum ^ rdmsr(msrs[i])) * 0x100000001b3;
        sum ^= sum >> 29;
    }
    return (uint32_t)(sum >> 32);
}
