/* SPDX-License-Identifier: MIT */
/* The instructions of a program: segment loads of all kinds, far transfers, gates, returns, system calls, flags. */
#include "tests/processor/program.h"

static void byte(struct program *p, unsigned value) { p->code[p->length++] = (uint8_t)value; }

static void number(struct program *p, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++, value >>= 8)
        byte(p, (uint8_t)value);
}

/* ---- operands ---- */

static void move_immediate(struct program *p, unsigned reg, uint32_t value)
{
    if (p->bits == 16)
        byte(p, 0x66);
    byte(p, 0xb8 + reg);
    number(p, value, 4);
}

/* ModRM, SIB and displacement of [EBX or RBX + displacement]; in 16-bit code the address size is 32 as well (prefix_address()). */
static void memory(struct program *p, unsigned reg, unsigned displacement)
{
    byte(p, 0x80 | reg << 3 | RBX);
    number(p, displacement, 4);
}

static void prefix_address(struct program *p)
{
    if (p->bits == 16)
        byte(p, 0x67);
}

/* Operand size of the next instruction: 66H, REX.W or none. Returns its bytes. */
static unsigned operand_size(struct program *p)
{
    if (chance(p, 20)) {
        byte(p, 0x66);
        return p->bits == 16 ? 4 : 2;
    }
    if (p->bits == 64 && chance(p, 50)) {
        byte(p, 0x48);
        return 8;
    }
    return p->bits == 16 ? 2 : 4;
}

/* PUSH of a number that the next instruction pops with `size` bytes. Outside 64-bit mode 4 and 2 bytes can be pushed. */
static void push(struct program *p, uint32_t value, unsigned size)
{
    if (p->bits == 64 && size == 4) {           /* SUB RSP, 4; MOV dword [RSP], value */
        number(p, 0x04ec8348, 4);
        number(p, 0x2404c7, 3);
        number(p, value, 4);
        return;
    }
    if (size == 2 ? p->bits != 16 : p->bits == 16)
        byte(p, 0x66);
    byte(p, 0x68);
    number(p, value, size == 2 ? 2 : 4);
}

static uint32_t target(struct program *p)
{
    return chance(p, 85) ? WINDOW_AT(PAGE_LANDING) : chance(p, 60) ? PAGE_LANDING * PAGE : (uint32_t)random64(p);
}

/* A selector for CS: more often one that fits. */
static uint16_t code_selector(struct program *p)
{
    static const uint16_t codes[] = { CODE64, CODE32, USER32, USER64, CODE16, USER16 };

    return chance(p, 40) ? (uint16_t)(codes[below(p, 6)] | (chance(p, 50) ? p->level : 0)) : random_selector(p);
}

static uint16_t stack_selector(struct program *p)
{
    return chance(p, 50) ? USER_DATA : chance(p, 40) ? 0 : random_selector(p);
}

static uint32_t flags(struct program *p)
{
    return (uint32_t)(RFLAGS_FIXED | (random64(p) & (RFLAGS_ARITHMETIC | RFLAGS_DF | RFLAGS_AC | RFLAGS_ID | RFLAGS_IOPL | RFLAGS_IF)) |
                      (chance(p, 10) ? RFLAGS_NT : 0) | (chance(p, 6) ? RFLAGS_TF : 0) | (chance(p, 10) ? RFLAGS_RF : 0));
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
    memory(p, RAX + (which == 0 ? RSP : below(p, 3)), 8 * below(p, 256));
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

static void size_prefix(struct program *p, unsigned size)
{
    if (size == 8)
        byte(p, 0x48);
    else if (size == 2 ? p->bits != 16 : p->bits == 16)
        byte(p, 0x66);
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

static void flag_instruction(struct program *p)
{
    switch (below(p, 6)) {
    case 0:
        byte(p, 0xfa);              /* CLI */
        break;
    case 1:
        byte(p, 0xfb);              /* STI */
        break;
    case 2:
        push(p, flags(p), p->bits / 8);
        byte(p, 0x9d);              /* POPF */
        break;
    case 3:
        byte(p, 0x9c);              /* PUSHF */
        break;
    case 4:
        byte(p, 0x0f);              /* CLTS */
        byte(p, 0x06);
        break;
    default:
        byte(p, 0x0f);              /* CLAC, STAC */
        byte(p, 0x01);
        byte(p, chance(p, 50) ? 0xca : 0xcb);
    }
}

static const struct { void (*emit)(struct program *program); unsigned weight; } kinds[] = {
    { move_segment, 18 }, { pop_segment, 8 }, { load_pointer, 8 }, { far_transfer, 16 }, { far_return, 12 }, { interrupt_return, 16 },
    { software_interrupt, 14 }, { table_register, 6 }, { descriptor_query, 4 }, { system_call, 4 }, { flag_instruction, 6 },
};

void generate(struct program *p)
{
    unsigned count = 1 + below(p, 4), total = 0;

    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        total += kinds[i].weight;
    for (; count; count--) {
        unsigned draw = below(p, total), i = 0;
        while (draw >= kinds[i].weight)
            draw -= kinds[i++].weight;
        kinds[i].emit(p);
    }
    byte(p, 0x0f);                  /* UD2 */
    byte(p, 0x0b);
}
