/* SPDX-License-Identifier: MIT */
/* Triple faults and VMX aborts, from the event on with which they began. */
#ifndef SESQUI_EMU_SHUTDOWN_H
#define SESQUI_EMU_SHUTDOWN_H

#include <stddef.h>
#include <stdint.h>

struct cpu;
struct machine;

/* The processor shut down, or its guest's triple fault became a VM exit, or L1 over the core shut down. Explains it, and keeps the
 * message for the end of the run. `indicator`: of a VMX abort; 0: a triple fault. */
enum shutdown_whose { SHUTDOWN_PROCESSOR, SHUTDOWN_OVER_CORE, SHUTDOWN_GUEST };
void shutdown_explain(struct machine *machine, struct cpu *cpu, enum shutdown_whose whose, uint64_t indicator);

/* An exception: if it is that of the first instruction after a VM exit, the host state is at fault. */
struct event;
void landing_explain(struct machine *machine, struct cpu *cpu, const struct event *event);

#endif
