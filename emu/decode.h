/* SPDX-License-Identifier: MIT */
/* Decoding with Capstone: the operands of sensitive instructions, and text for traces. */
#ifndef SESQUI_EMU_DECODE_H
#define SESQUI_EMU_DECODE_H

#include <stddef.h>

#include "model/cpu/cpu.h"

/*
 * Decodes the `length` bytes at cpu->rip in the processor's present mode. True and *insn set if they are a sensitive
 * instruction (a row of arch/instructions.def), legal in its encoding; false otherwise.
 */
bool decode(const struct cpu *cpu, const uint8_t *bytes, size_t length, struct insn *insn);
/* Reads up to 15 bytes of code at cpu->rip without side effects; fewer where the next page is not accessible. */
size_t fetch_code(struct cpu *cpu, uint8_t bytes[15]);
/* "mov rax, qword ptr [rbx]", or "(bad)"; `rip` is the address of the instruction, `bits` 16, 32 or 64. */
void disassemble(unsigned bits, uint64_t rip, const uint8_t *bytes, size_t length, char *text, size_t text_size);

#endif
