/* SPDX-License-Identifier: MIT */
/* What authors of hypervisors do wrong, each as a small function that the command line names. tests/explain/ says which sentence
 * must tell its cause. */
#ifndef SESQUI_GUESTS_MISTAKES_H
#define SESQUI_GUESTS_MISTAKES_H

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/processor.h"

struct mistake {
    const char *name;
    void (*make)(void);
};
/* Tables that end with a NULL name: one a file. */
extern const struct mistake mistakes_of_instructions[], mistakes_of_shutdown[], mistakes_of_memory[],
    mistakes_of_hangs[], mistakes_of_ept[], mistakes_of_entries[],
    mistakes_of_registers[], mistakes_of_failed_entries[], mistakes_of_unwritten_fields[], mistakes_of_reentries[], mistakes_of_ipis[], mistakes_of_messages[], mistakes_of_emulation[],
    mistakes_of_host_state[], mistakes_of_undefined_instructions[], mistakes_of_state[];

/* Where no step before the mistake may fail: ends the program with `what` and status 97. */
void must(bool done, const char *what);
/* VMXON, and a guest in 64-bit mode that executes [start, end) on `guest_of_mistakes`. */
void start_vmx(void);
extern struct guest guest_of_mistakes;
void start_guest(const uint8_t *start, const uint8_t *end);
/* For mistakes of two processors: after second_wake() of lib/second.h, with --cpus 2, the second one calls this and sets it to NULL. */
extern void (*volatile second_does)(void);

#endif
