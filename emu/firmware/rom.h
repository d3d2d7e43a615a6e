/* SPDX-License-Identifier: MIT */
/*
 * The ROM of the firmware, F000:0000-F000:FFFF: handlers of interrupts as code of the guest's, and tables. A handler of a service, or of a vector that
 * nobody has set, calls the board by ROM_SERVICE_PORT, with the vector on the stack; what the service does is in services.c.
 */
#ifndef SESQUI_EMU_FIRMWARE_ROM_H
#define SESQUI_EMU_FIRMWARE_ROM_H

#include <stdbool.h>
#include <stdint.h>

#include "model/memory.h"

struct board;
struct cpu;

enum { ROM_SEGMENT = 0xf000, ROM_BASE = 0xf0000, ROM_OFFSET = 0xf000 /* of the code */, ROM_SERVICE_PORT = 0xe8 };
/* Tables: the system configuration (INT 15H, C0H), and the memory map: a count of 2 bytes, and entries as INT 15H, E820H gives them. */
enum { ROM_CONFIGURATION = 0xe000, ROM_MAP = 0xe010, ROM_MAP_ENTRIES = ROM_MAP + 2, ROM_MAP_ENTRY = 20 };
enum { ROM_VECTORS = 256, ROM_SERVICE_FIRST = 0x10, ROM_SERVICE_LAST = 0x1a, ROM_IRQ0 = 0x08, ROM_IRQ8 = 0x70,
       ROM_STACK_FAULT = 0x0c, ROM_PROTECTION = 0x0d };
/* The BIOS data area. */
enum { BDA_COM1 = 0x400, BDA_COM2 = 0x402, BDA_EXTENDED_AREA = 0x40e, BDA_EQUIPMENT = 0x410, BDA_MEMORY_KB = 0x413, BDA_MODE = 0x449,
       BDA_COLUMNS = 0x44a, BDA_CURSOR = 0x450, BDA_TICKS = 0x46c, BDA_MIDNIGHT = 0x470, BDA_DISK_STATUS = 0x474, BDA_DISKS = 0x475 };

/* Writes code, tables but for the map, and the vectors of real mode. */
void rom_write(struct memory *memory);
/* Is this processor at the ROM's call of the board? */
bool rom_calls(const struct cpu *cpu);

/* INT 13H; the others are in services.c. `cpu` is at the call; the result is the carry flag. */
bool disk_service(struct board *board, struct cpu *cpu);
/* The byte, word or double word of a register. */
static inline uint8_t low_byte(uint64_t value) { return (uint8_t)value; }
static inline uint8_t high_byte(uint64_t value) { return (uint8_t)(value >> 8); }
void set_low(struct cpu *cpu, unsigned gpr, uint8_t value);
void set_high(struct cpu *cpu, unsigned gpr, uint8_t value);
void set_word(struct cpu *cpu, unsigned gpr, uint16_t value);

#endif
