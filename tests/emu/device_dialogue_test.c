/* SPDX-License-Identifier: MIT */
/* Scripted dialogues with the console, and the UART's receiver. */
#include <stdio.h>
#include <string.h>

#include "emu/device/dialogue.h"
#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

#define SECOND 1000000000ull

static struct dialogue dialogue;
static char error[200];

static void parse(const char *text)
{
    ck_assert_msg(dialogue_parse(&dialogue, text, strlen(text), error, sizeof error), "%s", error);
    board->uart[0].dialogue = &dialogue;
}

static void write_text(const char *text)
{
    for (; *text; text++)
        out(0x3f8, 1, (uint8_t)*text);
}

/* Lets a byte come in, and reads it. */
static int typed(void)
{
    uint64_t next = next_event();

    if (next > model->cpu[0].clock + SECOND / 10)
        return -1;
    pass(next);
    return in(0x3fd, 1) & 1 ? (int)in(0x3f8, 1) : -1;
}

static void typed_is(const char *text)
{
    for (; *text; text++)
        ck_assert_int_eq(typed(), *text);
    ck_assert_int_eq(typed(), -1);
}

START_TEST(expects_and_sends)
{
    parse("# a comment\n\n  expect \"login: \"\nsend \"root\\r\"\nexpect \"# \" within 5\nsend \"a\\x42\\\"\\\\\"  # end\n");
    ck_assert_int_eq(typed(), -1);
    write_text("Debian\nlogin: ");
    typed_is("root\r");
    ck_assert_uint_eq(dialogue_deadline(&dialogue) - dialogue.since, 5 * SECOND);
    write_text("## ");
    typed_is("aB\"\\");
    ck_assert_ptr_null(dialogue_step(&dialogue));
}
END_TEST

/* A text whose beginning comes twice. */
START_TEST(overlapping)
{
    parse("expect \"aab\"\nsend \"x\"\nexpect \"abab!\"\nsend \"y\"");
    write_text("aaab");
    typed_is("x");
    write_text("ababab!");
    typed_is("y");
}
END_TEST

/* What came before the last expectation ended does not count again. */
START_TEST(goes_on)
{
    parse("expect \"one\"\nexpect \"one\"\nsend \"z\"");
    write_text("one");
    ck_assert_int_eq(typed(), -1);
    write_text("one");
    typed_is("z");
}
END_TEST

START_TEST(too_late)
{
    parse("expect \"never\" within 3");
    ck_assert_uint_eq(next_event(), 3 * SECOND);
    pass(3 * SECOND - 1);
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    pass(3 * SECOND);
    ck_assert_int_eq(board->end, BOARD_UNMATCHED);
}
END_TEST

static const struct { const char *text, *because; } bad[] = {
    { "", "no expect and no send" }, { "# nothing", "no expect and no send" }, { "type \"x\"", "line 1: neither" },
    { "\nsend x", "line 2: a text in double quotes" }, { "send \"x", "closing quote" }, { "send \"\"", "empty" },
    { "send \"\\q\"", "escape" }, { "send \"\\x4\"", "escape" }, { "send \"\\", "escape" }, { "send \"x\" within 3", "not known here" },
    { "expect \"x\" within", "number of seconds" }, { "expect \"x\" within 1000001", "million" }, { "expect \"x\" soon", "not known here" },
};

START_TEST(bad_scripts)
{
    ck_assert(!dialogue_parse(&dialogue, bad[_i].text, strlen(bad[_i].text), error, sizeof error));
    ck_assert_msg(strstr(error, bad[_i].because), "expected \"%s\", got: %s", bad[_i].because, error);
}
END_TEST

START_TEST(limits)
{
    char text[8192] = "send \"";

    memset(text + 6, 'x', 255);
    strcpy(text + 6 + 255, "\"");
    parse(text);
    strcpy(text + 6 + 255, "x\"");
    ck_assert(!dialogue_parse(&dialogue, text, strlen(text), error, sizeof error));
    text[0] = '\0';
    for (unsigned i = 0; i < 257; i++)
        strcat(text, "send \"x\"\n");
    ck_assert(!dialogue_parse(&dialogue, text, strlen(text), error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, "256 steps"));
}
END_TEST

/* ---- the receiver ---- */

START_TEST(receiver_interrupts)
{
    out(0x3fc, 1, 8);
    out(0x3f9, 1, 1);
    out(0x3fa, 1, 0xc1);                    /* FIFOs on, trigger 14 */
    ck_assert_uint_eq(in(0x3fa, 1), 0xc1);
    parse("send \"abcdefghijklmnopqrst\"");
    pass(next_event());
    ck_assert(line_up(4));
    ck_assert_uint_eq(in(0x3fa, 1), 0xcc);  /* fewer than the trigger: the time-out */
    for (unsigned i = 0; i < 30; i++)
        pass(model->cpu[0].clock + UART_BYTE_TIME);
    ck_assert_uint_eq(in(0x3fa, 1), 0xc4);
    ck_assert_uint_eq(in(0x3fd, 1) & 3, 1); /* the sender waits: no overrun */
    for (unsigned i = 0; i < 17; i++)       /* the seventeenth comes as soon as there is room */
        ck_assert_uint_eq(in(0x3f8, 1), 'a' + i);
    ck_assert_uint_eq(in(0x3fd, 1) & 1, 0);
    ck_assert(!line_up(4));
    typed_is("rst");
}
END_TEST

START_TEST(loop)
{
    out(0x3fc, 1, 0x1a);                    /* loop, OUT2, RTS */
    ck_assert_uint_eq(in(0x3fe, 1) & 0xf0, 0x90);
    out(0x3f8, 1, 'x');
    ck_assert_uint_eq(in(0x3fd, 1) & 1, 1);
    out(0x3f8, 1, 'y');                     /* without FIFOs there is room for one */
    ck_assert_uint_eq(in(0x3fd, 1) & 2, 2);
    ck_assert_uint_eq(in(0x3fd, 1) & 2, 0);
    ck_assert_uint_eq(in(0x3f8, 1), 'x');
    out(0x3fc, 1, 0);
    ck_assert_uint_eq(in(0x3fe, 1), 0xb0 | 2);      /* DSR went up */
    ck_assert_uint_eq(in(0x3fe, 1), 0xb0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_dialogue");
    TCase *tcase = tcase_create("dialogue");
    tcase_add_checked_fixture(tcase, board_setup, board_teardown);
    tcase_add_test(tcase, expects_and_sends);
    tcase_add_test(tcase, overlapping);
    tcase_add_test(tcase, goes_on);
    tcase_add_test(tcase, too_late);
    tcase_add_loop_test(tcase, bad_scripts, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(tcase, limits);
    tcase_add_test(tcase, receiver_interrupts);
    tcase_add_test(tcase, loop);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
