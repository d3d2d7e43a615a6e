/* SPDX-License-Identifier: MIT */
/* Program headers behind the file's end. */
#define PROGRAM_HEADERS 0xfffffff0
#include "scenarios/guests/bad/malformed/elf.h"
