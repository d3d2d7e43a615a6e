/* SPDX-License-Identifier: MIT */
/* An exception with an empty IDT. */
#include "scenarios/guests/bad/program.h"
    lidt empty
    ud2
empty:
    .word 0
    .long 0
