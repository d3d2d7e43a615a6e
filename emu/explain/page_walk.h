/* SPDX-License-Identifier: MIT */
/* The walk of the paging structures behind a page fault. */
#ifndef SESQUI_EMU_PAGE_WALK_H
#define SESQUI_EMU_PAGE_WALK_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct explanation;

/* Lines: each entry with its address and value, down to the one that is to blame; where that is what CR3 names, who gave the guest its CR3. True: what
 * is to blame is bit 63 without IA32_EFER.NXE. */
bool page_walk_tell(struct explanation *explanation, struct cpu *cpu, uint64_t linear, uint32_t error_code);

#endif
