/* SPDX-License-Identifier: MIT */
/*
 * The VM entry that launches a VMCS, and succeeds: what its author can hardly have meant. Fields that take effect although nobody
 * wrote them (first_entry.def), and controls that were written and have no effect.
 */
#ifndef SESQUI_EMU_FIRST_ENTRY_H
#define SESQUI_EMU_FIRST_ENTRY_H

struct cpu;
struct machine;
struct vmcs;

/* `vmcs`: as its author has written it. */
void first_entry_explain(struct machine *machine, const struct cpu *cpu, const struct vmcs *vmcs);

#endif
