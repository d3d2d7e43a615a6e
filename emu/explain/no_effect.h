/* SPDX-License-Identifier: MIT */
/* Fields that were written and have no effect at a VM entry that launches a VMCS, as the control that would make them count is 0 (no_effect.def). */
#ifndef SESQUI_EMU_NO_EFFECT_H
#define SESQUI_EMU_NO_EFFECT_H

struct cpu;
struct machine;
struct vmcs;

/* `vmcs`: as its author has written it. */
void no_effect_explain(struct machine *machine, const struct cpu *cpu, const struct vmcs *vmcs);

#endif
