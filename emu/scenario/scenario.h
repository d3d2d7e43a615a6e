/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: a line-oriented text that says what each level executes and what is to be expected (docs/scenarios.md).
 * One table, emu/scenario/ops.def, yields the parser, the printer and the reference page.
 */
#ifndef SESQUI_EMU_SCENARIO_H
#define SESQUI_EMU_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/explain/explain.h"

struct vmx_capability;
struct native_passages;

enum {
    OPERAND_MAX = 6,
    STATEMENT_MAX = 65536,          /* of one program, included files counted */
    EXECUTED_MAX = 1000000,         /* of one run, repetitions counted */
    INCLUDE_DEPTH = 8,
    REPEAT_DEPTH = 8,
    SCENARIO_ERROR_MAX = 400,
};

enum op_id {
#define SECTION(title)
#define OP(id, who, instruction, syntax, text) OP_##id,
#include "emu/scenario/ops.def"
    OP_COUNT
};

/* One line, operands as numbers: names are resolved by the parser and found again by the printer. */
struct statement {
    uint8_t op;                     /* enum op_id */
    uint8_t actor;                  /* 0-2; lines of the machine: 0 */
    uint8_t given;                  /* bit n: operand n is there */
    uint16_t file;                  /* index of program.file */
    uint32_t line;
    uint32_t partner;               /* repeat, end: index of the other one */
    uint64_t operand[OPERAND_MAX];  /* in the order of the op's syntax; 0 where not given */
};

struct program {
    struct statement *statement;
    unsigned count, capacity;
    char **file;                    /* names as messages shall show them */
    unsigned file_count;
};

/* "file:line: what is wrong (what to do)" */
struct scenario_error {
    char text[SCENARIO_ERROR_MAX];
};

/* Parses a file and what it includes. False: `error` is set and `program` is empty. */
bool scenario_parse_file(const char *path, struct program *program, struct scenario_error *error);
/* Parses a text in memory, `name` standing for its file; `include` is refused. */
bool scenario_parse_text(const char *text, size_t length, const char *name, struct program *program,
                         struct scenario_error *error);
void scenario_free(struct program *program);

/* Prints a program in canonical form: one statement a line, included files in place. It parses to the same program. */
void scenario_print(const struct program *program, FILE *to);
/* One statement without a newline; at most `size` - 1 bytes. */
void scenario_print_statement(const struct statement *statement, char *to, size_t size);
/* The page docs/scenarios.md. */
void scenario_print_reference(FILE *to);

struct scenario_options {
    FILE *trace;                    /* NULL: none */
    bool full_trace;                /* also what preparation lines do (else one line each), and a native L0's VMREADs */
    FILE *messages;                 /* warnings and explanations, as comments; NULL: nowhere */
    enum explain_mode explain;      /* which explanations */
    bool check_registers;           /* as if the `machine` line had check=registers */
    FILE *dump;                     /* if a line fails at a VM entry: its VMCS (emu/vmcs/snapshot.h); NULL: none */
    bool seed_given;                /* `seed` instead of the scenario's own */
    uint64_t seed;
    const volatile int *stop;            /* not 0: no further line; NULL: nobody stops it */
    struct native_passages *passages;       /* with `l0 native` and a line `l0 measure`: what L0 did after it; NULL: not wanted */
    bool count_instructions;                /* L0's instructions too (emu/native/native.h) */
    const struct vmx_capability *offered;   /* for `l0 absent`: what scenario_offered() gave; NULL: it is called */
};

/* What the native core offers L1 on the machine of this program (only `machine` counts), as L1's RDMSRs tell. */
bool scenario_offered(const struct program *program, struct vmx_capability *offered, struct scenario_error *error);

/* Executes a program. False: it failed, and `error` says where and why; lines of help ("# ...") go to `diagnostics`. */
bool scenario_run(const struct program *program, const struct scenario_options *options, FILE *diagnostics,
                  struct scenario_error *error);

#endif
