/* SPDX-License-Identifier: MIT */
/*
 * A decoded sensitive instruction. It comes from guest code (emu/decode/decode.c, by Capstone) or from a script line; from here
 * on both take the same road: execute() in model/cpu/execute.h.
 */
#ifndef SESQUI_MODEL_INSN_H
#define SESQUI_MODEL_INSN_H

#include <stdbool.h>
#include <stdint.h>

enum insn_id {
    INSN_none,
#define INSTRUCTION(name, exit_reason) INSN_##name,
#include "arch/instructions.def"
    INSN_COUNT
};

enum operand_kind { OPERAND_NONE, OPERAND_REGISTER, OPERAND_MEMORY };
enum { NO_REGISTER = 0xff };

struct insn {
    enum insn_id id;
    uint8_t length;             /* bytes, prefixes included */
    uint8_t operand_size;       /* 2, 4, 8; the data size of IN, OUT, INS, OUTS: 1, 2, 4 */
    uint8_t address_size;       /* 2, 4, 8 */
    bool lock;                  /* LOCK prefix: #UD with every one of them */
    bool rep;                   /* INS, OUTS: REP prefix */
    /* The operand that may be in memory (ModRM.rm). */
    enum operand_kind kind;
    uint8_t rm;                 /* OPERAND_REGISTER: enum gpr */
    uint8_t segment;            /* OPERAND_MEMORY, OUTS: enum segment_register after override and default */
    uint8_t base, index;        /* enum gpr, or NO_REGISTER */
    uint8_t scale;              /* 0-3: index is shifted by it */
    int64_t displacement;       /* RIP-relative: already includes the next instruction's RIP, base is NO_REGISTER */
    /* The operand that is always a register (ModRM.reg): enum gpr, or a CR or DR number for moves to and from them. */
    uint8_t reg;
    uint8_t target;             /* MOV, POP, LDS and their like: the segment register that is loaded */
    uint16_t selector;          /* JMP and CALL far without an operand in memory: the pointer's; its offset is `displacement`,
                                   as is the number of bytes that RET far releases. ENTER: level; displacement: its size */
    uint16_t port;              /* IN, OUT: the port (from the immediate or DX) */
    bool port_immediate;
};

/* VMCALL ... VMFUNC */
static inline bool insn_is_vmx(enum insn_id id) { return id >= INSN_vmcall && id <= INSN_vmfunc; }
const char *insn_name(enum insn_id id);     /* "vmread"; "none" */

#endif
