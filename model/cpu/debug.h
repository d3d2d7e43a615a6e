/* SPDX-License-Identifier: MIT */
/* Breakpoints in DR0-DR3: SDM Vol. 3, 18.2. The CPU engine asks about the accesses it makes, the model about its own. */
#ifndef SESQUI_MODEL_DEBUG_H
#define SESQUI_MODEL_DEBUG_H

#include "model/cpu/cpu.h"

enum debug_access { DEBUG_FETCH, DEBUG_READ, DEBUG_WRITE, DEBUG_PORT };

/* The enabled breakpoints, as bits 3:0, that this access meets. A fetch: `address` is that of the instruction, size 1. */
uint64_t debug_matches(const struct cpu *cpu, enum debug_access access, uint64_t address, unsigned size);
/* The breakpoints that watch data in this linear page. */
uint64_t debug_watches_page(const struct cpu *cpu, uint64_t linear);
/* Is there any breakpoint that the CPU engine must look for? */
bool debug_armed(const struct cpu *cpu);

/* An access made for an instruction: breakpoints met become pending debug exceptions, due when it is over. */
void debug_note(struct cpu *cpu, enum debug_access access, uint64_t address, unsigned size);

#endif
