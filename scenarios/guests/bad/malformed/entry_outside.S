/* SPDX-License-Identifier: MIT */
/* An entry point outside of every segment. */
#define ENTRY 0xe0000000
#include "scenarios/guests/bad/malformed/elf.h"
