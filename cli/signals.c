/* SPDX-License-Identifier: MIT */
/* Which signals end a run, and what the second one of a kind does. */
#define _DEFAULT_SOURCE                 /* sigaction() */
#include "cli/signals.h"

#include <signal.h>
#include <stddef.h>

void signals_catch(void (*handler)(int signal))
{
    static const int signals[] = { SIGINT, SIGTERM, SIGPIPE };
    struct sigaction action = { .sa_handler = handler }, before;

    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        /* Where the reader of one output has gone, each further write says so again: the others are to be completed all the same. */
        action.sa_flags = signals[i] == SIGPIPE ? 0 : (int)SA_RESETHAND;
        if (!sigaction(signals[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}
