/* SPDX-License-Identifier: MIT */
/* A segment with more bytes in the file than in memory. */
#define MEMORY_SIZE 1
#include "scenarios/guests/bad/malformed/elf.h"
