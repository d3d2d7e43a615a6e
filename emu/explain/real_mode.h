/* SPDX-License-Identifier: MIT */
/*
 * Events in real-address mode whose vector nobody has set: 0000:0000 is delivered to like any other, and what runs then is the table itself.
 */
#ifndef SESQUI_EMU_REAL_MODE_H
#define SESQUI_EMU_REAL_MODE_H

#include <stdint.h>

struct cpu;
struct machine;

/* An event is about to be delivered through the vector. */
void real_mode_explain(struct machine *machine, const struct cpu *cpu, uint8_t vector);

#endif
