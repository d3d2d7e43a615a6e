/* SPDX-License-Identifier: MIT */
/* Operands: effective addresses, segmentation and its checks (SDM Vol. 1, 3.3, 3.7; Vol. 3, 5.3, 5.5), registers. */
#include "model/cpu/access.h"
#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/refusal.h"

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
    const struct segment *segment = operand_segment(cpu, insn);
    bool flat = cpu_64bit(cpu) && segment != &cpu->seg[SEG_FS] && segment != &cpu->seg[SEG_GS];
    uint64_t linear = effective_address(cpu, insn) + (flat ? 0 : segment->base);

    return cpu_64bit(cpu) ? linear : (uint32_t)linear;
}

const struct segment *operand_segment(const struct cpu *cpu, const struct insn *insn)
{
    return &cpu->seg[insn->segment < SEG_LDTR ? insn->segment : SEG_DS];
}

bool operand_within_limit(const struct segment *segment, uint64_t offset, unsigned length)
{
    uint64_t last = offset + length - 1;

    if ((AR_TYPE(segment->access_rights) & (TYPE_CODE | TYPE_EXPAND_DOWN)) != TYPE_EXPAND_DOWN)
        return last <= segment->limit;
    return offset > segment->limit && last <= (segment->access_rights & AR_DB ? 0xffffffff : 0xffff);
}

bool operand_segment_usable(const struct cpu *cpu, const struct segment *segment, bool write)
{
    unsigned type = AR_TYPE(segment->access_rights);

    if (segment->access_rights & AR_UNUSABLE)
        return false;
    if (!cpu_protected(cpu) || cpu_virtual_8086(cpu))
        return true;
    return write ? (type & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_WRITABLE : !(type & TYPE_CODE) || (type & TYPE_WRITABLE);
}

struct attempt operand_attempt(const struct cpu *cpu, const struct insn *insn, unsigned length, bool write)
{
    struct attempt attempt = attempt_of(cpu, insn);

    attempt.operand = cpu_64bit(cpu) ? operand_address(cpu, insn) : effective_address(cpu, insn);
    attempt.value = length;
    attempt.second = write;
    return attempt;
}

enum status operand_linear(struct cpu *cpu, const struct insn *insn, unsigned length, bool write, uint64_t *linear)
{
    const struct attempt attempt = operand_attempt(cpu, insn, length, write);
    const struct refusal *refusal = cpu_refuses(REFUSALS_operand, &attempt);

    *linear = operand_address(cpu, insn);
    return refusal ? refusal_raise(cpu, &attempt, refusal) : STATUS_OK;
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
