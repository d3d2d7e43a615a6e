/* SPDX-License-Identifier: MIT */
/* `sesqui bench`: speed and memory on this host; `sesqui bench nested`: what L0 executes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/bench/bench.h"
#include "cli/bench/nested.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/outputs.h"

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

struct nested_request {
    const char *tsv_path, *svg_path;
    FILE *tsv, *svg;
    enum nested_exit only;
    bool image, no_instructions, help;
};

static bool set_l0(void *to, const char *text)
{
    const bool image = strcmp(text, "image") == 0, native = strcmp(text, "native") == 0;

    ((struct nested_request *)to)->image = image;
    if (!image && !native)
        complain("--l0: \"%s\" is neither native nor image", text);
    return image || native;
}

static bool set_exit(void *to, const char *text)
{
    enum nested_exit exit = nested_exit_find(text);

    ((struct nested_request *)to)->only = exit;
    if (exit == NESTED_EXITS)
        complain("--exit: unknown exit \"%s\" (try: sesqui bench --help)", text);
    return exit != NESTED_EXITS;
}

static int bench_nested(int argc, char **argv)
{
#define AT(member) offsetof(struct nested_request, member)
    static const struct option table[] = {
        { .name = "--l0", OPTION_CALL, .set = set_l0 },
        { .name = "--exit", OPTION_CALL, .set = set_exit },
        { .name = "--tsv", OPTION_TEXT, AT(tsv_path) },
        { .name = "--svg", OPTION_TEXT, AT(svg_path) },
        { .name = "--no-instructions", OPTION_FLAG, AT(no_instructions) },
        { .name = "--help", OPTION_FLAG, AT(help) },
        { .name = "-h", OPTION_FLAG, AT(help) },
    };
#undef AT
    static const struct syntax syntax = { "bench nested", "bench", table, sizeof table / sizeof table[0], NULL };
    struct nested_request r = { .only = NESTED_EXITS };
    static struct nested_costs costs;
    static struct outputs outputs;

    if (!options_parse(&syntax, argc, argv, &r))
        return 2;
    if (r.help) {
        fputs(help, stdout);
        return 0;
    }
    if (r.image && (r.only == NESTED_ept_violation || r.only == NESTED_interrupt))
        return complain("--l0 image: this exit is not measured there (try: sesqui bench --help)");
    for (unsigned i = 0; r.image && i < 2; i++)
        if (access(nested_images[i], R_OK) != 0)
            return complain("bench nested: %s: %s (run it in the folder in which `make` builds it)", nested_images[i], strerror(errno));
        else if (!outputs_input(&outputs, "an image that is measured", nested_images[i]))
            return 2;
    outputs_add(&outputs, "--tsv", r.tsv_path, &r.tsv);
    outputs_add(&outputs, "--svg", r.svg_path, &r.svg);
    if (!outputs_open(&outputs))
        return 2;
    bool measured = r.image ? nested_measure_image(&costs, r.only) : nested_measure(&costs, r.only, !r.no_instructions);
    if (measured) {
        outputs_begin(&outputs);
        if (r.tsv != stdout && r.svg != stdout)
            nested_print(&costs, stdout);
        if (r.tsv)
            nested_print_tsv(&costs, r.tsv);
        if (r.svg)
            nested_plot(&costs, r.svg);
    }
    return !outputs_close(&outputs, measured) ? 2 : measured ? 0 : 1;
}

struct speed_request {
    const char *guests;
    bool help;
};

static bool set_guests(void *to, const char *path)
{
    struct speed_request *request = to;

    if (request->guests)
        complain("bench: one folder at a time, please: \"%s\" is a second one", path);
    else
        request->guests = path;
    return request->guests == path;
}

static const char *nested_word(const void *unused, unsigned index)
{
    (void)unused, (void)index;
    return "nested";
}

int command_bench(int argc, char **argv)
{
    static const struct option table[] = {
        { .name = "--help", OPTION_FLAG, offsetof(struct speed_request, help) },
        { .name = "-h", OPTION_FLAG, offsetof(struct speed_request, help) },
    };
    static const struct syntax syntax = { "bench", NULL, table, sizeof table / sizeof table[0], set_guests };
    struct speed_request request = { 0 };

    if (argc > 1 && strcmp(argv[1], "nested") == 0)
        return bench_nested(argc - 1, argv + 1);
    if (!options_parse(&syntax, argc, argv, &request))
        return 2;
    if (request.help) {
        fputs(help, stdout);
        return 0;
    }
    if (request.guests && access(request.guests, F_OK) != 0 && nearest_name(request.guests, strlen(request.guests), nested_word, NULL, 1))
        return complain("bench: there is no folder \"%s\" (did you mean: sesqui bench nested?)", request.guests);
    return bench_speed(request.guests ? request.guests : "build/guests");
}
