/* SPDX-License-Identifier: MIT */
/* `sesqui run`: scenarios, their golden traces, and what the scenario language is. Reports in TAP. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/command.h"
#include "cli/options.h"
#include "emu/scenario/scenario.h"

enum { PATH_BYTES = 1024 };

static const char usage[] =
    "usage: sesqui run FILE|DIR... [options]\n"
    "\n"
    "Runs scenarios (*.scn; docs/scenarios.md) and reports in TAP. Of a directory: its scenarios,\n"
    "not those of folders in it.\n"
    "\n"
    "  --trace FILE       write the traces to FILE; - is standard output\n"
    "  --full-trace       trace what preparation lines do, too, and the native L0's VMREADs and VMWRITEs\n"
    "  --dump-vmcs FILE   the VMCS of a VM entry at which a scenario fails, for `sesqui check-vmcs`\n"
    "  --explain=WHICH    why something failed, as comments: once for each place and reason, all, or none; unless told:\n"
    "                     once, of scenarios that fail and of those that are named one by one\n"
    "  --seed N           use this seed instead of the scenarios' own\n"
    "  --golden DIR       compare each trace with DIR/NAME.trace\n"
    "  --update-golden    write DIR/NAME.trace instead of comparing\n"
    "  --stop             no further after the first scenario that fails\n"
    "  --print            print the scenarios in canonical form, includes in place; run nothing\n"
    "  --reference        print the page docs/scenarios.md; run nothing\n"
    "\n"
    "Exit status: 0 all passed, 1 some failed, 2 wrong usage or nothing to run.\n";

struct path {
    char *text;
    bool named;                     /* on the command line, not found in a directory */
};

struct paths {
    struct path *path;
    size_t count, capacity;
};

struct run_options {
    const char *trace_path, *golden, *dump_path;
    FILE *trace;
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
    paths->path[paths->count] = (struct path){ strdup(path), named };
    return paths->path[paths->count++].text != NULL;
}

static void paths_free(struct paths *paths)
{
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
    if (paths->count > first)
        qsort(paths->path + first, paths->count - first, sizeof *paths->path, by_name);
    return good;
}

/* ---- golden traces ---- */

static bool golden_path(const char *golden, const char *scenario, char *path, size_t size)
{
    const char *slash = strrchr(scenario, '/'), *name = slash ? slash + 1 : scenario;
    size_t length = strlen(name) - (has_suffix(name, ".scn") ? 4 : 0);
    int written = snprintf(path, size, "%s/%.*s.trace", golden, (int)length, name);
    return written > 0 && (size_t)written < size;
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

static bool golden_compare(const char *path, const char *trace, size_t length)
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

static bool golden_write(const char *path, const char *trace, size_t length)
{
    FILE *file = fopen(path, "wb");
    bool good = file && fwrite(trace, 1, length, file) == length;
    if (file && fclose(file) != 0)
        good = false;
    if (!good)
        printf("# %s: cannot be written: %s\n", path, strerror(errno));
    return good;
}

static bool golden_check(const struct run_options *options, const char *scenario, const char *trace, size_t length)
{
    char path[PATH_BYTES];
    if (!golden_path(options->golden, scenario, path, sizeof path)) {
        printf("# %s: the path of its golden trace is too long\n", scenario);
        return false;
    }
    return options->update ? golden_write(path, trace, length) : golden_compare(path, trace, length);
}

/* ---- one scenario ---- */

static bool run_program(const struct program *program, const char *path, const struct run_options *options,
                        FILE *diagnostics, struct scenario_error *error)
{
    struct scenario_options scenario = options->scenario;
    char *text = NULL;
    size_t length = 0;
    bool traced = options->trace || options->golden;

    if (traced && !(scenario.trace = open_memstream(&text, &length))) {
        snprintf(error->text, sizeof error->text, "%.100s: out of memory", path);
        return false;
    }
    scenario.messages = diagnostics;
    bool good = scenario_run(program, &scenario, diagnostics, error);
    if (!traced)
        return good;
    bool written = fclose(scenario.trace) == 0;
    if (written && options->trace)
        fwrite(text, 1, length, options->trace);
    if (good && options->golden && !(written && golden_check(options, path, text, length))) {
        snprintf(error->text, sizeof error->text, "%.300s: the golden trace does not match", path);
        good = false;
    }
    free(text);
    return good;
}

/* Runs or prints one scenario; diagnostics come after the TAP line they belong to, so they are kept until then. */
static bool one(const char *path, bool named, unsigned number, const struct run_options *options)
{
    struct program program;
    struct scenario_error error = { "" };
    char *help = NULL;
    size_t help_length = 0;
    FILE *diagnostics = options->print ? NULL : open_memstream(&help, &help_length);
    bool good = scenario_parse_file(path, &program, &error);

    if (good && options->print)
        scenario_print(&program, stdout);
    else if (good)
        good = run_program(&program, path, options, diagnostics, &error);
    if (diagnostics)
        fclose(diagnostics);
    if (options->print && !good)
        complain("run: %s", error.text);
    else if (!options->print)
        printf("%sok %u - %s\n", good ? "" : "not ", number, path);
    if (!options->print && !good)
        printf("# %s\n", error.text);
    if (help && (!good || named || options->explain_given))
        fputs(help, stdout);
    free(help);
    scenario_free(&program);
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
        { .name = "--full-trace", OPTION_FLAG, AT(scenario.full_trace) },
        { .name = "--dump-vmcs", OPTION_TEXT, AT(dump_path) },
        { .name = "--explain", OPTION_CALL, .set = set_explain },
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

static int run_all(const struct run_options *options)
{
    const struct paths *paths = &options->paths;
    size_t failed = 0, ran = 0;
    if (!options->print)
        printf("TAP version 13\n1..%zu\n", paths->count);
    for (size_t i = 0; i < paths->count && !(failed && options->stop); i++) {
        ran++;
        failed += !one(paths->path[i].text, paths->path[i].named, (unsigned)i + 1, options);
        fflush(stdout);
    }
    if (!options->print)
        printf("# %zu passed, %zu failed\n", ran - failed, failed);
    return failed ? 1 : 0;
}

int command_run(int argc, char **argv)
{
    struct run_options options = { 0 };
    int status = 2;

    if (!parse_command_line(argc, argv, &options)) {
        paths_free(&options.paths);
        return 2;
    }
    if (options.help) {
        fputs(usage, stdout);
        status = 0;
    } else if (options.reference) {
        scenario_print_reference(stdout);
        status = 0;
    } else if ((!options.trace_path || (options.trace = open_output("--trace", options.trace_path))) &&
               (!options.dump_path || (options.scenario.dump = open_output("--dump-vmcs", options.dump_path)))) {
        status = run_all(&options);
        if (options.scenario.dump && options.scenario.dump != options.trace &&
            !close_output(options.scenario.dump, options.dump_path))
            status = 2;
        if (options.trace && !close_output(options.trace, options.trace_path))
            status = 2;
    }
    paths_free(&options.paths);
    return status;
}
