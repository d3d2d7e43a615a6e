/* SPDX-License-Identifier: MIT */
/* A segment whose file offset plus size wraps. */
#define OFFSET 0xfffffff0
#define FILE_SIZE 0x20
#define MEMORY_SIZE 0x20
#include "scenarios/guests/bad/malformed/elf.h"
