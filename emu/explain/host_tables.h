/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables and page tables with which VM exits succeed and what comes behind them does not: selectors whose descriptors nothing can load, since an exit does
 * not look at them; a CR3 of page tables that the hypervisor has left meanwhile.
 */
#ifndef SESQUI_EMU_HOST_TABLES_H
#define SESQUI_EMU_HOST_TABLES_H

#include "model/cpu/cpu.h"

struct machine;
struct vmcs;

/* The processor after an exit, as far as translations ask for it. */
struct cpu host_tables_view(const struct cpu *cpu, const struct vmcs *vmcs);
/* The VM entry that launches a VMCS. `vmcs`: as its author has written it. */
void host_tables_explain(struct machine *machine, const struct cpu *cpu, const struct vmcs *vmcs);
/* An exception: a #PF in root operation that comes of HOST_CR3, as the page tables that the hypervisor had at the VM entry map the address. */
void host_tables_explain_fault(struct machine *machine, struct cpu *cpu, const struct event *event);
/* MOV to CR3. */
void host_tables_cr3_loaded(struct machine *machine, const struct cpu *cpu, uint64_t value);

#endif
