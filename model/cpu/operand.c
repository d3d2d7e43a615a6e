/* SPDX-License-Identifier: MIT */
/* Operands: effective addresses, segmentation and its checks (SDM Vol. 1, 3.3, 3.7; Vol. 3, 5.3, 5.5), registers. */
#include "model/cpu/access.h"
#include "model/cpu/raise.h"
#include "model/cpu/walk.h"
#include "model/model.h"

#define TYPE_CODE 8u
#define TYPE_EXPAND_DOWN 4u     /* data segments */
#define TYPE_WRITABLE 2u        /* data segments; for code: readable */

static uint64_t effective_address(const struct cpu *cpu, const struct insn *insn)
{
    uint64_t address = (uint64_t)insn->displacement;

    if (insn->base < GPR_COUNT)
        address += cpu->gpr[insn->base];
    if (insn->index < GPR_COUNT)
        address += cpu->gpr[insn->index] << (insn->scale & 3);
    return insn->address_size == 8 ? address : insn->address_size == 4 ? (uint32_t)address : (uint16_t)address;
}

uint64_t operand_address(const struct cpu *cpu, const struct insn *insn)
{
    unsigned number = insn->segment < SEG_LDTR ? insn->segment : SEG_DS;
    bool flat = cpu_64bit(cpu) && number != SEG_FS && number != SEG_GS;
    uint64_t linear = effective_address(cpu, insn) + (flat ? 0 : cpu->seg[number].base);

    return cpu_64bit(cpu) ? linear : (uint32_t)linear;
}

/* 5.3 "Limit Checking": are all bytes of [offset, offset + length) inside? */
static bool within_limit(const struct segment *segment, bool expand_down, uint64_t offset, unsigned length)
{
    uint64_t last = offset + length - 1;

    if (!expand_down)
        return last <= segment->limit;
    return offset > segment->limit && last <= (segment->access_rights & AR_DB ? 0xffffffff : 0xffff);
}

/* 5.4, 5.5: a null selector, an execute-only or read-only segment. In real-address and virtual-8086 mode there is no type. */
static bool usable(const struct cpu *cpu, const struct segment *segment, bool write)
{
    unsigned type = AR_TYPE(segment->access_rights);

    if (segment->access_rights & AR_UNUSABLE)
        return false;
    if (!cpu_protected(cpu) || cpu_virtual_8086(cpu))
        return true;
    return write ? (type & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_WRITABLE : !(type & TYPE_CODE) || (type & TYPE_WRITABLE);
}

enum status operand_linear(struct cpu *cpu, const struct insn *insn, unsigned length, bool write, uint64_t *linear)
{
    unsigned number = insn->segment < SEG_LDTR ? insn->segment : SEG_DS;
    const struct segment *segment = &cpu->seg[number];
    enum vector vector = number == SEG_SS ? VECTOR_SS : VECTOR_GP;
    uint64_t offset = effective_address(cpu, insn);
    unsigned type = AR_TYPE(segment->access_rights);

    if (cpu_64bit(cpu)) {
        *linear = operand_address(cpu, insn);
        if (!linear_canonical(cpu, *linear) || !linear_canonical(cpu, *linear + length - 1))
            return cpu_fault(cpu, vector, 0);
        return STATUS_OK;
    }
    if (!usable(cpu, segment, write))
        return cpu_fault(cpu, vector, 0);
    if (!within_limit(segment, (type & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN, offset, length))
        return cpu_fault(cpu, vector, 0);
    *linear = (uint32_t)(segment->base + offset);
    return STATUS_OK;
}

enum status operand_read(struct cpu *cpu, const struct insn *insn, unsigned length, uint64_t *value)
{
    uint64_t linear;

    *value = 0;
    if (insn->kind == OPERAND_MEMORY) {
        TRY(operand_linear(cpu, insn, length, false, &linear));
        return linear_read(cpu, linear, value, length, false);
    }
    *value = cpu->gpr[insn->rm % GPR_COUNT];
    if (length < 8)
        *value &= (1ull << 8 * length) - 1;
    return STATUS_OK;
}

enum status operand_write(struct cpu *cpu, const struct insn *insn, unsigned length, uint64_t value)
{
    uint64_t linear, *reg = &cpu->gpr[insn->rm % GPR_COUNT], mask;

    if (insn->kind == OPERAND_MEMORY) {
        TRY(operand_linear(cpu, insn, length, true, &linear));
        return linear_write(cpu, linear, &value, length, false);
    }
    if (length >= 4) {          /* a 32-bit result clears the upper half: SDM Vol. 1, 3.4.1.1 */
        *reg = length == 4 ? (uint32_t)value : value;
        return STATUS_OK;
    }
    mask = (1ull << 8 * length) - 1;
    *reg = (*reg & ~mask) | (value & mask);
    return STATUS_OK;
}
