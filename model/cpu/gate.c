/* SPDX-License-Identifier: MIT */
/* Delivery of events through the IDT: SDM Vol. 3, 6.10-6.14; 21.1.4 in real-address mode, 21.3 in virtual-8086 mode; Vol. 2, INT n. */
#include "model/cpu/gate.h"

#include "model/cpu/deliver.h"
#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/cpu/virtual.h"
#include "model/cpu/walk.h"
#include "model/model.h"

/* An event on its way through a gate. */
struct delivery {
    const struct event *event;
    struct gate gate;
    unsigned type;              /* enum system_type, of the gate */
    uint64_t return_rip, flags; /* as the frame has them */
};

static bool software(const struct event *event)
{
    return event->type == EVENT_SOFTWARE_INTERRUPT || event->type == EVENT_SOFTWARE_EXCEPTION;
}

static enum status fault(struct cpu *cpu, enum vector vector, uint16_t selector)
{
    return cpu_fault(cpu, vector, selector_error(cpu, selector));
}

/* 6.13: a fault that names a gate of the IDT. */
static enum status gate_fault(struct cpu *cpu, enum vector vector)
{
    return cpu_fault(cpu, vector, (cpu->event.vector * 8u + 2) | selector_error(cpu, 0));
}

/* ---- the end of all of them ---- */

/* Flags that the handler begins with. */
static void enter_handler(struct cpu *cpu, uint64_t rip, uint64_t cleared)
{
    cpu->rflags &= ~(RFLAGS_TF | RFLAGS_RF | cleared);
    cpu->rip = rip;
}

/* ---- real-address mode ---- */

static enum status deliver_real(struct cpu *cpu, const struct delivery *d)
{
    struct stack stack = stack_here(cpu);
    struct frame frame = { .size = 2 };
    uint32_t vector = 0, offset = d->event->vector * 4u;

    if (offset + 3 > cpu->idtr.limit)
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(linear_read(cpu, (uint32_t)(cpu->idtr.base + offset), &vector, sizeof(vector), true));
    frame_push(&frame, d->flags);
    frame_push(&frame, cpu->seg[SEG_CS].selector);
    frame_push(&frame, d->return_rip);
    TRY(frame_locate(cpu, &stack, &frame));
    if ((vector & 0xffff) > cpu->seg[SEG_CS].limit)
        return cpu_fault(cpu, VECTOR_GP, 0);
    frame_write(cpu, &stack, &frame);
    cpu->gpr[RSP] = frame.pointer;
    cpu->seg[SEG_CS].selector = (uint16_t)(vector >> 16);
    cpu->seg[SEG_CS].base = (vector >> 16) << 4;
    enter_handler(cpu, vector & 0xffff, RFLAGS_IF | RFLAGS_AC);
    return STATUS_OK;
}

/* ---- protected mode ---- */

static enum status read_gate(struct cpu *cpu, struct delivery *d)
{
    bool long_mode = cpu_long_mode(cpu);
    unsigned size = long_mode ? 16 : 8;
    uint32_t offset = d->event->vector * size, rights;
    uint64_t linear = cpu->idtr.base + offset;
    struct descriptor gate = { .low = 0 };

    if (offset + size - 1 > cpu->idtr.limit)
        return gate_fault(cpu, VECTOR_GP);
    TRY(linear_read(cpu, long_mode ? linear : (uint32_t)linear, &gate, size, true));
    rights = descriptor_rights(&gate);
    d->type = AR_TYPE(rights);
    d->gate = descriptor_gate(cpu, &gate);
    switch (d->type) {
    case SYSTEM_INTERRUPT_GATE_32:
    case SYSTEM_TRAP_GATE_32:
        break;
    case SYSTEM_INTERRUPT_GATE_16:
    case SYSTEM_TRAP_GATE_16:
    case SYSTEM_TASK_GATE:
        if (!long_mode)
            break;
        /* fall through */
    default:
        return gate_fault(cpu, VECTOR_GP);
    }
    if ((rights & AR_S) || (software(d->event) && AR_DPL(rights) < cpu_cpl(cpu)))
        return gate_fault(cpu, VECTOR_GP);
    return rights & AR_PRESENT ? STATUS_OK : gate_fault(cpu, VECTOR_NP);
}

/* The handler's code segment; *level is the privilege that it will have. */
static enum status read_code(struct cpu *cpu, const struct delivery *d, struct segment_load *code, unsigned *level)
{
    uint16_t selector = d->gate.selector;
    unsigned cpl = cpu_cpl(cpu), dpl;
    uint32_t rights;

    if (selector_null(selector))
        return fault(cpu, VECTOR_GP, 0);
    TRY(descriptor_read(cpu, selector, VECTOR_GP, &code->descriptor));
    rights = descriptor_rights(&code->descriptor);
    dpl = AR_DPL(rights);
    if (!is_code(rights) || dpl > cpl || (cpu_long_mode(cpu) && (rights & (AR_L | AR_DB)) != AR_L))
        return fault(cpu, VECTOR_GP, selector);
    if (!(rights & AR_PRESENT))
        return fault(cpu, VECTOR_NP, selector);
    *level = is_conforming(rights) ? cpl : dpl;
    if (cpu_virtual_8086(cpu) && *level != 0)
        return fault(cpu, VECTOR_GP, selector);
    code->segment = descriptor_segment(&code->descriptor, (uint16_t)((selector & 0xfffc) | *level));
    return STATUS_OK;
}

/* The stack that the frame goes to; `changed`: SS is loaded, too. */
static enum status read_stack(struct cpu *cpu, const struct delivery *d, unsigned level, struct inner_stack *inner,
                              bool *changed)
{
    unsigned ist = cpu_long_mode(cpu) ? d->gate.parameters : 0;

    *changed = level < cpu_cpl(cpu);
    inner->stack = stack_here(cpu);
    inner->stack.error_code = selector_error(cpu, 0);
    if (*changed || ist)        /* a stack of the IST for the same level: SS stays */
        TRY(inner_stack_read(cpu, level, ist, inner));
    if (cpu_long_mode(cpu)) {
        inner->stack.flat = true;
        inner->stack.pointer &= ~15ull;         /* 6.14.2 */
    }
    return STATUS_OK;
}

static void build_frame(const struct cpu *cpu, const struct delivery *d, bool changed, struct frame *frame)
{
    static const enum segment_register order[] = { SEG_GS, SEG_FS, SEG_DS, SEG_ES };

    for (unsigned i = 0; i < 4 && cpu_virtual_8086(cpu); i++)
        frame_push(frame, cpu->seg[order[i]].selector);
    if (changed || cpu_long_mode(cpu)) {
        frame_push(frame, cpu->seg[SEG_SS].selector);
        frame_push(frame, cpu->gpr[RSP]);
    }
    frame_push(frame, d->flags);
    frame_push(frame, cpu->seg[SEG_CS].selector);
    frame_push(frame, d->return_rip);
    if (d->event->has_error_code)
        frame_push(frame, d->event->error_code);
}

static enum status deliver_protected(struct cpu *cpu, struct delivery *d)
{
    bool interrupt_gate = d->type == SYSTEM_INTERRUPT_GATE_32 || d->type == SYSTEM_INTERRUPT_GATE_16;
    struct frame frame = { .size = cpu_long_mode(cpu) ? 8 : d->type >= SYSTEM_INTERRUPT_GATE_32 ? 4 : 2 };
    bool changed, virtual_8086 = cpu_virtual_8086(cpu);
    struct inner_stack inner;
    struct segment_load code;
    unsigned level = 0;

    TRY(read_code(cpu, d, &code, &level));
    TRY(read_stack(cpu, d, level, &inner, &changed));
    build_frame(cpu, d, changed, &frame);
    TRY(frame_locate(cpu, &inner.stack, &frame));
    if (!code_address(cpu, &code.segment, &d->gate.offset))
        return fault(cpu, VECTOR_GP, 0);
    if (changed)
        TRY(segment_load_prepare(cpu, &inner.ss));
    TRY(segment_load_prepare(cpu, &code));
    frame_write(cpu, &inner.stack, &frame);
    for (unsigned s = SEG_ES; s <= SEG_GS && virtual_8086; s++)
        if (s != SEG_CS && s != SEG_SS)
            cpu->seg[s] = segment_null(0);
    if (changed)
        segment_load_commit(cpu, SEG_SS, &inner.ss);
    cpu->gpr[RSP] = frame.pointer;
    segment_load_commit(cpu, SEG_CS, &code);
    enter_handler(cpu, d->gate.offset, (interrupt_gate ? RFLAGS_IF : 0) | RFLAGS_NT | RFLAGS_VM);
    return STATUS_OK;
}

/* The error code goes to the new task's stack (6.13), which may fault: the switch has happened then. */
static enum status deliver_to_task(struct cpu *cpu, const struct delivery *d)
{
    const struct event event = *d->event;
    struct descriptor gate = { .low = (uint64_t)d->gate.selector << 16 };
    struct frame frame = { .count = 0 };
    struct stack stack;

    TRY(task_gate(cpu, &gate, TASK_BY_GATE, d->return_rip, software(&event) ? event.instruction_length : 0));
    if (!event.has_error_code)
        return STATUS_OK;
    stack = stack_here(cpu);
    frame.size = AR_TYPE(cpu->seg[SEG_TR].access_rights) & 8 ? 4 : 2;
    frame_push(&frame, event.error_code);
    TRY(frame_locate(cpu, &stack, &frame));
    frame_write(cpu, &stack, &frame);
    cpu->gpr[RSP] = frame.pointer;
    return STATUS_OK;
}

enum status event_deliver(struct cpu *cpu)
{
    struct event event;
    struct delivery d = { .event = &event, .return_rip = cpu->rip };

    delivery_begin(cpu);        /* an event that the model raised or injected has begun already */
    event = cpu->event;
    if (software(&event) || event.type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION)
        d.return_rip = cpu_next_rip(cpu, event.instruction_length);
    d.flags = delivery_flags(cpu);
    if (event.type == EVENT_SOFTWARE_INTERRUPT && !event.injected && cpu_virtual_8086(cpu)) {
        bool delivered;
        TRY(virtual_interrupt(cpu, event.vector, d.return_rip, &delivered));
        if (delivered)
            return STATUS_OK;
    }
    if (!cpu_protected(cpu)) {
        TRY(deliver_real(cpu, &d));
    } else {
        TRY(read_gate(cpu, &d));
        if (d.type == SYSTEM_TASK_GATE)
            TRY(deliver_to_task(cpu, &d));
        else
            TRY(deliver_protected(cpu, &d));
    }
    cpu->event.valid = false;   /* its other effects came before: model/cpu/deliver.def */
    return d.type == SYSTEM_TASK_GATE ? task_trap(cpu) : STATUS_OK;
}
