/* SPDX-License-Identifier: MIT */
/* Writes a scenario for each exit and strategy, and lets the machine count what L0 does for its last round. */
#include "cli/bench/nested.h"

#include <stdlib.h>
#include <string.h>

#include "emu/scenario/scenario.h"

enum { WARM_ROUNDS = 4, TEXT_MAX = 32768 };

const char *const nested_exit_name[NESTED_EXITS] = {
#define NESTED_EXIT(id, title, reason, line) #id,
#define STEP(id, what, field, place)
#define LINE(id, line)
#define RETRY(id, line)
#include "scenarios/guests/bench/kvm_exits.def"
};
const char *const nested_exit_title[NESTED_EXITS] = {
#define NESTED_EXIT(id, title, reason, line) title,
#define STEP(id, what, field, place)
#define LINE(id, line)
#define RETRY(id, line)
#include "scenarios/guests/bench/kvm_exits.def"
};
const char *const strategy_name[STRATEGIES] = { "trap", "copy", "flip" };

const struct part nested_part[PARTS] = {
    { PASSAGE_L2_TO_L1, "exit", "exit half" },
    { PASSAGE_L1_TO_L1, "l1", "L1's own exits" },
    { PASSAGE_L1_TO_L2, "entry", "entry half" },
    { PASSAGE_L2_TO_L2, "l2", "L0's for L2" },
};

/* L1 and its L2 as KVM sets them up for a 64-bit Linux: controls, masks, and host state with null data segments. */
static const char prepare[] =
    "l1 prepare vmx\nl1 prepare region 0x10000\nl1 vmxon 0x10000\n"
    "l1 prepare region 0x11000\nl1 vmclear 0x11000\nl1 vmptrld 0x11000\n"
    "l1 prepare ept 0x400000\nl1 prepare vmcs ept=0x400000\n"
    "l1 set pin.external_interrupt_exiting\nl1 set pin.nmi_exiting\nl1 set pin.virtual_nmis\n"
    "l1 set proc.use_tsc_offsetting\nl1 set proc.hlt_exiting\nl1 set proc.mwait_exiting\nl1 set proc.monitor_exiting\n"
    "l1 set proc.rdpmc_exiting\nl1 set proc.unconditional_io_exiting\nl1 set proc.use_msr_bitmaps\n"
    "l1 set proc.cr8_load_exiting\nl1 set proc.cr8_store_exiting\n"
    "l1 set proc2.enable_vpid\nl1 set proc2.unrestricted_guest\nl1 set proc2.enable_rdtscp\nl1 set proc2.enable_invpcid\n"
    "l1 set exit.save_debug_controls\nl1 set exit.acknowledge_interrupt_on_exit\nl1 set exit.load_ia32_pat\n"
    "l1 set entry.load_debug_controls\nl1 set entry.load_ia32_pat\n"
    "l1 vmwrite virtual_processor_identifier 1\nl1 vmwrite exception_bitmap 0x60042\n"
    "l1 fill 0x12000 0xff\nl1 vmwrite msr_bitmap_address 0x12000\n"
    "l1 vmwrite cr0_guest_host_mask 0xfffffffffffffff7\nl1 vmwrite cr0_read_shadow 0x80050033\n"
    "l1 vmwrite cr4_guest_host_mask 0xfffffffffffef871\nl1 vmwrite cr4_read_shadow 0x20\n"
    "l1 vmwrite guest_ia32_pat 0x7040600070406\nl1 vmwrite host_ia32_pat 0x7040600070406\n"
    "l1 vmwrite host_es_selector 0\nl1 vmwrite host_ds_selector 0\nl1 vmwrite host_fs_selector 0\n"
    "l1 vmwrite host_gs_selector 0\nl1 vmwrite host_fs_base 0x7f0000000000\n"
    "l1 vmwrite host_gs_base 0xffff888000000000\n";


/* What L1 does about an exit. */
static const struct step {
    enum nested_exit exit;
    const char *line;
    bool resumed;                       /* L2 does, after VMRESUME */
} step_table[] = {
#define STEP_read(field) "l1 vmread " #field
#define STEP_write(field) "l1 vmwrite " #field " 0x200002"      /* RIP: nothing is fetched there */
#define NESTED_EXIT(id, title, reason, line)
#define STEP(id, what, field, place) { NESTED_##id, STEP_##what(field), false },
#define LINE(id, line) { NESTED_##id, line, false },
#define RETRY(id, line) { NESTED_##id, line, true },
#include "scenarios/guests/bench/kvm_exits.def"
};
static const struct { const char *line, *expectation; } exit_table[NESTED_EXITS] = {
#define NESTED_EXIT(id, title, reason, line) { line, "expect exit " #reason " to=l1" },
#define STEP(id, what, field, place)
#define LINE(id, line)
#define RETRY(id, line)
#include "scenarios/guests/bench/kvm_exits.def"
};

struct text {
    char bytes[TEXT_MAX];
    size_t length;
};

/* A line, {n} replaced by the number of the round. */
static void append(struct text *text, const char *line, unsigned round)
{
    for (const char *c = line; *c;) {
        const bool number = !strncmp(c, "{n}", 3);
        if (text->length + 4 > sizeof text->bytes)
            abort();                            /* TEXT_MAX is too small for kvm_exits.def */
        if (number)
            text->length += (size_t)snprintf(text->bytes + text->length, 3, "%02u", round % 100);
        else
            text->bytes[text->length++] = *c;
        c += number ? 3 : 1;
    }
    text->bytes[text->length++] = '\n';
}

/* L1 handles the exit of round n - 1 and resumes L2, which exits again. */
static void append_round(struct text *text, enum nested_exit exit, unsigned round)
{
    for (unsigned i = 0; i < sizeof step_table / sizeof *step_table; i++)
        if (step_table[i].exit == exit && !step_table[i].resumed)
            append(text, step_table[i].line, round - 1);
    append(text, "l1 vmresume", round);
    for (unsigned i = 0; i < sizeof step_table / sizeof *step_table; i++)
        if (step_table[i].exit == exit && step_table[i].resumed)
            append(text, step_table[i].line, round - 1);
    append(text, exit_table[exit].line, round);
    append(text, exit_table[exit].expectation, round);
}

static void write_scenario(struct text *text, enum nested_exit exit, unsigned strategy, unsigned rounds)
{
    char first[32];

    text->length = 0;
    snprintf(first, sizeof first, "l0 native %s", strategy_name[strategy]);
    append(text, first, 0);
    append(text, prepare, 0);
    for (unsigned i = 0; exit == NESTED_ept_violation && i <= WARM_ROUNDS + rounds; i++)
        append(text, "l1 ept unmap 0x400000 0x3{n}000", i);
    append(text, "l1 vmlaunch", 0);
    append(text, exit_table[exit].line, 0);
    append(text, exit_table[exit].expectation, 0);
    for (unsigned i = 1; i <= WARM_ROUNDS + rounds; i++) {
        if (i == WARM_ROUNDS + 1)
            append(text, "l0 measure", 0);
        append_round(text, exit, i);
    }
}

static bool measure(enum nested_exit exit, unsigned strategy, unsigned rounds, bool instructions,
                    struct native_passages *passages)
{
    static struct text text;
    struct program program;
    struct scenario_error error;
    const struct scenario_options options = { .passages = passages, .count_instructions = instructions };
    bool good;

    write_scenario(&text, exit, strategy, rounds);
    good = scenario_parse_text(text.bytes, text.length, nested_exit_name[exit], &program, &error);
    if (good) {
        good = scenario_run(&program, &options, stderr, &error);
        scenario_free(&program);
    }
    if (!good)
        fprintf(stderr, "sesqui bench nested: %s, %s: %s\n", strategy_name[strategy], nested_exit_title[exit], error.text);
    return good;
}

/* The steady state: of two rounds each part costs twice what it costs in one. */
static bool steady(const struct native_passages *one, const struct native_passages *two)
{
    bool same = true;

    for (unsigned i = 0; i < PASSAGE_COUNT; i++) {
        same &= 2 * one->of[i].times == two->of[i].times;
        struct native_counts once = one->of[i].counts;
        once.instruction = 0;                   /* not counted in the second run */
#define X(name) same &= 2 * once.name == two->of[i].counts.name;
        NATIVE_COUNTS(X)
#undef X
    }
    return same;
}

enum nested_exit nested_exit_find(const char *name)
{
    unsigned exit = 0;

    while (exit < NESTED_EXITS && strcmp(nested_exit_name[exit], name))
        exit++;
    return (enum nested_exit)exit;
}

static bool measure_exit(struct nested_costs *costs, enum nested_exit exit)
{
    for (unsigned strategy = 0; strategy < STRATEGIES; strategy++) {
        struct native_passages *one = &costs->trip[exit][strategy], two;
        if (!measure(exit, strategy, 1, costs->instructions, one) || !measure(exit, strategy, 2, false, &two))
            return false;
        if (!steady(one, &two)) {
            fprintf(stderr, "sesqui bench nested: %s, %s: no steady state: two round trips do not cost twice what one does\n",
                    strategy_name[strategy], nested_exit_title[exit]);
            return false;
        }
    }
    costs->measured[exit] = true;
    return true;
}

bool nested_measure(struct nested_costs *costs, enum nested_exit only, bool instructions)
{
    *costs = (struct nested_costs){ .instructions = instructions };
    for (unsigned exit = 0; exit < NESTED_EXITS; exit++)
        if ((only == NESTED_EXITS || only == exit) && !measure_exit(costs, (enum nested_exit)exit))
            return false;
    return true;
}
