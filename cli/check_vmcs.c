/* SPDX-License-Identifier: MIT */
/* `sesqui check-vmcs`: which VM-entry checks a VMCS fails, from a dump and without a machine. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "emu/explain/fixed_bits.h"
#include "emu/explain/suspects.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/check.h"
#include "model/vmx/profile.h"
#include "model/vmx/vmx.h"

enum { FILE_MAX = 64 << 20, COLUMNS = 118, FAILED = 1, USAGE = 2, UNEXPLAINED = 3 };

static const char usage[] =
    "usage: sesqui check-vmcs [option...] FILE\n\n"
    "Names the VM-entry checks that each VMCS in FILE fails (- is standard input). FILE is\n"
    "  - a dump of `sesqui boot --dump-vmcs`, or lines \"NAME = VALUE\" written by hand;\n"
    "  - a log with what Linux KVM (kvm_intel.dump_invalid_vmcs=1) or Xen print of a VMCS, as it comes, or out of a\n"
    "    mail: wrapped, quoted, quoted-printable, from HTML, cut, with the lines of two processors mixed;\n"
    "  - any hypervisor's list of fields, by name (GUEST_CS_AR_BYTES: 0xa09b) or encoding (0x4816 = 0xa09b);\n"
    "  - the registers that QEMU prints after \"KVM: entry failed, hardware error 0x80000021\", as far as they go.\n"
    "Lines that are not read, parts that are missing and fields that are assumed to be in order are listed. If the log\n"
    "says that the processor refused the entry, and no check fails, what may be the reason is listed.\n"
    "docs/check-vmcs.md has the formats.\n\n"
    "  --width N           physical-address width of the processor: 32 to 52\n"
    "  --vmx-profile P     the processor lacks what this generation lacks (sesqui boot --vmx help)\n"
    "  --capability N=V    a capability of the processor: cr4_fixed1=0x3727ff, IA32_VMX_PROCBASED_CTLS2=0x..., as often\n"
    "                      as needed\n"
    "Each counts where FILE does not say it itself; lines \"capability N = V\" may stand anywhere in FILE.\n\n"
    "Exit status: 0 no check fails, 1 some fail, 2 there is no VMCS to be read, 3 the processor refused the entry, but\n"
    "no check that can be made fails.";

/* What the options say of the processor. */
struct known {
    uint64_t width;
    const char *profile;
    struct vmx_lacks lacks;
    struct snapshot given;              /* of capabilities */
};

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
    errno = 0;
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
        complain("%s: %s", path, got ? "larger than 64 MB" : strerror(errno ? errno : EIO));
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
    bool known[CAPABILITY_PARTS_MAX];
    char bits[FIXED_BITS_TEXT_MAX];

    printf("  fails: %s [%s] %s\n", row->id, row->section, row->text);
    for (unsigned i = 0; i < count; i++)
        printf("      %s = 0x%" PRIx64 "%s\n", vmcs_field_name(fields[i]), s->vmcs.field[fields[i]],
               s->uncertain[fields[i]] ? " (or another VMCS's: the lines are mixed)" :
               s->given[fields[i]] ? "" : " (assumed)");
    for (unsigned i = 0; i < capability_part_count; i++)
        known[i] = s->part_given[i] || s->profile_given;
    if (fixed_bits_text(row, &s->capability, known, &s->vmcs, bits))
        printf("      %s\n", bits);
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

/* Entries of the MSR areas that cannot be loaded. Returns how many of the VM-entry area. */
static int print_msrs(const struct snapshot *s, bool print)
{
    static const char *const lists[] = { "VM-entry MSR-load", "VM-exit MSR-store", "VM-exit MSR-load" };
    static const char *const sections[] = { "27.4", "28.4", "28.6" };
    int failed = 0;

    for (unsigned i = 0; i < s->msrs; i++) {
        const struct msr_entry *e = &s->msr[i];
        const char *why = snapshot_msr_refused(s, e);
        char text[MSR_TEXT_MAX];

        if (!why)
            continue;
        failed++;
        /* Xen prints the one that failed, which the exit qualification numbers (27.8). */
        uint64_t number = e->number;

        if (!number && s->given[FIELD_exit_qualification])
            number = VMCS(&s->vmcs, exit_qualification);

        if (print && number)
            printf("  fails: entry %" PRIu64 " of the %s area [%s] %s\n", number, lists[e->list], sections[e->list], why);
        else if (print)
            printf("  fails: an entry of the %s area [%s] %s\n", lists[e->list], sections[e->list], why);
        if (print)
            printf("      %s\n", msr_entry_text(e, text));
    }
    return failed;
}

static void print_undecided(const enum row_state *row)
{
    struct list list = {
        .heading = "not decided (memory that is not in the file, assumed fields, or the processor's capabilities):",
    };

    for (unsigned i = 0; i < check_count; i++)
        if (row[i] == ROW_UNDECIDED)
            list_add(&list, check_table[i].id);
    list_end(&list);
}

/* Fields of the same kind, all or none of which are there. */
static unsigned count_given(const struct snapshot *s, enum vmcs_type type)
{
    unsigned count = 0;

    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        count += s->given[i] && VMCS_ENCODING_TYPE(vmcs_encoding(i)) == (unsigned)type;
    return count;
}

static void print_assumed(const struct snapshot *s)
{
    struct list list = { .heading = "assumed, as not in the file:" };
    bool controls = s->profile_given;

    /* Whole kinds by one name. */
    const bool host = count_given(s, VMCS_TYPE_HOST), guest = count_given(s, VMCS_TYPE_GUEST), control = count_given(s, VMCS_TYPE_CONTROL);

    if (!host)
        list_add(&list, "all host state");
    if (!guest)
        list_add(&list, "all guest state");
    if (!control)
        list_add(&list, "all controls");
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        const unsigned type = VMCS_ENCODING_TYPE(vmcs_encoding(i));

        if (!s->given[i] && vmcs_field_used(&s->vmcs, i) && (type == VMCS_TYPE_HOST ? host : type == VMCS_TYPE_GUEST ? guest : control))
            list_add(&list, vmcs_field_name(i));
    }
    for (unsigned i = 0; i < capability_part_count; i++)
        controls |= s->part_given[i] && strcmp(capability_parts[i].name, "basic") != 0;
    if (!controls)
        list_add(&list, "every control and CR4 bit offered");
    list_end(&list);
}

static void print_notes(const struct snapshot *s)
{
    if (s->numbers)
        printf("  %s\n", s->numbers);
    for (unsigned i = 0; i < s->notes && i < SNAPSHOT_NOTES; i++)
        printf("  %s\n", s->note[i]);
    if (s->notes > SNAPSHOT_NOTES)
        printf("  and %u more lines like these\n", s->notes - SNAPSHOT_NOTES);
}

static void print_missing(const struct snapshot *s)
{
    struct list mixed = { .heading = "mixed with the lines of another processor; that these belong here is a guess:" };

    if (s->registers)
        puts("  these are QEMU's registers, not a VMCS: RIP, RSP, RFLAGS, CR3, DR7, EFER, the segments and tables are\n"
             "      checked; CR0 and CR4 are the guest's view; controls and host state are not known\n"
             "      (kvm_intel.dump_invalid_vmcs=1 makes KVM print the VMCS)");
    else if (s->cut)
        printf("  missing: the dump is cut:%s%s%s\n", count_given(s, VMCS_TYPE_GUEST) > 20 ? "" : " guest state",
               count_given(s, VMCS_TYPE_HOST) > 10 ? "" : " host state",
               count_given(s, VMCS_TYPE_CONTROL) > 9 ? "" : " controls");
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (s->uncertain[i])
            list_add(&mixed, vmcs_field_name(i));
    list_end(&mixed);
}

/* What was said of the outcome, beside what fails here. */
static void print_verdict(const struct snapshot *s, const struct check *decisive, bool failed)
{
    uint64_t value;
    enum verdict_kind kind = snapshot_verdict(s, &value);
    uint32_t reason = (uint32_t)VMCS(&s->vmcs, exit_reason);
    char text[VERDICT_TEXT_MAX];

    if (kind == VERDICT_NONE && s->given[FIELD_exit_reason] && exit_reason_text(reason & 0xffff)) {
        bool earlier = decisive && decisive->group != CHECK_GUEST;

        printf("  its exit reason is %" PRIu32 " (%s), of an entry that succeeded%s\n", reason & 0xffff,
               exit_reason_text(reason & 0xffff),
               earlier ? ": an earlier one, for these failures leave the exit reason alone" : "");
        return;
    }
    if (kind == VERDICT_NONE || !failed)
        return;
    verdict_text(kind, value, text);
    printf("  the log says: %s\n", text);
    if (!decisive)
        return;
    bool later = kind == VERDICT_EXIT, earlier = kind == VERDICT_ERROR;
    if ((later && decisive->group != CHECK_GUEST) || (earlier && decisive->group == CHECK_GUEST))
        puts(later ? "      so that processor accepted the controls and the host state: what was assumed of it, or lines that\n"
                     "      are not this VMCS's, make a check of them fail here"
                   : "      so that processor had refused before it looked at the guest state: the reason is another one as\n"
                     "      well");
}

/* Returns the exit status of this VMCS. */
static int report(const char *path, const struct snapshot *s)
{
    static enum row_state row[SNAPSHOT_ROWS_MAX];
    const struct check *decisive = NULL;
    int failed = 0, msrs = print_msrs(s, false);
    uint64_t value;
    enum verdict_kind kind = snapshot_verdict(s, &value);
    char text[VERDICT_TEXT_MAX];

    if (!snapshot_check(s, row)) {
        complain("check-vmcs: the host has no memory left");
        return USAGE;
    }
    for (unsigned i = 0; i < check_count; i++) {
        if (row[i] != ROW_FAILS)
            continue;
        failed++;
        if (!decisive || check_table[i].group < decisive->group)
            decisive = &check_table[i];
    }
    bool unexplained = !failed && !msrs && kind != VERDICT_NONE;

    printf("%s:%u: ", path, s->line ? s->line : 1);
    if (decisive)
        printf("%d of %u VM-entry checks fail: %s%s\n", failed, check_count, outcome(decisive),
               memchr(s->uncertain, true, sizeof s->uncertain) ? ", if its lines are told from another's rightly" : "");
    else if (msrs)
        printf("no VM-entry check fails, but MSRs that cannot be loaded: VM exit 34, or a VMX abort at the next exit\n");
    else if (unexplained) {
        verdict_text(kind, value, text);
        printf("%s: the processor refused this, and none of the checks that this dump lets me make fails\n", text);
    } else
        printf("no VM-entry check fails\n");
    print_verdict(s, decisive, failed || msrs);
    for (unsigned i = 0; i < check_count; i++)
        if (row[i] == ROW_FAILS)
            print_row(s, &check_table[i]);
    print_msrs(s, true);
    if (unexplained)
        suspects_print(s, row, kind, value, stdout);
    print_missing(s);
    print_notes(s);
    print_undecided(row);
    print_assumed(s);
    return failed || msrs ? FAILED : unexplained ? UNEXPLAINED : 0;
}

/* What the options say of the processor, where the file does not. */
static void apply(const struct known *known, struct snapshot *s)
{
    if (known->width && !s->width_given) {
        s->physical_address_width = (unsigned)known->width;
        s->width_given = true;
    }
    for (unsigned i = 0; i < capability_part_count; i++) {
        size_t at = capability_parts[i].offset, size = capability_parts[i].wide ? 8 : 4;

        if (known->given.part_given[i] && !s->part_given[i]) {
            memcpy((char *)&s->capability + at, (const char *)&known->given.capability + at, size);
            s->part_given[i] = true;
        }
    }
    if (known->profile)
        snapshot_profile(s, strcmp(known->profile, "max") == 0, &known->lacks);
}

static int check_all(const char *path, const char *text, size_t length, const struct known *known)
{
    static struct snapshot snapshot;
    static struct snapshot_reader reader;
    int found = 0, status = 0;

    reader = (struct snapshot_reader){ .cursor = { .text = text, .length = length } };
    while (snapshot_read(&reader, &snapshot)) {
        apply(known, &snapshot);
        snapshot_assume(&snapshot);
        int one = report(path, &snapshot);
        if (one == USAGE)
            return USAGE;
        if (one == FAILED || (one == UNEXPLAINED && status != FAILED))
            status = one;
        found++;
    }
    enum verdict_kind kind = reader.verdict != VERDICT_NONE ? reader.verdict : reader.common.verdict;
    if (!found && kind != VERDICT_NONE) {
        char verdict[VERDICT_TEXT_MAX];

        verdict_text(kind, reader.verdict != VERDICT_NONE ? reader.verdict_value : reader.common.verdict_value, verdict);
        return complain("%s: it says %s, but there is no VMCS in it, nor registers (kvm_intel.dump_invalid_vmcs=1 makes "
                        "KVM print one)", path, verdict);
    }
    if (!found && reader.formats)
        return complain("%s: there is no VMCS in it: conversions of printf (%%08x) stand where values would; it is the source of what prints one", path);
    if (!found && reader.common.notes)
        return complain("%s: there is no VMCS in it (%s)", path, reader.common.note[0]);
    if (!found)
        return complain("%s: there is no VMCS in it that is known here (formats: sesqui check-vmcs --help)", path);
    return status;
}

struct request {
    const char *path;
    struct known known;
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
    uint64_t *width = &((struct request *)to)->known.width;

    if (!parse_number("--width", text, width))
        return false;
    if (*width < 32 || *width > 52)
        complain("--width: a physical address has 32 to 52 bits");
    return *width >= 32 && *width <= 52;
}

static bool set_profile(void *to, const char *name)
{
    struct known *known = &((struct request *)to)->known;

    known->profile = name;
    return parse_profile(name, &known->lacks);
}

static bool set_capability(void *to, const char *text)
{
    struct snapshot *given = &((struct request *)to)->known.given;
    char line[100];

    given->notes = 0;
    if (snprintf(line, sizeof line, "capability %s", text) < (int)sizeof line &&
        processor_line(given, 0, line, strlen(line)) && !given->notes)
        return true;
    complain("--capability: \"%.60s\" is not NAME=VALUE, with a capability's name as in docs/check-vmcs.md", text);
    return false;
}

int command_check_vmcs(int argc, char **argv)
{
    static const struct option table[] = {
        { .name = "--width", OPTION_CALL, .set = set_width },
        { .name = "--vmx-profile", OPTION_CALL, .set = set_profile },
        { .name = "--capability", OPTION_CALL, .set = set_capability },
        { .name = "--help", OPTION_FLAG, offsetof(struct request, help) },
        { .name = "-h", OPTION_FLAG, offsetof(struct request, help) },
    };
    static const struct syntax syntax = { "check-vmcs", NULL, table, sizeof table / sizeof table[0], set_path };
    static struct request request;
    size_t length;

    if (!options_parse(&syntax, argc, argv, &request))
        return USAGE;
    if (request.help) {
        puts(usage);
        return 0;
    }
    if (!request.path)
        return complain("check-vmcs: which file?  (try: sesqui check-vmcs --help)");
    char *raw = read_text(request.path, &length);
    if (!raw)
        return USAGE;
    char *text = mail_clean(raw, length, &length);
    free(raw);
    if (!text)
        return complain("check-vmcs: the host has no memory left");
    int status = check_all(request.path, text, length, &request.known);
    free(text);
    return status;
}
