/* SPDX-License-Identifier: MIT */
/*
 * Where a trace goes: a stream that passes whole lines on, ends at a limit with a line that says so, and remembers the first
 * error. Whatever ends the process, even SIGKILL, the file ends with a whole line.
 */
#ifndef SESQUI_EMU_TRACE_SINK_H
#define SESQUI_EMU_TRACE_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { SINK_LINE_MAX = 4096, SINK_END_MAX = 160 };

struct sink {
    FILE *to;
    uint64_t limit, bytes;          /* the most that `to` gets, 0: no limit; what it got */
    bool at_limit;                  /* the end line has been written, nothing follows it */
    int error;                      /* errno of the first failure, after which nothing is written; 0: none */
    size_t part;                    /* bytes of a line that is not whole yet */
    char line[SINK_LINE_MAX];
};

/*
 * Opens a stream for lines that go to `to`, which gets nothing else of the stream's own while lines are pending: `by_line` passes
 * each on at once, for a `to` that others write to as well. The caller closes the stream, then `to`. NULL: no memory.
 */
FILE *sink_open(struct sink *sink, FILE *to, uint64_t limit, bool by_line);

#endif
