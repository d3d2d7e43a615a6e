/* SPDX-License-Identifier: MIT */
/* End of interrupt: SDM Vol. 3, 11.8.3, 28.2.2; the 8259A's data sheet. */
#include "emu/explain/unended.h"

#include <inttypes.h>

#include "emu/device/lapic_parts.h"
#include "emu/explain/explain.h"
#include "emu/explain/interrupts.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"

/* No handler takes so many instructions before its EOI. */
enum { UNENDED_FOR = 1 << 22 };

static bool in_service(const struct machine *machine, const struct cpu *cpu, uint8_t vector)
{
    const struct pic_chip *chip = machine->board.pic.chip;

    return machine->board.lapic[cpu->index].in_service[vector / 32] >> vector % 32 & 1 ||
           ((vector & 0xf8) == chip[0].vector_base && chip[0].in_service >> (vector & 7) & 1) ||
           ((vector & 0xf8) == chip[1].vector_base && chip[1].in_service >> (vector & 7) & 1);
}

void unended_taken(struct machine *machine, const struct cpu *cpu, uint8_t vector, bool by_exit)
{
    if (!in_service(machine, cpu, vector))          /* VM entry injects what it likes */
        return;
    machine->taken[cpu->index] = (struct taken){ .valid = true, .by_exit = by_exit, .vector = vector, .instructions = cpu->instructions, .rip = cpu->rip };
}

static bool waits_in_lapic(const struct lapic *lapic, uint8_t vector)
{
    if (!(lapic->in_service[vector / 32] >> vector % 32 & 1) || lapic_pending(lapic) >= 0)
        return false;
    for (unsigned i = 16; i < (vector & 0xf0u) + 16; i++)
        if (lapic->requested[i / 32] >> i % 32 & 1)
            return true;
    return false;
}

static bool waits_in_pic(const struct pic *pic, uint8_t vector)
{
    for (unsigned i = 0; i < 2; i++)
        if ((vector & 0xf8) == pic->chip[i].vector_base && pic->chip[i].in_service >> (vector & 7) & 1)
            return pic->chip[i].requested & ~pic->chip[i].mask && !pic_requests(pic);
    return false;
}

void unended_look(struct machine *machine, const struct cpu *cpu)
{
    const struct taken *t = &machine->taken[cpu->index];
    bool in_lapic = t->valid && waits_in_lapic(&machine->board.lapic[cpu->index], t->vector);
    bool in_pic = t->valid && !cpu->index && waits_in_pic(&machine->board.pic, t->vector);
    struct explanation *e;
    char source[WORDS_MAX], name[SYMBOL_TEXT_MAX];

    if ((!in_lapic && !in_pic) || cpu->instructions - t->instructions < UNENDED_FOR)
        return;
    e = explain_begin(machine, cpu, explain_key(t->vector, "unended"));
    if (!e)
        return;
    interrupt_source(machine, cpu, t->vector, source, sizeof source);
    explain_line(e, "interrupt %02XH%s%s is in service, and no EOI has been written for it in the last %" PRIu64 " instructions: interrupts that have come since wait for that, "
                 "and no other one of its priority or below comes any more", t->vector, *source ? ", " : "", source, cpu->instructions - t->instructions);
    if (t->by_exit)
        explain_line(e, "a VM exit has taken it, at guest rip 0x%" PRIx64 "%s: \"acknowledge interrupt on exit\" (bit 15 of the VM-exit controls) is 1, and whoever handles the "
                     "exit writes the EOI [28.2.2]", t->rip, symbols_text(machine->symbols, t->rip, name));
    else
        explain_line(e, "it was delivered at rip 0x%" PRIx64 "%s: its handler writes the EOI", t->rip, symbols_text(machine->symbols, t->rip, name));
    if (in_lapic)
        explain_line(e, "the EOI of a local APIC: a write of 0 to its register 0B0H, in x2APIC mode WRMSR of 80BH");
    else
        explain_line(e, "the EOI of an 8259A: OUT of 20H to port 0x20%s", (t->vector & 0xf8) == machine->board.pic.chip[1].vector_base ? ", and to port 0xa0" : "");
    explain_end(e);
}
