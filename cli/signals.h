/* SPDX-License-Identifier: MIT */
/* Signals that end a run with a report: Ctrl-C, SIGTERM, and a reader that has closed its end of a pipe. */
#ifndef SESQUI_CLI_SIGNALS_H
#define SESQUI_CLI_SIGNALS_H

/* `handler` gets them from now on, unless they are ignored. The first SIGINT or SIGTERM is the run's, the second one ends the process. */
void signals_catch(void (*handler)(int signal));

#endif
