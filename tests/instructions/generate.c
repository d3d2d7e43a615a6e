/* SPDX-License-Identifier: MIT */
/* A random instruction of rows.def, registers and memory for it, and what the SDM leaves undefined of its result. */
#include "tests/instructions/instructions.h"

#include <stdio.h>
#include <string.h>

#include "arch/x86.h"

enum map { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A };
enum prefix { P_0, P_66, P_F3, P_F2 };
enum form { PLAIN, RM, RR, MM, G0, G1, G2, G3, G4, G5, G6, G7, GR0, GR1, GR2, GR3, GR4, GR5, GR6, GR7, GM0, GM1 };
enum sizes { BYTE, WIDE, W64, VECTOR };

static const struct row {
    uint8_t map, prefix, opcode, form, immediate, sizes;
    const char *undefined, *name;
} rows[] = {
#define ROW(map, prefix, opcode, form, immediate, sizes, undefined, name) { MAP_##map, P_##prefix, opcode, form, immediate, sizes, undefined, name },
#include "tests/instructions/rows.def"
};
enum { ROWS = sizeof rows / sizeof *rows };

unsigned row_count(void) { return ROWS; }

const char *row_name(unsigned row, char *text, unsigned size)
{
    static const char *const maps[] = { "", "0f ", "0f 38 ", "0f 3a " }, *const prefixes[] = { "", "66 ", "f3 ", "f2 " };
    const struct row *r = &rows[row];

    snprintf(text, size, "%s%s%02x", prefixes[r->prefix], maps[r->map], r->opcode);
    if (r->form >= G0)
        snprintf(text + strlen(text), size - strlen(text), "/%u", r->form >= GM0 ? r->form - GM0 : (r->form - G0) % 8);
    return text;
}

static uint64_t random64(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;          /* splitmix64 */

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static unsigned below(uint64_t *state, unsigned n) { return (unsigned)((random64(state) >> 32) * n >> 32); }

/* Numbers that matter to arithmetic more often than their share. */
static uint64_t interesting(uint64_t *state)
{
    static const uint64_t known[] = { 0, 1, ~0ull, 0x80, 0x7f, 0x8000, 0x7fff, 0x80000000, 0x7fffffff, 1ull << 63, ~0ull >> 1 };

    switch (below(state, 4)) {
    case 0:
        return known[below(state, sizeof known / sizeof *known)];
    case 1:
        return random64(state) >> below(state, 64);
    default:
        return random64(state);
    }
}

/* Floating-point numbers: of a few magnitudes, and now and then what is none, or denormal. */
static uint64_t floats(uint64_t *state)
{
    static const uint32_t single[] = { 0, 0x80000000, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f812345, 1, 0x007fffff, 0x00800000, 0x7f7fffff, 0x4f000000 };
    static const uint64_t wide[] = { 0, 1ull << 63, 0x3ff0000000000000, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000012345678, 1,
                                     0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0x41e0000000000000, 0x43e0000000000000 };

    switch (below(state, 6)) {
    case 0:
        return wide[below(state, sizeof wide / sizeof *wide)];
    case 1:
        return single[below(state, 12)] | (uint64_t)single[below(state, 12)] << 32;
    case 2:
        return (random64(state) & 0x800fffffffffffff) | (uint64_t)(0x3f0 + below(state, 32)) << 52;
    case 3:
        return (random64(state) & 0x807fffff807fffff) | (uint64_t)(0x78 + below(state, 16)) << 23 | (uint64_t)(0x78 + below(state, 16)) << 55;
    default:
        return random64(state);
    }
}

struct writer {
    struct trial *trial;
    uint64_t *state;
};

static void byte(struct writer *w, unsigned value) { w->trial->code[w->trial->length++] = (uint8_t)value; }

static void number(struct writer *w, uint64_t value, unsigned size)
{
    for (; size; size--, value >>= 8)
        byte(w, (uint8_t)value);
}

/* Bytes of a memory operand that are aligned where SSE wants them, mostly. */
static uint64_t data_address(struct writer *w, bool vector)
{
    uint64_t address = ARENA + DATA_FIRST + 0x100 + below(w->state, 0x80);

    return vector && below(w->state, 8) ? address & ~15ull : address;
}

/* ModRM, SIB and displacement that come to `address`; the base register is made to fit, and is none of `avoid`. */
static void memory(struct writer *w, unsigned reg, uint64_t address, uint32_t avoid, uint8_t *rex, uint8_t operand[8], unsigned *length)
{
    unsigned base, index = 4, scale = below(w->state, 4);
    int32_t displacement = (int32_t)below(w->state, 4) * 0x55 - 0x80;
    uint64_t *gpr = w->trial->in.gpr;

    do
        base = below(w->state, 16);
    while (base == RSP || (avoid >> base & 1));
    if (below(w->state, 3) == 0) {
        do
            index = below(w->state, 16);
        while (index == RSP || index == base || (avoid >> index & 1));
        gpr[index] = below(w->state, 100);
    }
    gpr[base] = address - (uint64_t)(int64_t)displacement - (index == 4 ? 0 : gpr[index] << scale);
    *rex |= (uint8_t)(base >> 3 | (index == 4 ? 0 : index >> 3) << 1);
    *length = 0;
    operand[(*length)++] = (uint8_t)(0x80 | (reg & 7) << 3 | (index != 4 || (base & 7) == 4 ? 4 : base & 7));
    if (index != 4 || (base & 7) == 4)
        operand[(*length)++] = (uint8_t)(scale << 6 | (index & 7) << 3 | (base & 7));
    memcpy(operand + *length, &displacement, 4);
    *length += 4;
}

static uint64_t flags_of(const char *letters)
{
    uint64_t flags = 0;

    for (; *letters; letters++)
        flags |= *letters == 'O' ? RFLAGS_OF : *letters == 'S' ? RFLAGS_SF : *letters == 'Z' ? RFLAGS_ZF : *letters == 'A' ? RFLAGS_AF
               : *letters == 'P' ? RFLAGS_PF : RFLAGS_CF;
    return flags;
}

/* Shifts and rotates (SDM Vol. 2, SAL/SAR/SHL/SHR and RCL/RCR/ROL/ROR): OF beyond a count of 1, AF of shifts, CF beyond the operand's width. */
static void shift_flags(struct trial *t, const struct row *r, unsigned bits, unsigned immediate)
{
    unsigned mask = bits == 64 ? 63 : 31, count = (r->opcode >= 0xd2 ? (unsigned)t->in.gpr[RCX] : r->opcode >= 0xd0 ? 1 : immediate) & mask;
    unsigned which = (r->form - G0) % 8;

    if (!count)
        return;
    if (count != 1)
        t->undefined_flags |= RFLAGS_OF;
    if (which >= 4)
        t->undefined_flags |= RFLAGS_AF | (count >= bits && which != 7 ? RFLAGS_CF : 0);
}

/* SHLD, SHRD: all is undefined beyond the width. */
static void double_shift_flags(struct trial *t, const struct row *r, unsigned bits, unsigned immediate, unsigned rm, bool in_memory)
{
    unsigned count = (r->opcode & 1 ? (unsigned)t->in.gpr[RCX] : immediate) & (bits == 64 ? 63 : 31);

    if (count == 0)
        t->undefined_flags = 0;
    if (count > 1)
        t->undefined_flags |= RFLAGS_OF;
    if (count > bits) {
        t->undefined_flags = RFLAGS_ARITHMETIC;
        if (in_memory)
            t->in.gpr[RCX] &= 15;
        else
            t->undefined_registers |= 1u << rm;
    }
}

static void registers(struct trial *t, uint64_t *state)
{
    struct registers *in = &t->in;

    for (unsigned i = 0; i < 16; i++)
        in->gpr[i] = interesting(state);
    in->gpr[RSP] = ARENA + STACK_FIRST + 0x100 + 8 * below(state, 8);
    in->flags = RFLAGS_FIXED | (random64(state) & RFLAGS_ARITHMETIC);
    in->mxcsr = 0x1f80 | (uint64_t)below(state, 4) << 13 | (below(state, 4) ? 0 : 0x8000) | (below(state, 4) ? 0 : 0x40);
    for (unsigned i = 0; i < 16; i++)
        for (unsigned half = 0; half < 2; half++)
            in->xmm[i][half] = below(state, 2) ? floats(state) : interesting(state);
    for (unsigned i = 0; i < DATA_SIZE; i += 8) {
        uint64_t value = below(state, 2) ? floats(state) : interesting(state);
        memcpy(t->data + i, &value, 8);
    }
    for (unsigned i = 0; i < STACK_SIZE; i += 8)
        memset(t->stack + i, (int)(i >> 3), 8);
}

static bool is_string(const struct row *r) { return r->map == MAP_ONE && r->opcode >= 0xa4 && r->opcode <= 0xaf && r->opcode != 0xa8 && r->opcode != 0xa9; }

static void string_registers(struct trial *t, uint64_t *state)
{
    t->in.gpr[RSI] = ARENA + DATA_FIRST + 0x180 + below(state, 32);
    t->in.gpr[RDI] = ARENA + DATA_FIRST + 0x180 + below(state, 32);
    t->in.gpr[RCX] = below(state, 12);
    t->in.flags |= below(state, 2) ? RFLAGS_DF : 0;
}

/* Does the byte register need REX to be what its number says?  SPL to DIL. */
static uint8_t byte_rex(unsigned reg) { return reg >= 4 && reg < 8 ? 0x40 : 0; }

void trial_generate(struct trial *t, uint64_t seed, uint64_t index)
{
    uint64_t random = seed * 0x100000000 + index, *state = &random;
    struct writer w = { t, state };
    const struct row *r;
    unsigned bits = 8, reg, rm = 0, immediate_size, operand_length = 0;
    uint64_t immediate;
    uint8_t rex = 0, operand[8];
    bool in_memory, wide = false, vector;

    memset(t, 0, sizeof *t);
    t->row = below(state, ROWS);
    r = &rows[t->row];
    vector = r->sizes == VECTOR;
    registers(t, state);
    if (is_string(r))
        string_registers(t, state);
    t->undefined_flags = flags_of(r->undefined);
    if (r->sizes == WIDE || r->sizes == W64)
        bits = r->sizes == W64 ? 64 : (unsigned[]){ 16, 32, 64 }[below(state, 3)];
    if (vector && r->map != MAP_ONE && below(state, 4) == 0)
        rex |= 8;                               /* REX.W, where it makes a difference and where it does not */
    if (r->map == MAP_0F38 && r->prefix == P_F2)
        bits = r->opcode == 0xf0 ? 8 : rex & 8 ? 64 : 32;
    rex |= bits == 64 ? 8 : 0;
    if ((r->map == MAP_0F && r->opcode == 0xc7 && below(state, 2)))
        rex |= 8, wide = true;
    /* General registers of an instruction that writes RSP, or shifts by CL: never RSP, so that the stack is where it should be. */
    reg = r->form >= G0 ? r->form >= GM0 ? r->form - (unsigned)GM0 : (r->form - (unsigned)G0) % 8 : below(state, 16);
    if (!vector && r->form < G0)
        while (reg == RSP)
            reg = below(state, 16);
    in_memory = r->form == MM || r->form >= GM0 || ((r->form == RM || (r->form >= G0 && r->form < GR0)) && below(state, 5) < 2);
    do
        rm = below(state, 16);
    while (rm == RSP && !vector);
    if (vector && rm == RSP)
        rm = 5;
    if (vector && reg == RSP)
        reg = 6;
    immediate_size = r->immediate == 8 ? bits / 8 : r->immediate == 4 ? (bits == 16 ? 2 : 4) : r->immediate;
    immediate = interesting(state);
    if (r->map == MAP_0F && r->opcode == 0xc2)
        immediate &= 7;                         /* CMPPS: bits 7:3 are reserved (SDM Vol. 2, CMPPS) */
    if (r->map == MAP_0F && (r->opcode == 0xa4 || r->opcode == 0xac) && bits == 16 && in_memory)
        immediate &= 15;                        /* beyond 16 the result is undefined (SDM Vol. 2, SHLD) */
    if (r->form != PLAIN) {
        rex |= (uint8_t)(reg >> 3 << 2);
        if (in_memory) {
            /* What the instruction reads beside: DX:AX of divisions, CL, the accumulator. */
            uint32_t avoid = 1u << RSP | 1u << RAX | 1u << RDX | 1u << RCX | (r->form < G0 && !vector ? 1u << reg : 0) | (wide || r->opcode == 0xc7 ? 1u << RBX : 0);
            uint64_t address = data_address(&w, vector || wide);
            memory(&w, reg, address, avoid, &rex, operand, &operand_length);
        } else {
            rex |= (uint8_t)(rm >> 3);
            operand[operand_length++] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
        }
        if (bits == 8 && !vector)
            rex |= byte_rex(rm) | (r->form < G0 ? byte_rex(reg) : 0);
        if (bits == 8 && r->map == MAP_0F38)
            rex |= byte_rex(rm);
        if (r->map == MAP_0F && (r->opcode == 0xb6 || r->opcode == 0xbe))
            rex |= byte_rex(rm);
    }
    if (is_string(r) && bits == 64)
        rex |= 8;
    if (bits == 16 || r->prefix == P_66)
        byte(&w, 0x66);
    if (r->prefix == P_F3 || r->prefix == P_F2)
        byte(&w, r->prefix == P_F3 ? 0xf3 : 0xf2);
    if (rex)
        byte(&w, 0x40 | rex);
    if (r->map != MAP_ONE)
        byte(&w, 0x0f);
    if (r->map >= MAP_0F38)
        byte(&w, r->map == MAP_0F38 ? 0x38 : 0x3a);
    byte(&w, r->opcode);
    for (unsigned i = 0; i < operand_length; i++)
        byte(&w, operand[i]);
    number(&w, immediate, immediate_size);
    if (r->map == MAP_ONE && ((r->opcode & 0xfe) == 0xc0 || (r->opcode >= 0xd0 && r->opcode <= 0xd3)))
        shift_flags(t, r, bits, (uint8_t)immediate);
    if (r->map == MAP_0F && (r->opcode == 0xa4 || r->opcode == 0xa5 || r->opcode == 0xac || r->opcode == 0xad))
        double_shift_flags(t, r, bits, (uint8_t)immediate, rm, in_memory);
    if (r->map == MAP_0F && (r->opcode == 0xbc || r->opcode == 0xbd) && r->prefix == P_0)
        t->undefined_registers |= 1u << 31 | 1u << reg;                       /* if the source is 0: main.c */
}
