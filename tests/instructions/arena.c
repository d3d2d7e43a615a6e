/* SPDX-License-Identifier: MIT */
/* The code around the instruction: everything is loaded from one page, and stored into another. */
#include "tests/instructions/instructions.h"

#include <stddef.h>
#include <string.h>

#include "arch/x86.h"

static uint8_t *at;

static void bytes(const char *text, unsigned count)
{
    memcpy(at, text, count);
    at += count;
}

static void number(uint32_t value)
{
    memcpy(at, &value, 4);
    at += 4;
}

/* ModRM and SIB of [disp32], an absolute address. */
static void absolute(unsigned reg, uint32_t address)
{
    *at++ = (uint8_t)((reg & 7) << 3 | 4);
    *at++ = 0x25;
    number(address);
}

static void move_gpr(unsigned opcode, unsigned reg, uint32_t page)
{
    *at++ = reg < 8 ? 0x48 : 0x4c;
    *at++ = (uint8_t)opcode;
    absolute(reg, ARENA + page + (uint32_t)offsetof(struct registers, gpr) + 8 * reg);
}

static void move_xmm(unsigned opcode, unsigned reg, uint32_t page)
{
    bytes("\xf3", 1);
    if (reg >= 8)
        *at++ = 0x44;
    *at++ = 0x0f;
    *at++ = (uint8_t)opcode;
    absolute(reg, ARENA + page + (uint32_t)offsetof(struct registers, xmm) + 16 * reg);
}

static void load_stack(uint32_t address)
{
    bytes("\x48\xc7\xc4", 3);                   /* MOV RSP, imm32 */
    number(address);
}

static void jump(uint8_t *arena, uint32_t to)
{
    *at++ = 0xe9;
    number(to - (uint32_t)(at + 4 - arena));
}

void arena_prepare(uint8_t *arena, const uint8_t *end, unsigned size)
{
    at = arena + PROLOGUE_AT;
    for (unsigned i = 0; i < 16; i++)
        move_xmm(0x6f, i, IN_AT);
    bytes("\x0f\xae", 2);                       /* LDMXCSR */
    absolute(2, ARENA + IN_AT + (uint32_t)offsetof(struct registers, mxcsr));
    load_stack(ARENA + SCRATCH_AT + 0x800);
    bytes("\xff", 1);                           /* PUSH flags, POPFQ */
    absolute(6, ARENA + IN_AT + (uint32_t)offsetof(struct registers, flags));
    bytes("\x9d", 1);
    for (unsigned i = 0; i < 16; i++)
        move_gpr(0x8b, i, IN_AT);
    jump(arena, CODE_AT);

    at = arena + EPILOGUE_AT;
    for (unsigned i = 0; i < 16; i++)
        move_gpr(0x89, i, OUT_AT);
    load_stack(ARENA + SCRATCH_AT + 0x800);
    bytes("\x9c\x8f", 2);                       /* PUSHFQ, POP flags */
    absolute(0, ARENA + OUT_AT + (uint32_t)offsetof(struct registers, flags));
    for (unsigned i = 0; i < 16; i++)
        move_xmm(0x7f, i, OUT_AT);
    bytes("\x0f\xae", 2);                       /* STMXCSR */
    absolute(3, ARENA + OUT_AT + (uint32_t)offsetof(struct registers, mxcsr));
    bytes((const char *)end, size);
}
