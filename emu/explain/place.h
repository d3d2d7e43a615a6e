/* SPDX-License-Identifier: MIT */
/* Where a processor is: instruction, mode, registers, and the calls that led there. */
#ifndef SESQUI_EMU_PLACE_H
#define SESQUI_EMU_PLACE_H

#include <stddef.h>
#include <stdint.h>

#include "model/cpu/cpu.h"

struct explanation;
struct machine;

enum { PLACE_MAX = 240 };

/* The processor as it is to be looked at: over the core, the guest of L1 with L1's own EPT, whatever its shadow holds now. */
struct cpu place_view(const struct cpu *cpu);
/* Up to 15 bytes of code at RIP: how many. */
size_t place_fetch(struct cpu *cpu, uint8_t bytes[15]);

/* Reads `length` bytes as the processor would for itself, without any side effect. */
enum peek { PEEK_DONE, PEEK_UNMAPPED, PEEK_NO_RAM };
enum peek place_peek(struct cpu *cpu, uint64_t linear, void *to, unsigned length);

/* "rip 0x1000 <main+0x12>: mov rax, rbx" */
void place_describe(const struct machine *machine, struct cpu *cpu, char *text, size_t size);
/* The same of an instruction that was read earlier. `code` may be NULL: then it is read now. */
struct code_bytes;
void place_of_code(const struct machine *machine, const struct cpu *cpu, uint64_t rip, const struct code_bytes *code, char *text, size_t size);
/* Lines: registers; and the chain of calls, by frame pointers or, where there are none, by what looks like return addresses. */
void place_registers(struct explanation *explanation, const struct cpu *cpu);
/* A line, if a VM exit or entry brought it here not long before it had retired `instructions`: what that loaded. */
struct events;
void place_crossing(struct explanation *explanation, const struct cpu *cpu, const struct events *events, uint64_t instructions);
void place_calls(struct explanation *explanation, struct cpu *cpu);

#endif
