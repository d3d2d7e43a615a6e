/* SPDX-License-Identifier: MIT */
/* Far JMP and CALL: SDM Vol. 2, JMP, CALL; Vol. 3, 5.8. */
#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/cpu/walk.h"
#include "model/model.h"

/* A transfer as it proceeds. */
struct transfer {
    const struct insn *insn;
    bool call;
    uint16_t selector;
    uint64_t offset;
    unsigned size;              /* of what CALL pushes */
};

bool code_address(const struct cpu *cpu, const struct segment *code, uint64_t *offset)
{
    if (is_code64(cpu, code->access_rights))
        return linear_canonical(cpu, *offset);
    *offset = (uint32_t)*offset;
    return *offset <= code->limit;
}

static enum status fault(struct cpu *cpu, enum vector vector, uint16_t selector)
{
    return cpu_fault(cpu, vector, selector_error(cpu, selector));
}

/* The pointer in memory: offset, then selector. */
static enum status read_pointer(struct cpu *cpu, struct transfer *t)
{
    const struct insn *insn = t->insn;
    uint64_t linear;

    t->selector = insn->selector;
    t->offset = (uint64_t)insn->displacement;
    if (insn->kind != OPERAND_MEMORY)
        return STATUS_OK;
    t->offset = 0;
    TRY(operand_linear(cpu, insn, insn->operand_size + 2u, false, &linear));
    TRY(linear_read(cpu, linear, &t->offset, insn->operand_size, false));
    return linear_read(cpu, linear + insn->operand_size, &t->selector, 2, false);
}

/* What CALL leaves on the stack that is used already, and the end of both. */
static enum status finish(struct cpu *cpu, struct transfer *t, struct segment_load *code)
{
    struct stack stack = stack_here(cpu);
    struct frame frame = { .size = t->size };

    if (t->call) {
        frame_push(&frame, cpu->seg[SEG_CS].selector);
        frame_push(&frame, cpu_next_rip(cpu, t->insn->length));
        TRY(frame_locate(cpu, &stack, &frame));
    }
    if (!code_address(cpu, &code->segment, &t->offset))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(segment_load_prepare(cpu, code));
    if (t->call) {
        frame_write(cpu, &stack, &frame);
        cpu->gpr[RSP] = frame.pointer;
    }
    segment_load_commit(cpu, SEG_CS, code);
    cpu_retire_branch(cpu, t->offset);
    return STATUS_OK;
}

/* ---- real-address and virtual-8086 mode ---- */

static enum status unprotected(struct cpu *cpu, struct transfer *t)
{
    struct segment_load code = { .segment = cpu->seg[SEG_CS] };         /* accessed, or of no descriptor */

    code.segment.selector = t->selector;
    code.segment.base = (uint32_t)t->selector << 4;
    return finish(cpu, t, &code);
}

/* ---- code segments ---- */

/* A code segment that a gate, or a jump, names: what the two have in common. Its privilege was checked. */
static enum status prepare_code(struct cpu *cpu, uint16_t selector, unsigned cpl, struct segment_load *code)
{
    if (!(descriptor_rights(&code->descriptor) & AR_PRESENT))
        return fault(cpu, VECTOR_NP, selector);
    code->segment = descriptor_segment(&code->descriptor, (uint16_t)((selector & 0xfffc) | cpl));
    return STATUS_OK;
}

static enum status to_code_segment(struct cpu *cpu, struct transfer *t, struct segment_load *code)
{
    uint32_t rights = descriptor_rights(&code->descriptor);
    unsigned cpl = cpu_cpl(cpu), dpl = AR_DPL(rights);

    if (is_code64(cpu, rights) && (rights & AR_DB))
        return fault(cpu, VECTOR_GP, t->selector);
    if (is_conforming(rights) ? dpl > cpl : dpl != cpl || selector_rpl(t->selector) > cpl)
        return fault(cpu, VECTOR_GP, t->selector);
    TRY(prepare_code(cpu, t->selector, cpl, code));
    return finish(cpu, t, code);
}

/* ---- call gates ---- */

/* CALL to an inner level (SDM Vol. 3, 5.8.5): a new stack, with the parameters of the old one. */
static enum status to_inner_level(struct cpu *cpu, struct transfer *t, struct segment_load *code,
                                  unsigned parameters)
{
    struct stack old = stack_here(cpu);
    struct frame frame = { .size = t->size };
    struct inner_stack inner;
    uint64_t word;

    TRY(inner_stack_read(cpu, AR_DPL(code->segment.access_rights), 0, &inner));
    frame_push(&frame, cpu->seg[SEG_SS].selector);
    frame_push(&frame, cpu->gpr[RSP]);
    for (unsigned i = cpu_long_mode(cpu) ? 0 : parameters; i-- > 0;) {
        TRY(stack_read(cpu, &old, i, t->size, &word));
        frame_push(&frame, word);
    }
    frame_push(&frame, cpu->seg[SEG_CS].selector);
    frame_push(&frame, cpu_next_rip(cpu, t->insn->length));
    TRY(frame_locate(cpu, &inner.stack, &frame));
    if (!code_address(cpu, &code->segment, &t->offset))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(segment_load_prepare(cpu, &inner.ss));
    TRY(segment_load_prepare(cpu, code));
    frame_write(cpu, &inner.stack, &frame);
    segment_load_commit(cpu, SEG_SS, &inner.ss);
    cpu->gpr[RSP] = frame.pointer;
    segment_load_commit(cpu, SEG_CS, code);
    cpu_retire_branch(cpu, t->offset);
    return STATUS_OK;
}

static enum status through_call_gate(struct cpu *cpu, struct transfer *t, struct descriptor *d)
{
    unsigned cpl = cpu_cpl(cpu), dpl, level = cpl;
    struct segment_load code;
    struct gate gate;
    uint32_t rights;

    if (!(descriptor_rights(d) & AR_PRESENT))
        return fault(cpu, VECTOR_NP, t->selector);
    if (cpu_long_mode(cpu))
        TRY(descriptor_read_high(cpu, t->selector, d));
    gate = descriptor_gate(cpu, d);
    if (selector_null(gate.selector))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(descriptor_read(cpu, gate.selector, VECTOR_GP, &code.descriptor));
    rights = descriptor_rights(&code.descriptor);
    dpl = AR_DPL(rights);
    if (!is_code(rights) || dpl > cpl || (!t->call && !is_conforming(rights) && dpl != cpl))
        return fault(cpu, VECTOR_GP, gate.selector);
    if (cpu_long_mode(cpu) && (rights & (AR_L | AR_DB)) != AR_L)
        return fault(cpu, VECTOR_GP, gate.selector);
    if (t->call && !is_conforming(rights))
        level = dpl;
    t->size = cpu_long_mode(cpu) ? 8 : AR_TYPE(descriptor_rights(d)) == SYSTEM_CALL_GATE_32 ? 4 : 2;
    t->offset = gate.offset;
    TRY(prepare_code(cpu, gate.selector, level, &code));
    return level < cpl ? to_inner_level(cpu, t, &code, gate.parameters) : finish(cpu, t, &code);
}

/* ---- system descriptors ---- */

static enum status to_system(struct cpu *cpu, struct transfer *t, struct descriptor *d)
{
    enum task_switch_source source = t->call ? TASK_BY_CALL : TASK_BY_JMP;
    uint32_t rights = descriptor_rights(d);
    unsigned type = AR_TYPE(rights), dpl = AR_DPL(rights);
    bool long_mode = cpu_long_mode(cpu);
    uint64_t next = cpu_next_rip(cpu, t->insn->length);

    if (type != SYSTEM_CALL_GATE_32 &&
        (long_mode || (type != SYSTEM_CALL_GATE_16 && type != SYSTEM_TASK_GATE && type != SYSTEM_TSS_16 &&
                       type != SYSTEM_TSS_32)))
        return fault(cpu, VECTOR_GP, t->selector);
    if (dpl < cpu_cpl(cpu) || dpl < selector_rpl(t->selector))
        return fault(cpu, VECTOR_GP, t->selector);
    if (type == SYSTEM_CALL_GATE_32 || type == SYSTEM_CALL_GATE_16)
        return through_call_gate(cpu, t, d);
    if (!(rights & AR_PRESENT))
        return fault(cpu, VECTOR_NP, t->selector);
    if (type == SYSTEM_TASK_GATE)
        return task_gate(cpu, d, source, next, t->insn->length);
    return task_switch(cpu, t->selector, source, next, t->insn->length);
}

enum status far_jump(struct cpu *cpu, const struct insn *insn)
{
    struct transfer t = { .insn = insn, .call = insn->id == INSN_call_far, .size = insn->operand_size };
    struct segment_load code;

    TRY(read_pointer(cpu, &t));
    if (!cpu_protected(cpu) || cpu_virtual_8086(cpu))
        return unprotected(cpu, &t);
    if (selector_null(t.selector))
        return cpu_fault(cpu, VECTOR_GP, 0);
    TRY(descriptor_read(cpu, t.selector, VECTOR_GP, &code.descriptor));
    if (is_code(descriptor_rights(&code.descriptor)))
        return to_code_segment(cpu, &t, &code);
    if (descriptor_rights(&code.descriptor) & AR_S)
        return fault(cpu, VECTOR_GP, t.selector);
    return to_system(cpu, &t, &code.descriptor);
}
