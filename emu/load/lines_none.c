/* SPDX-License-Identifier: MIT */
/* A build without libdw: addresses have no source lines. */
#include "emu/load/lines.h"

#include <stddef.h>

struct lines *lines_of(const char *path)
{
    (void)path;
    return NULL;
}

void lines_close(struct lines *lines)
{
    (void)lines;
}

const char *lines_text(struct lines *lines, uint64_t address, char to[LINE_TEXT_MAX])
{
    (void)lines, (void)address;
    to[0] = '\0';
    return to;
}
