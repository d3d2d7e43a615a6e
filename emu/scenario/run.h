/* SPDX-License-Identifier: MIT */
/* What the files of the interpreter share. */
#ifndef SESQUI_EMU_SCENARIO_RUN_H
#define SESQUI_EMU_SCENARIO_RUN_H

#include "emu/scenario/syntax.h"
#include "emu/machine/step.h"
#include "model/vmx/check.h"

/* Where things are: the table in docs/scenarios.md (print.c). */
enum {
    PLACE_GDT = 0x1000, PLACE_IDT = 0x2000, PLACE_TSS = 0x3000,
    PLACE_PML4 = 0x4000, PLACE_PDPT = 0x5000, PLACE_PD = 0x6000,
    PLACE_SCRATCH = 0xa000, PLACE_SCRATCH_CPU = 0x100,
    PLACE_DIRECTORY_32BIT = 0xd000, PLACE_PDPT_PAE = 0xe000,
    PLACE_RIP = 0x100000, PLACE_RSP = 0xff000, PLACE_HOST_RIP = 0x110000, PLACE_HOST_RSP = 0xfe000,
    PLACE_GUEST_RIP = 0x200000, PLACE_GUEST_RSP = 0x1ff000,
    SELECTOR_CODE = 0x08, SELECTOR_DATA = 0x10, SELECTOR_TSS = 0x18,
    SELECTOR_USER_DATA = 0x2b, SELECTOR_USER_CODE = 0x33,
    IDT_LIMIT = 0xfff, GDT_LIMIT = 0x37, TSS_LIMIT = 0x67,
};

/* What happened to a line that is not plain success; each must be named by an expectation. */
enum {
    UNUSUAL_EXIT = 1, UNUSUAL_ENTRY_FAILED = 2, UNUSUAL_FAIL = 4, UNUSUAL_EVENT = 8, UNUSUAL_RULE = 16,
    UNUSUAL_STALE = 32, UNUSUAL_SHUTDOWN = 64, UNUSUAL_LOST = 128,
};

enum { ROWS_MAX = 1024 };

/* What became of the latest line that is no expectation. */
struct outcome {
    const struct statement *statement;  /* NULL: none yet */
    unsigned unusual;                   /* UNUSUAL_*, without what expectations have named */
    unsigned level_before, level_after, level_top;
    bool exited;                        /* the latest exit: */
    unsigned exit_level;                /*   level that ran */
    uint32_t exit_reason;               /*   with EXIT_REASON_ENTRY_FAILURE, perhaps */
    uint64_t exit_qualification;
    bool entered, entry_failed;
    bool barrier;                       /* a native L0 executed a prediction barrier */
    bool failed, failed_invalid;        /* VMfail, and which */
    struct event event;                 /* delivered to a level of the script; the latest */
    uint32_t rules;                     /* bit n: rule n was broken */
    unsigned rule_first;                /* the first of them, and what was said of it: */
    char rule_text[240];
    uint8_t rows[ROWS_MAX / 8];         /* VM-entry checks that failed */
    uint64_t lost;                      /* registers that a VM entry did not give back (emu/explain/registers.h), without what was expected */
    uint64_t value;
};

struct run {
    const struct program *program;
    const struct scenario_options *options;
    const struct statement *statement;  /* being executed */
    struct scenario_error *error;
    struct machine *machine;
    struct model *model;
    struct cpu *cpu;
    bool native, full_trace;
    bool check_registers;
    uint8_t hypervisor;                 /* the level that is one: 1 over a native L0, or without one that ought to be there */
    bool settled[MODEL_CPU_MAX];        /* the native L0 of this processor has started */
    struct observer tracer;             /* the machine's; the interpreter looks at each notice after it */
    struct bus devices;                 /* the machine's; an `interrupt` line comes on top of them */
    bool interrupt;
    uint8_t interrupt_vector;
    struct {
        bool given;                     /* by an `operand` line, for the next line */
        uint64_t offset;
        enum segment_register segment;
        uint64_t linear;                /* of the latest memory operand, wherever it came from */
    } operand;
    struct outcome outcome;
};

/* Sets the error of the present line and returns false. */
__attribute__((format(printf, 2, 3))) bool run_fail(struct run *run, const char *format, ...);
/* The same, about the line that the outcome is of. */
__attribute__((format(printf, 2, 3))) bool run_fail_outcome(struct run *run, const char *format, ...);

/* One attempt at something that the processor executes, to be made again after exits that a native L0 handled. */
typedef enum status attempt_function(struct run *run, const void *what);
/* False: the scenario is over (an error, or the machine stopped for another reason than a shutdown). */
bool run_attempt(struct run *run, attempt_function *attempt, const void *what);
/* Events and whatever is due between two instructions, until there is nothing more. */
bool run_boundary(struct run *run);

/* The machine that the program asks for, before its first line. False: `error` says why. run_close() in any case. */
bool run_open(struct run *run, const struct program *program, const struct scenario_options *options,
              struct scenario_error *error);
void run_close(struct run *run);
/* One line that is neither `repeat`, `end` nor an expectation, whatever became of the lines before: see run->outcome. */
bool run_line(struct run *run, const struct statement *statement);

/* environment.c */
void environment_prepare(struct run *run);      /* memory, and the state of every processor */
void environment_bus(struct run *run);          /* `interrupt` lines between processor and devices */
void environment_set_cpl(struct cpu *cpu, unsigned cpl);
void environment_set_mode(struct cpu *cpu, enum script_mode mode);

/* instruction.c: a line that executes one instruction of instructions.def. */
bool instruction_run(struct run *run, const struct statement *statement);
/* Could the line of this op have the operand that an `operand` line placed? */
bool instruction_has_memory_operand(uint8_t op);
/* Instructions that preparations are made of, by the present actor; false also when they did not succeed. */
bool instruction_vmread(struct run *run, uint32_t field, uint64_t *value);
bool instruction_vmwrite(struct run *run, uint32_t field, uint64_t value);
bool instruction_rdmsr(struct run *run, uint32_t index, uint64_t *value);
bool instruction_plain(struct run *run, enum op_id op, uint64_t operand0, uint64_t operand1);

/* memory.c */
bool memory_line(struct run *run, const struct statement *statement);
bool memory_store(struct run *run, uint64_t linear, const void *from, unsigned length);
bool memory_load(struct run *run, uint64_t linear, void *to, unsigned length);

/* prepare.c */
bool prepare_line(struct run *run, const struct statement *statement);

/* expect.c */
bool expect_line(struct run *run, const struct statement *statement);
/* False: something happened that no expectation named. */
bool expect_nothing_more(struct run *run);
uint64_t register_read(const struct cpu *cpu, uint64_t number);

#endif
