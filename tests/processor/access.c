/* SPDX-License-Identifier: MIT */
/* Instructions that read, write and execute memory: pages of all rights, accesses across them, alignment, strings, stacks. */
#include "tests/processor/program.h"

/* A displacement from RBX, which points into the data page: near the borders of the pages with rights of their own. */
static unsigned somewhere(struct program *p)
{
    unsigned page = PAGE_RIGHTS + below(p, PAGE_RIGHTS_LAST - PAGE_RIGHTS + 1);

    if (chance(p, 25))
        return below(p, 2048);
    return (page - PAGE_DATA) * PAGE + (chance(p, 25) ? PAGE - 1 - below(p, 8) : 8 * below(p, 256) + (chance(p, 30) ? below(p, 8) : 0)) -
           (unsigned)(p->start->gpr[RBX] % PAGE);
}

static void load(struct program *p)
{
    prefix_address(p);
    if (chance(p, 20))
        byte(p, (unsigned[]){ 0x26, 0x36, 0x64, 0x65 }[below(p, 4)]);
    operand_size(p);
    byte(p, chance(p, 30) ? 0x8a : 0x8b);
    memory(p, RAX, somewhere(p));
}

static void store(struct program *p)
{
    prefix_address(p);
    operand_size(p);
    byte(p, chance(p, 30) ? 0x88 : 0x89);
    memory(p, RCX, somewhere(p));
}

/* XADD, CMPXCHG, XCHG, BTS, INC. */
static void read_and_write(struct program *p)
{
    unsigned which = below(p, 5);

    prefix_address(p);
    if (which != 2 && chance(p, 40))
        byte(p, 0xf0);
    operand_size(p);
    if (which != 2 && which != 4)
        byte(p, 0x0f);
    byte(p, (unsigned[]){ 0xc1, 0xb1, 0x87, 0xba, 0xff }[which]);
    memory(p, which == 3 ? 5 : which == 4 ? 0 : RDX, somewhere(p));
    if (which == 3)
        byte(p, 3);
}

/* CMPXCHG8B, CMPXCHG16B; ADC and ADD of zero only set flags. */
static void compare_and_exchange(struct program *p)
{
    prefix_address(p);
    if (chance(p, 30))
        byte(p, 0xf0);
    if (p->bits == 64 && chance(p, 50))
        byte(p, 0x48);
    number(p, 0xc70f, 2);
    memory(p, 1, somewhere(p));
}

/* Near JMP or CALL to a page with rights of its own, or through a pointer there. */
static void execute(struct program *p)
{
    if (chance(p, 30)) {
        unsigned displacement = somewhere(p);
        prefix_address(p);
        byte(p, 0xff);
        memory(p, chance(p, 50) ? 2 : 4, displacement);
        return;
    }
    move_immediate(p, RAX, (p->bits == 16 ? 0 : WINDOW) + (PAGE_RIGHTS + below(p, 4)) * PAGE + (chance(p, 80) ? 8 * below(p, 256) : PAGE - 1));
    byte(p, 0xff);
    byte(p, chance(p, 50) ? 0xd0 : 0xe0);
}

/* ESI and EDI from wherever they begin on; ECX elements. */
static void string(struct program *p)
{
    static const uint8_t codes[] = { 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf };
    uint32_t base = p->virtual_8086 ? 0 : WINDOW;

    move_immediate(p, RSI, base + (PAGE_RIGHTS + below(p, 4)) * PAGE + PAGE - 4 * below(p, 8) - (chance(p, 20) ? below(p, 4) : 0));
    move_immediate(p, RDI, base + (chance(p, 40) ? PAGE_DATA : PAGE_RIGHTS + below(p, 4)) * PAGE + PAGE - 4 * below(p, 8));
    move_immediate(p, RCX, below(p, 12));
    if (p->bits == 16 && !p->virtual_8086)
        byte(p, 0x67);
    if (chance(p, 70))
        byte(p, chance(p, 70) ? 0xf3 : 0xf2);
    operand_size(p);
    byte(p, codes[below(p, sizeof codes)]);
}

/* PUSHA, POPA, ENTER, LEAVE, PUSH and POP of memory. */
static void stack(struct program *p)
{
    unsigned which = below(p, 6);

    if (p->bits == 64 && which < 2)
        which = 2;
    switch (which) {
    case 0:
    case 1:
        operand_size(p);
        byte(p, 0x60 + which);
        break;
    case 2:
        byte(p, 0xc8);
        number(p, chance(p, 50) ? 0 : below(p, 0x900), 2);
        byte(p, chance(p, 70) ? 0 : below(p, 6));
        break;
    case 3:
        byte(p, 0xc9);
        break;
    default:
        prefix_address(p);
        if (chance(p, 20))
            byte(p, 0x66);
        byte(p, which == 4 ? 0xff : 0x8f);
        memory(p, which == 4 ? 6 : 0, somewhere(p));
    }
}

/* MOVAPS, MOVUPS, MOVDQA: loads and stores of 16 bytes; FXSAVE is not among them, it leaves too much open. */
static void vector_move(struct program *p)
{
    unsigned which = below(p, 6);

    prefix_address(p);
    if (which >= 4)
        byte(p, 0x66);
    byte(p, 0x0f);
    byte(p, (unsigned[]){ 0x28, 0x29, 0x10, 0x11, 0x6f, 0x7f }[which]);
    memory(p, 1, somewhere(p));
}

/* BOUND and ARPL, which 64-bit mode does not have. */
static void legacy(struct program *p)
{
    prefix_address(p);
    if (chance(p, 50)) {
        operand_size(p);
        byte(p, 0x62);
        memory(p, RAX, somewhere(p));
    } else {
        byte(p, 0x63);
        memory(p, RCX, somewhere(p));
    }
}

const struct kind access_kinds[] = {
    { "load", load, 8, ANYWHERE }, { "store", store, 8, ANYWHERE }, { "read_and_write", read_and_write, 8, ANYWHERE },
    { "compare_and_exchange", compare_and_exchange, 3, ANYWHERE }, { "execute", execute, 6, ANYWHERE }, { "string", string, 8, ANYWHERE },
    { "stack", stack, 8, ANYWHERE }, { "vector_move", vector_move, 5, ANYWHERE }, { "legacy", legacy, 3, IN_LEGACY | IN_V86 },
    { NULL, NULL, 0, 0 },
};
