/* SPDX-License-Identifier: MIT */
/* Signals that end a run with a report: Ctrl-C, SIGTERM, and a reader that has closed its end of a pipe. */
#ifndef SESQUI_CLI_SIGNALS_H
#define SESQUI_CLI_SIGNALS_H

enum { SIGNALS_PATIENCE = 5 /* seconds */ };

/*
 * `handler` gets them from now on, unless they are ignored. The first one is the run's. If that has not come to an end within SIGNALS_PATIENCE seconds,
 * as it is in code of its own that runs without end, or at a second SIGINT or SIGTERM, the process ends by itself: `last_words` is called, by another
 * thread, then all streams are written out, and the status is the one that docs/exit-status.md has for the signal.
 */
void signals_catch(void (*handler)(int signal), void (*last_words)(int signal));
/* The run has come to its end: there is time for the rest. */
void signals_release(void);
/* "SIGTERM" */
const char *signals_name(int signal);

#endif
