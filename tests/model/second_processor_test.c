/* SPDX-License-Identifier: MIT */
/*
 * The model against a second processor, written after the same manual (second_processor.h): random machines in all modes, each with one
 * instruction or one event. A machine is what a system would have set up, but for an attribute here and there: a descriptor's type or
 * rights, a limit, a selector, a page, a pointer at the end of something. All registers, hidden parts too, and all memory are compared.
 */
#include <stdio.h>

#include "model/cpu/gate.h"
#include "tests/model/second_processor.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

enum { PARTS = 16, CASES = 1500 };
enum {
    IVT = 0, GDT = 0x1000, IDT = 0x2000, LDT = 0x3000, TSS = 0x4000, OTHER_TSS = 0x5000, OUTER_STACK = 0x7000, INNER_STACK = 0x9000, DATA = 0xb000,
    COMPARED = 0x10000, TABLES = 0x100000,
};
/* GDT: of 8 bytes each. */
enum { ENTRY_CODE0 = 1, ENTRY_DATA0, ENTRY_CODE3, ENTRY_DATA3, ENTRY_CONFORMING, ENTRY_DATA1, ENTRY_DATA2, ENTRY_ANY, ENTRY_GATE = 10, ENTRY_TSS = 12,
       ENTRY_OTHER = 14, ENTRY_LDT = 16, ENTRY_CODE1 = 18, ENTRY_CODE2, ENTRIES };

static struct vmx_fixture f;
static uint64_t seed;
static uint8_t pages[SECOND_PAGES], before[COMPARED];

static uint64_t any(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull;
}
static unsigned below(unsigned count) { return (unsigned)((any() >> 33) % count); }
static bool one_in(unsigned count) { return below(count) == 0; }
#define ONE_OF(...) ((const uint64_t[]){ __VA_ARGS__ })[below(sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)]

static void store(uint64_t at, unsigned size, uint64_t value) { memcpy(f.ram + at, &value, size); }

/* ---- the machine ---- */

enum mode { REAL, VIRTUAL_8086, PROTECTED_16, PROTECTED_32, COMPATIBILITY, LONG_64, MODES };
static enum mode mode;
static unsigned cpl;
static bool is_long(void) { return mode >= COMPATIBILITY; }

static uint64_t descriptor(uint64_t base, uint32_t limit, uint32_t rights)
{
    return (limit & 0xffff) | (base & 0xffffff) << 16 | (uint64_t)(rights & 0xff) << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
           (uint64_t)(rights >> 12 & 15) << 52 | (base >> 24 & 0xff) << 56;
}

/* One attribute of a descriptor is another one, now and then. */
static uint64_t spoiled(uint64_t d)
{
    if (!one_in(6))
        return d;
    switch (below(8)) {
    case 0: return d ^ 1ull << 47;                                      /* P */
    case 1: return d ^ 1ull << 44;                                      /* S */
    case 2: case 3: return (d & ~(15ull << 40)) | (uint64_t)below(16) << 40;    /* the type */
    case 4: return (d & ~(3ull << 45)) | (uint64_t)below(4) << 45;     /* DPL */
    case 5: return d ^ 1ull << (53 + below(3));                         /* L, D, G */
    case 6: return (d & ~(0xfull << 48) & ~0xffffull) | ONE_OF(0, 0x2b, 0x2a, 0x66, 0x67, 0xff, 0xfff, 0x1fff, 0x8fff);
    default: return d ^ 1ull << (16 + below(24));                       /* the base */
    }
}

static uint32_t plain_rights(bool code, unsigned dpl)
{
    uint32_t kind = !code ? ONE_OF(0xc093, 0xc093, 0x93, 0x92, 0xc092, 0xc097) : mode == LONG_64 ? ONE_OF(0xa09b, 0xa09a, 0xa099)
                  : is_long() ? ONE_OF(0xa09b, 0xc09b, 0xc09a, 0x9b) : mode == PROTECTED_16 ? ONE_OF(0x9b, 0x9a, 0x9b, 0xc09b) : ONE_OF(0xc09b, 0xc09a, 0xc098, 0x9b);

    return kind | dpl << 5;
}

static uint32_t limit_for(uint32_t rights) { return rights & 0x8000 ? 0xfffff : 0xffff; }

static uint16_t selector_of(unsigned entry, unsigned rpl) { return (uint16_t)(entry * 8 + rpl); }

/* A selector where `entry` at `rpl` belongs. */
static uint16_t selector(unsigned entry, unsigned rpl)
{
    if (!one_in(8))
        return selector_of(entry, rpl);
    switch (below(5)) {
    case 0: return (uint16_t)below(4);
    case 1: return selector_of(entry, below(4));
    case 2: return (uint16_t)(selector_of(entry, rpl) | 4);
    case 3: return (uint16_t)(ENTRIES * 8 + below(64));
    default: return selector_of(below(ENTRIES), below(4));
    }
}

static unsigned code_entry(unsigned level) { return (const unsigned[]){ ENTRY_CODE0, ENTRY_CODE1, ENTRY_CODE2, ENTRY_CODE3 }[level]; }
static unsigned data_entry(unsigned level) { return (const unsigned[]){ ENTRY_DATA0, ENTRY_DATA1, ENTRY_DATA2, ENTRY_DATA3 }[level]; }
static unsigned level_outside(void) { return one_in(3) ? cpl : cpl + below(4 - cpl); }

static void make_entry(unsigned entry, uint64_t low, uint64_t high, bool system)
{
    low = spoiled(low);
    store(GDT + 8 * entry, 8, low);
    store(LDT + 8 * entry, 8, spoiled(low));
    if (system) {
        if (one_in(12))
            high |= ONE_OF(1ull << (40 + below(5)), 0x8000, 1, 0x1f00, 0xffffff, 0x1000000);
        store(GDT + 8 * entry + 8, 8, high);
        store(LDT + 8 * entry + 8, 8, high);
    }
}

static uint64_t gate(uint16_t to, uint64_t offset, unsigned type, unsigned dpl, unsigned count)
{
    return (offset & 0xffff) | (uint64_t)to << 16 | (uint64_t)count << 32 | (uint64_t)(0x80 | type | dpl << 5) << 40 | (offset >> 16 & 0xffff) << 48;
}

static uint64_t entry_point(void)
{
    uint64_t low = ONE_OF(0x100, 0xfffe, 0xffff, 0x10000, 0x12345, 0);

    return is_long() && one_in(3) ? ONE_OF(0x7fffffffffffull, 0x800000000000ull, 0xffff800000000000ull, 0x123456789ull) : low;
}

static unsigned inner_level(void) { return one_in(4) ? below(4) : cpl ? below(cpl + 1) : 0; }

static void make_tables(void)
{
    uint32_t r;
    unsigned wide = is_long() || one_in(2) ? 8 : 0, level = inner_level(), to;
    static const unsigned data[] = { ENTRY_DATA0, ENTRY_DATA1, ENTRY_DATA2, ENTRY_DATA3 };

    memset(f.ram, 0, COMPARED);
    for (unsigned i = 0; i < 4; i++) {
        r = plain_rights(true, i);
        make_entry(code_entry(i), descriptor(one_in(8) && mode != LONG_64 ? 0x100 : 0, limit_for(r), r), 0, false);
        r = plain_rights(false, i);
        make_entry(data[i], descriptor(one_in(8) ? 0x10 : 0, r & 4 ? 0xf : limit_for(r), r), 0, false);
    }
    r = (plain_rights(true, one_in(2) ? below(4) : below(cpl + 1)) & ~0u) | 4;
    make_entry(ENTRY_CONFORMING, descriptor(0, limit_for(r), r), 0, false);
    make_entry(ENTRY_ANY, any() & ~(0xff0full << 48) & ~(0xffull << 32), 0, false);
    to = one_in(5) ? ENTRY_CONFORMING : code_entry(level);
    make_entry(ENTRY_GATE, one_in(6) ? gate(selector_of(ENTRY_OTHER, 0), 0, TYPE_TASK, cpl, 0)
                                     : gate(selector(to, below(4)), entry_point(), is_long() || one_in(2) ? TYPE_CALL32 : TYPE_CALL16, one_in(4) ? below(4) : cpl, below(4)),
               is_long() ? entry_point() >> 32 : 0, true);
    make_entry(ENTRY_TSS, descriptor(TSS, 0xfff, 0x83 + wide), is_long() && one_in(4) ? ONE_OF(0x7fff, 0x8000, 0xffff8000, 0xffffff, 0x1000000, 0xff000000) : 0, true);
    make_entry(ENTRY_OTHER, descriptor(OTHER_TSS, ONE_OF(0xfff, 0x67, 0x2b), (one_in(3) ? 0x83 : 0x81) + (one_in(2) ? 8u : 0) + (one_in(2) ? 32 * cpl : 0)), 0, true);
    make_entry(ENTRY_LDT, descriptor(LDT, ONE_OF(0xfff, 8 * ENTRIES - 1, 8 * ENTRY_ANY + 6), 0x82), 0, true);
    for (unsigned v = 0; v < 48; v++) {
        unsigned type = is_long() ? ONE_OF(14, 15) : ONE_OF(6, 7, 14, 15, 5);
        uint16_t code = selector(one_in(5) ? ENTRY_CONFORMING : code_entry(mode == VIRTUAL_8086 ? 0 : level), below(4));
        uint64_t low = spoiled(gate(type == 5 ? selector(ENTRY_OTHER, 0) : code, entry_point(), type, one_in(3) ? 0 : 3, is_long() && one_in(3) ? below(8) : 0));

        store(IDT + (is_long() ? 16 : 8) * v, 8, low);
        if (is_long())
            store(IDT + 16 * v + 8, 8, one_in(4) ? entry_point() >> 32 : 0);
        if (!cpu_protected(f.cpu) || mode == VIRTUAL_8086)
            store(IVT + 4 * v, 4, (uint64_t)ONE_OF(0, 0x100, 0x700) << 16 | ONE_OF(0x10, 0xfffe, 0xffff));
    }
}

/* The TSS in use, and another one. */
static void make_tasks(void)
{
    bool wide = f.cpu->seg[SEG_TR].access_rights & 8;

    for (unsigned level = 0; level < 3; level++) {
        uint64_t pointer = ONE_OF(INNER_STACK + 0x800, INNER_STACK + 0x806, INNER_STACK + 0x1008, INNER_STACK + 4, INNER_STACK + 0x7fb);

        if (is_long()) {
            store(TSS + 4 + 8 * level, 8, one_in(16) ? 0x800000000000ull : pointer);
        } else if (wide) {
            store(TSS + 4 + 8 * level, 4, pointer);
            store(TSS + 8 + 8 * level, 2, selector(data_entry(level), level));
        } else {
            store(TSS + 2 + 4 * level, 2, pointer);
            store(TSS + 4 + 4 * level, 2, selector(data_entry(level), level));
        }
    }
    for (unsigned i = 0; i < 7 && is_long(); i++)
        store(TSS + 36 + 8 * i, 8, INNER_STACK + 0x100 * (i + 1) + below(16));
    if (!is_long()) {
        store(TSS, 2, selector(ENTRY_OTHER, 0));
        store(TSS + 0x64, 4, (uint64_t)ONE_OF(0x88, 0x88, 0x1000, 0x20, 0x200) << 16 | one_in(3));
        for (unsigned i = 0; i < 8; i++)
            store(TSS + 0x68 + 4 * i, 4, any() & any());
    }
    for (unsigned i = 0; i < 26; i++)
        store(OTHER_TSS + 4 * i, 4, any());
    bool other_wide = f.ram[GDT + 8 * ENTRY_OTHER + 5] & 8;
    unsigned level = one_in(3) ? cpl : below(4);
    uint16_t seg[6] = { selector(data_entry(level), level), selector(one_in(6) ? ENTRY_CONFORMING : code_entry(level), level), selector(data_entry(level), level),
                        selector(data_entry(3), below(4)), (uint16_t)(one_in(3) ? below(4) : selector(ENTRY_CONFORMING, level)), selector(data_entry(level), level) };
    uint32_t flags = (uint32_t)any() & ~(one_in(4) ? 0 : 1u << 17);
    if (other_wide) {
        store(OTHER_TSS + 28, 4, ONE_OF(TABLES, TABLES + 0x6000));
        store(OTHER_TSS + 32, 4, ONE_OF(0x100, 0xffff, 0x10000));
        store(OTHER_TSS + 36, 4, flags);
        for (unsigned i = 0; i < 6; i++)
            store(OTHER_TSS + 72 + 4 * i, 4, (any() & 0xffff0000) | seg[i]);
        store(OTHER_TSS + 40 + 16, 4, ONE_OF(0x8800, 2, 0x7ffe));
        store(OTHER_TSS + 96, 4, (any() & 0xffff0000) | (one_in(3) ? below(4) : selector(ENTRY_LDT, below(4))));
        store(OTHER_TSS + 100, 4, one_in(3) ? 1 : 0);
    } else {
        store(OTHER_TSS + 16, 2, flags);
        for (unsigned i = 0; i < 4; i++)
            store(OTHER_TSS + 34 + 2 * i, 2, seg[i]);
        store(OTHER_TSS + 18 + 8, 2, ONE_OF(0x8800, 2, 0x7ffe));
        store(OTHER_TSS + 42, 2, one_in(3) ? below(4) : selector(ENTRY_LDT, below(4)));
    }
}

static void make_paging(void)
{
    struct cpu *cpu = f.cpu;

    for (unsigned i = 0; i < SECOND_PAGES; i++)
        pages[i] = PAGE_THERE | PAGE_WRITE | PAGE_USER;
    if (one_in(2)) {
        unsigned which = below(16);
        pages[which] = (uint8_t)ONE_OF(0, PAGE_THERE, PAGE_THERE | PAGE_WRITE, PAGE_THERE | PAGE_USER, PAGE_WRITE | PAGE_USER);
    }
    if (cpu->cr0 & CR0_PG) {
        uint64_t at = is_long() ? TABLES + 0x5000 : TABLES + 0x1000;

        for (unsigned i = 0; i < SECOND_PAGES; i++)
            store(at + (is_long() ? 8 : 4) * i, is_long() ? 8 : 4, i << 12 | pages[i]);
    }
}

static void make_segments(void)
{
    struct cpu *cpu = f.cpu;
    bool unprotected = mode == REAL || mode == VIRTUAL_8086;

    for (unsigned i = 0; i < SEG_LDTR; i++) {
        uint32_t rights = plain_rights(i == SEG_CS, i == SEG_CS || i == SEG_SS || one_in(2) ? cpl : 3);

        cpu->seg[i] = (struct segment){ .selector = selector_of(i == SEG_CS ? code_entry(cpl) : data_entry(cpl), cpl), .access_rights = rights | 1,
                                        .limit = limit_for(rights) == 0xfffff ? 0xffffffff : 0xffff };
        if (unprotected) {
            cpu->seg[i].selector = i == SEG_SS ? (uint16_t)ONE_OF(0, 0x10) : i == SEG_DS ? 0x100 : (uint16_t)below(0x800);
            cpu->seg[i].base = cpu->seg[i].selector * 16u;
            cpu->seg[i].limit = 0xffff;
            cpu->seg[i].access_rights = mode == REAL ? (i == SEG_CS ? 0x9b : 0x93) : 0xf3;
        } else if (i != SEG_CS && i != SEG_SS && one_in(6)) {
            cpu->seg[i] = g_null((uint16_t)below(4));
        } else if (i != SEG_CS && i != SEG_SS && one_in(6)) {
            cpu->seg[i].access_rights = (uint32_t)ONE_OF(0x909b, 0x9099, 0xd09f, 0x97, 0xc091) | below(4) << 5;
            cpu->seg[i].limit = (uint32_t)ONE_OF(0xff, 0xb00f, 0xffffffff);
        }
    }
    if (unprotected)
        cpu->seg[SEG_CS].limit = mode == REAL ? (uint32_t)ONE_OF(0xffff, 0xffff, 0xfffd, 0x7fff) : 0xffff;
    if (mode == COMPATIBILITY || mode == PROTECTED_32)
        cpu->seg[SEG_CS].access_rights = 0xc09b | cpl << 5;
    if (mode == PROTECTED_16)
        cpu->seg[SEG_CS].access_rights = 0x9b | cpl << 5;
    if (mode == LONG_64) {
        cpu->seg[SEG_CS].access_rights = 0xa09b | cpl << 5;
        cpu->seg[SEG_FS].base = one_in(2) ? 0x10 : 0;
        if (one_in(4) && cpl < 3)
            cpu->seg[SEG_SS] = (struct segment){ .selector = (uint16_t)cpl, .access_rights = AR_UNUSABLE | cpl << 5 };
    } else if (!unprotected) {
        cpu->seg[SEG_SS].access_rights = (uint32_t)ONE_OF(0xc093, 0xc093, 0x93, 0xc097, 0x97) | cpl << 5;
        cpu->seg[SEG_SS].base = ONE_OF(0, 0, 0x10, 0xfffffff0);
        cpu->seg[SEG_SS].limit = cpu->seg[SEG_SS].access_rights & 4 ? (uint32_t)ONE_OF(0, 0xff, OUTER_STACK + 0x7ff)
                                                                    : (uint32_t)ONE_OF(0xffffffff, 0xffff, OUTER_STACK + 0x80f, OUTER_STACK + 0x803);
    }
    cpu->seg[SEG_LDTR] = one_in(6) ? g_null(0) : (struct segment){ .selector = selector_of(ENTRY_LDT, 0), .access_rights = 0x82,
                                                                         .limit = (uint32_t)ONE_OF(0xfff, 8 * ENTRIES - 1, 8 * ENTRY_ANY + 6), .base = LDT };
    cpu->seg[SEG_TR] = (struct segment){ .selector = selector_of(ENTRY_TSS, 0), .access_rights = is_long() || one_in(2) || mode == VIRTUAL_8086 ? 0x8b : 0x83,
                                         .limit = (uint32_t)ONE_OF(0xfff, 0xfff, 0xfff, 0xfff, 0x67, 0x66, 0x2b, 0x2a, 0x23, 9, 8, 5, 0x87), .base = TSS };
    cpu->gdtr = (struct table_register){ GDT, (uint32_t)ONE_OF(0xfff, 0xfff, 0xfff, 8 * ENTRIES - 1, 8 * ENTRY_GATE + 7, 8 * ENTRY_TSS + 14, 8 * ENTRY_OTHER + 6) };
    cpu->idtr = (struct table_register){ mode == REAL ? IVT : IDT, (uint32_t)ONE_OF(0xfff, 0xfff, 16 * 20 - 1, 8 * 20 - 2, 4 * 20 - 1, 4 * 20 - 2, 4 * 21 - 1, 8 * 20 + 7, 16 * 20 + 14, 16 * 20 + 15) };
}

static void make_registers(void)
{
    struct cpu *cpu = f.cpu;

    for (unsigned i = 0; i < GPR_COUNT; i++)
        cpu->gpr[i] = mode == LONG_64 ? any() : (uint32_t)any();
    cpu->gpr[RSP] = OUTER_STACK + ONE_OF(0x800, 0x800, 0x802, 0x804, 0x7fd, 0xffc, 0x1004);
    if (one_in(8) && mode != LONG_64)
        cpu->gpr[RSP] = ONE_OF(0, 1, 2, 3, 6, 0xfffe, 0xffff, 0xfff8);
    if (one_in(16) && mode == LONG_64)
        cpu->gpr[RSP] = ONE_OF(0x7ffffffffff8, 0x800000000004, 0xffff7ffffffffffc);
    if (one_in(4) && mode != LONG_64 && !(cpu->seg[SEG_SS].access_rights & AR_DB))
        cpu->gpr[RSP] |= 0x120000;
    cpu->gpr[RBP] = cpu->gpr[RSP] + ONE_OF(0x20, 0x100, 4);
    cpu->rip = mode == LONG_64 && one_in(4) ? ONE_OF(0x123456789, 0xffff800000000000) : ONE_OF(0x200, 0xfffe, 0x12340, 0xffffffff);
    if (mode == REAL || mode == VIRTUAL_8086)
        cpu->rip &= 0xffff;
    cpu->rflags = (any() & 0x210fd5) | RFLAGS_FIXED | (any() & RFLAGS_IOPL) | (mode == VIRTUAL_8086 ? RFLAGS_VM : 0);
    cpu->rflags &= ~(one_in(6) ? 0 : RFLAGS_TF);
    cpu->rflags |= (one_in(4) ? RFLAGS_NT : 0) | (one_in(6) ? RFLAGS_AC : 0) | (one_in(3) ? RFLAGS_VIF : 0) | (one_in(3) ? RFLAGS_VIP : 0);
    cpu->interruptibility = (uint32_t)ONE_OF(0, 0, 1, 2);
    CPU_MSR(cpu, ia32_debugctl) = one_in(6) ? DEBUGCTL_BTF : 0;
}

/* What RET and IRET find on the stack. */
static void make_frame(const struct insn *insn)
{
    struct cpu *cpu = f.cpu;
    unsigned size = insn->operand_size, level = level_outside();
    bool flags = insn->id == INSN_iret;
    uint64_t wide = mode == LONG_64 ? ~0ull : cpu->seg[SEG_SS].access_rights & AR_DB ? 0xffffffff : 0xffff;
    uint64_t at = cpu->gpr[RSP] & wide, rip = entry_point(), image = any();
    uint64_t word[10] = { rip, selector(one_in(6) ? ENTRY_CONFORMING : code_entry(level), level) };
    unsigned n = 2;

    image &= ~(one_in(4) ? 0 : RFLAGS_VM);
    if (flags)
        word[n++] = image;
    else if (insn->displacement)
        n += (unsigned)insn->displacement / size;
    if (n < 9)
        word[n++] = ONE_OF(0x8000, 0x12345678, 0xffff8000);
    if (n < 10)
        word[n++] = selector(data_entry(level), level);
    while (n < 10)
        word[n++] = below(0x10000);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t linear = mode == LONG_64 ? at : (uint32_t)(cpu->seg[SEG_SS].base + at);
        if (linear + size <= COMPARED)
            store(linear, size, word[i] | (i != 1 && size > 2 ? 0 : 0));
        at = (at + size) & wide;
    }
}

static struct insn make_instruction(void)
{
    static const enum insn_id ids[] = {
        INSN_jmp_far, INSN_jmp_far, INSN_call_far, INSN_call_far, INSN_call_far, INSN_ret_far, INSN_ret_far, INSN_iret, INSN_iret, INSN_iret, INSN_mov_to_segment,
        INSN_mov_to_segment, INSN_pop_segment, INSN_load_far_pointer, INSN_lldt, INSN_ltr, INSN_lar, INSN_lsl, INSN_verr, INSN_verw, INSN_enter,
        INSN_cli, INSN_sti, INSN_pushf, INSN_popf,
    };
    struct insn insn = { .id = ids[below(sizeof(ids) / sizeof(ids[0]))], .length = (uint8_t)(1 + below(9)), .base = NO_REGISTER, .index = NO_REGISTER,
                         .segment = (uint8_t)ONE_OF(SEG_DS, SEG_ES, SEG_SS, SEG_FS), .reg = (uint8_t)below(8), .rm = (uint8_t)below(8) };
    bool wide = mode != REAL && mode != VIRTUAL_8086 && mode != PROTECTED_16;
    unsigned level = one_in(2) ? cpl : below(4);
    uint16_t to;

    insn.operand_size = mode == LONG_64 ? (uint8_t)ONE_OF(2, 4, 8, 8) : (uint8_t)(one_in(4) ? wide ? 2 : 4 : wide ? 4 : 2);
    insn.address_size = mode == LONG_64 ? 8 : wide ? 4 : 2;
    insn.target = (uint8_t)ONE_OF(SEG_ES, SEG_SS, SEG_SS, SEG_DS, SEG_FS, SEG_GS);
    insn.kind = one_in(2) ? OPERAND_MEMORY : OPERAND_REGISTER;
    insn.displacement = (int64_t)(DATA + ONE_OF(0, 1, 0xffe, 0xffd, 0xff8, 0x4ffd));
    if ((mode == REAL || mode == VIRTUAL_8086) && insn.segment == SEG_DS)
        insn.displacement -= 0x1000;
    if (mode == LONG_64 && one_in(12))
        insn.displacement = (int64_t)ONE_OF(0x7ffffffffffe, 0x7fffffffffff, 0x800000000000);
    to = insn.target == SEG_SS ? selector(data_entry(cpl), cpl) : one_in(3) ? selector(ENTRY_ANY, level) : one_in(4) ? selector(ENTRY_CONFORMING, level) : selector(data_entry(level), level);
    switch (insn.id) {
    case INSN_jmp_far: case INSN_call_far:
        to = one_in(3) ? selector(code_entry(cpl), one_in(2) ? cpl : below(4)) : one_in(5) ? selector(ENTRY_CONFORMING, below(4)) : one_in(4) ? selector(ENTRY_OTHER, below(cpl + 1))
                                                                                                                    : selector(ENTRY_GATE, one_in(3) ? below(4) : below(cpl + 1));
        break;
    case INSN_lldt: case INSN_ltr:
        to = selector(insn.id == INSN_lldt ? ENTRY_LDT : one_in(2) ? ENTRY_TSS : ENTRY_OTHER, below(4));
        break;
    case INSN_lar: case INSN_lsl: case INSN_verr: case INSN_verw:
        to = selector(below(ENTRIES), below(4));
        break;
    case INSN_load_far_pointer:
        insn.kind = OPERAND_MEMORY;
        break;
    default:
        break;
    }
    if (insn.id == INSN_pop_segment)
        insn.kind = OPERAND_NONE;
    if (insn.id == INSN_ret_far || insn.id == INSN_iret || insn.id == INSN_enter || insn.id == INSN_cli || insn.id == INSN_sti || insn.id == INSN_pushf || insn.id == INSN_popf) {
        insn.kind = OPERAND_NONE;
        insn.displacement = insn.id == INSN_ret_far ? (int64_t)ONE_OF(0, 0, 4, 8, 0xfff0) : insn.id == INSN_enter ? (int64_t)ONE_OF(0, 8, 0x800, 0xffff) : 0;
        insn.selector = insn.id == INSN_enter ? (uint16_t)ONE_OF(0, 0, 1, 2, 3, 33) : 0;
    }
    if (insn.id == INSN_jmp_far || insn.id == INSN_call_far) {
        if (insn.kind == OPERAND_REGISTER) {
            insn.kind = OPERAND_NONE;
            insn.selector = to;
            insn.displacement = (int64_t)(entry_point() & (insn.operand_size == 2 ? 0xffff : 0xffffffff));
        }
    }
    if (insn.id == INSN_pop_segment && cpu_protected(f.cpu)) {
        uint64_t at = mode == LONG_64 ? f.cpu->gpr[RSP] : (uint32_t)(f.cpu->seg[SEG_SS].base + (f.cpu->gpr[RSP] & (f.cpu->seg[SEG_SS].access_rights & AR_DB ? 0xffffffff : 0xffff)));
        if (at < COMPARED - 8)
            store(at, 2, to);
    }
    if (insn.kind == OPERAND_MEMORY) {
        const struct segment *s = &f.cpu->seg[insn.segment];
        uint64_t at = mode == LONG_64 ? (uint64_t)insn.displacement + (insn.segment >= SEG_FS ? s->base : 0)
                                      : (uint32_t)(s->base + (insn.address_size == 2 ? (uint16_t)insn.displacement : (uint32_t)insn.displacement));
        bool far = insn.id == INSN_jmp_far || insn.id == INSN_call_far || insn.id == INSN_load_far_pointer;

        if (far && at < COMPARED - 16) {
            store(at, insn.operand_size, entry_point());
            at += insn.operand_size;
        }
        if (at < COMPARED - 16)
            store(at, 2, to);
    } else if (insn.kind == OPERAND_REGISTER) {
        f.cpu->gpr[insn.rm] = (f.cpu->gpr[insn.rm] & ~0xffffull) | to;
    }
    if (insn.id == INSN_ret_far || insn.id == INSN_iret)
        make_frame(&insn);
    return insn;
}

static struct event make_event(void)
{
    struct event event = { .valid = true, .begun = true, .vector = (uint8_t)ONE_OF(20, 20, 32, 13, 14, 3, 47, 19, 21, 10), .type = (uint8_t)ONE_OF(0, 2, 3, 3, 4, 4, 4, 6, 5),
                           .instruction_length = (uint8_t)(1 + below(9)), .pushes_resume_flag = one_in(3), .injected = one_in(4) };

    event.has_error_code = event.type == EVENT_HARDWARE_EXCEPTION && cpu_protected(f.cpu) && event.vector >= 10 && event.vector <= 14;
    event.error_code = event.has_error_code ? (uint32_t)any() & 0xffff : 0;
    return event;
}

static void make_mode(void)
{
    struct cpu *cpu = f.cpu;

    mode = (enum mode)below(MODES);
    cpl = mode == REAL ? 0 : mode == VIRTUAL_8086 ? 3 : (unsigned)ONE_OF(0, 0, 0, 3, 3, 1, 2);
    cpu->cr0 = CR0_ET | CR0_NE | (mode == REAL ? 0 : CR0_PE) | (is_long() || (mode != REAL && one_in(2)) ? CR0_PG : 0) | (one_in(2) ? CR0_WP : 0) | (one_in(3) ? CR0_AM : 0);
    cpu->cr4 = (is_long() ? CR4_PAE : 0) | (one_in(2) ? CR4_VME : 0) | (one_in(2) ? CR4_PVI : 0);
    cpu->cr3 = is_long() ? TABLES + 0x2000 : TABLES;
    cpu->cr2 = 0x77;
    CPU_MSR(cpu, ia32_efer) = is_long() ? EFER_LME | EFER_LMA : 0;
    cpu->dr6 = 0xffff0ff0;
    cpu->dr7 = 0x400 | (any() & 0x155);
    cpu->pending_debug = 0;
    cpu->activity = ACTIVITY_ACTIVE;
    cpu->event.valid = false;
}

/* ---- the two processors ---- */

static void take(struct second *s, const struct cpu *cpu)
{
    memset(s, 0, offsetof(struct second, write));
    memcpy(s->gpr, cpu->gpr, sizeof(s->gpr));
    memcpy(s->seg, cpu->seg, sizeof(s->seg));
    s->rip = cpu->rip, s->rflags = cpu->rflags, s->cr0 = cpu->cr0, s->cr2 = cpu->cr2, s->cr3 = cpu->cr3, s->cr4 = cpu->cr4, s->dr6 = cpu->dr6, s->dr7 = cpu->dr7;
    s->efer = CPU_MSR(cpu, ia32_efer), s->debugctl = CPU_MSR(cpu, ia32_debugctl), s->gdtr = cpu->gdtr, s->idtr = cpu->idtr;
    s->shadow = cpu->interruptibility, s->pending = cpu->pending_debug, s->instructions = cpu->instructions, s->clock = cpu->clock;
    s->first = cpu->event, s->delivering = cpu->event.valid, s->resumes = cpu->event.pushes_resume_flag;
    s->ram = f.ram, s->ram_size = FIXTURE_MEMORY, s->page = pages;
}

static void step(struct second *s, const struct insn *insn)
{
    if (!insn) {
        s_deliver(s);
        return;
    }
    switch (insn->id) {
    case INSN_jmp_far: case INSN_call_far: s_jump(s, insn); return;
    case INSN_ret_far: s_return(s, insn); return;
    case INSN_iret: s_interrupt_return(s, insn); return;
    case INSN_lldt: case INSN_ltr: s_load_table(s, insn); return;
    case INSN_lar: case INSN_lsl: case INSN_verr: case INSN_verw: s_query(s, insn); return;
    case INSN_enter: s_enter(s, insn); return;
    case INSN_cli: case INSN_sti: case INSN_pushf: case INSN_popf: s_virtual(s, insn); return;
    default: s_move_to_segment(s, insn); return;
    }
}

/* Vol. 3, Table 6-4: benign, contributory, page faults; #VE and #CP, which the processor has, are among them. */
static unsigned class_of(bool hardware, unsigned vector)
{
    return !hardware ? 0 : vector == 14 || vector == 20 ? 2 : vector == 0 || (vector >= 10 && vector <= 13) || vector == 21 ? 1 : 0;
}

/* The second processor as it is afterwards; false: it faulted. */
static bool second_run(struct second *s, const struct cpu *cpu, const struct insn *insn)
{
    static struct second start;

    take(s, cpu);
    if (setjmp(s->out) == 0) {
        step(s, insn);
        return true;
    }
    if (!s->kept) {                     /* nothing of it has happened */
        take(&start, cpu);
        start.vector = s->vector, start.error = s->error, start.address = s->address;
        memcpy(s, &start, offsetof(struct second, write));
    }
    if (s->vector == 14)
        s->cr2 = s->address;
    if (s->delivering) {
        unsigned first = class_of(s->first.type == EVENT_HARDWARE_EXCEPTION, s->first.vector), second = class_of(true, s->vector);
        if ((first == 1 && second == 1) || (first == 2 && second))
            s->vector = 8, s->error = 0;
    }
    if (s->vector == 1) {               /* 18.2.3, 18.4.2: the trap of a new task */
        s->dr6 = (s->dr6 & ~15ull) | s->address;
        s->dr7 &= ~(1ull << 13);
        s->debugctl &= ~3ull;
        s->pending = 0;
    }
    s->shadow &= ~3u;
    return false;
}

/* In which mode, which instruction: what a difference is told with. */
static char name[120];

#define SAME(what, ours, theirs) ck_assert_msg((ours) == (theirs), "%s: %s is %llx, and %llx on the second processor", name, what, (unsigned long long)(ours), (unsigned long long)(theirs))

static void compare(const struct second *s, bool completed, enum status status)
{
    static const char *const registers[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    static const char *const segments[] = { "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr" };
    const struct cpu *cpu = f.cpu;
    const struct event *e = &cpu->event;

    if (completed) {
        ck_assert_msg(status == STATUS_OK, "%s: status %d, vector %x error %x; the second processor goes on", name, status, e->vector, e->error_code);
        ck_assert_msg(!e->valid, "%s: the event is still valid", name);
    } else {
        bool coded = s->vector == 8 || (s->vector >= 10 && s->vector <= 14) || s->vector == 17;
        ck_assert_msg(status == STATUS_EVENT && e->valid, "%s: status %d; the second processor meets vector %x error %x", name, status, s->vector, s->error);
        SAME("the vector", e->vector, s->vector);
        SAME("the type", e->type, EVENT_HARDWARE_EXCEPTION);
        SAME("the error code", e->error_code, s->error);
        SAME("its presence", e->has_error_code, coded && (s->cr0 & 1));
        SAME("RF of the frame", e->pushes_resume_flag, s->vector != 8 && s->vector != 1);
    }
    for (unsigned i = 0; i < 16; i++)
        SAME(registers[i], cpu->gpr[i], s->gpr[i]);
    SAME("rip", cpu->rip, s->rip);
    SAME("rflags", cpu->rflags, s->rflags);
    SAME("cr0", cpu->cr0, s->cr0);
    SAME("cr2", cpu->cr2, s->cr2);
    SAME("cr3", cpu->cr3, s->cr3);
    SAME("cr4", cpu->cr4, s->cr4);
    SAME("dr6", cpu->dr6, s->dr6);
    SAME("dr7", cpu->dr7, s->dr7);
    SAME("IA32_DEBUGCTL", CPU_MSR(cpu, ia32_debugctl), s->debugctl);
    SAME("interruptibility", cpu->interruptibility, s->shadow);
    SAME("pending debug exceptions", cpu->pending_debug, s->pending);
    SAME("the count of instructions", cpu->instructions, s->instructions);
    SAME("the clock", cpu->clock, s->clock);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *a = &cpu->seg[i], *b = &s->seg[i];
        ck_assert_msg(a->selector == b->selector && a->access_rights == b->access_rights && a->limit == b->limit && a->base == b->base,
                      "%s: %s is %x %x %x %llx, and %x %x %x %llx on the second processor", name, segments[i], a->selector, a->access_rights, a->limit,
                      (unsigned long long)a->base, b->selector, b->access_rights, b->limit, (unsigned long long)b->base);
    }
    ck_assert_uint_lt(s->writes, SECOND_WRITES);
    for (unsigned i = 0; i < s->writes; i++)
        if (s->write[i].at < COMPARED)
            before[s->write[i].at] = s->write[i].byte;
        else
            SAME("a byte written", s_byte(s, s->write[i].at), f.ram[s->write[i].at]);
    for (unsigned i = 0; i < COMPARED && memcmp(f.ram, before, COMPARED) != 0; i++)
        ck_assert_msg(f.ram[i] == before[i], "%s: the byte at %x is %x, and %x on the second processor", name, i, f.ram[i], before[i]);
}

static void setup(void)
{
    fixture_open_bare(&f, 1);
    f.model->tlb.policy = TLB_DROP;
    memset(f.ram, 0, FIXTURE_MEMORY);
    store(TABLES, 4, (TABLES + 0x1000) | 7);
    store(TABLES + 0x6000, 4, (TABLES + 0x1000) | 7);
    for (unsigned level = 0; level < 3; level++)
        store(TABLES + 0x2000 + 0x1000 * level, 8, (TABLES + 0x3000 + 0x1000 * level) | 7);
}

static void teardown(void)
{
    fixture_close(&f);
}

START_TEST(second_processor_agrees)
{
    static struct second s;
    static const char *const modes[] = { "real mode", "virtual-8086 mode", "16-bit", "32-bit", "compatibility mode", "64-bit" };

    seed = 0x9e3779b97f4a7c15ull * (unsigned)(_i + 1);
    for (unsigned n = 0; n < CASES; n++) {
        struct insn insn;
        bool event, completed;
        enum status status;

        make_mode();
        make_segments();
        make_registers();
        make_tables();
        make_tasks();
        make_paging();
        event = one_in(3);
        insn = make_instruction();
        if ((insn.id == INSN_cli || insn.id == INSN_sti || insn.id == INSN_pushf || insn.id == INSN_popf)) {
            bool used = (f.cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL && (mode == VIRTUAL_8086 ? f.cpu->cr4 & CR4_VME : mode != REAL && cpl == 3 && (f.cpu->cr4 & CR4_PVI));
            if (!used || ((insn.id == INSN_pushf || insn.id == INSN_popf) && mode != VIRTUAL_8086))
                continue;               /* the CPU engine's own */
        }
        if ((insn.id == INSN_lldt || insn.id == INSN_ltr || (insn.id >= INSN_lar && insn.id <= INSN_verw)) && (mode == REAL || mode == VIRTUAL_8086 || (insn.id <= INSN_ltr && cpl)))
            event = true;               /* #UD and privilege: execute_test.c */
        if (event)
            f.cpu->event = make_event();
        snprintf(name, sizeof(name), "part %d, case %u: %s, CPL %u, %s %x", _i, n, modes[mode], cpl, event ? "event" : insn_name(insn.id),
                 event ? f.cpu->event.vector : insn.operand_size);
        memcpy(before, f.ram, COMPARED);
        completed = second_run(&s, f.cpu, event ? NULL : &insn);
        status = event ? event_deliver(f.cpu) : execute(f.cpu, &insn);
        compare(&s, completed, status);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("second processor");
    TCase *tcase = tcase_create("random machines");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, second_processor_agrees, 0, PARTS);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
