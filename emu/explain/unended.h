/* SPDX-License-Identifier: MIT */
/* Interrupts that were taken, by a VM exit that acknowledges them or through the IDT, and for which no EOI was written: the next ones wait. */
#ifndef SESQUI_EMU_UNENDED_H
#define SESQUI_EMU_UNENDED_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct machine;

/* The latest interrupt that a processor has taken. */
struct taken {
    bool valid, by_exit;
    uint8_t vector;
    uint64_t instructions, rip;
};

/* It has taken one. `by_exit`: acknowledged by a VM exit; else delivered. */
void unended_taken(struct machine *machine, const struct cpu *cpu, uint8_t vector, bool by_exit);
/* Now and then: is it in service yet, long after, and does another one wait for its end? */
void unended_look(struct machine *machine, const struct cpu *cpu);

#endif
