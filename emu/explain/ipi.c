/* SPDX-License-Identifier: MIT */
#include "emu/explain/ipi.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/machine/parts.h"

enum { NEAR = 4096, WHAT_MAX = 40 };

static void what_words(char to[WHAT_MAX], const struct ipi *ipi)
{
    switch (ipi->mode) {
    case DELIVER_NMI:
        snprintf(to, WHAT_MAX, "NMI");
        break;
    case DELIVER_INIT:
        snprintf(to, WHAT_MAX, "INIT");
        break;
    case DELIVER_STARTUP:
        snprintf(to, WHAT_MAX, "SIPI with vector %02XH", ipi->vector);
        break;
    default:
        snprintf(to, WHAT_MAX, "interrupt %02XH", ipi->vector);
        break;
    }
}

static uint64_t rip_of(const struct machine *machine, const struct lapic *sender)
{
    return machine->engine ? engine_rip(machine->engine, sender->cpu) : sender->cpu->rip;
}

static void note(struct machine *machine, const struct lapic *sender, const struct ipi *ipi, uint64_t rip)
{
    for (unsigned i = 0; i < machine->model->cpu_count; i++) {
        struct startup *startup = &machine->startup[i];
        struct ipi_origin *origin = ipi->mode == DELIVER_INIT ? &startup->init : &startup->sipi;

        if (ipi->addressed >> i & 1)
            *origin = (struct ipi_origin){ true, sender->cpu->index, ipi->vector, rip, ipi->command, 0 };
    }
}

static void tell_lost(struct machine *machine, const struct lapic *sender, const struct ipi *ipi, uint64_t rip)
{
    struct explanation *e = explain_begin(machine, sender->cpu, explain_key(rip, "ipi.lost") ^ ipi->mode ^ (uint64_t)ipi->destination << 8);
    unsigned count = machine->model->cpu_count;
    char name[SYMBOL_TEXT_MAX], what[WHAT_MAX];

    if (!e)
        return;
    what_words(what, ipi);
    explain_line(e, "%s by processor %u at rip 0x%" PRIx64 "%s reaches nobody (interrupt command 0x%" PRIx64 ") [11.6.1]", what, sender->cpu->index, rip,
                 symbols_text(machine->symbols, rip, name), ipi->command);
    if (ipi->fate == IPI_NOT_TO_SELF)
        explain_line(e, "the shorthand \"self\" (bits 19:18 are 01) is for fixed interrupts only");
    else if (ipi->fate == IPI_VECTOR)
        explain_line(e, "vectors below 16 are not sent: the error-status register (ESR) gets bit 5 [11.5.3]");
    else if (ipi->fate == IPI_DISABLED)
        explain_line(e, "the local APIC with that destination, 0x%" PRIx32 ", is disabled: its spurious-interrupt register has bit 8 = 0 until the processor sets it",
                     ipi->destination);
    else
        explain_line(e, "no local APIC has the %s destination 0x%" PRIx32 "; the machine has %u processor%s, with the IDs 0%s (--cpus N gives it more)",
                     ipi->logical ? "logical" : "physical", ipi->destination, count, count > 1 ? "s" : "", count > 1 ? " and up" : "");
    explain_end(e);
}

void ipi_sent(void *context, const struct lapic *sender, const struct ipi *ipi)
{
    struct machine *machine = context;
    bool starts = ipi->mode == DELIVER_INIT || ipi->mode == DELIVER_STARTUP;
    uint64_t rip;

    if (ipi->fate == IPI_SENT && !starts)
        return;
    rip = rip_of(machine, sender);
    if (ipi->fate != IPI_SENT)
        tell_lost(machine, sender, ipi, rip);
    else if (starts)
        note(machine, sender, ipi, rip);
}

void ipi_started(struct machine *machine, const struct cpu *cpu)
{
    machine->startup[cpu->index].sipi.instructions = cpu->instructions;
}

void ipi_tell_start(struct explanation *e, const struct cpu *cpu, uint64_t instructions)
{
    const struct ipi_origin *sipi = &e->machine->startup[cpu->index].sipi;
    char name[SYMBOL_TEXT_MAX];

    if (!sipi->valid || instructions - sipi->instructions > NEAR)
        return;
    explain_line(e, "%" PRIu64 " instructions earlier processor %u was started at 0x%x by a SIPI with vector %02XH from processor %u at rip 0x%" PRIx64 "%s: the vector is the "
                 "number of the 4-KByte page at which the code begins, in real-address mode [9.4]", instructions - sipi->instructions, cpu->index,
                 (unsigned)sipi->vector << 12, sipi->vector, sipi->sender, sipi->rip, symbols_text(e->machine->symbols, sipi->rip, name));
}

const char *ipi_init_words(const struct machine *machine, const struct cpu *cpu, char *to, size_t size)
{
    const struct ipi_origin *init = &machine->startup[cpu->index].init;
    char name[SYMBOL_TEXT_MAX];

    to[0] = '\0';
    if (init->valid)
        snprintf(to, size, ", sent by processor %u at rip 0x%" PRIx64 "%s (interrupt command 0x%" PRIx64 "%s)", init->sender, init->rip,
                 symbols_text(machine->symbols, init->rip, name), init->command,
                 init->sender == cpu->index ? ", whose destination is the sender itself: in xAPIC mode it stands in bits 31:24 of the upper half" : "");
    return to;
}
