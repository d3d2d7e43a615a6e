/* SPDX-License-Identifier: MIT */
/* Executes the registers of the local APIC. */
#include "scenarios/guests/bad/program.h"
    movl $0xfee00000, %eax
    jmp *%eax
