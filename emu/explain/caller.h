/* SPDX-License-Identifier: MIT */
/* Who called the function in which a VMWRITE stands, where that function does nothing else: vmwrite(field, value). */
#ifndef SESQUI_EMU_CALLER_H
#define SESQUI_EMU_CALLER_H

#include "model/model.h"

/* Places of VMWRITEs, and where the function begins that is nothing else; CALLER_PLAIN: there is none. All 0 at first. */
#define CALLER_PLAIN (~0ull)
struct callers {
    struct {
        uint64_t rip, function;
        uint64_t back;                  /* the return address that was found last, 0: none; in which slot of the stack */
        unsigned slot, width, vain;     /* vain: how often no call was found, and never one */
        uint64_t rsp, cr3, pa;          /* where that was: the slot's physical address */
    } known[64];
};

/* To be called after a VMWRITE of `cpu`, with RIP still at it: notes the call in the current VMCS, beside the writer. */
void caller_note(struct callers *callers, struct cpu *cpu, uint32_t encoding);
/* RIP of the call to the function that is nothing but the VMWRITE at RIP; 0: it is not known. And: is it known that there is no such function? */
uint64_t caller_find(struct callers *callers, struct cpu *cpu);
/* The same, if the same call is there as at the latest VMWRITE with that RIP; else 0. */
uint64_t caller_again(const struct callers *callers, const struct memory *memory, uint64_t rip, uint64_t rsp, uint64_t cr3);
bool caller_plain(const struct callers *callers, uint64_t rip);

#endif
