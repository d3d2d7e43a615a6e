/* SPDX-License-Identifier: MIT */
/*
 * Counts the instructions that the core itself retires, exactly: it is single-stepped (RFLAGS.TF), and each trap behind an
 * instruction of its text is one. The Makefile puts the text of hv/ into a section of its own. The back end's functions, and
 * those of the C library that the compiler calls, run at full speed and are not counted: on the metal each of the former is
 * about one instruction.
 */
#ifndef SESQUI_EMU_STEP_CORE_H
#define SESQUI_EMU_STEP_CORE_H

#include <stdbool.h>

struct native;

/* Counts into native->counts.instruction from the core's next exit on. False: a core is
 * being counted already, or this machine has several processors. */
bool step_begin(struct native *native);
/* Called on the core's fiber before an exit is returned to it. */
void step_again(const struct native *native);
/* Nothing if this machine's core is not being counted. */
void step_end(const struct native *native);

#endif
