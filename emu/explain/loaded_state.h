/* SPDX-License-Identifier: MIT */
/*
 * Exceptions that come of what a VM exit or VM entry has loaded from a field that was never written: a stack at 0, a segment base of 0.
 * What is wrong with tables that the delivery of events needs is told with that: delivery.h.
 */
#ifndef SESQUI_EMU_LOADED_STATE_H
#define SESQUI_EMU_LOADED_STATE_H

#include <stdbool.h>

#include "model/vmx/vmcs.h"

struct cpu;
struct event;
struct machine;

/* An exception that the processor raises, before anything becomes of it. */
void loaded_state_explain(struct machine *machine, struct cpu *cpu, const struct event *event);
/* The VMCS of the program's whose field `host` (after a VM exit) or `guest` (after the first VM entry) the processor's state comes from,
 * if that was never written and is 0; else NULL. *field: the one of the two. */
const struct vmcs *loaded_from_unwritten(const struct machine *machine, const struct cpu *cpu, enum vmcs_field host, enum vmcs_field guest,
                                         enum vmcs_field *field);

#endif
