/* SPDX-License-Identifier: MIT */
/* Instructions that load segment registers: moves, far transfers, gates, returns, tasks, system calls. */
#include "tests/processor/program.h"

/* An offset in a flat segment. Its low 16 bits are the offset in a segment that begins with the window. */
static uint32_t target(struct program *p)
{
    return chance(p, 85) ? WINDOW_AT(PAGE_LANDING) : chance(p, 60) ? PAGE_LANDING * PAGE : (uint32_t)random64(p);
}

/* A selector for CS: more often one that fits. */
static uint16_t code_selector(struct program *p)
{
    static const uint16_t codes[] = { CODE64, CODE32, USER32, USER64, CODE16, USER16 };

    if (p->virtual_8086)
        return chance(p, 90) ? LOW >> 4 : (uint16_t)random64(p);
    return chance(p, 40) ? (uint16_t)(codes[below(p, 6)] | (chance(p, 50) ? p->level : 0)) : random_selector(p);
}

static uint16_t stack_selector(struct program *p)
{
    if (p->virtual_8086)
        return LOW >> 4;
    return chance(p, 50) ? USER_DATA : chance(p, 40) ? (p->bits == 64 ? 0 : p->level ? USER_DATA : DATA0) : random_selector(p);
}

static uint32_t flags(struct program *p)
{
    return (uint32_t)(RFLAGS_FIXED | (random64(p) & (RFLAGS_ARITHMETIC | RFLAGS_DF | RFLAGS_AC | RFLAGS_ID | RFLAGS_IOPL | RFLAGS_IF)) |
                      (chance(p, 10) ? RFLAGS_NT : 0) | (chance(p, 6) ? RFLAGS_TF : 0) | (chance(p, 10) ? RFLAGS_RF : 0) |
                      (p->mode != MODE_LONG && chance(p, 15) ? RFLAGS_VM : 0));
}

/* ---- instructions ---- */

static void move_segment(struct program *p)
{
    unsigned target = (unsigned[]){ SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS }[below(p, 5)];

    move_immediate(p, RAX, random_selector(p));
    byte(p, 0x8e);
    byte(p, 0xc0 | target << 3);
}

static void pop_segment(struct program *p)
{
    unsigned which = below(p, p->bits == 64 ? 2 : 5), size = p->bits == 64 ? 8 : p->bits / 8;

    push(p, random_selector(p), size);
    if (which < 2) {
        byte(p, 0x0f);
        byte(p, which ? 0xa9 : 0xa1);
        return;
    }
    byte(p, (unsigned[]){ 0x07, 0x17, 0x1f }[which - 2]);
}

static void load_pointer(struct program *p)
{
    unsigned which = below(p, p->bits == 64 ? 3 : 5);

    prefix_address(p);
    operand_size(p);
    if (which < 3)
        byte(p, 0x0f);
    byte(p, (unsigned[]){ 0xb2, 0xb4, 0xb5, 0xc4, 0xc5 }[which]);
    unsigned displacement = 8 * below(p, 256);
    memory(p, RAX + (which == 0 ? RSP : below(p, 3)), displacement);
}

static void far_transfer(struct program *p)
{
    int call = chance(p, 50);

    if (p->bits != 64 && chance(p, 50)) {
        unsigned size = operand_size(p);
        byte(p, call ? 0x9a : 0xea);
        number(p, target(p), size);
        number(p, code_selector(p), 2);
        return;
    }
    prefix_address(p);
    operand_size(p);
    byte(p, 0xff);
    memory(p, call ? 3 : 5, 8 * below(p, 256) + (chance(p, 50) ? 0 : 2));
}

/* The size comes first in the code, so it is drawn before the words are pushed. */
static unsigned return_size(struct program *p)
{
    return chance(p, 60) ? p->bits / 8 : p->bits == 64 ? (unsigned[]){ 2, 4, 8 }[below(p, 3)] : below(p, 2) ? 2 : 4;
}

static void far_return(struct program *p)
{
    unsigned size = return_size(p), release = chance(p, 25) ? below(p, 32) : 0;

    push(p, stack_selector(p), size);
    push(p, WINDOW_AT(PAGE_STACK) + 0x700, size);
    for (unsigned i = 0; i + size <= release; i += size)
        push(p, 0, size);
    push(p, code_selector(p), size);
    push(p, target(p), size);
    size_prefix(p, size);
    byte(p, release ? 0xca : 0xcb);
    if (release)
        number(p, release, 2);
}

/* In 64-bit mode with 8 bytes: with less Bochs pops SS and RSP only for another level; SDM Vol. 3, 6.14.3 says always. */
static void interrupt_return(struct program *p)
{
    unsigned size = p->bits == 64 ? 8 : return_size(p);

    push(p, stack_selector(p), size);
    push(p, WINDOW_AT(PAGE_STACK) + 0x700, size);
    push(p, flags(p), size);
    push(p, code_selector(p), size);
    push(p, target(p), size);
    size_prefix(p, size);
    byte(p, 0xcf);
}

static void software_interrupt(struct program *p)
{
    switch (below(p, 12)) {
    case 0:
        byte(p, 0xcc);
        return;
    case 1:
        byte(p, 0xce);              /* INTO; #UD in 64-bit mode */
        return;
    default:
        byte(p, 0xcd);
        byte(p, chance(p, 92) ? GATE_FIRST + below(p, GATE_LAST - GATE_FIRST + 1) : (unsigned)random64(p) & 0xff);
    }
}

static void table_register(struct program *p)
{
    static const uint8_t groups[] = { 2, 3, 2, 3, 4, 5, 0, 1 };     /* LLDT, LTR, VERR, VERW, SLDT, STR */

    move_immediate(p, RAX, chance(p, 30) ? (chance(p, 50) ? TASK : LOCAL_TABLE) : random_selector(p));
    byte(p, 0x0f);
    byte(p, 0x00);
    byte(p, 0xc0 | groups[below(p, 8)] << 3);
}

/* LAR, LSL. */
static void descriptor_query(struct program *p)
{
    move_immediate(p, RAX, random_selector(p));
    byte(p, 0x0f);
    byte(p, chance(p, 50) ? 0x02 : 0x03);
    byte(p, 0xc0 | RDX << 3 | RAX);
    if (p->bits == 16)
        byte(p, 0x66);
    byte(p, 0x81);                  /* AND EDX, F0FF00H: what LAR leaves in bits 19:16 is undefined (SDM Vol. 2, LAR) */
    byte(p, 0xe2);
    number(p, 0xf0ff00, 4);
}

static void system_call(struct program *p)
{
    unsigned which = below(p, 4);

    move_immediate(p, RCX, target(p));
    move_immediate(p, RDX, target(p));
    if (p->bits == 64 && which & 1 && chance(p, 60))
        byte(p, 0x48);
    byte(p, 0x0f);
    byte(p, (unsigned[]){ 0x05, 0x07, 0x34, 0x35 }[which]);
}

/* A jump or call to a task or its gate; with NT set, IRET goes back to the one that the TSS names. */
static void task_switch(struct program *p)
{
    static const uint16_t tasks[] = { OTHER_TASK, OTHER_TASK, OLD_TASK, TASK_GATE, TASK };
    uint16_t selector = (uint16_t)(tasks[below(p, 5)] | (chance(p, 90) ? 0 : p->level));
    unsigned size = p->bits == 16 ? 2 : 4, call = chance(p, 50);

    if (chance(p, 30)) {
        push(p, flags(p) | RFLAGS_NT, size);
        byte(p, 0x9d);
        byte(p, 0xcf);
        return;
    }
    byte(p, call ? 0x9a : 0xea);
    number(p, 0, size);
    number(p, selector, 2);
}

const struct kind transfer_kinds[] = {
    { "move_segment", move_segment, 14, ANYWHERE }, { "pop_segment", pop_segment, 8, ANYWHERE },
    { "load_pointer", load_pointer, 8, ANYWHERE }, { "far_transfer", far_transfer, 16, ANYWHERE },
    { "far_return", far_return, 12, ANYWHERE }, { "interrupt_return", interrupt_return, 16, ANYWHERE },
    { "software_interrupt", software_interrupt, 14, ANYWHERE }, { "table_register", table_register, 6, ANYWHERE },
    { "descriptor_query", descriptor_query, 4, ANYWHERE }, { "system_call", system_call, 6, ANYWHERE },
    { "task_switch", task_switch, 12, IN_LEGACY }, { NULL, NULL, 0, 0 },
};
