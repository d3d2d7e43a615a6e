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

#include "emu/load/symbols.h"
#include "hv/hal.h"
#include "model/observer.h"

enum { TRACE_LINE_MAX = 600, TRACE_TAIL = 32 };

/* What a line is made of. Lines are formatted when they are needed: at once for a file, else only if the tail is shown. */
struct trace_record {
    const char *event;          /* the word */
    void (*details)(char *to, size_t size, const struct trace_record *record);
    uint64_t clock, rip, rcx;   /* of the processor at that moment */
    unsigned cpu, level;
    struct notice notice;       /* notices of the model; native L0's events in a, b, c, d */
    uint32_t interruption_information, interruption_error_code;    /* exits with an event */
    char *text;                 /* trace_line(): the slot's own buffer */
    const struct symbols *symbols;
};

struct trace {
    FILE *file;                 /* NULL: only the tail is kept */
    const struct symbols *symbols;  /* names for instruction pointers; NULL: none are shown */
    struct trace_record tail[TRACE_TAIL];   /* the latest lines, for reports of broken rules */
    char text[TRACE_TAIL][TRACE_LINE_MAX];
    unsigned tail_next;
    uint64_t lines;
};

/* `level`: 0, 1 or 2. `event` is a word of at most 12 characters, in static storage. */
void trace_line(struct trace *trace, const struct cpu *cpu, unsigned level, const char *event, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void trace_notice(struct trace *trace, unsigned level, const struct notice *notice);
/* What a native L0 tells of itself through hal_log(). */
void trace_l0(struct trace *trace, const struct cpu *cpu, enum hal_event event, uint64_t a, uint64_t b, uint64_t c,
              uint64_t d);
/* Prints the kept lines, oldest first, each with `prefix`. */
void trace_print_tail(const struct trace *trace, FILE *to, const char *prefix);

#endif
