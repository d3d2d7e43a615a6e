/* SPDX-License-Identifier: MIT */
/* `--stats`: how often, and why, guests left for L0. */
#include "emu/machine/exit_counts.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "model/cpu/cpu.h"
#include "model/cpu/execute.h"
#include "model/vmx/vmcs.h"
#include "model/vmx/vmx.h"

enum { REASONS = 128 };                 /* basic exit reasons end before */
enum { VMCSS = 64, WHATS = 512, WHATS_SHOWN = 12 };
/* The groups that a table tells apart. */
enum group { HYPERVISORS, GUESTS, GROUPS };

/* The exits of one VMCS; over the native core, of one level. */
struct source {
    uint64_t vmcs;
    bool hypervisor;                    /* its guest has executed a VMX instruction */
    uint64_t of[REASONS];
};

/* What an exit was about, if its reason does not say: the field, the MSR, the port, the register, the CPUID leaf. */
struct what {
    unsigned source, reason;
    uint64_t key, count;
};

struct exit_counts {
    struct source source[VMCSS];        /* the last one: of all VMCSs for which there is no place */
    unsigned sources;
    struct what what[WHATS];
    unsigned whats;
    uint64_t untold;                    /* exits for whose detail there was no place */
};

struct exit_counts *exit_counts_open(void) { return calloc(1, sizeof(struct exit_counts)); }
void exit_counts_close(struct exit_counts *counts) { free(counts); }

static bool is_vmx_instruction(uint64_t reason)
{
    switch (reason) {
    case EXIT_REASON_vmclear: case EXIT_REASON_vmlaunch: case EXIT_REASON_vmptrld: case EXIT_REASON_vmptrst: case EXIT_REASON_vmread:
    case EXIT_REASON_vmresume: case EXIT_REASON_vmwrite: case EXIT_REASON_vmxoff: case EXIT_REASON_vmxon: case EXIT_REASON_invept:
    case EXIT_REASON_invvpid:
        return true;
    default:
        return false;
    }
}

static struct source *find_source(struct exit_counts *counts, uint64_t vmcs)
{
    unsigned i = 0;

    while (i < counts->sources && counts->source[i].vmcs != vmcs)
        i++;
    if (i == counts->sources && i < VMCSS)
        counts->source[counts->sources++].vmcs = vmcs;
    return &counts->source[i < VMCSS ? i : VMCSS - 1];
}

/* False: the reason says all. SDM Vol. 3, 28.2.1, 28.2.5. */
static bool find_key(const struct notice *notice, uint64_t reason, uint64_t *key)
{
    const struct cpu *cpu = notice->cpu;
    const struct vmcs *v = cpu->vmx.current;

    switch (reason) {
    case EXIT_REASON_vmread: case EXIT_REASON_vmwrite:
        *key = cpu->gpr[VMCS(v, exit_instruction_information) >> 28 & 15];
        return true;
    case EXIT_REASON_rdmsr: case EXIT_REASON_wrmsr:
        *key = (uint32_t)cpu->gpr[RCX];
        return true;
    case EXIT_REASON_cpuid:
        *key = (uint32_t)cpu->gpr[RAX];
        return true;
    case EXIT_REASON_io_instruction:
        *key = notice->b >> 16 & 0xffff;
        return true;
    case EXIT_REASON_cr_access:
        *key = notice->b & 0x3f;
        return true;
    case EXIT_REASON_exception_or_nmi:
        *key = VMCS(v, exit_interruption_information) & 0xff;
        return true;
    default:
        return false;
    }
}

static void count_what(struct exit_counts *counts, unsigned source, unsigned reason, uint64_t key)
{
    unsigned i = 0;

    while (i < counts->whats && !(counts->what[i].source == source && counts->what[i].reason == reason && counts->what[i].key == key))
        i++;
    if (i == WHATS) {
        counts->untold++;
        return;
    }
    if (i == counts->whats)
        counts->what[counts->whats++] = (struct what){ source, reason, key, 0 };
    counts->what[i].count++;
}

void exit_counts_notice(struct exit_counts *counts, const struct notice *notice, unsigned level)
{
    const bool failed = notice->kind == NOTICE_ENTRY_FAILED && notice->b & EXIT_REASON_ENTRY_FAILURE;
    const uint64_t reason = (failed ? notice->b : notice->a) & 0xffff, vmcs = failed ? notice->a : notice->d;
    struct source *source;
    uint64_t key;

    if ((notice->kind != NOTICE_EXIT && !failed) || reason >= REASONS)
        return;
    source = find_source(counts, level ? level : vmcs);
    source->of[reason]++;
    source->hypervisor |= level == 1 || (!level && is_vmx_instruction(reason));
    if (!failed && find_key(notice, reason, &key))
        count_what(counts, (unsigned)(source - counts->source), (unsigned)reason, key);
}

/* ---- the table ---- */

static void name_key(char *to, size_t size, unsigned reason, uint64_t key)
{
    static const char *const access[4] = { "MOV to", "MOV from", "CLTS", "LMSW" };
    const char *name = NULL;

    switch (reason) {
    case EXIT_REASON_vmread: case EXIT_REASON_vmwrite:
        if (key <= UINT32_MAX && vmcs_known((uint32_t)key & ~1u) < VMCS_FIELD_COUNT)
            name = vmcs_field_name(vmcs_known((uint32_t)key & ~1u));
        break;
    case EXIT_REASON_rdmsr: case EXIT_REASON_wrmsr:
        name = msr_name((uint32_t)key);
        break;
    case EXIT_REASON_cr_access:
        snprintf(to, size, key >> 4 & 2 ? "%s" : "%s CR%u", access[key >> 4 & 3], (unsigned)key & 15);
        return;
    case EXIT_REASON_exception_or_nmi:
        snprintf(to, size, "vector %u", (unsigned)key);
        return;
    default:
        break;
    }
    if (name)
        snprintf(to, size, "%s", name);
    else
        snprintf(to, size, "%s0x%" PRIx64, reason == EXIT_REASON_io_instruction ? "port " : reason == EXIT_REASON_cpuid ? "leaf " : "", key);
}

static enum group group_of(const struct source *source) { return source->hypervisor ? HYPERVISORS : GUESTS; }

static void put_row(FILE *to, const char *indent, const char *name, const uint64_t count[GROUPS], uint64_t nanoseconds, const bool shown[GROUPS])
{
    fprintf(to, "  %s%-*s", indent, 44 - (indent[0] ? 2 : 0), name);
    for (unsigned g = 0; g < GROUPS; g++)
        if (shown[g])
            fprintf(to, " %12" PRIu64 " %12.1f", count[g], nanoseconds ? (double)count[g] * 1e9 / (double)nanoseconds : 0.0);
    fputc('\n', to);
}

/* What exits of one reason were about, most frequent first. */
static void put_whats(FILE *to, const struct exit_counts *counts, unsigned reason, uint64_t nanoseconds, const bool shown[GROUPS])
{
    struct { uint64_t key, count[GROUPS]; } row[WHATS];
    unsigned rows = 0;
    char name[64];

    for (unsigned i = 0; i < counts->whats; i++) {
        const struct what *what = &counts->what[i];
        unsigned r = 0;

        if (what->reason != reason)
            continue;
        while (r < rows && row[r].key != what->key)
            r++;
        if (r == rows) {
            row[rows].key = what->key;
            row[rows].count[HYPERVISORS] = row[rows].count[GUESTS] = 0;
            rows++;
        }
        row[r].count[group_of(&counts->source[what->source])] += what->count;
    }
    for (unsigned n = 0; n < rows && n < WHATS_SHOWN; n++) {
        unsigned most = n;

        for (unsigned r = n + 1; r < rows; r++)
            if (row[r].count[0] + row[r].count[1] > row[most].count[0] + row[most].count[1])
                most = r;
        const __typeof__(row[0]) chosen = row[most];
        for (unsigned r = most; r > n; r--)
            row[r] = row[r - 1];
        row[n] = chosen;
        name_key(name, sizeof name, reason, chosen.key);
        put_row(to, "  ", name, chosen.count, nanoseconds, shown);
    }
    if (rows > WHATS_SHOWN)
        fprintf(to, "    and %u more\n", rows - WHATS_SHOWN);
}

void exit_counts_print(const struct exit_counts *counts, uint64_t nanoseconds, FILE *to)
{
    const bool levels = counts->sources && counts->source[0].vmcs <= 2;
    static const char *const title[2][GROUPS] = { { "hypervisors", "guests" }, { "L1", "L2" } };
    uint64_t sum[REASONS][GROUPS] = { { 0 } }, all[GROUPS] = { 0 };
    bool shown[GROUPS];

    for (unsigned s = 0; s < counts->sources; s++)
        for (unsigned r = 0; r < REASONS; r++) {
            sum[r][group_of(&counts->source[s])] += counts->source[s].of[r];
            all[group_of(&counts->source[s])] += counts->source[s].of[r];
        }
    for (unsigned g = 0; g < GROUPS; g++)
        shown[g] = all[g];
    fprintf(to, "sesqui: VM exits in %.3f s of guest time%s\n", (double)nanoseconds / 1e9, counts->sources ? "" : ": none");
    if (!counts->sources)
        return;
    fprintf(to, "  %-44s", "by reason");
    for (unsigned g = 0; g < GROUPS; g++)
        if (shown[g])
            fprintf(to, " %12s %12s", title[levels][g], "a second");
    fputc('\n', to);
    put_row(to, "", "all", all, nanoseconds, shown);
    for (unsigned r = 0; r < REASONS; r++)
        if (sum[r][HYPERVISORS] + sum[r][GUESTS]) {
            const char *text = exit_reason_text(r);

            put_row(to, "", text ? text : "unknown", sum[r], nanoseconds, shown);
            put_whats(to, counts, r, nanoseconds, shown);
        }
    if (counts->untold)
        fprintf(to, "  %" PRIu64 " exits were about more than the %d things that are told apart\n", counts->untold, WHATS);
}
