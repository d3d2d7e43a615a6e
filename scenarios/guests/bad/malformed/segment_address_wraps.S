/* SPDX-License-Identifier: MIT */
/* A segment that would run over the end of the address space. */
#define ADDRESS 0xfffff000
#define MEMORY_SIZE 0x2000
#include "scenarios/guests/bad/malformed/elf.h"
