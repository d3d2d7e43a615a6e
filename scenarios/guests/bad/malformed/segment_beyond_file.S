/* SPDX-License-Identifier: MIT */
/* A segment whose bytes lie behind the file's end. */
#define OFFSET 0x10000
#include "scenarios/guests/bad/malformed/elf.h"
