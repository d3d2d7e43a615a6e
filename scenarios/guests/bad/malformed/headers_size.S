/* SPDX-License-Identifier: MIT */
/* Program headers of size 0. */
#define PROGRAM_HEADER_SIZE 0
#include "scenarios/guests/bad/malformed/elf.h"
