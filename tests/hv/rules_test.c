/* SPDX-License-Identifier: MIT */
/*
 * An L0 that breaks a rule is told which. The core is the real one; between it and its HAL stand the functions below
 * (linked with --wrap, tests/hv/faults.opts), and each plants a fault that an L0 could have.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "emu/scenario/scenario.h"
#include "hv/hal.h"

enum fault { NO_FAULT, READ_TWICE };
static enum fault fault;
static unsigned detail;                 /* of the fault */

/* ---- faults ---- */

static enum hal_datum datum_read;

void __real_hal_reading(enum hal_datum datum);
void __wrap_hal_reading(enum hal_datum datum);
void __wrap_hal_reading(enum hal_datum datum)
{
    datum_read = datum;
    __real_hal_reading(datum);
}

/* READ_TWICE: what is read as `detail` is read again. */
bool __real_hal_pm_read(physical_address pa, void *to, size_t length);
bool __wrap_hal_pm_read(physical_address pa, void *to, size_t length);
bool __wrap_hal_pm_read(physical_address pa, void *to, size_t length)
{
    const bool again = fault == READ_TWICE && datum_read == detail;

    return __real_hal_pm_read(pa, to, length) && (!again || __real_hal_pm_read(pa, to, length));
}

/* ---- scenarios ---- */

#define ROOT                                                                                                        \
    "l1 prepare vmx\nl1 prepare region 0x10000\nl1 vmxon 0x10000\nl1 prepare region 0x11000\nl1 vmclear 0x11000\n"   \
    "l1 vmptrld 0x11000\n"
#define L2 ROOT "l1 prepare vmcs\n"
#define L2_EPT ROOT "l1 prepare ept 0x400000\nl1 prepare vmcs ept=0x400000\n"
/* One list for both purposes: that is no fault. */
#define LISTS                                                                                                       \
    "l1 write 0x20000 8 0xc0000081\nl1 vmwrite exit_msr_store_address 0x20000\nl1 vmwrite exit_msr_store_count 1\n"  \
    "l1 vmwrite exit_msr_load_address 0x20000\nl1 vmwrite exit_msr_load_count 1\n"                                  \
    "l1 vmlaunch\nl2 vmcall\nexpect exit vmcall to=l1\n"

static struct scenario_error error;

static bool run(const char *text)
{
    struct program program;
    struct scenario_options options = { 0 };

    error.text[0] = 0;
    ck_assert_msg(scenario_parse_text(text, strlen(text), "test", &program, &error), "%s", error.text);
    bool good = scenario_run(&program, &options, NULL, &error);
    scenario_free(&program);
    return good;
}

static const struct {
    const char *rule;
    enum fault fault;
    unsigned detail;
    const char *text;
} row[] = {
    { "R8", READ_TWICE, HAL_DATUM_OPERAND, ROOT },
    { "R8", READ_TWICE, HAL_DATUM_PAGING_ENTRY, ROOT },
    { "R8", READ_TWICE, HAL_DATUM_REGION, ROOT },
    { "R8", READ_TWICE, HAL_DATUM_PAGING_ENTRY, L2_EPT "l1 vmlaunch\nl2 read 0x300000 8\n" },
    { "R8", READ_TWICE, HAL_DATUM_BITMAP,
      L2 "l1 set proc.use_msr_bitmaps\nl1 vmwrite msr_bitmap_address 0x20000\nl1 vmlaunch\n" },
    { "R8", READ_TWICE, HAL_DATUM_ENTRY_MSR_LIST,
      L2 "l1 write 0x20000 8 0xc0000081\nl1 vmwrite entry_msr_load_address 0x20000\nl1 vmwrite entry_msr_load_count 1\n"
         "l1 vmlaunch\n" },
    { "R8", READ_TWICE, HAL_DATUM_EXIT_MSR_STORE_LIST, L2 LISTS },
    { "R8", READ_TWICE, HAL_DATUM_EXIT_MSR_LOAD_LIST, L2 LISTS },
};

static const char *const strategy[] = { "trap", "copy", "flip" };
enum { ROWS = sizeof row / sizeof *row, STRATEGIES = sizeof strategy / sizeof *strategy };

static bool run_with(int i, enum fault planted)
{
    char text[4096];

    snprintf(text, sizeof text, "l0 native %s\n%s", strategy[i % STRATEGIES], row[i / STRATEGIES].text);
    fault = planted;
    detail = row[i / STRATEGIES].detail;
    return run(text);
}

START_TEST(the_rule_says_so)
{
    char named[16];

    snprintf(named, sizeof named, "rule %s ", row[_i / STRATEGIES].rule);
    ck_assert_msg(!run_with(_i, row[_i / STRATEGIES].fault), "nothing was broken");
    ck_assert_msg(strstr(error.text, named), "%s", error.text);
}
END_TEST

START_TEST(and_says_nothing_without_the_fault)
{
    ck_assert_msg(run_with(_i, NO_FAULT), "%s", error.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv rules");
    TCase *tests = tcase_create("all");

    tcase_add_loop_test(tests, the_rule_says_so, 0, ROWS * STRATEGIES);
    tcase_add_loop_test(tests, and_says_nothing_without_the_fault, 0, ROWS * STRATEGIES);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
