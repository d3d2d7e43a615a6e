/* SPDX-License-Identifier: MIT */
/* Task switches: SDM Vol. 3, ch. 8. In VMX non-root operation each is a VM exit (26.4.2). */
#include <stddef.h>
#include <string.h>

#include "model/cpu/cr.h"
#include "model/cpu/deliver.h"
#include "model/cpu/execute.h"
#include "model/cpu/raise.h"
#include "model/cpu/segment.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/vmx/vmx.h"

/* The two formats (8.2.1, 8.6). Names ending in a number are reserved halves of selectors and stacks of inner levels. */
struct tss32 {
    uint32_t link, stacks[6], cr3, eip, eflags, gpr[8], seg[6], ldt;
    uint16_t trap, io_map;
};
struct tss16 {
    uint16_t link, stacks[6], ip, flags, gpr[8], seg[4], ldt;
};
_Static_assert(sizeof(struct tss32) == 0x68 && sizeof(struct tss16) == 0x2c, "formats of the TSS");

/* What a switch saves and loads, whatever the format. */
struct task {
    bool wide;
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t seg[6], ldt;
};

enum { DYNAMIC_32 = offsetof(struct tss32, eip), DYNAMIC_16 = offsetof(struct tss16, ip) };
enum { DYNAMIC_32_SIZE = offsetof(struct tss32, ldt) - DYNAMIC_32, DYNAMIC_16_SIZE = offsetof(struct tss16, ldt) - DYNAMIC_16 };

#define DR6_TASK_SWITCH (1ull << 15)            /* BT */
enum { TRAP_AT = offsetof(struct tss32, trap) };

static enum status fault(struct cpu *cpu, enum vector vector, uint16_t selector)
{
    return cpu_fault(cpu, vector, selector_error(cpu, selector));
}

/* ---- the two formats ---- */

static void parse(const uint8_t *image, struct task *task)
{
    if (task->wide) {
        struct tss32 t;
        memcpy(&t, image, sizeof(t));
        task->cr3 = t.cr3, task->eip = t.eip, task->eflags = t.eflags, task->ldt = (uint16_t)t.ldt;
        memcpy(task->gpr, t.gpr, sizeof(t.gpr));
        for (unsigned i = 0; i < 6; i++)
            task->seg[i] = (uint16_t)t.seg[i];
        return;
    }
    struct tss16 t;
    memcpy(&t, image, sizeof(t));
    task->eip = t.ip, task->eflags = t.flags, task->ldt = t.ldt;
    for (unsigned i = 0; i < 8; i++)
        task->gpr[i] = 0xffff0000u | t.gpr[i];  /* undefined; so do Bochs and QEMU */
    for (unsigned i = 0; i < 4; i++)
        task->seg[i] = t.seg[i];
}

/* The part of the old TSS that is written: EIP to the segment registers. Returns its size. */
static unsigned image_of(const struct cpu *cpu, bool wide, uint64_t rip, uint64_t flags, uint8_t *image)
{
    struct tss32 t = { .eip = (uint32_t)rip, .eflags = (uint32_t)flags };
    struct tss16 s = { .ip = (uint16_t)rip, .flags = (uint16_t)flags };

    for (unsigned i = 0; i < 8; i++) {
        t.gpr[i] = (uint32_t)cpu->gpr[i];
        s.gpr[i] = (uint16_t)cpu->gpr[i];
    }
    for (unsigned i = 0; i < 6; i++)
        t.seg[i] = cpu->seg[i].selector;
    for (unsigned i = 0; i < 4; i++)
        s.seg[i] = cpu->seg[i].selector;
    if (wide)
        memcpy(image, (uint8_t *)&t + DYNAMIC_32, DYNAMIC_32_SIZE);
    else
        memcpy(image, (uint8_t *)&s + DYNAMIC_16, DYNAMIC_16_SIZE);
    return wide ? DYNAMIC_32_SIZE : DYNAMIC_16_SIZE;
}

/* ---- loading the new task: faults are the new task's (8.3, Table 8-1) ---- */

static enum status load_ldt(struct cpu *cpu, uint16_t selector)
{
    struct descriptor d;

    cpu->seg[SEG_LDTR] = segment_null(selector);
    if (selector_null(selector))
        return STATUS_OK;
    if (selector & 4)
        return fault(cpu, VECTOR_TS, selector);
    TRY(descriptor_read(cpu, selector, VECTOR_TS, &d));
    if (!is_system(descriptor_rights(&d), SYSTEM_LDT) || !(descriptor_rights(&d) & AR_PRESENT))
        return fault(cpu, VECTOR_TS, selector);
    cpu->seg[SEG_LDTR] = descriptor_segment(&d, selector);
    return STATUS_OK;
}

static enum status load_code(struct cpu *cpu, uint16_t selector, unsigned cpl)
{
    struct segment_load code;
    uint32_t rights;

    if (selector_null(selector))
        return fault(cpu, VECTOR_TS, selector);
    TRY(descriptor_read(cpu, selector, VECTOR_TS, &code.descriptor));
    rights = descriptor_rights(&code.descriptor);
    if (!is_code(rights) || (is_conforming(rights) ? AR_DPL(rights) > cpl : AR_DPL(rights) != cpl))
        return fault(cpu, VECTOR_TS, selector);
    if (!(rights & AR_PRESENT))
        return fault(cpu, VECTOR_NP, selector);
    code.segment = descriptor_segment(&code.descriptor, selector);
    TRY(segment_load_prepare(cpu, &code));
    segment_load_commit(cpu, SEG_CS, &code);
    return STATUS_OK;
}

static enum status load_data(struct cpu *cpu, enum segment_register number, uint16_t selector, unsigned cpl)
{
    struct segment_load data;
    enum vector vector;

    if (selector_null(selector))
        return STATUS_OK;
    TRY(descriptor_read(cpu, selector, VECTOR_TS, &data.descriptor));
    if (!segment_permitted(number, selector, &data.descriptor, cpl, &vector))
        return fault(cpu, vector == VECTOR_GP ? VECTOR_TS : vector, selector);
    data.segment = descriptor_segment(&data.descriptor, selector);
    TRY(segment_load_prepare(cpu, &data));
    segment_load_commit(cpu, number, &data);
    return STATUS_OK;
}

static enum status load_stack(struct cpu *cpu, uint16_t selector, unsigned cpl)
{
    struct segment_load ss;

    TRY(outer_stack_segment(cpu, selector, cpl, VECTOR_TS, &ss));
    TRY(segment_load_prepare(cpu, &ss));
    segment_load_commit(cpu, SEG_SS, &ss);
    return STATUS_OK;
}

static enum status load_segments(struct cpu *cpu, const struct task *task)
{
    static const enum segment_register data[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };
    unsigned cpl = selector_rpl(task->seg[SEG_CS]);
    bool virtual_8086 = task->eflags & RFLAGS_VM;

    for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
        uint16_t selector = task->seg[s];
        cpu->seg[s] = virtual_8086 ? (struct segment){ selector, 0xf3, 0xffff, (uint32_t)selector << 4 }
                                   : segment_null(selector);
    }
    if (!virtual_8086)
        cpu->seg[SEG_SS].access_rights |= cpl << 5;     /* CPL is SS.DPL, whatever comes of loading it */
    TRY(load_ldt(cpu, task->ldt));
    if (!virtual_8086) {
        TRY(load_code(cpu, task->seg[SEG_CS], cpl));
        TRY(load_stack(cpu, task->seg[SEG_SS], cpl));
        for (unsigned i = 0; i < 4; i++)
            TRY(load_data(cpu, data[i], task->seg[data[i]], cpl));
    }
    if (task->eip > cpu->seg[SEG_CS].limit)
        return fault(cpu, VECTOR_GP, 0);
    return STATUS_OK;
}

/* ---- the switch ---- */

static enum status exit_for_switch(struct cpu *cpu, uint16_t selector, enum task_switch_source source, unsigned length)
{
    return cpu_vm_exit(cpu, &(struct exit_information){
        .reason = EXIT_REASON_task_switch, .qualification = selector | (uint64_t)source << 30,
        .instruction_length = length,
    });
}

static enum status read_tss(struct cpu *cpu, const struct segment *tss, struct task *task)
{
    uint8_t image[sizeof(struct tss32)] = { 0 };

    TRY(linear_read(cpu, (uint32_t)tss->base, image, task->wide ? sizeof(struct tss32) : sizeof(struct tss16), true));
    parse(image, task);
    return STATUS_OK;
}

/* Everything that is written before the new task begins. */
struct writes {
    struct span old_state, old_busy, new_busy, link;
    struct descriptor old_descriptor;
    bool clears_old, sets_new, links;
};

static enum status locate(struct cpu *cpu, const struct descriptor *d, const struct segment *tss,
                          enum task_switch_source source, unsigned old_size, struct writes *w)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    bool old_wide = AR_TYPE(tr->access_rights) & 8;

    if (tr->limit < (old_wide ? sizeof(struct tss32) : sizeof(struct tss16)) - 1)
        return fault(cpu, VECTOR_TS, tr->selector);
    w->clears_old = source == TASK_BY_JMP || source == TASK_BY_IRET;
    w->sets_new = source != TASK_BY_IRET;
    w->links = source == TASK_BY_CALL || source == TASK_BY_GATE;
    TRY(span_locate(cpu, (uint32_t)(tr->base + (old_wide ? DYNAMIC_32 : DYNAMIC_16)), old_size, ACCESS_WRITE, true,
                    &w->old_state));
    if (w->clears_old) {
        w->old_descriptor = (struct descriptor){ .linear = (uint32_t)(cpu->gdtr.base + (tr->selector & 0xfff8u)) };
        TRY(linear_read(cpu, w->old_descriptor.linear, &w->old_descriptor.low, 8, true));
        TRY(descriptor_locate(cpu, &w->old_descriptor, &w->old_busy));
    }
    if (w->links)
        TRY(span_locate(cpu, (uint32_t)tss->base, 2, ACCESS_WRITE, true, &w->link));
    return w->sets_new ? descriptor_locate(cpu, d, &w->new_busy) : STATUS_OK;
}

static void load_registers(struct cpu *cpu, const struct task *task, uint64_t flags)
{
    for (unsigned i = 0; i < 8; i++)
        cpu->gpr[i] = task->gpr[i];
    cpu->rflags = (flags & 0x3f7fd5) | RFLAGS_FIXED;
    cpu->rip = task->eip;
    cpu->cr0 |= CR0_TS;
    cpu->dr7 &= ~0x155ull;              /* 18.2.4: L0-L3 and LE are cleared at each switch */
}

static enum status switch_to(struct cpu *cpu, const struct descriptor *d, uint16_t selector,
                             enum task_switch_source source, uint64_t next_rip)
{
    struct segment tss = descriptor_segment(d, selector);
    struct task task = { .wide = AR_TYPE(tss.access_rights) & 8 };
    bool old_wide = AR_TYPE(cpu->seg[SEG_TR].access_rights) & 8;
    uint64_t old_flags = source == TASK_BY_GATE ? delivery_flags(cpu) : cpu->rflags & ~RFLAGS_RF, flags;
    uint8_t image[DYNAMIC_32_SIZE];
    uint16_t link = cpu->seg[SEG_TR].selector;
    unsigned size;
    struct writes w;

    if (source == TASK_BY_IRET)
        old_flags &= ~RFLAGS_NT;
    TRY(read_tss(cpu, &tss, &task));
    size = image_of(cpu, old_wide, next_rip, old_flags, image);
    TRY(locate(cpu, d, &tss, source, size, &w));
    span_write(cpu, &w.old_state, image);
    if (w.clears_old)
        descriptor_set_type(cpu, &w.old_descriptor, &w.old_busy,
                            descriptor_rights(&w.old_descriptor) & ~SYSTEM_TYPE_BUSY);
    tss.access_rights |= SYSTEM_TYPE_BUSY;
    if (w.sets_new)
        descriptor_set_type(cpu, d, &w.new_busy, tss.access_rights);
    flags = task.eflags;
    if (w.links) {
        span_write(cpu, &w.link, &link);
        flags |= RFLAGS_NT;
    }
    cpu->seg[SEG_TR] = tss;
    load_registers(cpu, &task, flags);
    if (task.wide && (cpu->cr0 & CR0_PG))
        TRY(cr3_write(cpu, task.cr3));
    return load_segments(cpu, &task);
}

/* 18.3.1.5: the T flag of the new TSS is a trap before its first instruction. */
enum status task_trap(struct cpu *cpu)
{
    const struct segment *tr = &cpu->seg[SEG_TR];
    uint16_t trap = 0;

    if (AR_TYPE(tr->access_rights) & 8)
        TRY(linear_read(cpu, (uint32_t)(tr->base + TRAP_AT), &trap, sizeof(trap), true));
    if (!(trap & 1))
        return STATUS_OK;
    return cpu_raise(cpu, (struct event){ .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION,
                                          .address = DR6_TASK_SWITCH });
}

enum status task_switch(struct cpu *cpu, uint16_t selector, enum task_switch_source source, uint64_t next_rip,
                        unsigned instruction_length)
{
    enum vector vector = source == TASK_BY_IRET ? VECTOR_TS : VECTOR_GP;
    unsigned available = source == TASK_BY_IRET ? SYSTEM_TYPE_BUSY : 0;
    struct descriptor d;
    struct segment tss;

    if (selector_null(selector) || (selector & 4))
        return fault(cpu, vector, selector);
    TRY(descriptor_read(cpu, selector, vector, &d));
    tss = descriptor_segment(&d, selector);
    if ((tss.access_rights & AR_S) || ((AR_TYPE(tss.access_rights) & ~8u) != (SYSTEM_TSS_16 | available)))
        return fault(cpu, vector, selector);
    if (!(tss.access_rights & AR_PRESENT))
        return fault(cpu, VECTOR_NP, selector);
    if (tss.limit < (AR_TYPE(tss.access_rights) & 8 ? sizeof(struct tss32) : sizeof(struct tss16)) - 1)
        return fault(cpu, VECTOR_TS, selector);
    if (cpu->vmx.non_root)
        return exit_for_switch(cpu, selector, source, instruction_length);
    TRY(switch_to(cpu, &d, selector, source, next_rip));
    if (source == TASK_BY_GATE)
        return STATUS_OK;
    cpu->interruptibility &= ~(uint32_t)(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
    cpu->instructions++;
    cpu->clock++;
    return task_trap(cpu);
}

enum status task_gate(struct cpu *cpu, const struct descriptor *gate, enum task_switch_source source, uint64_t next_rip,
                      unsigned instruction_length)
{
    return task_switch(cpu, (uint16_t)(gate->low >> 16), source, next_rip, instruction_length);
}
