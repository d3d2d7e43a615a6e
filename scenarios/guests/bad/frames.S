/* SPDX-License-Identifier: MIT */
/* An exception without an IDT, three calls deep, with frame pointers. */
#include "scenarios/guests/bad/program.h"
    xorl %ebp, %ebp
    lidt empty
    call outer
    hlt
outer:
    pushl %ebp
    movl %esp, %ebp
    call middle
    hlt
middle:
    pushl %ebp
    movl %esp, %ebp
    call inner
    hlt
inner:
    pushl %ebp
    movl %esp, %ebp
    ud2
empty:
    .word 0
    .long 0
