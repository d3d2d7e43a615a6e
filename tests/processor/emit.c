/* SPDX-License-Identifier: MIT */
/* Bytes of a step's code, and the operands that its instructions share. */
#include "tests/processor/program.h"

void byte(struct program *p, unsigned value) { p->code[p->length++] = (uint8_t)value; }

void number(struct program *p, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++, value >>= 8)
        byte(p, (uint8_t)value);
}

/* 32 bits of a register, whatever the mode. */
void move_immediate(struct program *p, unsigned reg, uint32_t value)
{
    if (p->bits == 16)
        byte(p, 0x66);
    byte(p, 0xb8 + reg);
    number(p, value, 4);
}

/* ModRM and displacement of [EBX or RBX + displacement]; in 16-bit code the address size is 32 as well (prefix_address()). RBX
 * points into the data page. */
void memory(struct program *p, unsigned reg, unsigned displacement)
{
    byte(p, 0x80 | reg << 3 | RBX);
    number(p, displacement, 4);
}

void prefix_address(struct program *p)
{
    if (p->bits == 16)
        byte(p, 0x67);
}

/* Operand size of the next instruction: 66H, REX.W or none. Returns its bytes. */
unsigned operand_size(struct program *p)
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

void size_prefix(struct program *p, unsigned size)
{
    if (size == 8)
        byte(p, 0x48);
    else if (size == 2 ? p->bits != 16 : p->bits == 16)
        byte(p, 0x66);
}

/* PUSH of a number that the next instruction pops with `size` bytes. Outside 64-bit mode 4 and 2 bytes can be pushed. */
void push(struct program *p, uint32_t value, unsigned size)
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

/* As an offset in the data segment that the program begins with. */
uint32_t window_address(const struct program *p, enum window_page page)
{
    return p->virtual_8086 ? page * PAGE : WINDOW_AT(page);
}
