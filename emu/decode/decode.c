/* SPDX-License-Identifier: MIT */
/*
 * Decodes sensitive instructions: prefixes, opcode, ModRM, SIB, displacement, immediate (SDM Vol. 2, ch. 2). It is done
 * by hand because it runs at every stop of the CPU engine and has to be exact about what is legal.
 */
#include "emu/decode/decode.h"

#include <string.h>

#include "emu/decode/opcode.h"
#include "model/cpu/translate.h"
#include "model/model.h"

struct cursor {
    const uint8_t *bytes;
    size_t at, length;
    bool overrun;
};

static uint64_t take(struct cursor *c, unsigned size)
{
    uint64_t value = 0;
    if (size > c->length - c->at) {
        c->overrun = true;
        return 0;
    }
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)c->bytes[c->at++] << 8 * i;
    return value;
}

static int64_t take_signed(struct cursor *c, unsigned size)
{
    uint64_t value = take(c, size);
    return size == 1 ? (int8_t)value : size == 2 ? (int16_t)value : (int32_t)value;
}

unsigned code_bits(const struct cpu *cpu)
{
    return cpu_64bit(cpu) ? 64 : cpu->seg[SEG_CS].access_rights & AR_DB ? 32 : 16;
}

/* 16-bit addressing: SDM Vol. 2, Table 2-1. */
static void memory16(struct insn *insn, struct cursor *c, uint8_t modrm)
{
    static const uint8_t base[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
    static const uint8_t index[8] = { RSI, RDI, RSI, RDI, NO_REGISTER, NO_REGISTER, NO_REGISTER, NO_REGISTER };
    unsigned mod = modrm >> 6, rm = modrm & 7;
    insn->base = base[rm];
    insn->index = index[rm];
    if (mod == 0 && rm == 6) {
        insn->base = NO_REGISTER;
        insn->displacement = take_signed(c, 2);
    } else if (mod != 0) {
        insn->displacement = take_signed(c, mod);
    }
}

/* 32- and 64-bit addressing: SDM Vol. 2, Tables 2-2, 2-3 and 2.2.1.6. True if it is RIP-relative. */
static bool memory32(struct insn *insn, struct cursor *c, uint8_t modrm, uint8_t rex, bool mode64)
{
    unsigned mod = modrm >> 6, rm = modrm & 7, base = rm;
    insn->base = (uint8_t)(rm | (rex & 1u) << 3);
    if (rm == 4) {
        uint8_t sib = (uint8_t)take(c, 1);
        unsigned index = (sib >> 3 & 7u) | (rex & 2u) << 2;
        base = sib & 7;
        insn->base = (uint8_t)(base | (rex & 1u) << 3);
        insn->scale = sib >> 6;
        insn->index = index == 4 ? NO_REGISTER : (uint8_t)index;
    }
    if (mod == 0 && base == 5) {
        insn->base = NO_REGISTER;
        insn->displacement = take_signed(c, 4);
        return rm == 5 && mode64;
    }
    if (mod == 1 || mod == 2)
        insn->displacement = take_signed(c, mod == 1 ? 1 : 4);
    return false;
}

/* The ModRM operand. True if its displacement still lacks the address of the next instruction. */
static bool operands(struct insn *insn, struct cursor *c, const struct prefixes *p, uint8_t modrm, bool mode64)
{
    bool relative = false;
    insn->reg = (uint8_t)((modrm >> 3 & 7u) | (p->rex & 4u) << 1);
    if (modrm >> 6 == 3) {
        insn->kind = OPERAND_REGISTER;
        insn->rm = (uint8_t)((modrm & 7u) | (p->rex & 1u) << 3);
        return false;
    }
    insn->kind = OPERAND_MEMORY;
    if (insn->address_size == 2)
        memory16(insn, c, modrm);
    else
        relative = memory32(insn, c, modrm, p->rex, mode64);
    insn->segment = p->segment != NO_REGISTER ? p->segment :
                    insn->base == RSP || insn->base == RBP ? SEG_SS : SEG_DS;
    return relative;
}

/* Moves to and from control and debug registers: SDM Vol. 2, MOV. The operand is a register whatever ModRM.mod says. Which of them there are
 * the model knows. */
static void move_operands(struct insn *insn, const struct prefixes *p, uint8_t modrm)
{
    insn->kind = OPERAND_REGISTER;
    insn->reg = (uint8_t)((modrm >> 3 & 7u) | (p->rex & 4u) << 1);
    insn->rm = (uint8_t)((modrm & 7u) | (p->rex & 1u) << 3);
}

static uint8_t data_size(const struct insn *insn, uint8_t opcode, unsigned effective, bool mode64)
{
    switch (insn->id) {
    case INSN_in:
    case INSN_out:
    case INSN_ins:
    case INSN_outs:
        return opcode & 1 ? effective == 2 ? 2 : 4 : 1;
    case INSN_mov_to_cr:
    case INSN_mov_from_cr:
    case INSN_mov_to_dr:
    case INSN_mov_from_dr:
    case INSN_vmread:
    case INSN_vmwrite:
    case INSN_invept:
    case INSN_invvpid:
    case INSN_invpcid:
        return mode64 ? 8 : 4;
    case INSN_sgdt:
    case INSN_sidt:
    case INSN_lgdt:
    case INSN_lidt:
        return mode64 ? 8 : (uint8_t)effective;
    case INSN_lldt:
    case INSN_ltr:
    case INSN_lmsw:
    case INSN_mov_to_segment:
    case INSN_verr:
    case INSN_verw:
        return 2;
    case INSN_pop_segment:
    case INSN_enter:
        return mode64 && effective == 4 ? 8 : (uint8_t)effective;
    case INSN_sldt:
    case INSN_str:
    case INSN_smsw:
        return insn->kind == OPERAND_MEMORY ? 2 : (uint8_t)effective;
    default:
        return (uint8_t)effective;
    }
}

static bool reads_modrm(enum insn_id id)
{
    return id != INSN_mov_to_cr && id != INSN_mov_from_cr && id != INSN_mov_to_dr && id != INSN_mov_from_dr;
}

/* The segment register that an instruction loads; CS, and what is none, are no legal operands of MOV (SDM Vol. 2, MOV). */
static bool find_target(struct insn *insn, enum opcode_map map, uint8_t opcode, uint8_t modrm)
{
    switch (insn->id) {
    case INSN_mov_to_segment:
        insn->target = modrm >> 3 & 7;
        return insn->target <= SEG_GS && insn->target != SEG_CS;
    case INSN_pop_segment:
        insn->target = map == MAP_0F ? opcode == 0xa1 ? SEG_FS : SEG_GS : opcode >> 3;
        return true;
    case INSN_load_far_pointer:
        insn->target = map == MAP_0F ? opcode == 0xb2 ? SEG_SS : opcode & 7 : opcode == 0xc4 ? SEG_ES : SEG_DS;
        return true;
    default:
        return true;
    }
}

/* Instructions that 64-bit mode does not have (SDM Vol. 2, 2.2.1 and the pages of PUSH, POP, CALL, JMP, LDS). */
static bool absent_in_64bit(enum opcode_map map, uint8_t opcode)
{
    return map == MAP_ONE_BYTE && (opcode < 0x20 || opcode == 0x9a || opcode == 0xea || opcode == 0xc4 || opcode == 0xc5);
}

/* Prefixes and opcode. */
static enum opcode_map take_opcode(struct cursor *c, struct prefixes *p, bool mode64, uint8_t *opcode)
{
    while (c->at < c->length && prefix_add(p, c->bytes[c->at], mode64))
        c->at++;
    *opcode = (uint8_t)take(c, 1);
    if (*opcode != 0x0f)
        return MAP_ONE_BYTE;
    *opcode = (uint8_t)take(c, 1);
    if (*opcode == 0x3a) {
        *opcode = (uint8_t)take(c, 1);
        return MAP_0F3A;
    }
    if (*opcode != 0x38)
        return MAP_0F;
    *opcode = (uint8_t)take(c, 1);
    return MAP_0F38;
}

static uint8_t address_size(unsigned bits, const struct prefixes *p)
{
    if (bits == 64)
        return p->address_size ? 4 : 8;
    return (bits == 32) != p->address_size ? 4 : 2;
}

bool decode_at(unsigned bits, uint64_t rip, const uint8_t *bytes, size_t length, struct insn *insn)
{
    struct cursor c = { bytes, 0, length < INSTRUCTION_MAX ? length : INSTRUCTION_MAX, false };
    struct prefixes p = { .segment = NO_REGISTER };
    bool mode64 = bits == 64, relative = false;
    uint8_t opcode, modrm = 0;

    enum opcode_map map = take_opcode(&c, &p, mode64, &opcode);
    enum opcode_interest interest = opcode_interest(map, opcode);
    if (c.overrun || interest == OPCODE_ORDINARY)
        return false;
    if (interest == OPCODE_ASK_MODRM)
        modrm = (uint8_t)take(&c, 1);

    *insn = (struct insn){ .id = opcode_find(map, opcode, &p, modrm), .base = NO_REGISTER, .index = NO_REGISTER, .lock = p.lock };
    if (insn->id == INSN_none || (mode64 && absent_in_64bit(map, opcode)))
        return false;
    unsigned effective = mode64 ? p.rex & 8 ? 8 : p.operand_size ? 2 : 4 : (bits == 32) != p.operand_size ? 4 : 2;
    insn->address_size = address_size(bits, &p);
    if (interest == OPCODE_ASK_MODRM) {
        if (reads_modrm(insn->id))
            relative = operands(insn, &c, &p, modrm, mode64);
        else
            move_operands(insn, &p, modrm);
    }
    if (!find_target(insn, map, opcode, modrm))
        return false;
    insn->operand_size = data_size(insn, opcode, effective, mode64);
    switch (insn->id) {
    case INSN_in:
    case INSN_out:
        insn->port_immediate = opcode < 0xe8;
        insn->port = insn->port_immediate ? (uint16_t)take(&c, 1) : 0;
        break;
    case INSN_ins:
    case INSN_outs:
        insn->rep = p.rep || p.repne;
        insn->segment = insn->id == INSN_ins ? SEG_ES : p.segment != NO_REGISTER ? p.segment : SEG_DS;
        break;
    case INSN_call_far:
    case INSN_jmp_far:
        if (insn->kind == OPERAND_NONE) {
            insn->displacement = (int64_t)take(&c, insn->operand_size);
            insn->selector = (uint16_t)take(&c, 2);
        }
        break;
    case INSN_monitor:                  /* the address is in (R/E)AX: SDM Vol. 2, MONITOR */
        insn->kind = OPERAND_MEMORY;
        insn->base = RAX;
        insn->segment = p.segment != NO_REGISTER ? p.segment : SEG_DS;
        break;
    case INSN_enter:
        insn->displacement = (int64_t)take(&c, 2);
        insn->selector = (uint16_t)take(&c, 1);
        break;
    case INSN_ret_far:
        insn->displacement = opcode == 0xca ? (int64_t)take(&c, 2) : 0;
        break;
    default:
        break;
    }
    if (c.overrun)
        return false;
    insn->length = (uint8_t)c.at;
    if (relative)
        insn->displacement += (int64_t)(rip + insn->length);
    return true;
}

void decode_port(const struct cpu *cpu, struct insn *insn)
{
    switch (insn->id) {
    case INSN_in:
    case INSN_out:
    case INSN_ins:
    case INSN_outs:
        if (!insn->port_immediate)
            insn->port = (uint16_t)cpu->gpr[RDX];
        break;
    default:
        break;
    }
}

bool decode(const struct cpu *cpu, const uint8_t *bytes, size_t length, struct insn *insn)
{
    if (!decode_at(code_bits(cpu), cpu->rip, bytes, length, insn))
        return false;
    decode_port(cpu, insn);
    return true;
}

/* ---- how ordinary instructions use memory (opcode maps: SDM Vol. 2, appendix A) -------------------------------------- */

static bool has_modrm(enum opcode_map map, uint8_t opcode)
{
    switch (map) {
    case MAP_ONE_BYTE:
        return opcode < 0x40 ? (opcode & 7) < 4 : opcode < 0x80 ? opcode == 0x62 || opcode == 0x63 || (opcode & 0xfd) == 0x69 :
               opcode < 0x90 || (opcode >= 0xc0 && opcode <= 0xc7 && opcode != 0xc2 && opcode != 0xc3) ||
               (opcode >= 0xd0 && opcode <= 0xdf && (opcode & 0xfc) != 0xd4) || (opcode & 0xf6) == 0xf6;
    case MAP_0F:
        return !((opcode >= 0x05 && opcode <= 0x0b) || (opcode >= 0x30 && opcode <= 0x37) || opcode == 0x77 ||
                 (opcode & 0xf0) == 0x80 || (opcode & 0xf7) == 0xa0 || (opcode & 0xf7) == 0xa1 || (opcode & 0xf8) == 0xc8);
    default:
        return true;
    }
}

/* Instructions whose only memory operand is the stack. */
static bool uses_stack(enum opcode_map map, uint8_t opcode)
{
    if (map == MAP_0F)
        return (opcode & 0xf6) == 0xa0;                                 /* PUSH and POP of FS, GS */
    if (map != MAP_ONE_BYTE)
        return false;
    switch (opcode) {
    case 0x06: case 0x07: case 0x0e: case 0x16: case 0x17: case 0x1e: case 0x1f: case 0x60: case 0x61: case 0x68: case 0x6a:
    case 0x9a: case 0x9c: case 0x9d: case 0xc2: case 0xc3: case 0xc8: case 0xc9: case 0xca: case 0xcb: case 0xcf: case 0xe8:
        return true;
    default:
        return opcode >= 0x50 && opcode <= 0x5f;
    }
}

struct memory_use decode_memory_use(const struct cpu *cpu, const uint8_t *bytes, size_t length)
{
    struct cursor c = { bytes, 0, length < INSTRUCTION_MAX ? length : INSTRUCTION_MAX, false };
    struct prefixes p = { .segment = NO_REGISTER };
    struct insn insn = { .base = NO_REGISTER, .index = NO_REGISTER };
    struct memory_use use = { false, false };
    bool mode64 = code_bits(cpu) == 64;
    uint8_t opcode, modrm = 0;
    enum opcode_map map = take_opcode(&c, &p, mode64, &opcode);
    if (c.overrun)
        return use;
    if (!has_modrm(map, opcode)) {
        use.stack = uses_stack(map, opcode);
        return use;
    }
    insn.address_size = address_size(code_bits(cpu), &p);
    modrm = (uint8_t)take(&c, 1);
    operands(&insn, &c, &p, modrm, mode64);
    if (insn.kind == OPERAND_MEMORY) {
        use.read_modify_write = opcode_reads_and_writes(map, opcode, modrm) || (map == MAP_ONE_BYTE && opcode == 0x63 && !mode64);  /* ARPL */
        use.stack = insn.segment == SEG_SS;
    } else {
        use.stack = map == MAP_ONE_BYTE && (opcode == 0xff || opcode == 0x8f);      /* CALL, PUSH, POP of a register */
    }
    return use;
}

bool decode_memory_operand(unsigned bits, uint64_t next, const uint8_t *bytes, size_t length, struct insn *insn)
{
    struct cursor c = { bytes, 0, length < INSTRUCTION_MAX ? length : INSTRUCTION_MAX, false };
    struct prefixes p = { .segment = NO_REGISTER };
    uint8_t opcode;
    *insn = (struct insn){ .base = NO_REGISTER, .index = NO_REGISTER };
    take_opcode(&c, &p, bits == 64, &opcode);
    insn->address_size = address_size(bits, &p);
    bool relative = operands(insn, &c, &p, (uint8_t)take(&c, 1), bits == 64);
    if (relative)
        insn->displacement += (int64_t)next;
    return !c.overrun && insn->kind == OPERAND_MEMORY;
}

/* ---- fetching ------------------------------------------------------------------------------------------------------- */

size_t fetch_code(struct cpu *cpu, uint8_t bytes[15])
{
    bool user = cpu_protected(cpu) && (cpu_virtual_8086(cpu) || AR_DPL(cpu->seg[SEG_SS].access_rights) == 3);
    struct access access = { ACCESS_FETCH, user, false, true };
    size_t length = 0;
    while (length < INSTRUCTION_MAX) {
        uint64_t linear = cpu_code_base(cpu) + cpu->rip + length;
        if (!cpu_64bit(cpu))
            linear = (uint32_t)linear;
        struct translation t = translate(cpu, linear, access);
        size_t rest = PAGE_SIZE - (linear & ~PAGE_MASK), n = INSTRUCTION_MAX - length;
        n = n < rest ? n : rest;
        if (t.result != TRANSLATION_OK || !memory_read(&cpu->model->memory, t.pa, bytes + length, n))
            break;
        length += n;
    }
    return length;
}
