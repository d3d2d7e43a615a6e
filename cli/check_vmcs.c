/* SPDX-License-Identifier: MIT */
/* `sesqui check-vmcs`: which VM-entry checks a VMCS fails, from a dump and without a machine. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/check.h"

enum { FILE_MAX = 64 << 20, COLUMNS = 118, FAILED = 1, USAGE = 2 };

static const char usage[] =
    "usage: sesqui check-vmcs FILE\n\n"
    "Names the VM-entry checks that each VMCS in FILE fails (- is standard input): dumps of `sesqui boot --dump-vmcs`, or a\n"
    "kernel log with what Linux KVM prints of a VMCS (kvm_intel.dump_invalid_vmcs=1). Fields that are not in it are assumed\n"
    "to be in order, and listed. docs/check-vmcs.md has the formats.\n\n"
    "  --width N     physical-address width of the processor, where the file does not say: 32 to 52\n\n"
    "Exit status: 0 no check fails, 1 some fail, 2 the file cannot be read.";

/* The whole file; NULL after a complaint. */
static char *read_text(const char *path, size_t *length)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *text = NULL;
    size_t capacity = 0, got = 1;

    *length = 0;
    if (!file) {
        complain("%s: %s", path, strerror(errno));
        return NULL;
    }
    while (got) {
        if (*length == capacity) {
            char *grown = capacity < FILE_MAX ? realloc(text, capacity = capacity ? 2 * capacity : 1 << 16) : NULL;
            if (!grown)
                break;
            text = grown;
        }
        got = fread(text + *length, 1, capacity - *length, file);
        *length += got;
    }
    bool failed = got || ferror(file);
    if (failed)
        complain("%s: %s", path, got ? "larger than 64 MB" : "cannot be read");
    if (file != stdin)
        fclose(file);
    if (failed) {
        free(text);
        return NULL;
    }
    return text;
}

/* Words after a heading, in lines of a terminal's width. */
struct list {
    const char *heading;
    unsigned count;
    size_t column;
};

static void list_add(struct list *list, const char *text)
{
    if (!list->count++) {
        printf("  %s", list->heading);
        list->column = COLUMNS;
    }
    if (list->column + strlen(text) + 2 > COLUMNS) {
        printf("\n     ");
        list->column = 5;
    }
    printf(" %s", text);
    list->column += strlen(text) + 1;
}

static void list_end(const struct list *list)
{
    if (list->count)
        putchar('\n');
}

static void print_row(const struct snapshot *s, const struct check *row)
{
    unsigned fields[CHECK_FIELDS_MAX], count = check_fields(row, fields);

    printf("  fails: %s [%s] %s\n", row->id, row->section, row->text);
    for (unsigned i = 0; i < count; i++)
        printf("      %s = 0x%" PRIx64 "\n", vmcs_field_name(fields[i]), s->vmcs.field[fields[i]]);
}

/* What the processor would do: the first group with a failure decides (27.2, 27.8). */
static const char *outcome(const struct check *decisive)
{
    static char text[60];

    if (decisive->group == CHECK_CONTROLS)
        return "VMfailValid, error 7";
    if (decisive->group == CHECK_HOST)
        return "VMfailValid, error 8";
    snprintf(text, sizeof text, "VM exit 33, qualification %u", decisive->qualification);
    return text;
}

static void print_undecided(const enum row_state *row)
{
    struct list list = { .heading = "not decided (memory that is not in the file, or assumed fields):" };

    for (unsigned i = 0; i < check_count; i++)
        if (row[i] == ROW_UNDECIDED)
            list_add(&list, check_table[i].id);
    list_end(&list);
}

static void print_assumed(const struct snapshot *s)
{
    struct list list = { .heading = "assumed, as not in the file:" };

    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (!s->given[i] && snapshot_field_used(s, i))
            list_add(&list, vmcs_field_name(i));
    if (s->kvm)
        list_add(&list, "every control and CR4 bit offered");
    list_end(&list);
}

/* Returns the number of rows that fail, or -1. */
static int report(const char *path, const struct snapshot *s)
{
    static enum row_state row[SNAPSHOT_ROWS_MAX];
    const struct check *decisive = NULL;
    int failed = 0;

    if (!snapshot_check(s, row)) {
        complain("check-vmcs: the host has no memory left");
        return -1;
    }
    for (unsigned i = 0; i < check_count; i++) {
        if (row[i] != ROW_FAILS)
            continue;
        failed++;
        if (!decisive || check_table[i].group < decisive->group)
            decisive = &check_table[i];
    }
    printf("%s:%u: ", path, s->line);
    if (decisive)
        printf("%d of %u VM-entry checks fail: %s\n", failed, check_count, outcome(decisive));
    else
        printf("no VM-entry check fails\n");
    for (unsigned i = 0; i < check_count; i++)
        if (row[i] == ROW_FAILS)
            print_row(s, &check_table[i]);
    print_undecided(row);
    print_assumed(s);
    return failed;
}

static int check_all(const char *path, const char *text, size_t length, unsigned width)
{
    static struct snapshot snapshot;
    struct snapshot_reader reader = { .path = path, .text = text, .length = length };
    enum snapshot_read read;
    int found = 0, status = 0;

    while ((read = snapshot_read(&reader, &snapshot)) == SNAPSHOT_READ) {
        if (width)
            snapshot.physical_address_width = width;
        snapshot_assume(&snapshot);
        int failed = report(path, &snapshot);
        if (failed < 0)
            return USAGE;
        if (failed)
            status = FAILED;
        found++;
    }
    if (read == SNAPSHOT_ERROR)
        return complain("%s", reader.error);
    if (!found)
        return complain("%s: there is no VMCS in it", path);
    return status;
}

struct request {
    const char *path;
    uint64_t width;                 /* --width; 0: not given */
    bool help;
};

static bool set_path(void *to, const char *path)
{
    struct request *request = to;

    if (request->path)
        complain("check-vmcs: one file at a time, please: \"%s\" is a second one", path);
    else
        request->path = path;
    return request->path == path;
}

static bool set_width(void *to, const char *text)
{
    uint64_t *width = &((struct request *)to)->width;

    if (!parse_number("--width", text, width))
        return false;
    if (*width < 32 || *width > 52)
        complain("--width: a physical address has 32 to 52 bits");
    return *width >= 32 && *width <= 52;
}

int command_check_vmcs(int argc, char **argv)
{
    static const struct option table[] = {
        { .name = "--width", OPTION_CALL, .set = set_width },
        { .name = "--help", OPTION_FLAG, offsetof(struct request, help) },
        { .name = "-h", OPTION_FLAG, offsetof(struct request, help) },
    };
    static const struct syntax syntax = { "check-vmcs", NULL, table, sizeof table / sizeof table[0], set_path };
    struct request request = { 0 };
    size_t length;

    if (!options_parse(&syntax, argc, argv, &request))
        return USAGE;
    if (request.help) {
        puts(usage);
        return 0;
    }
    if (!request.path)
        return complain("check-vmcs: which file?  (try: sesqui check-vmcs --help)");
    char *text = read_text(request.path, &length);
    if (!text)
        return USAGE;
    int status = check_all(request.path, text, length, (unsigned)request.width);
    free(text);
    return status;
}
