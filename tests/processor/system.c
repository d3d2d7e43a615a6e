/* SPDX-License-Identifier: MIT */
/* Instructions on the processor's own state: flags, control and debug registers, MSRs, ports. */
#include "tests/processor/program.h"

static uint32_t flag_image(struct program *p)
{
    return (uint32_t)((random64(p) & 0x3f7fd7 & ~(uint64_t)(RFLAGS_TF | RFLAGS_NT | RFLAGS_VM)) | RFLAGS_FIXED |
                      (chance(p, 10) ? RFLAGS_NT : 0) | (chance(p, 6) ? RFLAGS_TF : 0));
}

static void flag_instruction(struct program *p)
{
    unsigned size = p->bits == 64 ? (chance(p, 80) ? 8 : 2) : chance(p, 70) ? p->bits / 8 : 6 - p->bits / 8;

    switch (below(p, 7)) {
    case 0:
        byte(p, 0xfa);              /* CLI */
        break;
    case 1:
        byte(p, 0xfb);              /* STI */
        break;
    case 2:
    case 3:
        push(p, flag_image(p), size);
        size_prefix(p, size == 8 ? 4 : size);
        byte(p, 0x9d);              /* POPF */
        break;
    case 4:
        size_prefix(p, size == 8 ? 4 : size);
        byte(p, 0x9c);              /* PUSHF */
        break;
    case 5:
        byte(p, 0x0f);              /* CLTS */
        byte(p, 0x06);
        break;
    default:
        byte(p, 0x0f);              /* CLAC, STAC */
        byte(p, 0x01);
        byte(p, chance(p, 50) ? 0xca : 0xcb);
    }
}

/* ---- control and debug registers ---- */

/* MOV of a register whose bits are turned over: read, XOR, write. In 64-bit mode the XOR is of one bit of all 64. */
static void turn_bit(struct program *p, unsigned opcode_read, unsigned reg, unsigned bit)
{
    byte(p, 0x0f);
    byte(p, opcode_read);
    byte(p, 0xc0 | reg << 3 | RAX);
    if (p->bits == 64) {
        number(p, 0xba0f48, 3);             /* BTC RAX, bit */
    } else {
        if (p->bits == 16)
            byte(p, 0x66);
        number(p, 0xba0f, 2);
        bit &= 31;
    }
    byte(p, 0xf8);
    byte(p, bit);
    byte(p, 0x0f);
    byte(p, opcode_read + 2);
    byte(p, 0xc0 | reg << 3 | RAX);
}

/*
 * Bits that no program can turn and still be found again: PE and PG outside 64-bit mode, which leaves paging; PAE outside IA-32e
 * mode; and those of features that only one of the two machines offers: LA57, SMXE, PKE, CET, PKS, UINTR.
 */
static void control_write(struct program *p)
{
    unsigned reg = (unsigned[]){ 0, 0, 3, 4, 4, 4, 2, 8 }[below(p, 8)], bit = below(p, p->bits == 64 ? 64 : 32);
    int skipped = 0;

    if (reg == 0)
        skipped = p->bits != 64 && (bit == 0 || bit == 31);
    if (reg == 3 && p->mode == MODE_PAE)        /* bits 11:5 are of the address */
        bit = bit < 5 || bit >= 52 ? bit : bit % 5;
    else if (reg == 3)
        bit = bit < 12 || bit == 63 ? bit : bit < 52 ? bit % 12 : bit;
    if (reg == 4)
        skipped = (p->mode != MODE_LONG && bit == 5) || bit == 12 || bit == 14 || (bit >= 22 && bit <= 25) || (p->bits != 64 && bit == 5);
    if (reg == 8 && p->bits != 64)
        reg = 2;
    turn_bit(p, 0x20, reg, skipped ? 3 : bit);
    if (chance(p, 30))
        turn_bit(p, 0x20, reg == 8 ? 2 : reg, skipped ? 2 : reg == 0 ? 29 + (bit & 1) : bit % 10 == 5 ? 6 : bit % 10);
}

static void control_read(struct program *p)
{
    byte(p, 0x0f);
    byte(p, 0x20);
    byte(p, 0xc0 | (unsigned[]){ 0, 2, 3, 4, 1, 5, 7 }[below(p, 7)] << 3 | below(p, 4));
}

static void debug_write(struct program *p)
{
    unsigned bit = below(p, 64);

    turn_bit(p, 0x21, below(p, 3) ? 6 + below(p, 2) : below(p, 8), bit);
}

/* ---- MSRs ---- */

static uint32_t msr(struct program *p)
{
    static const uint32_t known[] = { 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102,
                                      0xc0000103, 0x174, 0x175, 0x176, 0x277 };

    return chance(p, 96) ? known[below(p, sizeof known / sizeof *known)] : 0x40000000 | below(p, 256);
}

static void msr_read(struct program *p)
{
    move_immediate(p, RCX, msr(p));
    number(p, 0x320f, 2);
}

/* One bit turned over, or random numbers. EFER.LME and LMA only inside IA-32e mode, where that is #GP(0) or nothing. */
static void msr_write(struct program *p)
{
    uint32_t index = msr(p);
    unsigned bit = below(p, 64);

    if (index == 0xc0000080 && p->mode != MODE_LONG && (bit == 8 || bit == 10))
        bit = 0;
    move_immediate(p, RCX, index);
    if (index == 0xc0000080 || chance(p, 60)) {
        number(p, 0x320f, 2);
        if (p->bits == 16)
            byte(p, 0x66);
        number(p, 0xba0f, 2);
        byte(p, 0xf8 | (bit & 32 ? RDX : RAX));
        byte(p, bit & 31);
    } else {
        move_immediate(p, RAX, (uint32_t)random64(p));
        move_immediate(p, RDX, chance(p, 40) ? 0 : chance(p, 50) ? 0xffff8000 : (uint32_t)random64(p) >> below(p, 32));
    }
    number(p, 0x300f, 2);
}

/* RDFSBASE and its like. The register is the one whose high half is most often 0. */
static void segment_base(struct program *p)
{
    byte(p, 0xf3);
    if (chance(p, 60))
        byte(p, p->bits == 64 ? 0x48 : 0x66);
    number(p, 0xae0f, 2);
    byte(p, 0xc0 | below(p, 4) << 3 | below(p, 4));
}

/* ---- the rest ---- */

/* What needs privilege; where the program has it, only what is harmless. */
static void privileged(struct program *p)
{
    static const uint32_t harmless[] = { 0x090f /* WBINVD */, 0x060f, 0xf8010f /* SWAPGS */ };
    static const uint32_t others[] = { 0xf4 /* HLT */, 0x080f /* INVD */, 0x300f, 0x320f, 0x350f, 0x070f, 0xc0220f, 0xc0230f };
    uint32_t code = p->level && !chance(p, 30) ? others[below(p, 8)] : harmless[below(p, 3)];

    do
        byte(p, code & 0xff);
    while (code >>= 8);
}

static void machine_status(struct program *p)
{
    unsigned store = chance(p, 50);

    if (!store)
        move_immediate(p, RAX, (uint32_t)(below(p, 8) << 1) | 1);
    else if (chance(p, 30))
        byte(p, 0x66);
    number(p, 0x010f, 2);
    byte(p, store ? 0xe0 : 0xf0);
}

/* SGDT, SIDT, SLDT, STR, SMSW to memory; INVLPG. */
static void table_store(struct program *p)
{
    unsigned which = below(p, 6);

    prefix_address(p);
    if (which < 2 && chance(p, 30))
        byte(p, 0x66);
    byte(p, 0x0f);
    byte(p, which >= 2 && which < 4 ? 0 : 1);
    memory(p, (unsigned[]){ 0, 1, 0, 1, 4, 7 }[which], 8 * below(p, 256));
}

/* Ports that hold nothing. */
static void port(struct program *p)
{
    unsigned size = below(p, 3);

    byte(p, 0xb0);                          /* MOV AL, imm8 */
    byte(p, below(p, 256));
    if (size == 2)
        byte(p, 0x66);
    byte(p, size ? 0xe7 : 0xe6);
    byte(p, 0x80);
}

static void time_stamp(struct program *p)
{
    p->start->frame[2] &= ~RFLAGS_TF;           /* nothing may come between that would tell the time */
    p->start->dr7 = 0;
    number(p, 0x310f, 2);
    number(p, 0xc031, 2);
    number(p, 0xd231, 2);
    move_immediate(p, RAX, 1);
    move_immediate(p, RDX, 2);
}

/* What cannot be decoded, or is too long. */
static void undecodable(struct program *p)
{
    static const uint32_t codes[] = { 0x0b0f, 0xc0c70f, 0x04c70ff0, 0x90f0, 0xc089f0, 0xc4c4, 0xfeff, 0xffff, 0xd6200f, 0xc88e };
    unsigned which = below(p, 12);

    if (which < 10) {
        uint32_t code = codes[which];
        do
            byte(p, code & 0xff);
        while (code >>= 8);
        return;
    }
    for (unsigned i = 13 + below(p, 3); i; i--)
        byte(p, 0x3e);
    byte(p, 0x90);
}

const struct kind system_kinds[] = {
    { "flag_instruction", flag_instruction, 8, ANYWHERE }, { "control_write", control_write, 12, ANYWHERE },
    { "control_read", control_read, 3, ANYWHERE }, { "debug_write", debug_write, 6, ANYWHERE }, { "msr_read", msr_read, 3, ANYWHERE },
    { "msr_write", msr_write, 8, ANYWHERE }, { "segment_base", segment_base, 4, ANYWHERE }, { "privileged", privileged, 4, ANYWHERE },
    { "machine_status", machine_status, 3, ANYWHERE }, { "table_store", table_store, 4, ANYWHERE }, { "port", port, 3, ANYWHERE },
    { "time_stamp", time_stamp, 2, ANYWHERE }, { "undecodable", undecodable, 3, ANYWHERE }, { NULL, NULL, 0, 0 },
};
