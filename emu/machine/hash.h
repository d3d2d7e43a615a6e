/* SPDX-License-Identifier: MIT */
/* One number for all that a machine is: its RAM, its processors' registers, its devices' (--hash). */
#ifndef SESQUI_EMU_MACHINE_HASH_H
#define SESQUI_EMU_MACHINE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct machine;

/* The same wherever and by whichever compiler it is built; as good as different where the state differs. Disks are files, and not in it. */
uint64_t machine_hash(struct machine *machine);
/* For tests: the hash of the devices alone. */
struct board;
uint64_t board_hash(const struct board *board);

#endif
