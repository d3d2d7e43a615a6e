/* SPDX-License-Identifier: MIT */
/* A multiboot header that demands a feature nobody knows. */
#define FLAGS 0x8000
#include "scenarios/guests/bad/malformed/elf.h"
