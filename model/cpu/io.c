/* SPDX-License-Identifier: MIT */
/* IN, OUT, INS, OUTS and the permission to execute them: SDM Vol. 1, ch. 19; one iteration of REP at a time. */
#include "model/cpu/access.h"
#include "model/cpu/cr.h"
#include "model/cpu/debug.h"
#include "model/cpu/raise.h"
#include "model/cpu/time.h"
#include "model/model.h"
#include "model/refusal.h"

enum { TSS_IO_MAP_BASE = 0x66 };        /* offset of the 16-bit field in a 32-bit TSS */
#define TSS_32_BUSY 11u
#define TSS_32 9u

/* SDM Vol. 1, 19.5.2 "I/O Permission Bit Map": two bytes are read, all bits of the ports must be 0. */
static enum status bitmap_permits(struct cpu *cpu, uint16_t port, unsigned size, bool *permitted)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    unsigned type = AR_TYPE(tr->access_rights);
    uint16_t base = 0, bits = 0;
    uint32_t offset;

    *permitted = false;
    if ((tr->access_rights & AR_UNUSABLE) || (type != TSS_32 && type != TSS_32_BUSY) || tr->limit < TSS_IO_MAP_BASE + 1)
        return STATUS_OK;
    TRY(linear_read(cpu, tr->base + TSS_IO_MAP_BASE, &base, sizeof(base), true));
    offset = base + port / 8u;
    if (offset + 1 > tr->limit)
        return STATUS_OK;
    TRY(linear_read(cpu, tr->base + offset, &bits, sizeof(bits), true));
    *permitted = !(bits >> port % 8 & ((1u << size) - 1));
    return STATUS_OK;
}

enum status io_permitted(struct cpu *cpu, const struct insn *insn)
{
    unsigned iopl = (unsigned)(cpu->rflags >> 12 & 3);
    bool permitted = true;

    if (cpu_protected(cpu) && (cpu_virtual_8086(cpu) || cpu_cpl(cpu) > iopl))
        TRY(bitmap_permits(cpu, insn->port, insn->operand_size, &permitted));
    if (permitted)
        return STATUS_OK;
    struct attempt attempt = attempt_of(cpu, insn);
    attempt.operand = insn->port;
    return refusal_raise(cpu, &attempt, cpu_refuses(REFUSALS_port, &attempt));
}

static uint32_t port_in(struct cpu *cpu, uint16_t port, unsigned size)
{
    const struct bus *bus = &cpu->model->bus;

    cpu->clock += TIME_PORT;
    debug_note(cpu, DEBUG_PORT, port, size);
    return bus->port_in ? bus->port_in(bus->context, cpu, port, size) : ~0u;
}

static void port_out(struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    const struct bus *bus = &cpu->model->bus;

    cpu->clock += TIME_PORT;
    debug_note(cpu, DEBUG_PORT, port, size);
    if (size < 4)
        value &= (1u << 8 * size) - 1;
    if (bus->port_out)
        bus->port_out(bus->context, cpu, port, size, value);
}

/* ---- string instructions ---- */

static uint64_t address_mask(const struct insn *insn)
{
    return insn->address_size == 8 ? ~0ull : insn->address_size == 4 ? 0xffffffff : 0xffff;
}

/* Adds to a counter or index register as the address size has it: 32 bits clear the upper half, 16 keep the rest. */
static void advance(struct cpu *cpu, const struct insn *insn, enum gpr gpr, uint64_t amount)
{
    uint64_t mask = address_mask(insn), value = (cpu->gpr[gpr] + amount) & mask;

    cpu->gpr[gpr] = insn->address_size == 2 ? (cpu->gpr[gpr] & ~mask) | value : value;
}

static uint64_t count(const struct cpu *cpu, const struct insn *insn)
{
    return cpu->gpr[RCX] & address_mask(insn);
}

/* One element moved; the instruction is over when no more are due. Until then RF is set between two of them (18.3.1.1). */
static enum status finish_string(struct cpu *cpu, const struct insn *insn, enum gpr index)
{
    uint64_t step = insn->operand_size;
    bool more;

    advance(cpu, insn, index, cpu->rflags & RFLAGS_DF ? -step : step);
    if (insn->rep)
        advance(cpu, insn, RCX, ~0ull);
    more = insn->rep && count(cpu, insn);
    cpu_retire(cpu, more ? 0 : insn->length);
    if (more)
        cpu->rflags |= RFLAGS_RF;
    return STATUS_OK;
}

/* The memory operand of INS and OUTS. */
static struct insn string_operand(const struct insn *insn, uint8_t segment, uint8_t index)
{
    struct insn operand = *insn;

    operand.kind = OPERAND_MEMORY;
    operand.segment = segment;
    operand.base = index;
    operand.index = NO_REGISTER;
    operand.displacement = 0;
    return operand;
}

/* The port is read only when nothing can fault any more: reading it has side effects. */
static enum status ins(struct cpu *cpu, const struct insn *insn)
{
    struct insn operand = string_operand(insn, SEG_ES, RDI);
    struct span span;
    uint64_t linear;
    uint32_t value;

    TRY(operand_linear(cpu, &operand, insn->operand_size, true, &linear));
    TRY(span_locate(cpu, linear, insn->operand_size, ACCESS_WRITE, false, &span));
    value = port_in(cpu, insn->port, insn->operand_size);
    span_write(cpu, &span, &value);
    debug_note(cpu, DEBUG_WRITE, linear, insn->operand_size);
    return finish_string(cpu, insn, RDI);
}

static enum status outs(struct cpu *cpu, const struct insn *insn)
{
    struct insn operand = string_operand(insn, insn->segment, RSI);
    uint64_t value;

    TRY(operand_read(cpu, &operand, insn->operand_size, &value));
    port_out(cpu, insn->port, insn->operand_size, (uint32_t)value);
    return finish_string(cpu, insn, RSI);
}

enum status io_execute(struct cpu *cpu, const struct insn *insn)
{
    struct insn accumulator = { .kind = OPERAND_REGISTER, .rm = RAX };

    if (insn->rep && !count(cpu, insn)) {       /* permitted and not intercepted, as with any count; accesses nothing */
        cpu_retire(cpu, insn->length);
        return STATUS_OK;
    }
    switch (insn->id) {
    case INSN_ins:
        return ins(cpu, insn);
    case INSN_outs:
        return outs(cpu, insn);
    case INSN_in:
        TRY(operand_write(cpu, &accumulator, insn->operand_size, port_in(cpu, insn->port, insn->operand_size)));
        break;
    default:
        port_out(cpu, insn->port, insn->operand_size, (uint32_t)cpu->gpr[RAX]);
        break;
    }
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}
