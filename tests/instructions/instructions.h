/* SPDX-License-Identifier: MIT */
/*
 * User-level instructions, one at a time, on the host's own processor and on the CPU engine: registers, flags, SSE registers, memory.
 * Both run the same bytes at the same addresses: a prologue loads everything, then the instruction, then an epilogue stores everything.
 */
#ifndef SESQUI_TESTS_INSTRUCTIONS_H
#define SESQUI_TESTS_INSTRUCTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* The arena, at the same address in both worlds. */
enum { ARENA = 0x800000, ARENA_SIZE = 0x10000, IN_AT = 0x0000, OUT_AT = 0x1000, PROLOGUE_AT = 0x2000, CODE_AT = 0x3000, EPILOGUE_AT = 0x4000,
       HOST_RSP_AT = 0x4f00, DATA_AT = 0x6000, STACK_AT = 0x8000, SCRATCH_AT = 0xa000 };
enum { DATA_FIRST = DATA_AT + 0x700, DATA_SIZE = 0x300, STACK_FIRST = STACK_AT + 0x700, STACK_SIZE = 0x200, CODE_MAX = 24 };

struct registers {
    uint64_t gpr[16], flags, mxcsr, xmm[16][2];
};

/* What ended it: nothing, or an exception's vector. */
enum { ENDED_WELL = 0xff };

struct trial {
    unsigned row;
    uint8_t code[CODE_MAX], length;
    uint64_t undefined_flags;
    uint32_t undefined_registers;       /* bit n: GPR n */
    struct registers in;
    uint8_t data[DATA_SIZE], stack[STACK_SIZE];
};

struct outcome {
    unsigned ended;
    struct registers out;
    uint8_t data[DATA_SIZE], stack[STACK_SIZE];
};

/* generate.c */
void trial_generate(struct trial *trial, uint64_t seed, uint64_t index);
const char *row_name(unsigned row, char *text, unsigned size);
unsigned row_count(void);
/* arena.c: the fixed code; `end`: the bytes that end the epilogue. */
void arena_prepare(uint8_t *arena, const uint8_t *end, unsigned size);
/* host.c: all trials in a child of its own; false: it was killed, at trial *done. */
bool host_run(const struct trial *trials, struct outcome *outcomes, unsigned count, unsigned *done);
/* engine.c */
void engine_side_open(void);
void engine_side_run(const struct trial *trial, struct outcome *outcome);

#endif
