/* SPDX-License-Identifier: MIT */
/* An MSR that is not there, without an IDT. */
#include "scenarios/guests/bad/program.h"
    lidt empty
    movl $0x123, %ecx
    rdmsr
    hlt
empty:
    .word 0
    .long 0
