/* SPDX-License-Identifier: MIT */
/* Accesses to ports and device memory find their device. What nobody decodes reads as ones, and writes to it vanish. */
#ifndef SESQUI_EMU_DEVICE_BUS_H
#define SESQUI_EMU_DEVICE_BUS_H

#include <stdint.h>

struct board;
struct cpu;

uint32_t bus_port_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size);
void bus_port_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value);
uint64_t bus_memory_read(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size);
void bus_memory_write(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value);

#endif
