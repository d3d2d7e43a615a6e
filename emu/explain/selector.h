/* SPDX-License-Identifier: MIT */
/* The selector that an exception names: which descriptor it is, and what the instruction wants of it. SDM Vol. 3, 3.4.5, 5.5, 5.8. */
#ifndef SESQUI_EMU_SELECTOR_H
#define SESQUI_EMU_SELECTOR_H

struct cpu;
struct descriptor;
struct event;
struct explanation;
struct machine;

enum { DESCRIPTION_MAX = 200 };
/* "64-bit code, DPL 0, not present (P, bit 47, is 0)" */
void descriptor_words(char to[DESCRIPTION_MAX], const struct cpu *cpu, const struct descriptor *descriptor);

/* Lines, if the exception's error code names a selector of the GDT or LDT. `place`: place_describe() of the instruction. */
void selector_tell(struct explanation *explanation, struct cpu *cpu, const struct event *event, const char *place);
/* An exception by an instruction, before anything becomes of it: told if it names a selector. */
void selector_explain(struct machine *machine, struct cpu *cpu, const struct event *event);

#endif
