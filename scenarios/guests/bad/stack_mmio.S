/* SPDX-License-Identifier: MIT */
/* Pushes into the local APIC's registers, then takes an exception with that stack. */
#include "scenarios/guests/bad/program.h"
    movl $0xfee00100, %esp
    pushl $0
    pushl %esp
    ud2
