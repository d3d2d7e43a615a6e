/* SPDX-License-Identifier: MIT */
/* `sesqui bench nested`: what L0 executes for one nested round trip, L2 > L0 > L1 > L0 > L2, by strategy. */
#ifndef SESQUI_CLI_BENCH_NESTED_H
#define SESQUI_CLI_BENCH_NESTED_H

#include <stdbool.h>
#include <stdio.h>

#include "emu/native/native.h"

enum nested_exit {
#define NESTED_EXIT(id, title, reason, line) NESTED_##id,
#define STEP(id, what, field, place)
#define LINE(id, line)
#define RETRY(id, line)
#include "scenarios/guests/bench/kvm_exits.def"
    NESTED_EXITS
};
extern const char *const nested_exit_name[NESTED_EXITS], *const nested_exit_title[NESTED_EXITS];

enum { STRATEGIES = 3 };
extern const char *const strategy_name[STRATEGIES];

/* Passages in the order of a round trip, and what tables call them. */
enum { PARTS = PASSAGE_COUNT };
struct part {
    enum passage passage;
    const char *name, *title;
};
extern const struct part nested_part[PARTS];

/* One steady-state round trip of each. */
struct nested_costs {
    bool instructions;                  /* they were counted */
    bool image;                         /* L0 was the image, whose accesses to memory cannot be told apart */
    bool measured[NESTED_EXITS];
    struct native_passages trip[NESTED_EXITS][STRATEGIES];
};
/* The exit of a name, or NESTED_EXITS. */
enum nested_exit nested_exit_find(const char *name);
/* Measures one exit, or all (NESTED_EXITS). False after a message: a scenario failed, or two round trips did not cost twice what one does. */
bool nested_measure(struct nested_costs *costs, enum nested_exit only, bool instructions);

/* The images that are read for it. */
extern const char *const nested_images[2];
/* The same of the image build/sesqui.elf on the bare machine; exits that its guest does not make stay unmeasured. */
bool nested_measure_image(struct nested_costs *costs, enum nested_exit only);

/* ---- cycles.c: modelled cycles ---- */
enum weight_kind { WEIGHT_ARCHITECTURE, WEIGHT_OWN, WEIGHT_SWITCHED };
struct weight {
    const char *id, *unit;              /* of what */
    enum weight_kind kind;
    double level[3];                    /* low, default, high: cycles each */
    const char *source;
};
enum weight_level { WEIGHT_LOW, WEIGHT_DEFAULT, WEIGHT_HIGH };
enum {
#define WEIGHT(id, kind, low, middle, high, count, unit, source) WEIGHT_##id,
#include "cli/bench/weights.def"
    WEIGHTS
};
extern const struct weight weight_table[WEIGHTS];

struct cycles { double architecture, own; };    /* what exits and entries cost anyway; L0's work */
/* A passage with all weights at one level. */
struct cycles cycles_of(const struct native_passages *trip, enum passage passage, enum weight_level level);
/* Both halves, exit and entry, with these weights (indices of struct weight's level). */
double cycles_halves(const struct native_passages *trip, const enum weight_level level[WEIGHTS], bool own_only);

/* How many times what the flip's halves cost another strategy's cost, and how far the weights move it. */
struct ratio {
    double by_default, least, most;     /* the latter over all weights in their ranges */
    double low[WEIGHTS], high[WEIGHTS]; /* one weight at its end, the others at their defaults */
};
struct ratio cycles_ratio(const struct native_passages *other, const struct native_passages *flip, bool own_only);

/* ---- report.c, plot.c ---- */
void nested_print(const struct nested_costs *costs, FILE *to);
void nested_print_tsv(const struct nested_costs *costs, FILE *to);
void nested_plot(const struct nested_costs *costs, FILE *to);

#endif
