/* SPDX-License-Identifier: MIT */
/* The selector that an exception names: which descriptor it is, and what the instruction wants of it. SDM Vol. 3, 3.4.5, 5.5, 5.8. */
#ifndef SESQUI_EMU_SELECTOR_H
#define SESQUI_EMU_SELECTOR_H

struct cpu;
struct event;
struct explanation;
struct machine;

/* Lines, if the exception's error code names a selector of the GDT or LDT. `place`: place_describe() of the instruction. */
void selector_tell(struct explanation *explanation, struct cpu *cpu, const struct event *event, const char *place);
/* An exception by an instruction, before anything becomes of it: told if it names a selector. */
void selector_explain(struct machine *machine, struct cpu *cpu, const struct event *event);

#endif
