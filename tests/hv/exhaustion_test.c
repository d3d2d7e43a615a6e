/* SPDX-License-Identifier: MIT */
/* L1 reaches for so much device memory that EPT01 has no page left for it (hv/ept.c): it gets #GP, and goes on with what it has. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "emu/scenario/run.h"
#include "tests/suite.h"

/* The window shows 1 GByte of physical memory: each needs a page directory, of which 39 bits of addresses have 512. */
enum { DIRECTORIES = 512, FIRST = 4, ENTRY = 0xe7, WINDOW_ENTRY = 0x5020, GIVE_PAGE = 0x53716731, GIVEN = 3, LARGE_PAGE = 2 << 20 };
#define WINDOW (4ull << 30)

static struct run run;
static struct scenario_error error;

static void line(const char *format, unsigned long long a, unsigned long long b)
{
    struct program program;
    char text[120];

    snprintf(text, sizeof text, format, a, b);
    ck_assert_msg(scenario_parse_text(text, strlen(text), "line", &program, &error), "%s: %s", text, error.text);
    ck_assert_msg(run_line(&run, &program.statement[0]), "%s: %s", text, error.text);
    scenario_free(&program);
}

/* A page given away splits the large page it was in: a page table each. */
static void give_pages(void)
{
    for (unsigned i = 1; i <= GIVEN; i++) {
        line("l1 register rax 0x%llx", GIVE_PAGE, 0);
        line("l1 register rbx 0x%llx", (unsigned long long)i * LARGE_PAGE, 0);
        line("l1 vmcall", 0, 0);
        ck_assert_uint_eq(run.cpu->gpr[RAX], 0);
    }
}

START_TEST(l1_gets_a_fault)
{
    static const char *const begin[] = { "l0 native trap\n", "l0 native copy\n", "l0 native flip\n" };
    struct scenario_options options = { 0 };
    struct program program;
    unsigned directory = FIRST - 1;

    ck_assert(scenario_parse_text(begin[_i], strlen(begin[_i]), "begin", &program, &error));
    ck_assert_msg(run_open(&run, &program, &options, &error), "%s", error.text);
    give_pages();
    do {
        directory++;
        line("l1 write 0x%llx 8 0x%llx", WINDOW_ENTRY, (unsigned long long)directory << 30 | ENTRY);
        line("l1 invlpg 0x%llx", WINDOW, 0);
        line("l1 read 0x%llx 8", WINDOW, 0);
    } while (!run.outcome.event.valid && directory + 1 < DIRECTORIES);
    ck_assert(run.outcome.event.valid);
    ck_assert_uint_eq(run.outcome.event.vector, VECTOR_GP);
    line("l1 read 0x%llx 8", 0x300000, 0);
    ck_assert(!run.outcome.event.valid);
    run_close(&run);
    scenario_free(&program);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv exhaustion");
    TCase *tests = tcase_create("all");

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, l1_gets_a_fault, 0, 3);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
