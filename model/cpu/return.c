/* SPDX-License-Identifier: MIT */
/* Far RET and IRET: SDM Vol. 2, RET, IRET. */
#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/cpu/virtual.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/vmx/vmx.h"

static enum status fault(struct cpu *cpu, enum vector vector, uint16_t selector)
{
    return cpu_fault(cpu, vector, selector_error(cpu, selector));
}

enum status return_code_segment(struct cpu *cpu, uint16_t selector, struct segment_load *code)
{
    unsigned rpl = selector_rpl(selector);
    uint32_t rights;

    if (selector_null(selector))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(descriptor_read(cpu, selector, VECTOR_GP, &code->descriptor));
    rights = descriptor_rights(&code->descriptor);
    if (!is_code(rights) || rpl < cpu_cpl(cpu) || (is_code64(cpu, rights) && (rights & AR_DB)) ||
        (is_conforming(rights) ? AR_DPL(rights) > rpl : AR_DPL(rights) != rpl))
        return fault(cpu, VECTOR_GP, selector);
    if (!(rights & AR_PRESENT))
        return fault(cpu, VECTOR_NP, selector);
    code->segment = descriptor_segment(&code->descriptor, selector);
    return STATUS_OK;
}

void drop_inner_segments(struct cpu *cpu)
{
    static const enum segment_register numbers[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    unsigned cpl = cpu_cpl(cpu);

    for (unsigned i = 0; i < 4; i++) {
        struct segment *segment = &cpu->seg[numbers[i]];
        bool base_stays = cpu_long_mode(cpu) && (numbers[i] == SEG_FS || numbers[i] == SEG_GS);

        if (!(segment->access_rights & AR_UNUSABLE) &&
            (AR_DPL(segment->access_rights) >= cpl || is_conforming(segment->access_rights)))
            continue;
        if ((segment->access_rights & AR_UNUSABLE) && selector_null(segment->selector) && !selector_rpl(segment->selector))
            continue;
        *segment = (struct segment){ .access_rights = AR_UNUSABLE, .base = base_stays ? segment->base : 0 };
    }
}

/* SS of an outer level; a null one is for 64-bit code only, and not at CPL 3. */
static enum status prepare_stack(struct cpu *cpu, uint16_t selector, const struct segment *code, struct segment_load *ss)
{
    unsigned cpl = selector_rpl(code->selector);

    if (!selector_null(selector))
        return outer_stack_segment(cpu, selector, cpl, VECTOR_GP, ss);
    if (!is_code64(cpu, code->access_rights) || cpl == 3)
        return cpu_fault(cpu, VECTOR_GP, 0);
    ss->segment = segment_null(selector);
    ss->segment.access_rights |= cpl << 5;
    ss->span.count = 0;
    return STATUS_OK;
}

/* RSP that an outer stack begins with: as wide as the new SS says. */
static uint64_t loaded_pointer(const struct cpu *cpu, const struct segment_load *code, const struct segment_load *ss,
                               uint64_t value, uint64_t release)
{
    struct stack stack = { .segment = ss->segment, .flat = is_code64(cpu, code->segment.access_rights) };

    stack.pointer = stack.flat || (ss->segment.access_rights & AR_DB) ? value
                                                                     : (cpu->gpr[RSP] & ~0xffffull) | (value & 0xffff);
    return stack_moved(&stack, (int64_t)release);
}

/* ---- RET ---- */

/* Selector and base only: real-address and virtual-8086 mode. */
static enum status return_unprotected(struct cpu *cpu, const struct stack *stack, unsigned size, uint16_t release)
{
    struct segment code = cpu->seg[SEG_CS];
    uint64_t rip, selector;

    TRY(stack_read(cpu, stack, 0, size, &rip));
    TRY(stack_read(cpu, stack, 1, size, &selector));
    code.selector = (uint16_t)selector;
    code.base = (uint32_t)code.selector << 4;
    if (!code_address(cpu, &code, &rip))
        return cpu_fault(cpu, VECTOR_GP, 0);
    cpu->seg[SEG_CS] = code;
    cpu->gpr[RSP] = stack_moved(stack, (int64_t)(2 * size + release));
    cpu_retire_branch(cpu, rip);
    return STATUS_OK;
}

enum status far_return(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size;
    uint16_t release = (uint16_t)insn->displacement;
    struct stack stack = stack_here(cpu);
    struct segment_load code, ss;
    uint64_t rip, selector, rsp, ss_selector;

    if (!cpu_protected(cpu) || cpu_virtual_8086(cpu))
        return return_unprotected(cpu, &stack, size, release);
    TRY(stack_read(cpu, &stack, 0, size, &rip));
    TRY(stack_read(cpu, &stack, 1, size, &selector));
    TRY(return_code_segment(cpu, (uint16_t)selector, &code));
    if (selector_rpl((uint16_t)selector) == cpu_cpl(cpu)) {
        if (!code_address(cpu, &code.segment, &rip))
            return cpu_fault(cpu, VECTOR_GP, 0);
        TRY(segment_load_prepare(cpu, &code));
        segment_load_commit(cpu, SEG_CS, &code);
        cpu->gpr[RSP] = stack_moved(&stack, (int64_t)(2 * size + release));
        cpu_retire_branch(cpu, rip);
        return STATUS_OK;
    }
    stack.pointer = stack_moved(&stack, release);
    TRY(stack_read(cpu, &stack, 2, size, &rsp));
    TRY(stack_read(cpu, &stack, 3, size, &ss_selector));
    TRY(prepare_stack(cpu, (uint16_t)ss_selector, &code.segment, &ss));
    if (!code_address(cpu, &code.segment, &rip))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(segment_load_prepare(cpu, &code));
    TRY(segment_load_prepare(cpu, &ss));
    segment_load_commit(cpu, SEG_CS, &code);
    segment_load_commit(cpu, SEG_SS, &ss);
    cpu->gpr[RSP] = loaded_pointer(cpu, &code, &ss, rsp, release);
    drop_inner_segments(cpu);
    cpu_retire_branch(cpu, rip);
    return STATUS_OK;
}

/* ---- IRET ---- */

#define FLAGS_ALWAYS (RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT)
#define FLAGS_WIDE (RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)          /* operand size of 32 or 64 bits */

/* The flags that IRET may load at the present CPL and IOPL. */
static uint64_t loadable(const struct cpu *cpu, unsigned size)
{
    unsigned cpl = cpu_cpl(cpu), iopl = (unsigned)(cpu->rflags >> 12 & 3);
    uint64_t flags = FLAGS_ALWAYS | (size > 2 ? FLAGS_WIDE : 0);

    if (cpl <= iopl)
        flags |= RFLAGS_IF;
    if (cpl == 0 && !cpu_virtual_8086(cpu))
        flags |= RFLAGS_IOPL | (size > 2 ? RFLAGS_VIF | RFLAGS_VIP : 0);
    return flags;
}

/* The single step is by TF as it was before; RF is what IRET loads, not what instructions leave. */
static void retire(struct cpu *cpu, uint64_t rip, uint64_t flags, uint64_t which)
{
    cpu_retire_branch(cpu, rip);
    cpu->rflags = (cpu->rflags & ~which) | (flags & which) | RFLAGS_FIXED;
}

static enum status iret_unprotected(struct cpu *cpu, const struct stack *stack, unsigned size)
{
    struct segment code = cpu->seg[SEG_CS];
    uint64_t rip, selector, flags;

    bool own_flag = cpu_virtual_8086(cpu) && virtual_flag_used(cpu) && size == 2;       /* Vol. 3, 21.3.2 */

    if (cpu_virtual_8086(cpu) && (cpu->rflags & RFLAGS_IOPL) != RFLAGS_IOPL && !own_flag)
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(stack_read(cpu, stack, 0, size, &rip));
    TRY(stack_read(cpu, stack, 1, size, &selector));
    TRY(stack_read(cpu, stack, 2, size, &flags));
    code.selector = (uint16_t)selector;
    code.base = (uint32_t)code.selector << 4;
    if (!code_address(cpu, &code, &rip) || (own_flag && !virtual_flags_allowed(cpu, flags)))
        return cpu_fault(cpu, VECTOR_GP, 0);
    cpu->seg[SEG_CS] = code;
    cpu->gpr[RSP] = stack_moved(stack, 3 * (int64_t)size);
    if (!own_flag) {
        retire(cpu, rip, flags, loadable(cpu, size) & ~(RFLAGS_VIF | RFLAGS_VIP));
        return STATUS_OK;
    }
    cpu_retire_branch(cpu, rip);
    virtual_flags_load(cpu, flags);
    return STATUS_OK;
}

/* From CPL 0 to virtual-8086 mode (SDM Vol. 3, 21.2.5). */
static enum status iret_to_virtual_8086(struct cpu *cpu, const struct stack *stack, uint64_t rip, uint64_t selector,
                                        uint64_t flags)
{
    static const enum segment_register order[] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    uint64_t rsp, loaded[5];

    TRY(stack_read(cpu, stack, 3, 4, &rsp));
    for (unsigned i = 0; i < 5; i++)
        TRY(stack_read(cpu, stack, 4 + i, 4, &loaded[i]));
    if (rip > 0xffff)
        return cpu_fault(cpu, VECTOR_GP, 0);
    cpu->seg[SEG_CS].selector = (uint16_t)selector;
    for (unsigned i = 0; i < 5; i++)
        cpu->seg[order[i]].selector = (uint16_t)loaded[i];
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)         /* as VM entry wants them, too: 27.3.1.2 */
        cpu->seg[s] = (struct segment){ cpu->seg[s].selector, 0xf3, 0xffff, (uint32_t)cpu->seg[s].selector << 4 };
    cpu->gpr[RSP] = rsp;
    retire(cpu, rip, flags, FLAGS_ALWAYS | FLAGS_WIDE | RFLAGS_IF | RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP);
    return STATUS_OK;
}

/* Back to the task whose selector is the link of the present TSS (8.4). */
static enum status iret_to_task(struct cpu *cpu, const struct insn *insn)
{
    uint16_t link;

    if (cpu_long_mode(cpu))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(linear_read(cpu, (uint32_t)cpu->seg[SEG_TR].base, &link, sizeof(link), true));
    return task_switch(cpu, link, TASK_BY_IRET, cpu_next_rip(cpu, insn->length), insn->length);
}

static enum status iret_protected(struct cpu *cpu, const struct stack *stack, unsigned size)
{
    bool pops_stack = cpu_64bit(cpu), outer;
    uint64_t rip, selector, flags, rsp, ss_selector, which = loadable(cpu, size);
    struct segment_load code, ss;

    TRY(stack_read(cpu, stack, 0, size, &rip));
    TRY(stack_read(cpu, stack, 1, size, &selector));
    TRY(stack_read(cpu, stack, 2, size, &flags));
    if (size == 4 && (flags & RFLAGS_VM) && cpu_cpl(cpu) == 0 && !cpu_long_mode(cpu))
        return iret_to_virtual_8086(cpu, stack, rip, selector, flags);
    TRY(return_code_segment(cpu, (uint16_t)selector, &code));
    outer = selector_rpl((uint16_t)selector) > cpu_cpl(cpu);
    if (outer || pops_stack) {
        TRY(stack_read(cpu, stack, 3, size, &rsp));
        TRY(stack_read(cpu, stack, 4, size, &ss_selector));
        TRY(prepare_stack(cpu, (uint16_t)ss_selector, &code.segment, &ss));
    }
    if (!code_address(cpu, &code.segment, &rip))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(segment_load_prepare(cpu, &code));
    if (outer || pops_stack)
        TRY(segment_load_prepare(cpu, &ss));
    segment_load_commit(cpu, SEG_CS, &code);
    if (outer || pops_stack) {
        segment_load_commit(cpu, SEG_SS, &ss);
        cpu->gpr[RSP] = loaded_pointer(cpu, &code, &ss, rsp, 0);
        if (outer)
            drop_inner_segments(cpu);
    } else {
        cpu->gpr[RSP] = stack_moved(stack, 3 * (int64_t)size);
    }
    retire(cpu, rip, flags, which);
    return STATUS_OK;
}

enum status interrupt_return(struct cpu *cpu, const struct insn *insn)
{
    struct stack stack = stack_here(cpu);

    if (!cpu_protected(cpu) || cpu_virtual_8086(cpu))
        return iret_unprotected(cpu, &stack, insn->operand_size);
    if (cpu->rflags & RFLAGS_NT)
        return iret_to_task(cpu, insn);
    return iret_protected(cpu, &stack, insn->operand_size);
}
