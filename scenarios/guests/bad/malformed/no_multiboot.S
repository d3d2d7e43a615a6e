/* SPDX-License-Identifier: MIT */
/* An ELF file without a multiboot header. */
#define MAGIC 0
#include "scenarios/guests/bad/malformed/elf.h"
