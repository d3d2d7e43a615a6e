/* SPDX-License-Identifier: MIT */
/* What the commands share: their command lines as tables, numbers, one-line messages. */
#ifndef SESQUI_CLI_OPTIONS_H
#define SESQUI_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/explain/explain.h"

/* Prints "sesqui: ..." on stderr, the name in colour on a terminal, and returns 2, the status of usage errors. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What an option does with its value. `at` is the offset of what it sets in the structure that options_parse() fills. */
enum option_kind {
    OPTION_FLAG,                /* bool: true; takes no value */
    OPTION_TEXT,                /* const char *: the value */
    OPTION_NUMBER,              /* uint64_t: parse_number() */
    OPTION_SIZE,                /* uint64_t: parse_size() */
    OPTION_CALL,                /* set() gets the value */
    OPTION_CALL_IF_GIVEN,       /* the same; the value stands after "=", or there is none, and set() gets NULL */
};
struct option {
    const char *name;           /* with its dashes */
    enum option_kind kind;
    size_t at;
    bool (*set)(void *to, const char *value);   /* false after a complaint */
    const char *values;         /* OPTION_CALL_IF_GIVEN: the values there are, separated by blanks; NULL: any */
};
/* What a command takes. Options may stand anywhere; "--" ends them; of an option that is given twice the last one counts. */
struct syntax {
    const char *command;        /* as messages name it: "boot" */
    const char *help;           /* how to get help, if not by "sesqui COMMAND --help" */
    const struct option *option;
    unsigned options;
    bool (*operand)(void *to, const char *operand);     /* false after a complaint; NULL: the command takes none */
    const struct foreign_option *foreign;       /* how other programs call what there is here; ended by one without a name */
};
struct foreign_option { const char *name, *here; };     /* "smp", "--cpus N" */
/* Fills `to`. False after a complaint. */
bool options_parse(const struct syntax *syntax, int argc, char **argv, void *to);

/* Of `count` names the one that a mistyped word was probably meant to be; NULL: none is near. */
const char *nearest_name(const char *word, size_t length, const char *(*name)(const void *, unsigned), const void *names,
                         unsigned count);

/* A number, decimal or 0x..., with a suffix k, M or G (powers of 1,000). False after a complaint. */
bool parse_number(const char *option, const char *text, uint64_t *value);
/* A memory size: a number of megabytes, or with a suffix K, M or G (powers of 1,024). False after a complaint. */
bool parse_size(const char *option, const char *text, uint64_t *bytes);
/* "once", "all" or "none", the value of --explain. False after a complaint. */
bool parse_explain(const char *text, enum explain_mode *mode);
/* The value of --vmx-profile. False after a complaint. */
struct vmx_lacks;
bool parse_profile(const char *text, struct vmx_lacks *lacks);
/* What --check means; false after a complaint. */
bool parse_check(const char *text, bool *registers);
/* Writes what stdout still holds; false after a complaint if something could not be written. */
bool flush_stdout(void);
/* A text from outside, say a file's name: what is not printable ASCII or UTF-8 would do things to a terminal, or look like lines. */
void print_visibly(FILE *to, const char *text);

#endif
