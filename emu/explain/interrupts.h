/* SPDX-License-Identifier: MIT */
/* Where interrupts come from, and what keeps them away. */
#ifndef SESQUI_EMU_INTERRUPTS_H
#define SESQUI_EMU_INTERRUPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu;
struct explanation;
struct machine;

/* "IRQ 0, the PIT, of the 8259A". False: no device of the machine has that vector; `to` is then empty. */
bool interrupt_source(const struct machine *machine, const struct cpu *cpu, uint8_t vector, char *to, size_t size);
/* Lines: every source that could end a HLT of `cpu`, and why it does not. */
void interrupts_tell(struct explanation *explanation, const struct cpu *cpu);

#endif
