/* SPDX-License-Identifier: MIT */
/*
 * L1's EPT at random: L1 writes entries that are right, odd or absurd, executes INVEPT, and L2 reads, writes and fetches.
 * What each access comes to, what L1's VMCS tells of it, and what the flags in L1's tables are, must be over the core
 * what it is on the bare machine that has what L1 is offered.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/scenario/run.h"
#include "emu/scenario/scenario.h"
#include "tests/suite.h"

/* L2 touches 8 pages of the 2 MBytes at SMALL, whose EPT entries are at TABLE, and 8 behind a 1-GByte entry. */
enum { PAGES = 8, SMALL = 0x600000, TABLE = 0x409000, DIRECTORY = 0x402018, LARGE = 0x40900000, POINTERS = 0x401008,
       DATA = 0x900000, L2_DIRECTORY = 0x6018, SEEDS = 32, STEPS = 120 };

static const char *const where[] = { "l0 absent", "l0 native trap", "l0 native copy", "l0 native flip" };
enum { PLACES = sizeof where / sizeof *where };

static uint64_t random_state;

/* xorshift64*: the same numbers for each place. */
static uint64_t any(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dull;
}

static unsigned below(unsigned limit) { return (unsigned)(any() >> 33) % limit; }
static bool one_in(unsigned n) { return !below(n); }

/* ---- one play ---- */

static struct run run;
static struct scenario_error error;
static FILE *story;

/* Executes one line, and tells what became of it. */
static const struct outcome *line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const struct outcome *line(const char *format, ...)
{
    char text[120];
    struct program program;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ck_assert_msg(scenario_parse_text(text, strlen(text), "line", &program, &error), "%s: %s", text, error.text);
    bool good = run_line(&run, &program.statement[0]);
    const struct outcome *o = &run.outcome;
    ck_assert_msg(good, "%s: %s", text, error.text);
    ck_assert_msg(!(o->unusual & ~(UNUSUAL_EXIT | UNUSUAL_EVENT)), "%s: %s (unusual 0x%x)", text, o->rule_text, o->unusual);
    fprintf(story, "%s -> l%u 0x%llx\n", text, o->level_after, (unsigned long long)o->value);
    scenario_free(&program);
    return o;
}

/* An entry as a program might write it, and one time in a few as none would. */
static uint64_t entry(uint64_t address, bool leaf)
{
    uint64_t e = address | (one_in(3) ? below(8) : EPT_RIGHTS) | (one_in(2) ? EPT_USER_EXECUTE : 0);
    if (leaf)
        e |= (uint64_t)(one_in(8) ? below(8) : 6) << 3 | (one_in(6) ? EPT_IGNORE_PAT : 0);
    if (one_in(4))
        e |= EPT_ACCESSED | (one_in(2) ? EPT_DIRTY : 0);
    if (one_in(12))
        e |= 1ull << below(64);                         /* whatever it means there */
    return one_in(10) ? 0 : e;
}

static void edit(void)
{
    for (unsigned i = below(4) + 1; i; i--) {
        if (one_in(4))
            line("l1 write 0x%x 8 0x%llx", DIRECTORY, one_in(3)
                     ? (unsigned long long)(entry(DATA & ~0x1fffff, true) | EPT_LARGE)
                     : (unsigned long long)entry(TABLE, false));
        else if (one_in(4))
            line("l1 write 0x%x 8 0x%llx", POINTERS, (unsigned long long)(entry(0, true) | EPT_LARGE));
        else
            line("l1 write 0x%x 8 0x%llx", TABLE + 8 * below(PAGES),
                 (unsigned long long)entry(DATA + 0x1000 * below(PAGES), true));
    }
    if (one_in(4))
        line("l1 write 0x%x 8 0x%x", L2_DIRECTORY, one_in(2) ? 0x6000e7 : 0x6000e3);
    if (one_in(2))
        line("l1 invept 2 0");
    else
        line("l1 invept 1 0x40001e");
}

static void touch(void)
{
    const uint64_t address = (one_in(3) ? LARGE : SMALL) + 0x1000ull * below(PAGES) + 8 * below(500);
    switch (below(3)) {
    case 0:
        line("l2 read 0x%llx 8", (unsigned long long)address);
        break;
    case 1:
        line("l2 write 0x%llx 8 0x%x", (unsigned long long)address, below(0x10000));
        break;
    default:
        line("l2 fetch 0x%llx", (unsigned long long)address);
        break;
    }
}

/* L1 after an exit: what its VMCS says, and the flags in its tables where they are certain. */
static void look(bool flags_certain)
{
    const char *const field[] = { "exit_qualification", "guest_physical_address", "guest_linear_address",
                                  "idt_vectoring_information" };
    const unsigned reason = (unsigned)line("l1 vmread exit_reason")->value;
    const bool ept = reason == EXIT_REASON_ept_violation || reason == EXIT_REASON_ept_misconfiguration;
    for (unsigned i = 0; ept && i < sizeof field / sizeof *field; i++)
        line("l1 vmread %s", field[i]);
    for (unsigned i = 0; flags_certain && i < PAGES; i++)
        line("l1 read 0x%x 8", TABLE + 8 * i);
    if (flags_certain) {
        line("l1 read 0x%x 8", DIRECTORY);
        line("l1 read 0x%x 8", POINTERS);
    }
}

static void prepare(bool flags, bool mode_based)
{
    line("l1 prepare vmx");
    line("l1 prepare region 0x10000");
    line("l1 vmxon 0x10000");
    line("l1 prepare region 0x11000");
    line("l1 vmclear 0x11000");
    line("l1 vmptrld 0x11000");
    line("l1 prepare ept 0x400000");
    line("l1 prepare vmcs ept=0x400000");
    line("l1 ept map 0x400000 0x%x 0x%x rwx", SMALL, DATA);
    if (flags)
        line("l1 vmwrite ept_pointer 0x40005e");
    if (mode_based)
        line("l1 set proc2.mode_based_execute_control");
    for (unsigned i = 0; i < PAGES; i++)
        line("l1 write 0x%x 8 0x%x", DATA + 0x1000 * i, 0x1111 * (i + 1));
    line("l1 vmlaunch");
}

/* A fetch that only its mode denies may mark EPT12's entries as accessed: the core fills the leaf before it knows. */
static char *play(unsigned seed, const char *place)
{
    struct program program;
    struct scenario_options options = { 0 };
    const bool flags = seed & 1, mode_based = seed & 2;
    size_t size;
    char *text;

    random_state = 0x9e3779b97f4a7c15ull * (seed + 1);
    ck_assert(scenario_parse_text(place, strlen(place), "place", &program, &error));
    ck_assert_msg(run_open(&run, &program, &options, &error), "%s", error.text);
    story = open_memstream(&text, &size);
    prepare(flags, mode_based);
    for (unsigned i = 0; i < STEPS; i++) {
        if (run.outcome.level_after == 2 && one_in(5))
            line("l2 vmcall");
        else if (run.outcome.level_after == 2)
            touch();
        if (run.outcome.level_after == 1) {
            look(flags && !mode_based);
            edit();
            line("l1 vmresume");
        }
    }
    fclose(story);
    run_close(&run);
    scenario_free(&program);
    return text;
}

START_TEST(the_core_is_not_there)
{
    char *wanted = play((unsigned)_i, where[0]);
    unsigned exits = 0;
    for (const char *at = wanted; (at = strstr(at, "vmread exit_qualification")); at++)
        exits++;
    ck_assert_uint_gt(exits, 3);
    for (unsigned i = 1; i < PLACES; i++) {
        char *found = play((unsigned)_i, where[i]);
        size_t at = 0, start = 0;
        for (; wanted[at] && wanted[at] == found[at]; at++)
            start = wanted[at] == '\n' ? at + 1 : start;
        ck_assert_msg(wanted[at] == found[at], "seed %d, %s:\n%.100s\nbut without the core\n%.100s", _i, where[i],
                      found + start, wanted + start);
        free(found);
    }
    free(wanted);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv random EPT");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, the_core_is_not_there, 0, SEEDS);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
