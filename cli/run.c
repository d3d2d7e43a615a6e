/* SPDX-License-Identifier: MIT */
/* `sesqui run`: scenarios, their golden traces, and what the scenario language is. Reports in TAP. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/golden.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/signals.h"
#include "emu/machine/machine.h"
#include "emu/scenario/scenario.h"

enum { PATH_BYTES = 4096 };

static const char usage[] =
    "usage: sesqui run FILE|DIR... [options]\n"
    "\n"
    "Runs scenarios (*.scn; docs/scenarios.md) and reports in TAP. Of a directory: its scenarios,\n"
    "not those of folders in it.\n"
    "\n"
    "  --trace FILE       write the traces to FILE; - is standard output\n"
    "  --trace-limit SIZE the most that FILE gets: 1G unless told (a plain number: MB); 0: no limit\n"
    "  --full-trace       trace what preparation lines do, too, and the native L0's VMREADs and VMWRITEs\n"
    "  --dump-vmcs FILE   the VMCS of a VM entry at which a scenario fails, for `sesqui check-vmcs`\n"
    "  --explain=WHICH    why something failed, as comments: once for each place and reason, all, or none; unless told:\n"
    "                     once, of scenarios that fail and of those that are named one by one\n"
    "  --check registers  as if each scenario began with `machine check=registers` (docs/scenarios.md)\n"
    "  --seed N           use this seed instead of the scenarios' own\n"
    "  --golden DIR       compare each trace with DIR/NAME.trace\n"
    "  --update-golden    write DIR/NAME.trace instead of comparing\n"
    "  --stop             no further after the first scenario that fails\n"
    "  --print            print the scenarios in canonical form, includes in place; run nothing\n"
    "  --reference        print the page docs/scenarios.md; run nothing\n"
    "\n"
    "Exit status: 0 all passed, 1 some failed, 2 wrong usage or nothing to run; 130, 143: Ctrl-C, SIGTERM.\n";

struct path {
    char *text;
    bool named;                     /* on the command line, not found in a directory */
    bool parsed;
    struct program program;         /* if parsed */
    struct scenario_error error;
};

struct paths {
    struct path *path;
    size_t count, capacity;
};

struct run_options {
    const char *trace_path, *golden, *dump_path;
    uint64_t trace_limit;
    FILE *trace;
    bool any_parsed;
    bool update, stop, print, reference, help, explain_given;
    struct scenario_options scenario;
    struct paths paths;
};

static bool paths_add(struct paths *paths, const char *path, bool named)
{
    if (paths->count == paths->capacity) {
        size_t capacity = paths->capacity ? paths->capacity * 2 : 64;
        struct path *grown = realloc(paths->path, capacity * sizeof *grown);
        if (!grown)
            return false;
        paths->path = grown;
        paths->capacity = capacity;
    }
    paths->path[paths->count] = (struct path){ .text = strdup(path), .named = named };
    return paths->path[paths->count++].text != NULL;
}

static void paths_free(struct paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        if (paths->path[i].parsed)
            scenario_free(&paths->path[i].program);
    for (size_t i = 0; i < paths->count; i++)
        free(paths->path[i].text);
    free(paths->path);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct path *)a)->text, ((const struct path *)b)->text);
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    return length > tail && !strcmp(name + length - tail, suffix);
}

/* A file as it is; of a directory its scenarios, by name. */
static bool collect(struct paths *paths, const char *path)
{
    struct stat status;
    char full[PATH_BYTES];

    if (strcmp(path, "-") == 0)
        return paths_add(paths, path, true);
    if (stat(path, &status) != 0) {
        complain("run: %s: %s", path, strerror(errno));
        return false;
    }
    if (!S_ISDIR(status.st_mode))
        return paths_add(paths, path, true);
    DIR *directory = opendir(path);
    if (!directory) {
        complain("run: %s: %s", path, strerror(errno));
        return false;
    }
    size_t first = paths->count;
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(directory));)
        if (has_suffix(entry->d_name, ".scn")) {
            int length = snprintf(full, sizeof full, "%s%s%s", path, has_suffix(path, "/") ? "" : "/", entry->d_name);
            good = length > 0 && (size_t)length < sizeof full && paths_add(paths, full, false);
        }
    closedir(directory);
    if (good && paths->count == first) {
        complain("run: %s: there is no scenario (*.scn) in this directory", path);
        return false;
    }
    if (paths->count > first)
        qsort(paths->path + first, paths->count - first, sizeof *paths->path, by_name);
    return good;
}

/* ---- one scenario ---- */

static bool golden_matches(const struct run_options *options, const char *scenario, const char *trace, size_t length)
{
    char path[GOLDEN_PATH_BYTES];

    if (!golden_path(options->golden, scenario, path)) {
        printf("# %s: the path of its golden trace is too long\n", scenario);
        return false;
    }
    return options->update ? golden_write(path, trace, length) : golden_compare(path, trace, length);
}

/* With golden traces the trace is kept in memory, and then copied. */
static bool run_program(const struct program *program, const char *path, const struct run_options *options,
                        FILE *diagnostics, struct scenario_error *error)
{
    struct scenario_options scenario = options->scenario;
    struct sink sink = { 0 };
    FILE *memory = NULL;
    char *text = NULL;
    size_t length = 0;

    scenario.trace = options->trace;
    scenario.messages = diagnostics;
    if (!options->golden)
        return scenario_run(program, &scenario, diagnostics, error);
    if (!(memory = open_memstream(&text, &length)) || !(scenario.trace = sink_open(&sink, memory, options->trace_limit, false))) {
        snprintf(error->text, sizeof error->text, "%.100s: out of memory", path);
        if (memory)
            fclose(memory);
        free(text);
        return false;
    }
    bool good = scenario_run(program, &scenario, diagnostics, error);
    fclose(scenario.trace);
    bool written = fclose(memory) == 0 && !sink.error;
    if (written && options->trace)
        fwrite(text, 1, length, options->trace);
    if (good && !(written && golden_matches(options, path, text, length))) {
        snprintf(error->text, sizeof error->text, "%.300s: the golden trace does not match", path);
        good = false;
    }
    free(text);
    return good;
}

/* The signal that ends the run before its next line, or 0. */
static volatile sig_atomic_t stop;

static void on_signal(int signal) { stop = signal; }

/* Where the run is, for last words. */
static struct {
    const char *path;               /* of the scenario under way; NULL: none */
    char **diagnostics;             /* of it, as far as they were written out */
    size_t *diagnostics_length, ran, count;
    bool print;
} now;

/* The scenario does not come to its next line. */
static void last_words(int signal)
{
    fflush(NULL);
    if (now.print)
        return;
    if (now.diagnostics && *now.diagnostics)
        fwrite(*now.diagnostics, 1, *now.diagnostics_length, stdout);
    printf("Bail out! %s: %zu of %zu scenarios did not run to their end; ", signals_name(signal), now.count - now.ran, now.count);
    if (now.path)
        print_visibly(stdout, now.path);
    printf("%s does not come to its next line (what it runs, the native L0 perhaps, does not end)\n", now.path ? "" : "it");
}

/* Runs or prints one scenario; diagnostics come after the TAP line they belong to, so they are kept until then. */
static bool one(struct path *path, unsigned number, const struct run_options *options)
{
    char *help = NULL;
    size_t help_length = 0;
    FILE *diagnostics = options->print ? NULL : open_memstream(&help, &help_length);
    bool good = path->parsed;

    now.path = path->text;
    now.diagnostics = diagnostics ? &help : NULL;
    now.diagnostics_length = &help_length;

    if (good && options->print)
        scenario_print(&path->program, stdout);
    else if (good)
        good = run_program(&path->program, path->text, options, diagnostics, &path->error);
    now.diagnostics = NULL;
    if (diagnostics)
        fclose(diagnostics);
    if (options->print && !good)
        complain("run: %s", path->error.text);
    else if (!good && stop) {           /* what was not run to its end is neither ok nor not ok */
        fputs("# ", stdout);
        print_visibly(stdout, path->error.text);
        putchar('\n');
    } else if (!options->print) {
        printf("%sok %u - ", good ? "" : "not ", number);
        print_visibly(stdout, path->text);
        putchar('\n');
    }
    if (!options->print && !good && !stop) {
        fputs("# ", stdout);
        print_visibly(stdout, path->error.text);
        putchar('\n');
    }
    if (help && ((!good && !stop) || path->named || options->explain_given))
        fputs(help, stdout);
    free(help);
    scenario_free(&path->program);
    path->parsed = false;
    return good;
}

static bool set_seed(void *to, const char *text)
{
    struct run_options *options = to;

    options->scenario.seed_given = true;
    return parse_number("--seed", text, &options->scenario.seed);
}

static bool set_explain(void *to, const char *text)
{
    struct run_options *options = to;

    options->explain_given = true;
    return parse_explain(text, &options->scenario.explain);
}

static bool set_check(void *to, const char *text)
{
    return parse_check(text, &((struct run_options *)to)->scenario.check_registers);
}

static bool add_operand(void *to, const char *path)
{
    return collect(&((struct run_options *)to)->paths, path);
}

/* Fills options and paths. False after a complaint. */
static bool parse_command_line(int argc, char **argv, struct run_options *options)
{
#define AT(member) offsetof(struct run_options, member)
    static const struct option table[] = {
        { .name = "--trace", OPTION_TEXT, AT(trace_path) },
        { .name = "--trace-limit", OPTION_SIZE, AT(trace_limit) },
        { .name = "--full-trace", OPTION_FLAG, AT(scenario.full_trace) },
        { .name = "--dump-vmcs", OPTION_TEXT, AT(dump_path) },
        { .name = "--explain", OPTION_CALL, .set = set_explain },
        { .name = "--check", OPTION_CALL, .set = set_check },
        { .name = "--seed", OPTION_CALL, .set = set_seed },
        { .name = "--golden", OPTION_TEXT, AT(golden) },
        { .name = "--update-golden", OPTION_FLAG, AT(update) },
        { .name = "--stop", OPTION_FLAG, AT(stop) },
        { .name = "--print", OPTION_FLAG, AT(print) },
        { .name = "--reference", OPTION_FLAG, AT(reference) },
        { .name = "--help", OPTION_FLAG, AT(help) },
        { .name = "-h", OPTION_FLAG, AT(help) },
    };
#undef AT
    static const struct syntax syntax = { "run", NULL, table, sizeof table / sizeof table[0], add_operand };

    if (!options_parse(&syntax, argc, argv, options))
        return false;
    if (options->help || options->reference)
        return true;
    if (options->update && !options->golden)
        complain("run: --update-golden needs --golden DIR");
    else if (!options->paths.count)
        complain("run: no scenario given (try: sesqui run --help)");
    else
        return true;
    return false;
}

/* Parses all scenarios, and tells which files are read by that. */
static bool parse_all(struct run_options *options, struct outputs *outputs)
{
    for (size_t i = 0; i < options->paths.count; i++) {
        struct path *path = &options->paths.path[i];
        path->parsed = scenario_parse_file(path->text, &path->program, &path->error);
        options->any_parsed |= path->parsed;
        if (!outputs_input(outputs, "a scenario", path->text))
            return false;
        for (unsigned file = 1; path->parsed && file < path->program.file_count; file++)
            if (!outputs_input(outputs, "a file that a scenario includes", path->program.file[file]))
                return false;
    }
    return true;
}

/* Golden traces that are compared are read. */
static bool golden_inputs(const struct run_options *options, struct outputs *outputs)
{
    char path[GOLDEN_PATH_BYTES];

    for (size_t i = 0; options->golden && !options->update && i < options->paths.count; i++)
        if (golden_path(options->golden, options->paths.path[i].text, path) && !outputs_input(outputs, "a golden trace", path))
            return false;
    return true;
}

/* Golden traces that are written: none is one of the other files, nor that of two scenarios. */
static bool golden_outputs(const struct run_options *options, const struct outputs *outputs)
{
    char path[GOLDEN_PATH_BYTES], other[GOLDEN_PATH_BYTES];

    for (size_t i = 0; options->update && i < options->paths.count; i++) {
        if (!golden_path(options->golden, options->paths.path[i].text, path))
            continue;
        if (!outputs_allow(outputs, "--update-golden", path))
            return false;
        for (size_t j = 0; j < i; j++)
            if (golden_path(options->golden, options->paths.path[j].text, other) && strcmp(path, other) == 0) {
                complain("--update-golden: %s would be the golden trace of two scenarios", path);
                return false;
            }
    }
    return true;
}

static int run_all(const struct run_options *options)
{
    const struct paths *paths = &options->paths;
    size_t failed = 0, ran = 0;

    now.count = paths->count;
    now.print = options->print;
    signals_catch(on_signal, last_words);
    if (!options->print)
        printf("TAP version 13\n1..%zu\n", paths->count);
    for (size_t i = 0; i < paths->count && !(failed && options->stop) && !stop; i++) {
        bool good = one(&paths->path[i], (unsigned)i + 1, options);

        if (!good && stop)
            break;
        now.ran = ++ran;
        failed += !good;
        fflush(stdout);
    }
    signals_release();
    if (stop && !options->print)
        printf("Bail out! %s: %zu of %zu scenarios did not run to their end\n", signals_name(stop), paths->count - ran, paths->count);
    if (!options->print)
        printf("# %zu passed, %zu failed\n", ran - failed, failed);
    return stop ? EXIT_STATUS_SIGNAL + stop : failed ? 1 : 0;
}

/* What is asked for to be written is touched when at least one scenario can run. */
static int run_with_outputs(struct run_options *options)
{
    static struct outputs outputs;
    bool ready = parse_all(options, &outputs) && golden_inputs(options, &outputs);
    int status = 2;

    if (!options->print) {
        outputs_add_trace(&outputs, "--trace", options->trace_path, options->trace_limit, &options->trace);
        outputs_add(&outputs, "--dump-vmcs", options->dump_path, &options->scenario.dump);
    }
    if (ready && outputs_open(&outputs)) {
        ready = golden_outputs(options, &outputs);
        if (ready && options->any_parsed)
            outputs_begin(&outputs);
        if (ready)
            status = run_all(options);
        if (!outputs_close(&outputs, ready && options->any_parsed))
            status = 2;
    }
    return status;
}

int command_run(int argc, char **argv)
{
    struct run_options options = { .trace_limit = TRACE_LIMIT_DEFAULT, .scenario.stop = &stop };
    int status = 2;

    if (parse_command_line(argc, argv, &options)) {
        status = 0;
        if (options.help)
            fputs(usage, stdout);
        else if (options.reference)
            scenario_print_reference(stdout);
        else
            status = run_with_outputs(&options);
    }
    paths_free(&options.paths);
    return status;
}
