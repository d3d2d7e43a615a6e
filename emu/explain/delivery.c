/* SPDX-License-Identifier: MIT */
/*
 * The way of an event through the IDT once more, now looking for what is wrong: SDM Vol. 3, 6.10-6.14, 21.1.4. The processor that
 * delivers is the CPU engine's; here is only asked which of its steps can have caused the fault that is known to have come.
 */
#include "emu/explain/delivery.h"

#include <stdio.h>
#include <string.h>

#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/vmx/vmx.h"

enum delivery_id {
#define DELIVERY(id, section, sentence) DELIVERY_##id,
#include "emu/explain/delivery_reasons.def"
};

static const struct delivery_reason reasons[] = {
#define DELIVERY(id, section, sentence) { #id, section, sentence },
#include "emu/explain/delivery_reasons.def"
};

enum { GATE_TASK = 5, GATE_INTERRUPT_16 = 6, GATE_TRAP_16 = 7, GATE_INTERRUPT = 0xe, GATE_TRAP = 0xf };
enum { TSS64_RSP0 = 4, TSS64_IST1 = 0x24, TSS32_ESP0 = 4, SELECTOR_TI = 4 };
#define DESCRIPTOR_LONG (1ull << 53)
#define DESCRIPTOR_DEFAULT (1ull << 54)

/* One delivery: what it goes through. */
struct way {
    struct cpu *cpu;
    const struct event *event;
    bool wide;                      /* IA-32e mode */
    enum tables_from from;
    uint64_t gate, gate_high;
    uint16_t selector;
    uint64_t descriptor, descriptor_at;
    const struct event *fault;      /* that came of it; NULL: none has yet */
};

static struct delivery_failure because(enum delivery_id id, const struct way *way, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return (struct delivery_failure){ &reasons[id], { way->event->vector, a, b, c, d } };
}

static const struct delivery_failure nothing;

static uint64_t bits(uint64_t value, unsigned from, unsigned count)
{
    return value >> from & ((1ull << count) - 1);
}

/* A VM exit gives GDTR and IDTR the limit 0xffff (28.5.2), which is the one of reset, too. */
static bool of_reset(const struct table_register *table)
{
    return !table->base && table->limit == 0xffff;
}

/* Is the register still as VM entry loaded it? */
static bool as_entered(const struct way *way, const struct table_register *table, uint64_t base, uint64_t limit)
{
    return way->from == TABLES_ENTRY && table->base == base && table->limit == limit;
}

static bool idt_as_entered(const struct way *way)
{
    const struct vmcs *v = way->cpu->vmx.current;

    return v && as_entered(way, &way->cpu->idtr, VMCS(v, guest_idtr_base), VMCS(v, guest_idtr_limit));
}

static bool gdt_as_entered(const struct way *way)
{
    const struct vmcs *v = way->cpu->vmx.current;

    return v && as_entered(way, &way->cpu->gdtr, VMCS(v, guest_gdtr_base), VMCS(v, guest_gdtr_limit));
}

/* The page is not mapped now, but the fault was not about it: the processor has remembered a translation. */
static bool was_remembered(const struct way *way, uint64_t linear)
{
    return way->fault && way->fault->vector == VECTOR_PF && (way->fault->address ^ linear) & PAGE_MASK;
}

/* What was behind a page that cannot be read any more: a #PF of the frame, perhaps. */
static struct delivery_failure behind_remembered(const struct way *way)
{
    enum { FRAME_MAX = 64 };
    uint64_t rsp = way->cpu->gpr[RSP];

    if (rsp - way->fault->address <= FRAME_MAX)
        return because(DELIVERY_stack_unmapped, way, way->fault->address, rsp, 0, 0);
    return because(DELIVERY_unknown, way, 0, 0, 0, 0);
}

static struct delivery_failure in_real_mode(const struct way *way)
{
    const struct table_register *idtr = &way->cpu->idtr;

    if (way->event->vector * 4u + 3 > idtr->limit)
        return because(DELIVERY_ivt_limit, way, idtr->base, idtr->limit, 0, 0);
    return nothing;
}

static struct delivery_failure read_gate(struct way *way)
{
    const struct table_register *idtr = &way->cpu->idtr;
    unsigned size = way->wide ? 16 : 8;
    uint64_t offset = (uint64_t)way->event->vector * size, at = idtr->base + offset;

    if (idtr->limit < size - 1)
        return because(idt_as_entered(way) ? DELIVERY_idt_empty_entry : way->from == TABLES_GUEST ? DELIVERY_idt_empty_guest : DELIVERY_idt_empty, way,
                       idtr->base, idtr->limit, 0, 0);
    if (offset + size - 1 > idtr->limit)
        return because(DELIVERY_idt_limit, way, idtr->base, idtr->limit, offset + size - 1, 0);
    switch (place_peek(way->cpu, at, &way->gate, 8)) {
    case PEEK_DONE:
        break;
    case PEEK_UNMAPPED:
        if (was_remembered(way, at))
            return behind_remembered(way);
        return because(DELIVERY_idt_unmapped, way, idtr->base, way->cpu->cr3, at, 0);
    case PEEK_NO_RAM:
        return because(DELIVERY_idt_nowhere, way, idtr->base, idtr->limit, at, 0);
    }
    if (way->wide && place_peek(way->cpu, at + 8, &way->gate_high, 8) != PEEK_DONE)
        return because(DELIVERY_idt_unmapped, way, idtr->base, way->cpu->cr3, at + 8, 0);
    return nothing;
}

static struct delivery_failure judge_gate(const struct way *way)
{
    uint64_t type = bits(way->gate, 40, 5), dpl = bits(way->gate, 45, 2);
    bool software = way->event->type == EVENT_SOFTWARE_INTERRUPT || way->event->type == EVENT_SOFTWARE_EXCEPTION;

    if (of_reset(&way->cpu->idtr) && way->from == TABLES_EXIT && ((type & 0x10) || !type))
        return because(DELIVERY_idt_of_exit, way, 0, way->cpu->idtr.limit, way->gate, 0);
    if (of_reset(&way->cpu->idtr) && (type & 0x10) && idt_as_entered(way))
        return because(DELIVERY_idt_of_entry, way, 0, way->cpu->idtr.limit, way->gate, 0);
    if (!way->cpu->idtr.base && way->cpu->idtr.limit >= 0x3ff && (type & 0x10))
        return because(DELIVERY_idt_of_real_mode, way, 0, way->cpu->idtr.limit, way->gate, 0);
    if (!way->gate && !way->gate_high)
        return because(DELIVERY_gate_empty, way, 0, 0, 0, 0);
    if (way->wide && way->gate_high >> 32)
        return because(DELIVERY_gate_8_bytes, way, way->gate, way->gate_high, way->gate_high >> 32, 0);
    if (way->wide && type != GATE_INTERRUPT && type != GATE_TRAP)
        return because(DELIVERY_gate_type_64, way, way->gate, way->gate_high, type, 0);
    if (!way->wide && type != GATE_TASK && type != GATE_INTERRUPT_16 && type != GATE_TRAP_16 && type != GATE_INTERRUPT && type != GATE_TRAP)
        return because(DELIVERY_gate_type, way, way->gate, 0, type, 0);
    if (software && dpl < cpu_cpl(way->cpu))
        return because(DELIVERY_gate_dpl, way, way->gate, 0, dpl, cpu_cpl(way->cpu));
    if (!bits(way->gate, 47, 1))
        return because(DELIVERY_gate_not_present, way, way->gate, 0, 0, 0);
    return nothing;
}

static bool small_gate(const struct way *way)
{
    uint64_t type = bits(way->gate, 40, 5);

    return !way->wide && (type == GATE_INTERRUPT_16 || type == GATE_TRAP_16);
}

/* Base and limit of the table that holds a selector's descriptor. */
static struct table_register table_of(const struct cpu *cpu, uint16_t selector)
{
    if (selector & SELECTOR_TI)
        return (struct table_register){ cpu->seg[SEG_LDTR].base, cpu->seg[SEG_LDTR].limit };
    return cpu->gdtr;
}

static struct delivery_failure judge_code_segment(struct way *way)
{
    struct table_register table;
    uint64_t type;

    way->selector = (uint16_t)bits(way->gate, 16, 16);
    if (!(way->selector & ~3u))
        return because(DELIVERY_handler_null, way, 0, 0, 0, 0);
    table = table_of(way->cpu, way->selector);
    way->descriptor_at = table.base + (way->selector & ~7u);
    if ((way->selector | 7u) > table.limit)
        return because(DELIVERY_handler_limit, way, way->selector, table.base, table.limit, 0);
    if (place_peek(way->cpu, way->descriptor_at, &way->descriptor, 8) != PEEK_DONE && was_remembered(way, way->descriptor_at))
        return behind_remembered(way);
    if (place_peek(way->cpu, way->descriptor_at, &way->descriptor, 8) != PEEK_DONE)
        return because(DELIVERY_handler_unmapped, way, way->selector, table.base, way->descriptor_at, 0);
    type = bits(way->descriptor, 40, 5);
    if (!table.base && table.limit == 0xffff && (type & 0x18) != 0x18)
        return because(way->from == TABLES_EXIT ? DELIVERY_gdt_of_exit : gdt_as_entered(way) ? DELIVERY_gdt_of_entry : DELIVERY_gdt_none, way,
                       way->selector, 0, table.limit, 0);
    if ((type & 0x18) != 0x18)
        return because(DELIVERY_handler_no_code, way, way->selector, way->descriptor, way->descriptor_at, 0);
    if (bits(way->descriptor, 45, 2) > cpu_cpl(way->cpu))
        return because(DELIVERY_handler_dpl, way, way->selector, way->descriptor, 0, 0);
    if (!bits(way->descriptor, 47, 1))
        return because(DELIVERY_handler_not_present, way, way->selector, way->descriptor, way->descriptor_at, 0);
    if (way->wide && (!(way->descriptor & DESCRIPTOR_LONG) || (way->descriptor & DESCRIPTOR_DEFAULT)))
        return because(DELIVERY_handler_not_64, way, way->selector, way->descriptor, way->descriptor_at, 0);
    return nothing;
}

static struct delivery_failure judge_handler(const struct way *way)
{
    uint64_t offset = bits(way->gate, 0, 16) | (small_gate(way) ? 0 : bits(way->gate, 48, 16) << 16);
    uint64_t limit = bits(way->descriptor, 0, 16) | bits(way->descriptor, 48, 4) << 16;

    if (way->wide) {
        offset |= way->gate_high << 32;
        return linear_canonical(way->cpu, offset) ? nothing : because(DELIVERY_handler_not_canonical, way, offset, 0, 0, 0);
    }
    if (bits(way->descriptor, 55, 1))
        limit = limit << 12 | 0xfff;
    return offset <= limit ? nothing : because(DELIVERY_handler_beyond, way, offset, limit, 0, 0);
}

/* The first bytes of a frame that would be pushed below `top`. */
static struct delivery_failure judge_stack_page(const struct way *way, uint64_t top, uint64_t from_tss)
{
    unsigned count = (way->wide ? 5 : 3) + way->event->has_error_code, size = way->wide ? 8 : small_gate(way) ? 2 : 4;
    uint64_t base = way->wide ? 0 : way->cpu->seg[SEG_SS].base;

    for (unsigned i = 1; i <= count; i++) {
        uint64_t linear = base + (way->wide ? (top & ~0xfull) - (uint64_t)i * size : (uint32_t)(top - i * size));
        struct access access = { .kind = ACCESS_WRITE, .probe = true };

        if (!linear_canonical(way->cpu, linear))
            return because(DELIVERY_stack_not_canonical, way, linear, top, 0, 0);
        if (translate(way->cpu, linear, access).result == TRANSLATION_OK)
            continue;
        if (!from_tss)
            return because(DELIVERY_stack_unmapped, way, linear, top, 0, 0);
        return top < 0x100 ? because(DELIVERY_tss_stack_zero, way, top, from_tss, linear, 0)
                           : because(DELIVERY_ist_unmapped, way, linear, top, from_tss, 0);
    }
    return nothing;
}

static struct delivery_failure judge_stack_of_tss(const struct way *way, unsigned offset, unsigned size)
{
    const struct segment *tr = &way->cpu->seg[SEG_TR];
    uint64_t top = 0, at = tr->base + offset;

    if (!(tr->selector & ~3u) || (tr->access_rights & AR_UNUSABLE) || !(tr->access_rights & AR_PRESENT))
        return because(DELIVERY_tss_none, way, tr->selector, 0, 0, 0);
    if (offset + size - 1 > tr->limit)
        return because(DELIVERY_tss_limit, way, tr->base, tr->limit, offset, 0);
    if (place_peek(way->cpu, at, &top, size < 8 ? 4 : 8) != PEEK_DONE)
        return because(DELIVERY_tss_unmapped, way, tr->base, tr->limit, at, 0);
    if (way->from == TABLES_EXIT && !tr->base)
        return because(DELIVERY_tss_of_exit, way, at, top, 0, 0);
    if (way->wide && !linear_canonical(way->cpu, top))
        return because(DELIVERY_tss_stack_not_canonical, way, top, at, 0, 0);
    if (!way->wide) {
        uint64_t selector = 0, descriptor = 0;
        struct table_register table;

        place_peek(way->cpu, at + 4, &selector, 2);
        table = table_of(way->cpu, (uint16_t)selector);
        bool found = (selector & ~3u) && (selector | 7) <= table.limit &&
                     place_peek(way->cpu, table.base + (selector & ~7ull), &descriptor, 8) == PEEK_DONE;
        if (!found || (bits(descriptor, 40, 5) & 0x1a) != 0x12 || !bits(descriptor, 47, 1))
            return because(DELIVERY_tss_stack_segment, way, selector, descriptor, 0, 0);
    }
    return judge_stack_page(way, top, at);
}

static struct delivery_failure judge_stack(const struct way *way)
{
    const struct cpu *cpu = way->cpu;
    const struct segment *ss = &cpu->seg[SEG_SS];
    unsigned dpl = (unsigned)bits(way->descriptor, 45, 2), ist = (unsigned)bits(way->gate, 32, 3);
    bool conforming = bits(way->descriptor, 42, 1), inner = !conforming && dpl < cpu_cpl(cpu);

    if (way->wide && ist)
        return judge_stack_of_tss(way, TSS64_IST1 + 8 * (ist - 1), 8);
    if (inner)
        return judge_stack_of_tss(way, way->wide ? TSS64_RSP0 + 8 * dpl : TSS32_ESP0 + 8 * dpl, way->wide ? 8 : 6);
    if (!way->wide && !(AR_TYPE(ss->access_rights) & 4) && (uint32_t)(cpu->gpr[RSP] - 1) > ss->limit)
        return because(DELIVERY_stack_limit, way, 0, (uint32_t)cpu->gpr[RSP], ss->limit, 0);
    return judge_stack_page(way, cpu->gpr[RSP], 0);
}

static struct delivery_failure before_the_stack(struct way *way)
{
    struct delivery_failure failure;

    if (!cpu_protected(way->cpu))
        return in_real_mode(way);
    failure = read_gate(way);
    if (!failure.reason)
        failure = judge_gate(way);
    if (!failure.reason && !way->wide && bits(way->gate, 40, 5) == GATE_TASK)
        return nothing;
    if (!failure.reason)
        failure = judge_code_segment(way);
    return failure;
}

struct delivery_failure delivery_diagnose(struct cpu *cpu, const struct event *event, const struct event *fault, enum tables_from from)
{
    struct cpu view = place_view(cpu);
    struct way way = { .cpu = &view, .event = event, .wide = cpu_long_mode(cpu), .from = from, .fault = fault };
    struct delivery_failure failure = before_the_stack(&way);

    if (!failure.reason && cpu_protected(cpu)) {
        failure = judge_stack(&way);
        if (!failure.reason)
            failure = judge_handler(&way);
    }
    return failure.reason ? failure : because(DELIVERY_unknown, &way, 0, 0, 0, 0);
}

struct delivery_failure delivery_foresee(struct cpu *cpu, uint8_t vector)
{
    struct event event = { .valid = true, .vector = vector, .type = EVENT_EXTERNAL_INTERRUPT };
    struct cpu view = place_view(cpu);
    struct way way = { .cpu = &view, .event = &event, .wide = cpu_long_mode(cpu) };

    return before_the_stack(&way);
}

void delivery_words(char *to, size_t size, const struct delivery_failure *failure)
{
    size_t used;

    sentence_fill(to, size, failure->reason->sentence, failure->value);
    used = strlen(to);
    snprintf(to + used, size - used, " [%s]", failure->reason->section);
}
