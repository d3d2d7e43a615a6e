/* SPDX-License-Identifier: MIT */
/* Stacks as far transfers and the delivery of events use them: SDM Vol. 1, 6.2; Vol. 3, 5.8.5, 6.12.1, 6.14. */
#include "model/cpu/debug.h"
#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/cpu/walk.h"
#include "model/model.h"

struct stack stack_here(const struct cpu *cpu)
{
    return (struct stack){ .segment = cpu->seg[SEG_SS], .pointer = cpu->gpr[RSP], .cpl = cpu_cpl(cpu),
                           .flat = cpu_64bit(cpu), .error_code = 0 };
}

static uint64_t mask(const struct stack *stack)
{
    return stack->flat ? ~0ull : stack->segment.access_rights & AR_DB ? 0xffffffff : 0xffff;
}

uint64_t stack_moved(const struct stack *stack, int64_t bytes)
{
    return (stack->pointer & ~mask(stack)) | ((stack->pointer + (uint64_t)bytes) & mask(stack));
}

/* An explicit access at the stack's privilege level, which is not always the present one. */
static enum status locate(struct cpu *cpu, const struct stack *stack, uint64_t offset, unsigned size, enum access_kind kind,
                          struct span *span, uint64_t *at)
{
    struct access access = { .kind = kind, .user = stack->cpl == 3, .smap_override = cpu->rflags & RFLAGS_AC };
    uint64_t linear = offset + (stack->flat ? 0 : stack->segment.base);

    if (stack->flat) {
        if (!linear_canonical(cpu, linear) || !linear_canonical(cpu, linear + size - 1))
            return cpu_fault(cpu, VECTOR_SS, stack->error_code);
    } else {
        linear = (uint32_t)linear;
        if ((stack->segment.access_rights & AR_UNUSABLE) || !operand_within_limit(&stack->segment, offset, size))
            return cpu_fault(cpu, VECTOR_SS, stack->error_code);
    }
    *at = linear;
    TRY(span_locate_as(cpu, linear, size, access, span));
    return access_aligned(cpu, linear, size, stack->cpl);
}

enum status stack_read(struct cpu *cpu, const struct stack *stack, unsigned words, unsigned size, uint64_t *value)
{
    struct span span;
    uint64_t linear = 0;

    *value = 0;
    TRY(locate(cpu, stack, (stack->pointer + (uint64_t)words * size) & mask(stack), size, ACCESS_READ, &span, &linear));
    span_read(cpu, &span, value);
    debug_note(cpu, DEBUG_READ, linear, size);
    return STATUS_OK;
}

enum status frame_locate(struct cpu *cpu, const struct stack *stack, struct frame *frame)
{
    uint64_t pointer = stack->pointer, linear = 0;

    for (unsigned i = 0; i < frame->count; i++) {
        pointer = (pointer - frame->size) & mask(stack);
        TRY(locate(cpu, stack, pointer, frame->size, ACCESS_WRITE, &frame->span[i], &linear));
    }
    frame->pointer = stack_moved(stack, -(int64_t)(frame->count * frame->size));
    return STATUS_OK;
}

void frame_write(struct cpu *cpu, const struct stack *stack, const struct frame *frame)
{
    uint64_t pointer = stack->pointer;

    for (unsigned i = 0; i < frame->count; i++) {
        pointer = (pointer - frame->size) & mask(stack);
        span_write(cpu, &frame->span[i], &frame->word[i]);
        debug_note(cpu, DEBUG_WRITE, stack->flat ? pointer : (uint32_t)(stack->segment.base + pointer), frame->size);
    }
}

/* ---- the stack of an inner level ---- */

/* Where a TSS holds stack pointers (8.2.1, 8.6, 8.7). */
enum { STACKS_16 = 2, STACKS_32 = 4, STACKS_64 = 4, IST_64 = 0x24, IST_SIZE = 8 };

/* A part of the TSS; #TS with the selector of TR if it lies beyond the limit. */
static enum status read_tss(struct cpu *cpu, unsigned offset, void *to, unsigned length)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    uint64_t linear = tr->base + offset;

    if (offset + length - 1 > tr->limit)
        return cpu_fault(cpu, VECTOR_TS, selector_error(cpu, tr->selector));
    return linear_read(cpu, cpu_long_mode(cpu) ? linear : (uint32_t)linear, to, length, true);
}

static enum status inner_stack_64(struct cpu *cpu, unsigned cpl, unsigned ist, struct inner_stack *inner)
{
    uint64_t rsp;

    TRY(read_tss(cpu, ist ? IST_64 + IST_SIZE * (ist - 1) : STACKS_64 + 8 * cpl, &rsp, sizeof(rsp)));
    inner->ss.segment = segment_null((uint16_t)cpl);
    inner->ss.segment.access_rights |= cpl << 5;
    inner->ss.span.count = 0;
    inner->stack = (struct stack){ .segment = inner->ss.segment, .pointer = rsp, .cpl = cpl, .flat = true,
                                   .error_code = selector_error(cpu, 0) };
    return STATUS_OK;
}

/* SDM Vol. 2, CALL and INT n: the segment is read before it is checked, the room for the frame after that. */
enum status inner_stack_read(struct cpu *cpu, unsigned cpl, unsigned ist, struct inner_stack *inner)
{
    struct { uint32_t esp; uint16_t ss; } stack32;
    uint16_t stack16[2], selector;
    uint64_t pointer;

    if (cpu_long_mode(cpu))
        return inner_stack_64(cpu, cpl, ist, inner);
    if (AR_TYPE(cpu->seg[SEG_TR].access_rights) & 8) {
        TRY(read_tss(cpu, STACKS_32 + 8 * cpl, &stack32, 6));
        selector = stack32.ss;
        pointer = stack32.esp;
    } else {
        TRY(read_tss(cpu, STACKS_16 + 4 * cpl, stack16, 4));
        selector = stack16[1];
        pointer = stack16[0];
    }
    TRY(outer_stack_segment(cpu, selector, cpl, VECTOR_TS, &inner->ss));
    inner->stack = (struct stack){ .segment = inner->ss.segment, .pointer = pointer, .cpl = cpl,
                                   .error_code = selector_error(cpu, selector) };
    return STATUS_OK;
}

enum status outer_stack_segment(struct cpu *cpu, uint16_t selector, unsigned cpl, enum vector vector,
                                struct segment_load *load)
{
    uint32_t rights;

    if (selector_null(selector))
        return cpu_fault(cpu, vector, selector_error(cpu, vector == VECTOR_TS ? selector : 0));
    TRY(descriptor_read(cpu, selector, vector, &load->descriptor));
    rights = descriptor_rights(&load->descriptor);
    if (selector_rpl(selector) != cpl || AR_DPL(rights) != cpl || !is_writable_data(rights))
        return cpu_fault(cpu, vector, selector_error(cpu, selector));
    if (!(rights & AR_PRESENT))
        return cpu_fault(cpu, VECTOR_SS, selector_error(cpu, selector));
    load->segment = descriptor_segment(&load->descriptor, selector);
    return STATUS_OK;
}
