/* SPDX-License-Identifier: MIT */
/*
 * Physical addresses where there is neither memory nor a device. Those just below 4 GB are left out: that is where programs look for devices that may
 * not be there. The first few pages are told.
 */
#ifndef SESQUI_EMU_NOWHERE_H
#define SESQUI_EMU_NOWHERE_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct machine;
struct vmcs;

enum { NOWHERE_TOLD = 8 };

/* An access of the processor, which is taken by nobody. */
void nowhere_explain(struct machine *machine, const struct cpu *cpu, uint64_t pa, bool write);
/* The first VM entry of a VMCS, as its author has written it: addresses that the processor uses, and the stack of its exits. */
void nowhere_explain_entry(struct machine *machine, const struct cpu *cpu, const struct vmcs *vmcs);

#endif
