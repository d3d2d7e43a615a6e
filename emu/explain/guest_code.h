/* SPDX-License-Identifier: MIT */
/* CS and RIP with which a VM entry begins a guest, where the checks let them pass and no code can go on with them. */
#ifndef SESQUI_EMU_GUEST_CODE_H
#define SESQUI_EMU_GUEST_CODE_H

#include <stdint.h>

struct cpu;
struct explanation;
struct machine;
struct vmcs;

/* The VM entry that launches a VMCS. `vmcs`: as its author has written it. */
void guest_code_explain(struct machine *machine, const struct cpu *cpu, const struct vmcs *vmcs);
/* A line, if nothing can be fetched at RIP because it is not canonical or beyond the limit of CS: and how it came there, if a VM entry loaded it. */
void guest_code_tell_rip(struct explanation *explanation, const struct cpu *cpu);

#endif
