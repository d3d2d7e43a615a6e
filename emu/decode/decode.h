/* SPDX-License-Identifier: MIT */
/* Decoding: the operands of sensitive instructions, how ordinary ones use memory, and text for traces. */
#ifndef SESQUI_EMU_DECODE_H
#define SESQUI_EMU_DECODE_H

#include <stddef.h>

#include "model/cpu/cpu.h"

enum { INSTRUCTION_MAX = 15 };

/*
 * Decodes the `length` bytes at cpu->rip in the processor's present mode. True and *insn set if they are a sensitive
 * instruction (a row of arch/instructions.def), legal in its encoding; false otherwise.
 */
bool decode(const struct cpu *cpu, const uint8_t *bytes, size_t length, struct insn *insn);
/* The same in code of 16, 32 or 64 bits at `rip`, but for a port that is named by DX: decode_port() puts it in. */
bool decode_at(unsigned bits, uint64_t rip, const uint8_t *bytes, size_t length, struct insn *insn);
void decode_port(const struct cpu *cpu, struct insn *insn);
/* Reads up to 15 bytes of code at cpu->rip without side effects; fewer where the next page is not accessible. */
size_t fetch_code(struct cpu *cpu, uint8_t bytes[15]);
/* "mov rax, qword ptr [rbx]", or "(bad)"; `rip` is the address of the instruction, `bits` 16, 32 or 64. */
void disassemble(unsigned bits, uint64_t rip, const uint8_t *bytes, size_t length, char *text, size_t text_size);

/* Bytes of the first instruction of `bytes`; 0 if it is none. */
uint8_t instruction_length(unsigned bits, const uint8_t *bytes, size_t length);

/* Width of the processor's present code segment: 16, 32 or 64. */
unsigned code_bits(const struct cpu *cpu);

/* How an ordinary instruction touches memory: for the faults of an engine that knows the address but not the purpose. */
struct memory_use {
    bool stack;                 /* PUSH, CALL, RET ... or an operand whose segment is SS: faults as #SS */
    bool read_modify_write;     /* its explicit memory operand is read and written: faults as a write */
};
/* For an instruction that accessed memory: it is taken to be legal. */
struct memory_use decode_memory_use(const struct cpu *cpu, const uint8_t *bytes, size_t length);
/*
 * The memory operand of an ordinary instruction that has a ModRM byte, in *insn: segment, base, index, scale, displacement and
 * address size. `next`: RIP after it, from which addresses may be relative. False if the operand is a register.
 */
bool decode_memory_operand(unsigned bits, uint64_t next, const uint8_t *bytes, size_t length, struct insn *insn);

#endif
