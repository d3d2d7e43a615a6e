/* SPDX-License-Identifier: MIT */
/*
 * Late load: how a running system asks for L0 beneath it, and how it speaks to it afterwards (docs/metal.md). No code.
 *
 * The last multiboot module with the text LATE_MODULE is a table of two 64-bit words: LATE_SIGNATURE, and the physical
 * address of a function  uint64_t load(void)  that each processor calls for itself, in 64-bit mode at CPL 0.
 */
#ifndef SESQUI_ARCH_LATE_LOAD_H
#define SESQUI_ARCH_LATE_LOAD_H

#define LATE_MODULE "sesqui.load"
#define LATE_SIGNATURE 0x4c49555153455301ull    /* 1, "SESQUIL" */

/* VMCALL at CPL 0 in 64-bit mode, outside VMX operation of L1: RAX = LATE_CALL, RBX = one of these; the answer is in RAX. */
#define LATE_CALL 0x4c4c414351534501ull
enum late_function {
    LATE_FINALISE = 1,          /* from now on nothing removes L0 */
    LATE_UNLOAD = 2,            /* this processor goes on without L0, until it loads it again */
};
/* Answers of load() and of the call. */
enum late_answer { LATE_DONE = 0, LATE_REFUSED = 1, LATE_UNKNOWN = 2 };

#endif
