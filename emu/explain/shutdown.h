/* SPDX-License-Identifier: MIT */
/* Triple faults, from the event on with which they began, and VMX aborts. */
#ifndef SESQUI_EMU_SHUTDOWN_H
#define SESQUI_EMU_SHUTDOWN_H

#include <stddef.h>
#include <stdint.h>

struct cpu;
struct machine;

/* The processor shut down, or its guest's triple fault became a VM exit, or L1 over the core shut down. Explains it, and keeps the
 * message for the end of the run. */
enum shutdown_whose { SHUTDOWN_PROCESSOR, SHUTDOWN_OVER_CORE, SHUTDOWN_GUEST };
void triple_fault_explain(struct machine *machine, struct cpu *cpu, enum shutdown_whose whose);
/* A VMX abort with the given indicator, of the VMCS at `vmcs`, which over the core is L1's. */
void abort_explain(struct machine *machine, struct cpu *cpu, uint64_t indicator, uint64_t vmcs);

/* Why the processor is in the shutdown state, in one line. */
void shutdown_words(const struct machine *machine, const struct cpu *cpu, char *to, size_t size);

/* An exception: if it is the first one after a VM exit, and near, the host state may be at fault. */
struct event;
void landing_explain(struct machine *machine, struct cpu *cpu, const struct event *event);

#endif
