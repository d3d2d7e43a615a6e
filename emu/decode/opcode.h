/* SPDX-License-Identifier: MIT */
/*
 * Which opcodes are sensitive instructions: the encodings of the rows of arch/instructions.def (SDM Vol. 2, opcode maps
 * of appendix A). decode.c decodes their operands; the CPU engine asks while it translates.
 */
#ifndef SESQUI_EMU_OPCODE_H
#define SESQUI_EMU_OPCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/insn.h"

enum opcode_map { MAP_ONE_BYTE, MAP_0F, MAP_0F38, MAP_0F3A, MAP_COUNT };

/* Prefixes met before an opcode. */
struct prefixes {
    bool operand_size, address_size, lock, rep, repne;  /* 66, 67, F0, F3, F2; of F2 and F3 the last one counts */
    uint8_t rex;                                        /* 0 where there is none directly before the opcode */
    uint8_t segment;                                    /* enum segment_register, or NO_REGISTER */
};

/* True if `byte` is a prefix of the given mode; it is then noted. A REX prefix counts only if it is the last one. */
bool prefix_add(struct prefixes *prefixes, uint8_t byte, bool mode64);

enum opcode_interest { OPCODE_ORDINARY, OPCODE_SENSITIVE, OPCODE_ASK_MODRM };
/* Is an opcode sensitive?  OPCODE_ASK_MODRM: that depends on its ModRM byte. */
enum opcode_interest opcode_interest(enum opcode_map map, uint8_t opcode);
/* The row, or INSN_none. `modrm` counts only for opcodes that have one. */
enum insn_id opcode_find(enum opcode_map map, uint8_t opcode, const struct prefixes *prefixes, uint8_t modrm);

/* Is the explicit memory operand of an ordinary instruction read and written?  May the instruction have a LOCK prefix? */
bool opcode_reads_and_writes(enum opcode_map map, uint8_t opcode, uint8_t modrm);
bool opcode_lockable(enum opcode_map map, uint8_t opcode, uint8_t modrm);
/* Must a memory operand of the instruction be aligned to 16 bytes?  Legacy SSE encodings only. */
bool opcode_aligned(enum opcode_map map, uint8_t opcode, const struct prefixes *prefixes);

#endif
