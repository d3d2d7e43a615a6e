/* SPDX-License-Identifier: MIT */
/*
 * The files that a command writes, opened in one place once all that it reads is known. None is emptied before the command has what
 * it needs to begin (outputs_begin()), none that is read is ever written, and no two outputs are one file.
 */
#ifndef SESQUI_CLI_OUTPUTS_H
#define SESQUI_CLI_OUTPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "emu/trace/sink.h"

enum { OUTPUTS_MAX = 12 };
#define TRACE_LIMIT_DEFAULT (1ull << 30)

struct output {
    const char *option, *path;      /* "-", /dev/stdout and the like: stdout or stderr */
    FILE **to;                      /* receives the stream */
    FILE *file;
    uint64_t limit;                 /* of a trace */
    bool is_trace, created;
    struct sink sink;
};

/* What is read: a file by its identity, whatever its name. */
struct input {
    const char *what;               /* "the image" */
    dev_t device;
    ino_t number;
};

struct outputs {
    struct output output[OUTPUTS_MAX];
    struct input *input;
    unsigned outputs;
    size_t inputs, inputs_capacity;
};

/* Something that the command reads. What is not there, and what is no file on a disk, does not matter. False: no memory. */
bool outputs_input(struct outputs *outputs, const char *what, const char *path);
/* A file to be written; path NULL: not wanted. `*to` is set by outputs_open(). */
void outputs_add(struct outputs *outputs, const char *option, const char *path, FILE **to);
void outputs_add_trace(struct outputs *outputs, const char *option, const char *path, uint64_t limit, FILE **to);

/* Opens all of them, and leaves what they hold as it is. False after a complaint: then nothing has changed. */
bool outputs_open(struct outputs *outputs);
/* Empties them: from now on they are written. */
void outputs_begin(struct outputs *outputs);
/* Closes them. Before outputs_begin(), files that were not there are gone again, the others as they were. False after a complaint
 * if something could not be written in full. */
bool outputs_close(struct outputs *outputs, bool begun);

/* May a command write this file, too?  False after a complaint: it is read, or it is one of the outputs. */
bool outputs_allow(const struct outputs *outputs, const char *option, const char *path);

#endif
