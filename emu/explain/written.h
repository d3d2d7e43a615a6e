/* SPDX-License-Identifier: MIT */
/* VMCSs and fields as their author has written them: over the core L1's own, not those that L0 makes of them. */
#ifndef SESQUI_EMU_WRITTEN_H
#define SESQUI_EMU_WRITTEN_H

#include "model/vmx/vmcs.h"

struct cpu;
struct explanation;
struct machine;

/* Of the guest that the processor is in, as the program on the machine sees it; NULL: it is in none. */
const struct vmcs *written_guest(const struct machine *machine, const struct cpu *cpu);
/* Of the guest that it was in last; NULL: that is not known. */
const struct vmcs *written_current(const struct machine *machine, const struct cpu *cpu);
/* A line: the field, its value, and who wrote it. */
void written_tell(struct explanation *explanation, const struct vmcs *vmcs, enum vmcs_field field);

#endif
