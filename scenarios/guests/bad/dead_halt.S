/* SPDX-License-Identifier: MIT */
/* HLT with interrupts off: nothing can wake it. */
#include "scenarios/guests/bad/program.h"
1:  hlt
    jmp 1b
