/* SPDX-License-Identifier: MIT */
/* `sesqui bench`: speed and memory on this host; `sesqui bench nested`: what L0 executes. */
#include <stdio.h>
#include <string.h>

#include "cli/bench/bench.h"
#include "cli/bench/nested.h"
#include "cli/command.h"
#include "cli/options.h"

static const char help[] =
    "usage: sesqui bench [DIR]\n"
    "       sesqui bench nested [--l0 native|image] [--exit NAME] [--tsv FILE] [--svg FILE] [--no-instructions]\n\n"
    "Measures this host: guest MIPS, VM exit and entry, nested round trips, memory.\n"
    "DIR holds the guest images (default: build/guests, made by `make`).\n\n"
    "nested: what L0 executes for one nested round trip, counted exactly, for six exits of L2 and the strategies trap, copy\n"
    "and flip, with modelled cycles (docs/nested-costs.md). FILE may be - for stdout.\n"
    "  --l0 native          the core as native code of this process (the default)\n"
    "  --l0 image           the core as build/sesqui.elf on the bare machine, beneath build/guests/kvm.elf (both made by\n"
    "                       `make`); cpuid, vmcall, wrmsr and out only\n"
    "  --exit NAME          this exit only: cpuid, vmcall, wrmsr, out, ept_violation or interrupt\n"
    "  --tsv FILE           the same as tab-separated values\n"
    "  --svg FILE           a plot of the modelled cycles\n"
    "  --no-instructions    do not count L0's own instructions, which takes most of the time\n";

static bool write_file(const char *option, const char *path, const struct nested_costs *costs,
                       void (*print)(const struct nested_costs *, FILE *))
{
    if (!path)
        return true;
    FILE *file = open_output(option, path);
    if (!file)
        return false;
    print(costs, file);
    return close_output(file, path);
}

static int bench_nested(int argc, char **argv)
{
    struct arguments arguments = { .argc = argc, .argv = argv, .next = 1 };
    const char *operand, *tsv = NULL, *svg = NULL;
    static struct nested_costs costs;
    enum nested_exit only = NESTED_EXITS;
    bool instructions = true, image = false;

    while (arguments_option(&arguments, &operand) || operand) {
        if (operand)
            return complain("bench nested takes no operand \"%s\" (try: sesqui bench --help)", operand);
        if (!strcmp(arguments.name, "--tsv")) {
            if (!(tsv = arguments_value(&arguments)))
                return 2;
        } else if (!strcmp(arguments.name, "--l0")) {
            const char *l0 = arguments_value(&arguments);
            if (!l0)
                return 2;
            image = !strcmp(l0, "image");
            if (!image && strcmp(l0, "native"))
                return complain("--l0: \"%s\" is neither native nor image", l0);
        } else if (!strcmp(arguments.name, "--svg")) {
            if (!(svg = arguments_value(&arguments)))
                return 2;
        } else if (!strcmp(arguments.name, "--exit")) {
            const char *name = arguments_value(&arguments);
            if (!name)
                return 2;
            only = nested_exit_find(name);
            if (only == NESTED_EXITS)
                return complain("--exit: unknown exit \"%s\" (try: sesqui bench --help)", name);
        } else if (!strcmp(arguments.name, "--no-instructions")) {
            if (!arguments_no_value(&arguments))
                return 2;
            instructions = false;
        } else {
            return complain("unknown option \"%s\" (try: sesqui bench --help)", arguments.name);
        }
    }
    if (image && (only == NESTED_ept_violation || only == NESTED_interrupt))
        return complain("--l0 image: this exit is not measured there (try: sesqui bench --help)");
    if (!(image ? nested_measure_image(&costs, only) : nested_measure(&costs, only, instructions)))
        return 1;
    if ((!tsv || strcmp(tsv, "-")) && (!svg || strcmp(svg, "-")))
        nested_print(&costs, stdout);
    return write_file("--tsv", tsv, &costs, nested_print_tsv) && write_file("--svg", svg, &costs, nested_plot) ? 0 : 1;
}

int command_bench(int argc, char **argv)
{
    const char *guests = argc > 1 ? argv[1] : "build/guests";

    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            fputs(help, stdout);
            return 0;
        }
    if (!strcmp(guests, "nested"))
        return bench_nested(argc - 1, argv + 1);
    if (argc > 2 || guests[0] == '-') {
        fputs(help, stderr);
        return 2;
    }
    return bench_speed(guests);
}
