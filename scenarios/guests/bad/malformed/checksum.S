/* SPDX-License-Identifier: MIT */
/* A multiboot header with a wrong checksum. */
#define CHECKSUM 0
#include "scenarios/guests/bad/malformed/elf.h"
