/* SPDX-License-Identifier: MIT */
/* ENTER: SDM Vol. 2, ENTER. The CPU engine does not ask whether the new top of the stack can be written. */
#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/model.h"

enum { LEVELS = 32 };

/* The frame pointer of an outer procedure, the nth from the innermost. */
static enum status outer_pointer(struct cpu *cpu, const struct stack *stack, unsigned n, unsigned size, uint64_t *value)
{
    struct stack display = *stack;

    display.pointer = cpu->gpr[RBP];
    display.pointer = stack_moved(&display, -(int64_t)(n * size));
    return stack_read(cpu, &display, 0, size, value);
}

/* What is pushed: RBP, the pointers of the outer procedures, and at last the new frame pointer itself. */
static enum status pushed(struct cpu *cpu, const struct stack *stack, const struct insn *insn, unsigned n, unsigned level,
                          uint64_t *word)
{
    if (n > 0 && n < level)
        return outer_pointer(cpu, stack, n, insn->operand_size, word);
    *word = n == 0 ? cpu->gpr[RBP] : stack_moved(stack, -(int64_t)insn->operand_size);
    return STATUS_OK;
}

/* Pushes the words one by one, for a pointer may be read where one was just pushed; or only looks whether all that can be. */
static enum status push_words(struct cpu *cpu, const struct insn *insn, unsigned level, bool apply, struct stack *to)
{
    const struct stack stack = *to;

    for (unsigned n = 0; n <= level; n++) {
        struct frame frame = { .size = insn->operand_size };
        uint64_t word;

        TRY(pushed(cpu, &stack, insn, n, level, &word));
        frame_push(&frame, word);
        TRY(frame_locate(cpu, to, &frame));
        if (apply)
            frame_write(cpu, to, &frame);
        to->pointer = frame.pointer;
    }
    return STATUS_OK;
}

/* The top of the stack that the instruction leaves is not written, but must be writable. */
static enum status ask_for_top(struct cpu *cpu, const struct stack *top, unsigned size)
{
    struct stack below = *top;
    struct frame frame = { .size = size, .count = 1 };

    below.pointer = stack_moved(top, size);
    return frame_locate(cpu, &below, &frame);
}

enum status enter_procedure(struct cpu *cpu, const struct insn *insn)
{
    unsigned level = insn->selector % LEVELS;
    struct stack before = stack_here(cpu), after = before, frame = before;

    frame.pointer = stack_moved(&before, -(int64_t)insn->operand_size);
    TRY(push_words(cpu, insn, level, false, &after));
    after.pointer = stack_moved(&after, -insn->displacement);
    TRY(ask_for_top(cpu, &after, insn->operand_size));
    TRY(push_words(cpu, insn, level, true, &before));
    /* As wide as the stack pointer. */
    cpu->gpr[RBP] = frame.flat || frame.segment.access_rights & AR_DB ? frame.pointer : (cpu->gpr[RBP] & ~0xffffull) | (frame.pointer & 0xffff);
    cpu->gpr[RSP] = after.pointer;
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}
