/* SPDX-License-Identifier: MIT */
/*
 * Raw mode, and the way back from it, whatever ends the process: returning, exit(), and each signal that can be caught. Of the modes only
 * input is changed; what is written is processed as before, so that messages on stderr look as they do.
 */
#define _DEFAULT_SOURCE                 /* sigaction(), cfmakeraw() */
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum { ESCAPE = 1 /* Ctrl-A */, NANOSECONDS_OF_A_MILLISECOND = 1000000, LONGEST_WAIT = 1000 };

static struct termios before, raw;
static volatile sig_atomic_t in_raw_mode;
static bool escaped, ended;             /* ended: stdin has no more */

static const char help[] = "sesqui: Ctrl-A x ends the run, Ctrl-A Ctrl-A sends Ctrl-A, Ctrl-A h says this again; Ctrl-C is the guest's once it reads what "
                           "is typed\n";

bool terminal_there(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* All that is called here may be called by a handler of a signal. */
static void restore(void)
{
    if (in_raw_mode)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    in_raw_mode = 0;
}

static void go_raw(void)
{
    in_raw_mode = 1;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* The handler is reset by SA_RESETHAND: the signal does, behind it, what it does without a handler. */
static void on_fatal(int signal)
{
    int saved = errno;

    restore();
    raise(signal);
    errno = saved;
}

void terminal_ends_by(int signal)
{
    const struct sigaction give_back = { .sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND };

    if (in_raw_mode && signal != SIGPIPE)
        sigaction(signal, &give_back, NULL);
}

static void on_stop(int signal)
{
    int saved = errno;
    sigset_t set;

    restore();
    sigemptyset(&set);
    sigaddset(&set, signal);
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &set, NULL);       /* stops here */
    errno = saved;
}

static void on_continue(int number)
{
    int saved = errno;
    const struct sigaction stop = { .sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND };

    (void)number;
    sigaction(SIGTSTP, &stop, NULL);
    if (tcgetpgrp(STDIN_FILENO) == getpgrp())
        go_raw();
    errno = saved;
}

static void catch_signals(void)
{
    /* SIGINT and SIGTERM end the run in an orderly way, and come here when they come twice. */
    static const int fatal[] = { SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
    const struct sigaction give_back = { .sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND };
    const struct sigaction stop = { .sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND }, go_on = { .sa_handler = on_continue, .sa_flags = SA_RESTART };
    struct sigaction old;

    for (unsigned i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        if (!sigaction(fatal[i], NULL, &old) && old.sa_handler == SIG_DFL)
            sigaction(fatal[i], &give_back, NULL);
    sigaction(SIGTSTP, &stop, NULL);
    sigaction(SIGCONT, &go_on, NULL);
    signal(SIGTTOU, SIG_IGN);           /* the mode is set from the background, too */
}

static bool readable(uint64_t nanoseconds)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    uint64_t wait = nanoseconds / NANOSECONDS_OF_A_MILLISECOND;

    return !ended && poll(&input, 1, wait < LONGEST_WAIT ? (int)wait : LONGEST_WAIT) > 0;
}

static int command(char key)
{
    switch (key) {
    case ESCAPE:
        return ESCAPE;
    case 'x':
        return TYPED_END;
    case 'h': case '?':
        fputs(help, stderr);
        return TYPED_NOTHING;
    default:
        fprintf(stderr, "sesqui: Ctrl-A and that key mean nothing\n%s", help);
        return TYPED_NOTHING;
    }
}

int terminal_next(void *context, uint64_t nanoseconds)
{
    unsigned char key;

    (void)context;
    if (!readable(nanoseconds))
        return TYPED_NOTHING;
    if (read(STDIN_FILENO, &key, 1) != 1) {
        ended = errno != EINTR;
        return TYPED_NOTHING;
    }
    if (escaped) {
        escaped = false;
        return command((char)key);
    }
    escaped = key == ESCAPE;
    return escaped ? TYPED_NOTHING : key;
}

void terminal_begin(void)
{
    if (tcgetattr(STDIN_FILENO, &before))
        return;
    raw = before;
    cfmakeraw(&raw);
    raw.c_oflag = before.c_oflag;
    atexit(restore);
    catch_signals();
    fputs(help, stderr);
    go_raw();
}

void terminal_end(void)
{
    restore();
}
