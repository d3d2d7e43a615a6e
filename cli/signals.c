/* SPDX-License-Identifier: MIT */
/* Which signals end a run, and what happens where it does not end. */
#define _DEFAULT_SOURCE                 /* sigaction() */
#include "cli/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "emu/machine/machine.h"

enum { STATUS_OUTPUT_LOST = 2, WRITING_PATIENCE = 5 /* seconds */ };

static void (*run_is_told)(int), (*last_words_of)(int);
static volatile sig_atomic_t first, released, given_up;

const char *signals_name(int signal)
{
    return signal == SIGINT ? "SIGINT" : signal == SIGTERM ? "SIGTERM" : "SIGPIPE";
}

static int status_of(int signal)
{
    return signal == SIGPIPE ? STATUS_OUTPUT_LOST : EXIT_STATUS_SIGNAL + signal;
}

/* What the run was writing when the signal came, it writes to its end: this thread waits for the stream. */
static void *end(void *unused)
{
    (void)unused;
    last_words_of(first);
    fflush(NULL);                       /* a stream may write to another one */
    fflush(NULL);
    _exit(status_of(first));
}

/* There is no second thread before: programs with one pay for each lock. If a stream waits for a reader that never reads, or the thread cannot be
 * made, the next alarm ends the process. */
static void give_up(void)
{
    pthread_t thread;

    if (given_up++)
        _exit(status_of(first));
    alarm(WRITING_PATIENCE);
    if (pthread_create(&thread, NULL, end, NULL))
        _exit(status_of(first));
}

static void on_alarm(int number)
{
    int saved = errno;

    (void)number;
    if (!released)
        give_up();
    errno = saved;
}

/* Where the reader of one output has gone, each further write says so again: the others are to be completed all the same. */
static void on_signal(int number)
{
    int saved = errno;

    if (released) {
        _exit(status_of(number));
    } else if (!first) {
        first = number;
        run_is_told(number);
        alarm(SIGNALS_PATIENCE);
    } else if (first == SIGPIPE && number != SIGPIPE) {
        first = number;
        run_is_told(number);
    } else if (number != SIGPIPE) {
        give_up();
    }
    errno = saved;
}

void signals_release(void)
{
    alarm(0);
    released = 1;
}

void signals_catch(void (*handler)(int signal), void (*last_words)(int signal))
{
    static const int signals[] = { SIGINT, SIGTERM, SIGPIPE };
    struct sigaction action = { .sa_handler = on_signal }, wait = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }, before;

    run_is_told = handler;
    last_words_of = last_words;
    sigaction(SIGALRM, &wait, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
}
