/* SPDX-License-Identifier: MIT */
/* The functions behind bus.def. `cpu` makes the access, and its clock is the time; sizes are 1, 2, 4 for ports and 1, 2, 4, 8 for memory. */
#ifndef SESQUI_EMU_DEVICE_PORTS_H
#define SESQUI_EMU_DEVICE_PORTS_H

#include "emu/device/board.h"

#define PORTS(first, last, width, noun) \
    uint32_t noun##_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size); \
    void noun##_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value);
#define MEMORY(first, last, noun) \
    uint64_t noun##_load(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size); \
    void noun##_store(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include "emu/device/bus.def"
#pragma GCC diagnostic pop
#undef PORTS
#undef MEMORY

/* Characters that come in, and dialogues that have waited too long. */
void uarts_catch_up(struct board *board);

#endif
