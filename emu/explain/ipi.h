/* SPDX-License-Identifier: MIT */
/* Inter-processor interrupts that reach nobody, and who has started a processor: SDM Vol. 3, 9.4, 11.6.1. */
#ifndef SESQUI_EMU_IPI_H
#define SESQUI_EMU_IPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/device/lapic.h"

struct explanation;
struct machine;

/* The latest INIT and SIPI for a processor. */
struct ipi_origin {
    bool valid;
    unsigned sender;
    uint8_t vector;
    uint64_t rip, command;
    uint64_t instructions;          /* SIPI: of the processor when it was started; 0 before */
};
struct startup {
    struct ipi_origin init, sipi;
};

/* The local APICs' observer; its context is the machine. */
void ipi_sent(void *machine, const struct lapic *sender, const struct ipi *ipi);
/* A processor begins at the SIPI's vector. */
void ipi_started(struct machine *machine, const struct cpu *cpu);
/* A line, if that was not long before the processor had retired `instructions`. */
void ipi_tell_start(struct explanation *explanation, const struct cpu *cpu, uint64_t instructions);
/* ", sent by processor 0 at rip 0x1000 <main+0x4> (interrupt command 0x...)", or empty. */
const char *ipi_init_words(const struct machine *machine, const struct cpu *cpu, char *to, size_t size);

#endif
