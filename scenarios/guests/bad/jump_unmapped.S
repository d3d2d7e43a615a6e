/* SPDX-License-Identifier: MIT */
/* Executes where there is no memory. */
#include "scenarios/guests/bad/program.h"
    movl $0xc0000000, %eax
    jmp *%eax
