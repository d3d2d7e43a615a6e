/* SPDX-License-Identifier: MIT */
/* The tables of `sesqui bench nested`: for people, and as tab-separated values. */
#include <inttypes.h>
#include <string.h>

#include "cli/bench/nested.h"

/* How many instructions the core has depends on its compiler and flags; the Makefile tells the latter. */
#ifdef __clang__
#define COMPILER __VERSION__ " " HV_FLAGS
#else
#define COMPILER "GCC " __VERSION__ " " HV_FLAGS
#endif

static void print_part(const struct nested_costs *costs, unsigned exit, unsigned strategy, const struct part *part, FILE *to)
{
    const struct native_passages *trip = &costs->trip[exit][strategy];
    const struct native_counts *c = &trip->of[part->passage].counts;
    const struct cycles low = cycles_of(trip, part->passage, WEIGHT_LOW), high = cycles_of(trip, part->passage, WEIGHT_HIGH);
    const struct cycles middle = cycles_of(trip, part->passage, WEIGHT_DEFAULT);

    if (!trip->of[part->passage].times)
        return;
    fprintf(to, "  %-5s %-15s %5" PRIu64 " %6" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64 " %4" PRIu64 "/%-3" PRIu64
            " %4" PRIu64 " ",
            strategy_name[strategy], part->title, trip->of[part->passage].times, c->vmread, c->vmwrite, c->vmclear, c->vmptrld,
            c->vmlaunch, c->vmresume, c->invept + c->invvpid);
    if (costs->image)
        fprintf(to, "%6s %6s ", "-", "-");
    else
        fprintf(to, "%6" PRIu64 " %6" PRIu64 " ", c->l1_bytes, c->l0_bytes);
    if (costs->instructions)
        fprintf(to, "%7" PRIu64, c->instruction);
    else
        fprintf(to, "%7s", "-");
    fprintf(to, " %6.0f + %5.0f (%.0f-%.0f)\n", middle.architecture, middle.own, low.architecture + low.own,
            high.architecture + high.own);
}

static void print_ratio(const char *what, const struct native_passages *other, const struct native_passages *flip, FILE *to)
{
    const struct ratio all = cycles_ratio(other, flip, false), own = cycles_ratio(other, flip, true);

    fprintf(to, "  %s/flip, both halves: %.1f (%.1f-%.1f); L0's own work: %.1f (%.1f-%.1f)\n", what, all.by_default, all.least,
            all.most, own.by_default, own.least, own.most);
}

void nested_print(const struct nested_costs *costs, FILE *to)
{
    fputs("sesqui bench nested: what L0 executes for one round trip, L2 > L0 > L1 > L0 > L2, in the steady state\n", to);
    if (costs->image)
        fputs("L0: build/sesqui.elf on the bare machine; all its instructions are counted, its back end's too\n", to);
    else if (costs->instructions)
        fprintf(to, "L0's instructions: the core's own, as compiled by " COMPILER "\n");
    for (unsigned exit = 0; exit < NESTED_EXITS; exit++) {
        if (!costs->measured[exit])
            continue;
        fprintf(to, "\n%s\n  %-21s %5s %6s %7s %7s %7s %8s %4s %6s %6s %7s %s\n", nested_exit_title[exit], "", "L0", "VM-", "VM-",
                "VM-", "VM-", "VM-", "INV-", "bytes", "bytes", "L0's", "modelled cycles:");
        fprintf(to, "  %-21s %5s %6s %7s %7s %7s %8s %4s %6s %6s %7s %s\n", "", "runs", "READ", "WRITE", "CLEAR", "PTRLD",
                "LAU/RES", "", "of L1", "of L0", "instr.", "exit, entry + L0's work (range)");
        for (unsigned strategy = 0; strategy < STRATEGIES; strategy++)
            for (unsigned part = 0; part < PARTS; part++)
                print_part(costs, exit, strategy, &nested_part[part], to);
        for (unsigned strategy = 0; strategy + 1 < STRATEGIES; strategy++)
            print_ratio(strategy_name[strategy], &costs->trip[exit][strategy], &costs->trip[exit][STRATEGIES - 1], to);
    }
    if (!costs->measured[NESTED_cpuid])
        return;
    fputs("\nWhich weight moves copy/flip (CPUID, both halves) how far, from its low to its high end\n", to);
    const struct ratio ratio = cycles_ratio(&costs->trip[NESTED_cpuid][1], &costs->trip[NESTED_cpuid][2], false);
    for (unsigned i = 0; i < WEIGHTS; i++)
        fprintf(to, "  %-50s %6g to %-6g %.2f to %.2f\n", weight_table[i].unit, weight_table[i].level[WEIGHT_LOW],
                weight_table[i].level[WEIGHT_HIGH], ratio.low[i], ratio.high[i]);
}

void nested_print_tsv(const struct nested_costs *costs, FILE *to)
{
    fputs("exit\tstrategy\tpart\ttimes", to);
#define X(name) fputs("\t" #name, to);
    NATIVE_COUNTS(X)
#undef X
    fputs("\tarchitecture_low\tarchitecture\tarchitecture_high\town_low\town\town_high\n", to);
    for (unsigned exit = 0; exit < NESTED_EXITS; exit++)
        for (unsigned strategy = 0; costs->measured[exit] && strategy < STRATEGIES; strategy++)
            for (unsigned part = 0; part < PARTS; part++) {
                const struct native_passages *trip = &costs->trip[exit][strategy];
                const enum passage passage = nested_part[part].passage;
                struct cycles cycles[3];
                for (unsigned level = 0; level < 3; level++)
                    cycles[level] = cycles_of(trip, passage, (enum weight_level)level);
                fprintf(to, "%s\t%s\t%s\t%" PRIu64, nested_exit_name[exit], strategy_name[strategy], nested_part[part].name,
                        trip->of[passage].times);
#define X(name) fprintf(to, "\t%" PRIu64, trip->of[passage].counts.name);
                NATIVE_COUNTS(X)
#undef X
                fprintf(to, "\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\n", cycles[0].architecture, cycles[1].architecture,
                        cycles[2].architecture, cycles[0].own, cycles[1].own, cycles[2].own);
            }
}
