/* SPDX-License-Identifier: MIT */
/*
 * Traces: one event a line, fixed columns, virtual time; byte-identical from run to run.
 *
 *        clock cpu lv event        details
 *         1042   0 L1 exit         cpuid qual=0x0 rip=0x101234
 *
 * clock: cpu->clock in decimal, right-aligned to 12; cpu: index; lv: L0, L1 or L2, the level that was running.
 */
#ifndef SESQUI_EMU_TRACE_H
#define SESQUI_EMU_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "model/observer.h"

enum { TRACE_LINE_MAX = 240, TRACE_TAIL = 32 };

struct trace {
    FILE *file;                 /* NULL: only the tail is kept */
    char tail[TRACE_TAIL][TRACE_LINE_MAX];  /* the latest lines, for reports of broken rules */
    unsigned tail_next;
    uint64_t lines;
};

/* `level`: 0, 1 or 2. `event` is a word of at most 12 characters. */
void trace_line(struct trace *trace, const struct cpu *cpu, unsigned level, const char *event, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void trace_notice(struct trace *trace, unsigned level, const struct notice *notice);
/* Prints the kept lines, oldest first, each with `prefix`. */
void trace_print_tail(const struct trace *trace, FILE *to, const char *prefix);

#endif
