/* SPDX-License-Identifier: MIT */
/*
 * Source lines of addresses, from the DWARF line information of an image that has it. For messages only. The back end is chosen
 * at build time: lines_dw.c (libdw, of elfutils) where that library is installed, else lines_none.c, which knows nothing.
 */
#ifndef SESQUI_EMU_LOAD_LINES_H
#define SESQUI_EMU_LOAD_LINES_H

#include <stdint.h>

struct lines;

enum { LINE_TEXT_MAX = 150 };

/* Remembers the image's file, which is opened at the first question. NULL: there will be no answers. */
struct lines *lines_of(const char *path);
void lines_close(struct lines *lines);
/* "kernel/main.c:33", "kernel/vmx.h:12, inlined at kernel/main.c:33", or "" where nothing is known, or the file is no longer the one that was
 * loaded. Returns `to`. */
const char *lines_text(struct lines *lines, uint64_t address, char to[LINE_TEXT_MAX]);

#endif
