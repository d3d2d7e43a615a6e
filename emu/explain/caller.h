/* SPDX-License-Identifier: MIT */
/* Who called the function in which a VMWRITE stands, where that function does nothing else: vmwrite(field, value). */
#ifndef SESQUI_EMU_CALLER_H
#define SESQUI_EMU_CALLER_H

#include "model/model.h"

/* Places of VMWRITEs, and where the function begins that is nothing else; CALLER_PLAIN: there is none. All 0 at first. */
#define CALLER_PLAIN (~0ull)
struct callers {
    struct { uint64_t rip, function; } known[64];
};

/* To be called after a VMWRITE of `cpu`, with RIP still at it: notes the call in the current VMCS, beside the writer. */
void caller_note(struct callers *callers, struct cpu *cpu, uint32_t encoding);

#endif
