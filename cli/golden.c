/* SPDX-License-Identifier: MIT */
/* Golden traces: what a scenario's trace has been so far. */
#define _GNU_SOURCE
#include "cli/golden.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool golden_path(const char *folder, const char *scenario, char path[GOLDEN_PATH_BYTES])
{
    const char *slash = strrchr(scenario, '/'), *name = slash ? slash + 1 : scenario;
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, ".scn") == 0)
        length -= 4;
    int written = snprintf(path, GOLDEN_PATH_BYTES, "%s/%.*s.trace", folder, (int)length, name);
    return written > 0 && written < GOLDEN_PATH_BYTES;
}

static char *read_whole(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL, *grown;
    size_t capacity = 0, got = 1;

    *length = 0;
    while (file && got) {
        if (*length + 4096 > capacity) {
            capacity = capacity * 2 + 8192;
            grown = realloc(text, capacity);
            if (!grown)
                break;
            text = grown;
        }
        got = fread(text + *length, 1, 4096, file);
        *length += got;
    }
    if (file)
        fclose(file);
    return text;
}

/* Reports the first line in which two texts differ. */
static void show_difference(const char *path, const char *golden, size_t golden_length, const char *trace,
                            size_t trace_length)
{
    unsigned line = 1;
    size_t start = 0, at = 0;
    while (at < golden_length && at < trace_length && golden[at] == trace[at])
        if (golden[at++] == '\n') {
            start = at;
            line++;
        }
    const char *want = memchr(golden + start, '\n', golden_length - start);
    const char *got = memchr(trace + start, '\n', trace_length - start);
    int want_length = (int)(want ? (size_t)(want - golden) - start : golden_length - start);
    int got_length = (int)(got ? (size_t)(got - trace) - start : trace_length - start);
    printf("# %s:%u: the trace differs from here on (if that is right: make golden)\n", path, line);
    printf("#   golden: %.*s\n#   now:    %.*s\n", want_length, golden + start, got_length, trace + start);
}

bool golden_compare(const char *path, const char *trace, size_t length)
{
    size_t golden_length;
    char *golden = read_whole(path, &golden_length);
    bool same = golden && golden_length == length && !memcmp(golden, trace, length);
    if (!golden)
        printf("# %s: there is no golden trace (make golden writes it)\n", path);
    else if (!same)
        show_difference(path, golden, golden_length, trace, length);
    free(golden);
    return same;
}

/* First beside it, then in its place: a full disk costs nothing. */
bool golden_write(const char *path, const char *trace, size_t length)
{
    char beside[GOLDEN_PATH_BYTES + 8];
    mode_t mask = umask(0);

    umask(mask);
    snprintf(beside, sizeof beside, "%s.XXXXXX", path);
    int number = mkstemp(beside);
    FILE *file = number >= 0 ? fdopen(number, "wb") : NULL;
    bool good = file && fchmod(number, 0666 & ~mask) == 0 && fwrite(trace, 1, length, file) == length && fflush(file) == 0;
    good = good && rename(beside, path) == 0;
    if (!good)
        printf("# %s: cannot be written: %s\n", path, strerror(errno));
    if (!good && number >= 0)
        unlink(beside);
    if (file)
        fclose(file);
    return good;
}
