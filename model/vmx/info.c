/* SPDX-License-Identifier: MIT */
/*
 * What an exit tells about the instruction: linear address of its memory operand and the VM-exit
 * instruction-information field, SDM Vol. 3, 28.2.5 "Information for VM Exits Due to Instruction Execution".
 *
 *    31 28  27  26 23  22  21 18  17 15  14 11  10   9 7   6 3   1 0
 *   +-----+----+------+---+------+------+-----+----+-----+-----+-----+
 *   | reg2|nob.| base |noi| index| seg  |size |mem0| addr| reg1|scale|     the form that most instructions share
 *   +-----+----+------+---+------+------+-----+----+-----+-----+-----+
 */
#include "model/vmx/internal.h"

enum {
    INFO_REG1 = 3, INFO_ADDRESS_SIZE = 7, INFO_SEGMENT = 15, INFO_INDEX = 18, INFO_BASE = 23, INFO_REG2 = 28,
    INFO_IDENTITY = 28,
};
#define INFO_REGISTER_OPERAND (1u << 10)
#define INFO_OPERAND_32 (1u << 11)
#define INFO_NO_INDEX (1u << 22)
#define INFO_NO_BASE (1u << 27)

static uint64_t address_mask(const struct insn *insn)
{
    return insn->address_size == 8 ? ~0ull : insn->address_size == 4 ? 0xffffffff : 0xffff;
}

static uint64_t effective_address(const struct cpu *cpu, const struct insn *insn)
{
    uint64_t address = (uint64_t)insn->displacement;

    if (insn->base < GPR_COUNT)
        address += cpu->gpr[insn->base];
    if (insn->index < GPR_COUNT)
        address += cpu->gpr[insn->index] << (insn->scale & 3);
    return address & address_mask(insn);
}

static uint64_t segmented(const struct cpu *cpu, unsigned segment, uint64_t offset)
{
    bool flat = cpu_64bit(cpu) && segment != SEG_FS && segment != SEG_GS;
    uint64_t linear = offset + (flat || segment >= SEG_COUNT ? 0 : cpu->seg[segment].base);

    return cpu_64bit(cpu) ? linear : linear & 0xffffffff;
}

uint64_t insn_linear(const struct cpu *cpu, const struct insn *insn)
{
    switch (insn->id) {
    case INSN_ins:
        return segmented(cpu, SEG_ES, cpu->gpr[RDI] & address_mask(insn));
    case INSN_outs:
        return segmented(cpu, insn->segment, cpu->gpr[RSI] & address_mask(insn));
    default:
        return segmented(cpu, insn->segment, effective_address(cpu, insn));
    }
}

static uint32_t address_size(const struct insn *insn)
{
    return (insn->address_size == 8 ? 2u : insn->address_size == 4 ? 1u : 0u) << INFO_ADDRESS_SIZE;
}

static uint32_t memory_operand(const struct insn *insn)
{
    uint32_t info = address_size(insn) | (insn->segment & 7u) << INFO_SEGMENT;

    if (insn->index < GPR_COUNT)
        info |= (insn->scale & 3u) | (uint32_t)insn->index << INFO_INDEX;
    else
        info |= INFO_NO_INDEX;
    return info | (insn->base < GPR_COUNT ? (uint32_t)insn->base << INFO_BASE : INFO_NO_BASE);
}

static uint32_t operand(const struct insn *insn)
{
    if (insn->kind == OPERAND_REGISTER)
        return INFO_REGISTER_OPERAND | (insn->rm & 15u) << INFO_REG1;
    return memory_operand(insn);
}

uint32_t instruction_information(const struct insn *insn)
{
    uint32_t size = insn->operand_size == 2 ? 0 : INFO_OPERAND_32;

    switch (insn->id) {
    case INSN_ins:                      /* Table 28-8; the segment is undefined for INS */
        return address_size(insn);
    case INSN_outs:
        return address_size(insn) | (insn->segment & 7u) << INFO_SEGMENT;
    case INSN_invept:                   /* Table 28-9 */
    case INSN_invpcid:
    case INSN_invvpid:
        return memory_operand(insn) | (insn->reg & 15u) << INFO_REG2;
    case INSN_sgdt:                     /* Table 28-10 */
        return memory_operand(insn) | size;
    case INSN_sidt:
        return memory_operand(insn) | size | 1u << INFO_IDENTITY;
    case INSN_lgdt:
        return memory_operand(insn) | size | 2u << INFO_IDENTITY;
    case INSN_lidt:
        return memory_operand(insn) | size | 3u << INFO_IDENTITY;
    case INSN_sldt:                     /* Table 28-11 */
        return operand(insn);
    case INSN_str:
        return operand(insn) | 1u << INFO_IDENTITY;
    case INSN_lldt:
        return operand(insn) | 2u << INFO_IDENTITY;
    case INSN_ltr:
        return operand(insn) | 3u << INFO_IDENTITY;
    case INSN_rdrand:                   /* Table 28-12 */
    case INSN_rdseed:
        return (insn->rm & 15u) << INFO_REG1 |
               (insn->operand_size == 8 ? 2u : insn->operand_size == 4 ? 1u : 0u) << 11;
    case INSN_vmclear:                  /* Table 28-13 */
    case INSN_vmptrld:
    case INSN_vmptrst:
    case INSN_vmxon:
        return memory_operand(insn);
    case INSN_vmread:                   /* Table 28-14 */
    case INSN_vmwrite:
        return operand(insn) | (insn->reg & 15u) << INFO_REG2;
    default:
        return 0;
    }
}
