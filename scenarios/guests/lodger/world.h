/* SPDX-License-Identifier: MIT */
/*
 * A world in which nothing is mapped one to one:
 *   0 ... 8 MB             the program, copied to WORLD (global pages)
 *   DIRECT ...             the first GB of memory
 *   DESCRIPTORS            the GDT, read-only
 */
#ifndef SESQUI_GUESTS_LODGER_WORLD_H
#define SESQUI_GUESTS_LODGER_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#define DIRECT 0xffff888000000000ull
#define DESCRIPTORS 0xfffffe0000000000ull
/* Physical addresses. */
enum { WORLD = 0x2000000, WORLD_SIZE = 0x800000, LOG = 0x3000000, POOL = 0x4000000 };

#define WAIT_UNTIL(condition) while (!(condition)) __asm__ volatile("pause" : : : "memory")

void world_change(void);
void world_hide_pool(bool hide);
/* NMIs are counted in nmis_taken. */
void nmi_gate(void);

#endif
