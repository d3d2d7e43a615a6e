/* SPDX-License-Identifier: MIT */
/* The terminal as the guest's console: what is typed goes to the first UART, byte by byte. */
#ifndef SESQUI_CLI_TERMINAL_H
#define SESQUI_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "emu/machine/machine.h"

/* Are stdin and stdout a terminal of which this process is in the foreground? */
bool terminal_there(void);
/* Raw mode from now on, and a line about the escape key. The terminal gets its former mode back at terminal_end(), when the process exits, and
 * when a signal ends or stops it. */
void terminal_begin(void);
void terminal_end(void);
/* A signal that ends the run in an orderly way has come: the next one ends the process, and still gives the terminal back. For its handler. */
void terminal_ends_by(int signal);
/* What is typed: next() of a struct typist. */
int terminal_next(void *context, uint64_t nanoseconds);

#endif
