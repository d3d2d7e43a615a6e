/* SPDX-License-Identifier: MIT */
/* STI before an IDT is loaded: the PIT, as firmware leaves it, is the first to come. */
#include "scenarios/guests/bad/program.h"
    sti
1:  hlt
    jmp 1b
