/* SPDX-License-Identifier: MIT */
/* What the commands share: options, numbers, one-line messages. */
#ifndef SESQUI_CLI_OPTIONS_H
#define SESQUI_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/explain/explain.h"

/* Prints "sesqui: ..." on stderr, the name in colour on a terminal, and returns 2, the status of usage errors. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Walks over a command line: options may stand anywhere, "--" ends them. */
struct arguments {
    int argc, next;
    char **argv;
    bool only_operands;
    const char *value;          /* what follows "=" in the option just returned, or NULL */
    char name[64];              /* the option without its value */
};
/* The next argument: true for an option (arguments->name), false for an operand (*operand) or, with NULL, the end. */
bool arguments_option(struct arguments *arguments, const char **operand);
/* The value of the present option, after "=" or as the next argument; NULL after a complaint if there is none. */
const char *arguments_value(struct arguments *arguments);
/* Complains about a value given to an option that takes none. */
bool arguments_no_value(const struct arguments *arguments);

/* A number, decimal or 0x..., with a suffix k, M or G (powers of 1,000). False after a complaint. */
bool parse_number(const char *option, const char *text, uint64_t *value);
/* A memory size: a number of megabytes, or with a suffix K, M or G (powers of 1,024). False after a complaint. */
bool parse_size(const char *option, const char *text, uint64_t *bytes);
/* "once", "all" or "none", the value of --explain. False after a complaint. */
bool parse_explain(const char *text, enum explain_mode *mode);
/* Opens a file to write; "-" is stdout. NULL after a complaint. */
FILE *open_output(const char *option, const char *path);
/* Closes it again; false after a complaint if something could not be written. */
bool close_output(FILE *file, const char *path);

#endif
