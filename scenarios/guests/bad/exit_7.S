/* SPDX-License-Identifier: MIT */
/* Ends with test-exit value 7. */
#include "scenarios/guests/bad/program.h"
    movl $7, %eax
    outl %eax, $0xf4
    hlt
