/* SPDX-License-Identifier: MIT */
/* Accesses of the model to linear memory in two steps: everything that can fault first, then the transfer. */
#ifndef SESQUI_MODEL_ACCESS_H
#define SESQUI_MODEL_ACCESS_H

#include "model/cpu/cpu.h"
#include "model/cpu/translate.h"
#include "model/refusal.h"

/* Up to one page of linear memory, translated: it lies in at most two pages. */
struct span {
    unsigned count;
    struct {
        uint64_t pa;
        unsigned length;
    } part[2];
};

/* Translates `length` bytes (at most PAGE_SIZE) for reading or writing; faults as linear_read() does. */
enum status span_locate(struct cpu *cpu, uint64_t linear, unsigned length, enum access_kind kind, bool system,
                        struct span *span);
/* The same with the access's kind and privilege given. */
enum status span_locate_as(struct cpu *cpu, uint64_t linear, unsigned length, struct access access, struct span *span);
/* #AC(0) if an explicit access at this privilege level has to be aligned and is not: after its translation. */
enum status access_aligned(struct cpu *cpu, uint64_t linear, unsigned length, unsigned cpl);
void span_read(struct cpu *cpu, const struct span *span, void *to);
void span_write(struct cpu *cpu, const struct span *span, const void *from);

/* The segment of a memory operand. Is it one that may be read or written (5.4, 5.5)?  In real-address and virtual-8086 mode
 * there is no type. Are all bytes of [offset, offset + length) within its limit (5.3)? */
const struct segment *operand_segment(const struct cpu *cpu, const struct insn *insn);
bool operand_segment_usable(const struct cpu *cpu, const struct segment *segment, bool write);
bool operand_within_limit(const struct segment *segment, uint64_t offset, unsigned length);

/* An access to all of a memory operand, as the group `operand` of refusals.def looks at it. */
struct attempt operand_attempt(const struct cpu *cpu, const struct insn *insn, unsigned length, bool write);

/* Linear address of a memory operand that is not accessed: no limit, type or canonical check (INVLPG). */
uint64_t operand_address(const struct cpu *cpu, const struct insn *insn);

#endif
