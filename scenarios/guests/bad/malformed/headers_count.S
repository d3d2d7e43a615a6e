/* SPDX-License-Identifier: MIT */
/* 65,535 program headers. */
#define PROGRAM_HEADER_COUNT 0xffff
#include "scenarios/guests/bad/malformed/elf.h"
