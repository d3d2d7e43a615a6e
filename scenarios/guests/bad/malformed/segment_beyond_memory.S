/* SPDX-License-Identifier: MIT */
/* A segment that wants more memory than there is. */
#define MEMORY_SIZE 0xfff00000
#include "scenarios/guests/bad/malformed/elf.h"
