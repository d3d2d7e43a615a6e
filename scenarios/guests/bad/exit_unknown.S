/* SPDX-License-Identifier: MIT */
/* Ends with a test-exit value that is no exit status. */
#include "scenarios/guests/bad/program.h"
    movl $0xdeadbeef, %eax
    outl %eax, $0xf4
    hlt
