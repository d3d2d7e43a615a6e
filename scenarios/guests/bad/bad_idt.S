/* SPDX-License-Identifier: MIT */
/* An exception with an IDT outside of memory. */
#include "scenarios/guests/bad/program.h"
    lidt nowhere
    int3
nowhere:
    .word 0x7ff
    .long 0xf0000000
