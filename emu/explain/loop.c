/* SPDX-License-Identifier: MIT */
/*
 * Short loops that change nothing. If after some instructions all registers are what they were, and none of those instructions wrote to
 * memory what it had not written before, the processor does the same for ever, unless something comes from outside: an interrupt,
 * another processor, a device that it asks.
 */
#include "emu/explain/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/decode/decode.h"
#include "emu/explain/events.h"
#include "emu/explain/interrupts.h"
#include "emu/explain/place.h"
#include "emu/machine/parts.h"
#include "model/cpu/execute.h"
#include "model/cpu/raise.h"

#define LONG_ENOUGH (1ull << 28)        /* ticks: the PIT has asked several times */

struct registers {
    uint64_t gpr[GPR_COUNT], rip, rflags, cs;
};

static struct registers registers_of(const struct cpu *cpu)
{
    struct registers r;

    memset(&r, 0, sizeof r);
    memcpy(r.gpr, cpu->gpr, sizeof r.gpr);
    r.rip = cpu->rip;
    r.rflags = cpu->rflags & ~(uint64_t)RFLAGS_RF;
    r.cs = cpu->seg[SEG_CS].selector;
    return r;
}

/* Instructions that leave memory alone, or write to the stack what the next turn writes again. */
static const char *const harmless[] = {
    "cmp", "test", "nop", "pause", "call", "ret", "push", "lea", "cli", "sti", "cld", "std", "bt", "lfence", "mfence", "sfence", "endbr64", "movzx",
    "movsx", "movsxd", "leave", "in", "rdmsr", "cbw", "cwde", "cdqe", "cdq", "cqo",
};
/* These too, if their first operand is a register. */
static const char *const harmless_to_registers[] = {
    "mov", "pop", "and", "or", "xor", "add", "sub", "inc", "dec", "not", "neg", "shl", "shr", "sar", "movabs",
};

static bool is_one_of(const char *text, const char *const *list, size_t count)
{
    size_t length = strcspn(text, " ");

    for (size_t i = 0; i < count; i++)
        if (strlen(list[i]) == length && !strncmp(text, list[i], length))
            return true;
    return false;
}

static bool changes_nothing(struct cpu *cpu, bool *asks)
{
    uint8_t bytes[INSTRUCTION_MAX];
    char text[80];

    disassemble(code_bits(cpu), cpu->rip, bytes, place_fetch(cpu, bytes), text, sizeof text);
    *asks |= !strncmp(text, "in ", 3) || !strncmp(text, "rdmsr", 5);
    if (text[0] == 'j' || !strncmp(text, "cmov", 4) || is_one_of(text, harmless, sizeof harmless / sizeof harmless[0]))
        return true;
    text[strcspn(text, ",")] = '\0';
    return (!strncmp(text, "set", 3) || is_one_of(text, harmless_to_registers, sizeof harmless_to_registers / sizeof harmless_to_registers[0])) &&
           !strchr(text, '[');
}

/* One instruction. False: something else happened. */
static bool one_step(struct machine *machine, struct cpu *cpu)
{
    uint64_t instructions = cpu->instructions, events = machine->events[cpu->index].count;

    return machine_step(machine, cpu, cpu->clock + 1) == STATUS_OK && cpu->instructions == instructions + 1 && cpu_runs(cpu) &&
           !cpu->event.valid && machine->events[cpu->index].count == events;
}

/* Instructions after which all registers are what they were; 0: none. */
static unsigned find(struct machine *machine, struct cpu *cpu, uint64_t *first, uint64_t *last)
{
    struct registers start = registers_of(cpu), now;

    *first = *last = cpu->rip;
    for (unsigned n = 1; n <= PROGRESS_LOOP_MAX; n++) {
        if (!one_step(machine, cpu))
            return 0;
        now = registers_of(cpu);
        if (!memcmp(&now, &start, sizeof now))
            return n;
        *first = cpu->rip < *first ? cpu->rip : *first;
        *last = cpu->rip > *last ? cpu->rip : *last;
    }
    return 0;
}

static bool verify(struct machine *machine, struct cpu *cpu, unsigned length, bool *asks)
{
    *asks = false;
    for (unsigned n = 0; n < length; n++)
        if (!changes_nothing(cpu, asks) || !one_step(machine, cpu))
            return false;
    return true;
}

/* Can an interrupt or an exit come by itself? */
static bool awaits(const struct machine *machine, const struct cpu *cpu)
{
    bool on = cpu->rflags & RFLAGS_IF;

    if (cpu->vmx.non_root && (!machine_over_native(machine, cpu) || machine_level(machine, cpu) > 1))
        on |= (cpu_pin_controls(cpu) & PIN_external_interrupt_exiting) != 0;
    return boundary_deadline(cpu) != UINT64_MAX || (on && board_next_event(&machine->board, cpu) != UINT64_MAX);
}

/* Do all the others stand still? */
static bool alone(const struct machine *machine, const struct cpu *cpu)
{
    for (unsigned i = 0; i < machine->model->cpu_count; i++) {
        const struct cpu *other = &machine->model->cpu[i];
        bool still = cpu_runs(other) ? machine->progress[i].loop_length > 0 && !awaits(machine, other)
                                                         : machine_wake_time(machine, other) == UINT64_MAX;

        if (other != cpu && !still)
            return false;
    }
    return true;
}

void loop_tell(struct explanation *e, const struct cpu *cpu)
{
    const struct progress *p = &e->machine->progress[cpu->index];
    char first[SYMBOL_TEXT_MAX], last[SYMBOL_TEXT_MAX];

    if (!p->loop_length || cpu->rip < p->loop_first || cpu->rip > p->loop_last)
        return;
    symbols_text(e->machine->symbols, p->loop_first, first);
    symbols_text(e->machine->symbols, p->loop_last, last);
    if (p->loop_length == 1)
        explain_line(e, "   an empty loop: the instruction jumps to itself");
    else
        explain_line(e, "   a loop of %u instructions, from 0x%" PRIx64 "%s to 0x%" PRIx64 "%s, that changes neither registers nor memory", p->loop_length,
                     p->loop_first, first, p->loop_last, last);
}

static void tell(struct machine *machine, struct cpu *cpu, bool asks)
{
    const struct progress *p = &machine->progress[cpu->index];
    struct explanation *e = explain_begin(machine, cpu, explain_key(p->loop_first, "progress.loop"));
    char place[PLACE_MAX];

    if (!e)
        return;
    place_describe(machine, cpu, place, sizeof place);
    explain_line(e, "no progress: processor %u (L%u) is in an endless loop at %s", cpu->index, machine_level(machine, cpu), place);
    loop_tell(e, cpu);
    if (asks)
        explain_line(e, "   it asks a device, whose answer does not change");
    explain_line(e, "   nothing comes from outside that could end it:");
    interrupts_tell(e, cpu);
    for (unsigned i = 0; i < machine->model->cpu_count; i++)
        if (machine->model->cpu[i].activity == ACTIVITY_WAIT_FOR_SIPI)
            explain_line(e, "   processor %u waits for a SIPI: nobody has started it", i);
    place_crossing(e, cpu, &machine->events[cpu->index], cpu->instructions);
    place_registers(e, cpu);
    place_calls(e, cpu);
    explain_end(e);
}

void loop_look(struct machine *machine, struct cpu *cpu)
{
    struct progress *p = &machine->progress[cpu->index];
    uint64_t first, last, events = machine->events[cpu->index].count;
    bool asks, known;
    unsigned length;

    if (machine->options.typist.next)           /* whoever types may end any loop */
        return;
    if (!cpu_runs(cpu) || cpu->event.valid || machine->result.end != MACHINE_RUNNING)
        return;
    length = find(machine, cpu, &first, &last);
    if (!length || !verify(machine, cpu, length, &asks)) {
        p->loop_length = 0;
        return;
    }
    known = p->loop_length && p->loop_first == first && p->loop_last == last && p->loop_events == events;
    p->loop_length = length;
    p->loop_first = first;
    p->loop_last = last;
    p->loop_events = events;
    if (!known)
        p->loop_since = cpu->clock;
    if (!alone(machine, cpu))
        return;
    if ((!asks && !awaits(machine, cpu)) || cpu->clock - p->loop_since >= LONG_ENOUGH)
        tell(machine, cpu, asks);
}
