/* SPDX-License-Identifier: MIT */
/* Shadow EPTs and VPIDs: how often L2 meets L0, what is given up when room is short, and that nobody notices. */
#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "emu/scenario/scenario.h"
#include "hv/core.h"
#include "tests/suite.h"

static const char *const strategy[] = { "trap", "copy", "flip" };
enum { STRATEGIES = sizeof strategy / sizeof *strategy };

/* ---- a scenario that is written line by line, and the trace of its run ---- */

static char *text, *trace;
static size_t text_size, trace_size;
static FILE *script;

static void begin(const char *machine, unsigned which)
{
    script = open_memstream(&text, &text_size);
    fprintf(script, "%sl0 native %s\nl1 prepare vmx\nl1 prepare region 0x10000\nl1 vmxon 0x10000\n"
                    "l1 prepare region 0x11000\nl1 vmclear 0x11000\nl1 vmptrld 0x11000\n", machine, strategy[which]);
}

static void lines(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void lines(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(script, format, arguments);
    va_end(arguments);
}

static void run(void)
{
    struct program program;
    struct scenario_error error = { "" };
    fclose(script);
    ck_assert_msg(scenario_parse_text(text, text_size, "test", &program, &error), "%s", error.text);
    struct scenario_options options = { .trace = open_memstream(&trace, &trace_size) };
    bool good = scenario_run(&program, &options, NULL, &error);
    fclose(options.trace);
    scenario_free(&program);
    ck_assert_msg(good, "%s", error.text);
}

/* Since L1 runs: L0 invalidates all when it starts. */
static unsigned count(const char *what)
{
    unsigned n = 0;
    for (const char *at = strstr(trace, " L1 "); at && (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void end(void)
{
    free(text);
    free(trace);
}

/* ---- pages as large as both sides allow ---- */

/* Exits for `touched` pages from 0x600000 on, L1's EPT having a 2-MByte page there, or 4-KByte ones. */
static unsigned violations(unsigned which, unsigned touched, bool split)
{
    unsigned n;
    begin("", which);
    lines("l1 prepare ept 0x400000\nl1 prepare vmcs ept=0x400000\n");
    if (split)
        lines("l1 ept map 0x400000 0x7ff000 0x7ff000 rwx\n");
    lines("l1 vmlaunch\n");
    for (unsigned i = 0; i < touched; i++)
        lines("l2 read 0x%x 8\n", 0x600000 + 4096 * i);
    run();
    n = count("L2 exit         ept_violation");
    end();
    return n;
}

START_TEST(a_large_page_is_one_violation)
{
    const unsigned none = violations((unsigned)_i, 0, false), one = violations((unsigned)_i, 1, false);
    ck_assert_uint_gt(one, none);
    ck_assert_uint_eq(violations((unsigned)_i, 100, false), one);
    ck_assert_uint_eq(violations((unsigned)_i, 100, true), one + 99);
}
END_TEST

/* The pool begins at 0x3800000, and RAM ends with it. A 1-GByte page of L1's over all of that goes in smaller pieces. */
START_TEST(a_page_over_several_kinds_of_memory_is_split)
{
    begin("", (unsigned)_i);
    lines("l1 prepare ept 0x400000\nl1 prepare vmcs ept=0x400000\nl1 write 0x401008 8 0xb7\nl1 write 0x3700000 8 7\n"
          "l1 write 0x3600000 8 6\nl1 vmlaunch\nl2 read 0x43700000 8\nexpect value 7\nl2 read 0x43600000 8\nexpect value 6\n"
          "l2 read 0x43800000 8\nexpect exit ept_violation to=l1\nl1 vmresume\nl2 read 0x44000000 8\nl2 read 0x44001000 8\n");
    run();
    ck_assert_uint_eq(count("gpa=0x43700000"), 1);
    ck_assert_uint_eq(count("gpa=0x43600000"), 0);      /* the same 2 MBytes of RAM */
    ck_assert_uint_eq(count("gpa=0x44000000"), 1);
    ck_assert_uint_eq(count("gpa=0x44001000"), 0);      /* devices */
    end();
}
END_TEST

/* ---- room for shadows is limited ---- */

/*
 * Eight processors: each one's share of the pool is 128 pages. L2 touches a page in each of 300 regions of 2 MBytes that L1
 * has split, three times around: each needs a table of its own.
 */
START_TEST(a_shadow_that_is_too_large_is_emptied)
{
    enum { REGIONS = 300, ROUNDS = 3, ROOT = 0x1000000, DATA = 0x2000000 };
    begin("machine cpus=8\n", (unsigned)_i);
    lines("l1 prepare ept 0x%x\nl1 prepare vmcs ept=0x%x\n", ROOT, ROOT);
    for (unsigned i = 0; i < REGIONS; i++)
        lines("l1 ept map 0x%x 0x%x 0x%x r\nl1 write 0x%x 8 %u\n", ROOT, 0x4000000 + 0x200000 * i, DATA + 0x1000 * i,
              DATA + 0x1000 * i, i + 1);
    lines("l1 vmlaunch\nrepeat %u\n", ROUNDS);
    for (unsigned i = 0; i < REGIONS; i++)
        lines("l2 read 0x%x 8\nexpect value %u\n", 0x4000000 + 0x200000 * i, i + 1);
    lines("end\nl2 vmcall\nexpect exit vmcall to=l1\nl1 vmxoff\n");
    run();
    ck_assert_uint_ge(count("invept"), ROUNDS * REGIONS / 128);
    ck_assert_uint_lt(count("invept"), 40);
    end();
}
END_TEST

/* More EPTs than shadows are kept: each has its own idea of 0x600000, each time it comes around. */
START_TEST(many_epts_take_turns)
{
    enum { EPTS = 20, ROOT = 0x1000000, APART = 0x100000, DATA = 0x900000 };
    begin("machine cpus=8\n", (unsigned)_i);
    lines("l1 prepare vmcs ept=0x%x\n", ROOT);
    for (unsigned i = 0; i < EPTS; i++)
        lines("l1 prepare ept 0x%x\nl1 ept map 0x%x 0x600000 0x%x rw\nl1 write 0x%x 8 %u\n", ROOT + APART * i,
              ROOT + APART * i, DATA + 0x1000 * i, DATA + 0x1000 * i, i + 1);
    lines("l1 vmlaunch\nl2 read 0x600000 8\nexpect value 1\nl2 vmcall\nexpect exit vmcall to=l1\nl1 advance\nrepeat 3\n");
    for (unsigned i = 0; i < EPTS; i++)
        lines("l1 vmwrite ept_pointer 0x%x\nl1 vmresume\nl2 read 0x600000 8\nexpect value %u\nl2 vmcall\n"
              "expect exit vmcall to=l1\nl1 advance\n", (ROOT + APART * i) | 0x1e, i + 1);
    lines("end\nl1 vmxoff\n");
    run();
    ck_assert_uint_ge(count("invept"), 3 * EPTS - VEPT_ROOTS);
    end();
}
END_TEST

/* Two EPTs whose shadows do not fit together, but each alone: the one that is not in use makes room, once. */
START_TEST(the_shadow_in_use_gets_the_room)
{
    enum { REGIONS = 100, ROUNDS = 5, DATA = 0x2400000 };
    static const unsigned root[] = { 0x1000000, 0x1a00000 };
    begin("machine cpus=8\n", (unsigned)_i);
    lines("l1 prepare vmcs ept=0x%x\n", root[0]);
    for (unsigned i = 0; i < 2; i++) {
        lines("l1 prepare ept 0x%x\n", root[i]);
        for (unsigned j = 0; j < REGIONS; j++)
            lines("l1 ept map 0x%x 0x%x 0x%x r\n", root[i], 0x4000000 + 0x200000 * j, DATA + 0x1000 * j);
    }
    lines("l1 vmlaunch\n");
    for (unsigned j = 0; j < REGIONS; j++)
        lines("l2 read 0x%x 8\n", 0x4000000 + 0x200000 * j);
    lines("l2 vmcall\nexpect exit vmcall to=l1\nl1 advance\nl1 vmwrite ept_pointer 0x%x\nl1 vmresume\nrepeat %u\n",
          root[1] | 0x1e, ROUNDS);
    for (unsigned j = 0; j < REGIONS; j++)
        lines("l2 read 0x%x 8\n", 0x4000000 + 0x200000 * j);
    lines("end\n");
    run();
    ck_assert_uint_eq(count("invept"), 2);      /* of the one that goes; of the other, for a leaf may have been lost */
    end();
}
END_TEST

/* As few as are kept need no room of others: each is filled once. */
START_TEST(few_epts_stay)
{
    enum { ROOT = 0x1000000, APART = 0x100000 };
    begin("", (unsigned)_i);
    for (unsigned i = 0; i < VEPT_ROOTS; i++)
        lines("l1 prepare ept 0x%x\n", ROOT + APART * i);
    lines("l1 prepare vmcs ept=0x%x\nl1 vmlaunch\nl2 vmcall\nexpect exit vmcall to=l1\nl1 advance\nrepeat 5\n", ROOT);
    for (unsigned i = 0; i < VEPT_ROOTS; i++)
        lines("l1 vmwrite ept_pointer 0x%x\nl1 vmresume\nl2 read 0x600000 8\nl2 vmcall\nexpect exit vmcall to=l1\nl1 advance\n",
              (ROOT + APART * i) | 0x1e);
    lines("end\n");
    run();
    ck_assert_uint_eq(count("gpa=0x600000"), VEPT_ROOTS);
    ck_assert_uint_eq(count("invept"), 0);
    end();
}
END_TEST

/* ---- VPIDs ---- */

/* L2 under VPID `vpid` reads 0x600000, whose page its paging structures at 0x6018 name. */
#define READ_UNDER "l1 vmwrite virtual_processor_identifier %u\nl1 vmresume\nl2 read 0x600000 8\nexpect value 0x%x\n"      \
                   "l2 vmcall\nexpect exit vmcall to=l1\nl1 advance\n"

static void prepare_vpids(unsigned which)
{
    begin("", which);
    lines("l1 prepare vmcs\nl1 set proc.activate_secondary_controls\nl1 set proc2.enable_vpid\nl1 write 0x600000 8 0x6666\n"
          "l1 write 0xa00000 8 0xaaaa\nl1 vmwrite virtual_processor_identifier 1\nl1 vmlaunch\nl2 vmcall\n"
          "expect exit vmcall to=l1\nl1 advance\n");
}

/* Hardware's VPIDs change hands when L1 has more than there are: whoever gets one finds nothing of the one before. */
START_TEST(a_vpid_that_changes_hands_is_empty)
{
    prepare_vpids((unsigned)_i);
    for (unsigned vpid = 1; vpid <= VPID_SLOTS; vpid++)
        lines(READ_UNDER, vpid, 0x6666);
    lines("l1 write 0x6018 8 0xa000e7\n");
    for (unsigned vpid = 100; vpid < 100 + VPID_SLOTS; vpid++)
        lines(READ_UNDER, vpid, 0xaaaa);
    run();
    end();
}
END_TEST

/* Those that fit take turns without a flush. */
START_TEST(vpids_that_fit_are_not_flushed)
{
    prepare_vpids((unsigned)_i);
    lines("repeat 3\n");
    for (unsigned vpid = 1; vpid <= VPID_SLOTS; vpid++)
        lines(READ_UNDER, vpid, 0x6666);
    lines("end\n");
    run();
    ck_assert_uint_eq(count("invalidate   invvpid"), 0);
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv vept");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_large_page_is_one_violation, 0, STRATEGIES);
    tcase_add_loop_test(tests, a_page_over_several_kinds_of_memory_is_split, 0, STRATEGIES);
    tcase_add_loop_test(tests, a_shadow_that_is_too_large_is_emptied, 0, STRATEGIES);
    tcase_add_loop_test(tests, many_epts_take_turns, 0, STRATEGIES);
    tcase_add_loop_test(tests, the_shadow_in_use_gets_the_room, 0, STRATEGIES);
    tcase_add_loop_test(tests, few_epts_stay, 0, STRATEGIES);
    tcase_add_loop_test(tests, a_vpid_that_changes_hands_is_empty, 0, STRATEGIES);
    tcase_add_loop_test(tests, vpids_that_fit_are_not_flushed, 0, STRATEGIES);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
