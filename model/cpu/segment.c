/* SPDX-License-Identifier: MIT */
/* Descriptors, and the loads of data segments, SS, LDTR and TR: SDM Vol. 3, ch. 3, 5; Vol. 2, MOV, POP, LDS, LLDT, LTR. */
#include "model/cpu/segment.h"

#include "model/cpu/raise.h"
#include "model/cpu/walk.h"
#include "model/model.h"

/* ---- the formats ---- */

uint32_t descriptor_rights(const struct descriptor *d)
{
    return d->low >> 40 & 0xf0ff;
}

struct segment descriptor_segment(const struct descriptor *d, uint16_t selector)
{
    struct segment segment = {
        .selector = selector, .access_rights = descriptor_rights(d),
        .limit = (uint32_t)((d->low & 0xffff) | (d->low >> 32 & 0xf0000)),
        .base = (d->low >> 16 & 0xffffff) | (d->low >> 32 & 0xff000000) | d->high << 32,
    };

    if (segment.access_rights & AR_G)
        segment.limit = segment.limit << 12 | 0xfff;
    return segment;
}

struct gate descriptor_gate(const struct cpu *cpu, const struct descriptor *d)
{
    unsigned type = AR_TYPE(descriptor_rights(d));
    bool wide = type >= SYSTEM_TSS_32;          /* 16-bit gates have no upper half */
    struct gate gate = {
        .selector = (uint16_t)(d->low >> 16), .offset = (d->low & 0xffff) | (wide ? d->low >> 32 & 0xffff0000 : 0),
        .parameters = (unsigned)(d->low >> 32 & 31),
    };

    if (cpu_long_mode(cpu)) {
        gate.offset |= d->high << 32;
        gate.parameters &= 7;
    }
    return gate;
}

struct segment segment_null(uint16_t selector)
{
    return (struct segment){ .selector = selector, .access_rights = AR_UNUSABLE };
}

uint32_t selector_error(const struct cpu *cpu, uint16_t selector)
{
    const struct event *event = &cpu->event;
    bool external = event->valid && event->type != EVENT_SOFTWARE_INTERRUPT && event->type != EVENT_SOFTWARE_EXCEPTION;

    return (selector & 0xfffcu) | external;
}

/* ---- descriptor tables ---- */

enum status descriptor_read(struct cpu *cpu, uint16_t selector, enum vector vector, struct descriptor *d)
{
    const struct segment *ldt = &cpu->seg[SEG_LDTR];
    bool local = selector & 4;
    uint64_t base = local ? ldt->base : cpu->gdtr.base;
    uint32_t limit = local ? ldt->limit : cpu->gdtr.limit;

    if ((local && (ldt->access_rights & AR_UNUSABLE)) || (selector | 7u) > limit)
        return cpu_fault(cpu, vector, selector_error(cpu, selector));
    *d = (struct descriptor){ .linear = base + (selector & 0xfff8u) };
    if (!cpu_long_mode(cpu))
        d->linear = (uint32_t)d->linear;
    return linear_read(cpu, d->linear, &d->low, sizeof(d->low), true);
}

enum status descriptor_read_high(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    uint32_t limit = selector & 4 ? cpu->seg[SEG_LDTR].limit : cpu->gdtr.limit;

    if ((selector & 0xfff8u) + 15 > limit)
        return cpu_fault(cpu, VECTOR_GP, selector_error(cpu, selector));
    TRY(linear_read(cpu, d->linear + 8, &d->high, sizeof(d->high), true));
    if (d->high >> 40 & 0x1f)
        return cpu_fault(cpu, VECTOR_GP, selector_error(cpu, selector));
    return STATUS_OK;
}

enum { RIGHTS_AT = 5 };         /* the byte of a descriptor with its type */

enum status descriptor_locate(struct cpu *cpu, const struct descriptor *d, struct span *span)
{
    return span_locate(cpu, d->linear + RIGHTS_AT, 1, ACCESS_WRITE, true, span);
}

void descriptor_set_type(struct cpu *cpu, const struct descriptor *d, const struct span *span, uint32_t rights)
{
    uint8_t byte = (uint8_t)rights;

    (void)d;
    span_write(cpu, span, &byte);
}

enum status segment_load_prepare(struct cpu *cpu, struct segment_load *load)
{
    load->span.count = 0;
    if (load->segment.access_rights & (TYPE_ACCESSED | AR_UNUSABLE))
        return STATUS_OK;
    load->segment.access_rights |= TYPE_ACCESSED;
    return descriptor_locate(cpu, &load->descriptor, &load->span);
}

void segment_load_commit(struct cpu *cpu, enum segment_register number, const struct segment_load *load)
{
    if (load->span.count)
        descriptor_set_type(cpu, &load->descriptor, &load->span, load->segment.access_rights);
    cpu->seg[number] = load->segment;
    if (number == SEG_CS && is_code64(cpu, load->segment.access_rights))
        cpu->seg[number].base = 0;              /* 64-bit code has none (SDM Vol. 3, 3.2.4); a data segment register keeps it */
}

/* ---- data segments and SS ---- */

bool segment_permitted(enum segment_register number, uint16_t selector, const struct descriptor *d, unsigned cpl,
                       enum vector *vector)
{
    uint32_t rights = descriptor_rights(d);
    unsigned rpl = selector_rpl(selector), dpl = AR_DPL(rights);

    *vector = VECTOR_GP;
    if (number == SEG_SS) {
        if (rpl != cpl || dpl != cpl || !is_writable_data(rights))
            return false;
        *vector = VECTOR_SS;
        return rights & AR_PRESENT;
    }
    if (!(rights & AR_S) || ((rights & TYPE_CODE) && !(rights & TYPE_WRITABLE)))
        return false;
    if (!is_conforming(rights) && (rpl > dpl || cpl > dpl))
        return false;
    *vector = VECTOR_NP;
    return rights & AR_PRESENT;
}

/* Real-address and virtual-8086 mode: selector and base; the rest of the register stays. */
static void load_unprotected(struct cpu *cpu, enum segment_register number, uint16_t selector)
{
    cpu->seg[number].selector = selector;
    cpu->seg[number].base = (uint32_t)selector << 4;
}

static enum status load_null(struct cpu *cpu, enum segment_register number, uint16_t selector)
{
    unsigned cpl = cpu_cpl(cpu);

    if (number == SEG_SS && (!cpu_64bit(cpu) || cpl == 3 || selector_rpl(selector) != cpl))
        return cpu_fault(cpu, VECTOR_GP, 0);
    cpu->seg[number] = segment_null(selector);
    if (number == SEG_SS)
        cpu->seg[number].access_rights |= cpl << 5;     /* CPL is SS.DPL */
    return STATUS_OK;
}

static enum status load(struct cpu *cpu, enum segment_register number, uint16_t selector)
{
    struct segment_load load;
    enum vector vector;

    if (!cpu_protected(cpu) || cpu_virtual_8086(cpu)) {
        load_unprotected(cpu, number, selector);
        return STATUS_OK;
    }
    if (selector_null(selector))
        return load_null(cpu, number, selector);
    TRY(descriptor_read(cpu, selector, VECTOR_GP, &load.descriptor));
    if (!segment_permitted(number, selector, &load.descriptor, cpu_cpl(cpu), &vector))
        return cpu_fault(cpu, vector, selector_error(cpu, selector));
    load.segment = descriptor_segment(&load.descriptor, selector);
    TRY(segment_load_prepare(cpu, &load));
    segment_load_commit(cpu, number, &load);
    return STATUS_OK;
}

/* SDM Vol. 3, 6.8.3: MOV SS and POP SS hold interrupts and debug traps back; LSS does not. */
static enum status done(struct cpu *cpu, const struct insn *insn)
{
    cpu_retire(cpu, insn->length);
    if (insn->target == SEG_SS && insn->id != INSN_load_far_pointer)
        cpu->interruptibility |= BLOCKING_BY_MOV_SS;
    return STATUS_OK;
}

static enum status pop_segment(struct cpu *cpu, const struct insn *insn)
{
    struct stack stack = stack_here(cpu);
    uint64_t value;

    TRY(stack_read(cpu, &stack, 0, insn->operand_size, &value));
    TRY(load(cpu, (enum segment_register)insn->target, (uint16_t)value));
    cpu->gpr[RSP] = stack_moved(&stack, insn->operand_size);
    return done(cpu, insn);
}

static enum status load_far_pointer(struct cpu *cpu, const struct insn *insn)
{
    struct insn reg = { .kind = OPERAND_REGISTER, .rm = insn->reg };
    uint64_t linear, offset = 0;
    uint16_t selector;

    TRY(operand_linear(cpu, insn, insn->operand_size + 2u, false, &linear));
    TRY(linear_read(cpu, linear, &offset, insn->operand_size, false));
    TRY(linear_read(cpu, linear + insn->operand_size, &selector, 2, false));
    TRY(load(cpu, (enum segment_register)insn->target, selector));
    TRY(operand_write(cpu, &reg, insn->operand_size, offset));
    return done(cpu, insn);
}

enum status move_to_segment(struct cpu *cpu, const struct insn *insn)
{
    uint64_t value;

    if (insn->id == INSN_pop_segment)
        return pop_segment(cpu, insn);
    if (insn->id == INSN_load_far_pointer)
        return load_far_pointer(cpu, insn);
    TRY(operand_read(cpu, insn, 2, &value));
    TRY(load(cpu, (enum segment_register)insn->target, (uint16_t)value));
    return done(cpu, insn);
}

/* ---- LDTR and TR ---- */

/* A system descriptor of the GDT, and in IA-32e mode its second half with a canonical base. */
static enum status read_system(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    if (selector & 4)
        return cpu_fault(cpu, VECTOR_GP, selector_error(cpu, selector));
    return descriptor_read(cpu, selector, VECTOR_GP, d);
}

static enum status read_base(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    if (!cpu_long_mode(cpu))
        return STATUS_OK;
    TRY(descriptor_read_high(cpu, selector, d));
    if (!register_canonical(cpu, descriptor_segment(d, selector).base))
        return cpu_fault(cpu, VECTOR_GP, selector_error(cpu, selector));
    return STATUS_OK;
}

enum status load_ldtr(struct cpu *cpu, const struct insn *insn)
{
    struct descriptor d;
    uint64_t value;
    uint16_t selector;

    TRY(operand_read(cpu, insn, 2, &value));
    selector = (uint16_t)value;
    if (selector_null(selector)) {
        cpu->seg[SEG_LDTR] = segment_null(selector);
        cpu_retire(cpu, insn->length);
        return STATUS_OK;
    }
    TRY(read_system(cpu, selector, &d));
    if (!is_system(descriptor_rights(&d), SYSTEM_LDT))
        return cpu_fault(cpu, VECTOR_GP, selector_error(cpu, selector));
    TRY(read_base(cpu, selector, &d));
    if (!(descriptor_rights(&d) & AR_PRESENT))
        return cpu_fault(cpu, VECTOR_NP, selector_error(cpu, selector));
    cpu->seg[SEG_LDTR] = descriptor_segment(&d, selector);
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

enum status load_task_register(struct cpu *cpu, const struct insn *insn)
{
    struct descriptor d;
    struct span span;
    uint64_t value;
    uint32_t rights;
    uint16_t selector;

    TRY(operand_read(cpu, insn, 2, &value));
    selector = (uint16_t)value;
    if (selector_null(selector))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(read_system(cpu, selector, &d));
    rights = descriptor_rights(&d);
    if (!is_system(rights, SYSTEM_TSS_32) && (cpu_long_mode(cpu) || !is_system(rights, SYSTEM_TSS_16)))
        return cpu_fault(cpu, VECTOR_GP, selector_error(cpu, selector));
    TRY(read_base(cpu, selector, &d));
    if (!(rights & AR_PRESENT))
        return cpu_fault(cpu, VECTOR_NP, selector_error(cpu, selector));
    TRY(descriptor_locate(cpu, &d, &span));
    rights |= SYSTEM_TYPE_BUSY;
    descriptor_set_type(cpu, &d, &span, rights);
    cpu->seg[SEG_TR] = descriptor_segment(&d, selector);
    cpu->seg[SEG_TR].access_rights = rights;
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

/* ---- LAR, LSL, VERR, VERW: ZF tells whether the descriptor may be used as they say ---- */

/* Types of system descriptors that have access rights to tell, and a limit (SDM Vol. 2, Table 3-52, LSL). */
static bool has_answer(const struct cpu *cpu, enum insn_id id, unsigned type)
{
    switch (type) {
    case SYSTEM_LDT: case SYSTEM_TSS_32: case SYSTEM_TSS_32_BUSY:
        return true;
    case SYSTEM_TSS_16: case SYSTEM_TSS_16_BUSY:
        return !cpu_long_mode(cpu);
    case SYSTEM_CALL_GATE_32:
        return id == INSN_lar;
    case SYSTEM_CALL_GATE_16: case SYSTEM_TASK_GATE:
        return id == INSN_lar && !cpu_long_mode(cpu);
    default:
        return false;
    }
}

static bool permits(const struct cpu *cpu, enum insn_id id, uint16_t selector, uint32_t rights)
{
    bool readable = (rights & AR_S) && (!(rights & TYPE_CODE) || (rights & TYPE_WRITABLE));
    bool privilege = is_conforming(rights) || (AR_DPL(rights) >= cpu_cpl(cpu) && AR_DPL(rights) >= selector_rpl(selector));

    if (id == INSN_verr)
        return readable && privilege;
    if (id == INSN_verw)
        return is_writable_data(rights) && privilege;
    return privilege && ((rights & AR_S) || has_answer(cpu, id, AR_TYPE(rights)));
}

/* Outside its table a selector is no fault here. */
static bool in_table(const struct cpu *cpu, uint16_t selector, unsigned length)
{
    const struct segment *ldt = &cpu->seg[SEG_LDTR];

    if (selector_null(selector) || ((selector & 4) && (ldt->access_rights & AR_UNUSABLE)))
        return false;
    return (selector & 0xfff8u) + length - 1 <= (selector & 4 ? ldt->limit : cpu->gdtr.limit);
}

enum status query_descriptor(struct cpu *cpu, const struct insn *insn)
{
    struct insn reg = { .kind = OPERAND_REGISTER, .rm = insn->reg };
    struct descriptor d;
    uint64_t value;
    bool yes = false;

    TRY(operand_read(cpu, insn, 2, &value));
    if (in_table(cpu, (uint16_t)value, 8)) {
        TRY(descriptor_read(cpu, (uint16_t)value, VECTOR_GP, &d));
        yes = permits(cpu, insn->id, (uint16_t)value, descriptor_rights(&d));
    }
    if (yes && insn->id == INSN_lar)
        TRY(operand_write(cpu, &reg, insn->operand_size, d.low >> 32 & 0xf0ff00));
    if (yes && insn->id == INSN_lsl)
        TRY(operand_write(cpu, &reg, insn->operand_size, descriptor_segment(&d, 0).limit));
    cpu_retire(cpu, insn->length);
    cpu->rflags = yes ? cpu->rflags | RFLAGS_ZF : cpu->rflags & ~RFLAGS_ZF;
    return STATUS_OK;
}
