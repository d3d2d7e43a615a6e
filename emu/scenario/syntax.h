/* SPDX-License-Identifier: MIT */
/* The op table as data: what parser, printer, reference page and interpreter ask of it. */
#ifndef SESQUI_EMU_SCENARIO_SYNTAX_H
#define SESQUI_EMU_SCENARIO_SYNTAX_H

#include "emu/scenario/scenario.h"
#include "model/insn.h"

enum who { WHO_MACHINE, WHO_ACTOR, WHO_LEVEL0 };

struct op {
    enum who who;
    enum insn_id instruction;       /* INSN_none if it executes none by itself */
    const char *syntax, *text;
};
extern const struct op op_table[OP_COUNT];

enum argument_kind {
    KIND_NUMBER, KIND_SIZE, KIND_PORTSIZE, KIND_CPUS, KIND_FIELD, KIND_MSR, KIND_REASON, KIND_REGISTER, KIND_STATE, KIND_CONTROL,
    KIND_LEVEL, KIND_POLICY, KIND_PROFILE, KIND_CHECK, KIND_KEPT, KIND_STRATEGY, KIND_RIGHTS, KIND_MODE, KIND_SEGMENT, KIND_RULE, KIND_ROW, KIND_FILE,
};

struct argument {
    const char *placeholder;
    enum argument_kind kind;
    uint64_t limit;
    const char *text;
};
extern const struct argument argument_table[];
extern const unsigned argument_count;

enum { WORD_MAX = 64 };

/* One element of a syntax string. */
struct element {
    bool optional;
    char word[WORD_MAX];            /* a word that stands for itself, or the key before '='; "" if neither */
    const struct argument *argument;    /* NULL: the word stands for itself */
};
/* Reads the element at *cursor and moves on; false at the end. */
bool syntax_next(const char **cursor, struct element *element);

enum { REGISTER_RIP = 16, REGISTER_RFLAGS = 17 };

enum state_number {
#define STATE(name, expression) STATE_##name,
#include "emu/scenario/state.def"
};
enum { TLB_POLICIES = 3 };
enum script_mode { MODE_long, MODE_pae, MODE_32bit };

/* The control that a CONTROL operand means. */
struct control_name {
    const char *word, *name;
    uint32_t field;                 /* encoding of the VMCS field */
    uint32_t mask;
};
extern const struct control_name control_table[];

/* Operands between text and number. Parsing: NULL on success, else what is wrong. Printing is what parsing accepts. */
const char *operand_parse(const struct argument *argument, const char *token, uint64_t *value);
void operand_print(const struct argument *argument, uint64_t value, char *to, size_t size);

#endif
