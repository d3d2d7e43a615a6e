/* SPDX-License-Identifier: MIT */
/* Short loops that change nothing. */
#ifndef SESQUI_EMU_LOOP_H
#define SESQUI_EMU_LOOP_H

struct cpu;
struct explanation;
struct machine;

/* Executes up to PROGRESS_LOOP_MAX instructions one by one, and says so if they are an endless loop. */
void loop_look(struct machine *machine, struct cpu *cpu);
/* A line, if the latest look found one. */
void loop_tell(struct explanation *explanation, const struct cpu *cpu);

#endif
