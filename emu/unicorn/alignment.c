/* SPDX-License-Identifier: MIT */
/*
 * SSE operands that must be aligned to 16 bytes: #GP(0) otherwise (SDM Vol. 2, exception classes 1, 2 and 4). The library
 * does not check. Such an instruction begins a block, which calls a function first that looks at the operand.
 */
#include "emu/unicorn/engine.h"

#include "emu/decode/decode.h"
#include "model/cpu/walk.h"

void alignment_note(struct engine *e, struct block *b, uint64_t next)
{
    uint32_t hflags = ENV32(e->env, HFLAGS);
    unsigned bits = hflags & HF_CS64 ? 64 : hflags & HF_CS32 ? 32 : 16;
    uint8_t code[INSTRUCTION_MAX];
    struct insn insn;
    size_t length = 0;
    while (b->pc + length < next && length < sizeof code) {
        code[length] = (uint8_t)__real_cpu_ldub_code_x86_64(e->env, b->pc + length);    /* was fetched just now */
        length++;
    }
    if (!decode_memory_operand(bits, next - SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE), code, length, &insn))
        return;
    b->aligned = (struct aligned_operand){
        .displacement = insn.displacement, .base = insn.base, .index = insn.index, .scale = insn.scale,
        .segment = insn.segment, .address_size = insn.address_size, .mode64 = bits == 64,
    };
}

static uint64_t linear_address(library_env *env, const struct aligned_operand *operand)
{
    uint64_t address = (uint64_t)operand->displacement;
    if (operand->base != NO_REGISTER)
        address += ENV64(env, REGS + 8 * operand->base);
    if (operand->index != NO_REGISTER)
        address += ENV64(env, REGS + 8 * operand->index) << operand->scale;
    if (operand->address_size < 8)
        address &= operand->address_size == 4 ? 0xffffffff : 0xffff;
    if (!operand->mode64)
        return (uint32_t)(address + SEGMENT(uint64_t, env, operand->segment, SEGMENT_BASE));
    if (operand->segment >= SEG_FS)
        address += SEGMENT(uint64_t, env, operand->segment, SEGMENT_BASE);
    return address;
}

static void on_operand(struct block *b)
{
    struct engine *e = engine_here();
    library_env *env = e->env;
    if (!b->aligned.address_size)
        return;
    /* #UD and #NM come before it, and so does an address that is not canonical: the library raises those. */
    if ((ENV64(env, CR) & (CR0_EM | CR0_TS)) || !(ENV32(env, HFLAGS) & HF_OSFXSR))
        return;
    uint64_t linear = linear_address(env, &b->aligned);
    if (!(linear & 15) || !linear_canonical(e->cpu, linear))
        return;
    ENV64(env, EIP) = b->pc - SEGMENT(uint64_t, env, SEG_CS, SEGMENT_BASE);
    leave_event(e, VECTOR_GP, true, 0, WITHIN_BLOCK, 0);
}

bool alignment_open(struct engine *e) { return called_open(e, &e->operand_aligned, on_operand); }
