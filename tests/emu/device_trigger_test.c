/* SPDX-License-Identifier: MIT */
/* A moment of a run: what is read of it, and when it fires. */
#include <string.h>

#include "emu/device/trigger.h"
#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

static struct trigger trigger;

static void good(const char *text)
{
    const char *fault = trigger_parse(&trigger, text);

    ck_assert_msg(!fault, "%s: %s", text, fault);
}

START_TEST(what_is_no_moment_is_told)
{
    static const char *const texts[] = { "", "x", ":", "port", "port:", "port:0x10000", "port:-1", "port:0x3f8=", "port:0x3f8=0x100000000", "port:1 ",
                                         "port:1=2=3", "ports:1", "instructions:", "instructions:x", "instructions:1T", "instructions:99999999999999999999",
                                         "instructions:99999999999999999G", "console:", "instructions", "por:1" };
    char longest[8 + TRIGGER_TEXT_MAX + 2] = "console:";

    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(trigger_parse(&trigger, texts[i]) != NULL, "\"%s\" is taken", texts[i]);
    memset(longest + 8, 'a', TRIGGER_TEXT_MAX);
    good(longest);
    strcat(longest, "a");
    ck_assert_ptr_nonnull(trigger_parse(&trigger, longest));
}
END_TEST

START_TEST(a_port_fires_with_its_value)
{
    good("port:0x80=0x12");
    board->trigger = trigger;
    out(0x81, 1, 0x12);
    out(0x80, 1, 0x13);
    ck_assert(!board->trigger.fired);
    out(0x80, 1, 0x12);
    ck_assert(board->trigger.fired);
    good("port:128");
    board->trigger = trigger;
    out(0x80, 1, 7);
    ck_assert(board->trigger.fired);
}
END_TEST

/* Also where the text begins within what looked like it. */
START_TEST(a_text_of_the_console_fires)
{
    good("console:aab");
    board->trigger = trigger;
    board->uart[0].trigger = &board->trigger;
    for (const char *c = "aba"; *c; c++)
        out(0x3f8, 1, (uint8_t)*c);
    out(0x2f8, 1, 'a');                             /* another UART */
    for (const char *c = "baa"; *c; c++)
        out(0x3f8, 1, (uint8_t)*c);
    out(0x3f8, 1, 'a');
    ck_assert(!board->trigger.fired);
    out(0x3f8, 1, 'b');
    ck_assert(board->trigger.fired);
    out(0x3f8, 1, 'x');
    ck_assert(board->trigger.fired);
}
END_TEST

START_TEST(instructions_are_counted_down)
{
    good("instructions:2K");
    ck_assert_uint_eq(trigger_instructions(&trigger, 0), 2000);
    ck_assert_uint_eq(trigger_instructions(&trigger, 1999), 1);
    ck_assert(!trigger.fired);
    ck_assert_uint_eq(trigger_instructions(&trigger, 2000), 0);
    ck_assert(trigger.fired);
    ck_assert_uint_eq(trigger_instructions(&trigger, 2001), UINT64_MAX);
    good("port:1");
    ck_assert_uint_eq(trigger_instructions(&trigger, 5), UINT64_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_trigger");
    TCase *tcase = tcase_create("moments");
    tcase_add_checked_fixture(tcase, board_setup, board_teardown);
    tcase_add_test(tcase, what_is_no_moment_is_told);
    tcase_add_test(tcase, a_port_fires_with_its_value);
    tcase_add_test(tcase, a_text_of_the_console_fires);
    tcase_add_test(tcase, instructions_are_counted_down);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
