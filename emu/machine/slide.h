/* SPDX-License-Identifier: MIT */
/*
 * `--hv-at WHEN`: the native core slides beneath the image while that runs, and without its knowledge. Each processor is taken over by itself,
 * as in a late load (hv/late.c), at the first boundary between two of its instructions where nothing is held back that a VM entry could not
 * carry on from: an event under delivery, blocking by STI, MOV SS or NMI, a debug exception that is pending. One that waits for a SIPI is taken over when it has got it.
 */
#ifndef SESQUI_EMU_MACHINE_SLIDE_H
#define SESQUI_EMU_MACHINE_SLIDE_H

#include "emu/machine/machine.h"

/* Instructions of all processors until the trigger fires; ~0: they do not count, or no more. */
uint64_t slide_horizon(struct machine *machine);
/* Is the moment come, and has L0 not come beneath this processor yet? */
bool slide_awaited(const struct machine *machine, const struct cpu *cpu);
/* Before the processor's next instruction: takes it over, if that is due. A refusal ends the run. */
void slide(struct machine *machine, struct cpu *cpu);

#endif
