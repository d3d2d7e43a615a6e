/* SPDX-License-Identifier: MIT */
/* Traces on their way to a file: whole lines only, a limit, the first error. */
#define _GNU_SOURCE                 /* fopencookie() */
#include "emu/trace/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SINK_BUFFER = 64 << 10, COLUMNS_BEFORE_EVENT = 19 };

/* A write that failed half-way, say on a full disk: cuts the file back to its last whole line. */
static void cut_back(FILE *to, const char *text, size_t written)
{
    const char *newline = memrchr(text, '\n', written);
    size_t part = newline ? written - (size_t)(newline + 1 - text) : written;
    int file = fileno(to);
    struct stat status;
    off_t at;

    if (!part || file < 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    at = lseek(file, 0, SEEK_CUR);
    if (at == status.st_size && at >= (off_t)part && ftruncate(file, at - (off_t)part) == 0)
        lseek(file, at - (off_t)part, SEEK_SET);
}

/* Whole lines. */
static void pass_on(struct sink *sink, const char *text, size_t length)
{
    if (!length || sink->error)
        return;
    errno = 0;
    size_t written = fwrite(text, 1, length, sink->to);
    sink->bytes += written;
    if (written == length)
        return;
    sink->error = errno ? errno : EIO;
    cut_back(sink->to, text, written);
}

/* The line that did not fit any more lends its columns: clock, processor, level. */
static void end(struct sink *sink, const char *line, size_t length)
{
    char text[SINK_END_MAX];
    int columns = length > COLUMNS_BEFORE_EVENT ? COLUMNS_BEFORE_EVENT : 0;
    int written = snprintf(text, sizeof text, "%.*s trace-end    here is the limit of %" PRIu64 " bytes (--trace-limit SIZE; 0: none)\n",
                           columns, line, sink->limit);

    pass_on(sink, text, (size_t)written);
    sink->at_limit = true;
}

/* How much of these whole lines fits, the end line counted. */
static size_t fitting(const struct sink *sink, const char *text, size_t length)
{
    uint64_t room = sink->limit > sink->bytes + SINK_END_MAX ? sink->limit - sink->bytes - SINK_END_MAX : 0;

    if (!sink->limit || length <= room)
        return length;
    const char *newline = memrchr(text, '\n', (size_t)room);
    return newline ? (size_t)(newline + 1 - text) : 0;
}

static void take_lines(struct sink *sink, const char *text, size_t length)
{
    if (sink->at_limit)
        return;
    size_t fits = fitting(sink, text, length);
    pass_on(sink, text, fits);
    if (fits < length)
        end(sink, text + fits, length - fits);
}

/* What does not end with a newline waits for the rest of its line. A line that is longer than the buffer is cut; trace.h has none. */
static void keep_part(struct sink *sink, const char *text, size_t length)
{
    size_t room = sizeof sink->line - sink->part, kept = length < room ? length : room;

    memcpy(sink->line + sink->part, text, kept);
    sink->part += kept;
}

/* fopencookie()'s; reports no failure to stdio, which would try again. */
static ssize_t take(void *cookie, const char *text, size_t length)
{
    struct sink *sink = cookie;
    const char *last = memrchr(text, '\n', length), *first;
    size_t rest = last ? length - (size_t)(last + 1 - text) : length;

    if (last && sink->part) {
        first = (const char *)memchr(text, '\n', length) + 1;
        keep_part(sink, text, (size_t)(first - text));
        sink->line[sink->part - 1] = '\n';
        take_lines(sink, sink->line, sink->part);
        sink->part = 0;
        take_lines(sink, first, (size_t)(last + 1 - first));
    } else if (last) {
        take_lines(sink, text, (size_t)(last + 1 - text));
    }
    keep_part(sink, text + length - rest, rest);
    return (ssize_t)length;
}

FILE *sink_open(struct sink *sink, FILE *to, uint64_t limit, bool by_line)
{
    sink->to = to;
    sink->limit = limit;
    sink->bytes = 0;
    sink->at_limit = false;
    sink->error = 0;
    sink->part = 0;
    FILE *stream = fopencookie(sink, "w", (cookie_io_functions_t){ .write = take });
    if (stream)
        setvbuf(stream, NULL, by_line ? _IOLBF : _IOFBF, SINK_BUFFER);
    return stream;
}
