/* SPDX-License-Identifier: MIT */
/* A run that does not end when a signal asks it to: the process ends all the same, and what was written is there. */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/signals.h"
#include "tests/suite.h"

static volatile sig_atomic_t told;
static FILE *output;

static void on_signal(int signal) { told = signal; }
static void last_words(int signal) { fprintf(output, "last words of %s\n", signals_name(signal)); }

static void begin(void)
{
    output = tmpfile();
    ck_assert_ptr_nonnull(output);
}

static void ends(const char *text)
{
    char read[200] = "";

    rewind(output);
    read[fread(read, 1, sizeof read - 1, output)] = '\0';
    ck_assert_str_eq(read, text);
    fclose(output);
}

/* A process that writes, gets `count` signals, and never ends. */
static int status_after(int signal, unsigned count)
{
    int status;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (!child) {
        signals_catch(on_signal, last_words);
        fputs("a line\n", output);
        for (unsigned i = 0; i < count; i++)
            raise(signal);
        for (;;)
            ;
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(a_second_signal_ends_it)
{
    begin();
    ck_assert_int_eq(status_after(SIGTERM, 2), 128 + SIGTERM);
    ends("a line\nlast words of SIGTERM\n");
}
END_TEST

START_TEST(one_ends_it_after_some_seconds)
{
    begin();
    ck_assert_int_eq(status_after(SIGINT, 1), 128 + SIGINT);
    ends("a line\nlast words of SIGINT\n");
}
END_TEST

START_TEST(a_reader_that_goes_says_so_more_than_once)
{
    begin();
    ck_assert_int_eq(status_after(SIGPIPE, 9), 2);
    ends("a line\nlast words of SIGPIPE\n");
}
END_TEST

/* The stream that is to be written out is taken, and never given back. */
START_TEST(a_stream_that_nobody_lets_go)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    output = stdout;
    if (!child) {
        FILE *stream = tmpfile();

        signals_catch(on_signal, last_words);
        fputs("a line\n", stream);
        flockfile(stream);
        raise(SIGTERM);
        raise(SIGTERM);
        for (;;)
            ;
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM);
}
END_TEST

/* A run that ends as it is asked to has all the time for its report. */
START_TEST(a_run_that_ends)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (!child) {
        signals_catch(on_signal, last_words);
        raise(SIGTERM);
        if (told != SIGTERM)
            _exit(1);
        signals_release();
        for (unsigned left = SIGNALS_PATIENCE + 1; left;)
            left = sleep(left);
        _exit(7);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("signals");
    TCase *tests = tcase_create("signals");

    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_second_signal_ends_it);
    tcase_add_test(tests, one_ends_it_after_some_seconds);
    tcase_add_test(tests, a_reader_that_goes_says_so_more_than_once);
    tcase_add_test(tests, a_stream_that_nobody_lets_go);
    tcase_add_test(tests, a_run_that_ends);
    return suite_run(suite);
}
