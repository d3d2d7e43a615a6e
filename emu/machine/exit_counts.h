/* SPDX-License-Identifier: MIT */
/*
 * VM exits of a run, counted by reason: over the native core those of L1 and of L2 apart, as the core said which of them it had entered. Where L0
 * is guest code, by what the guests of its VMCSs do: those that execute VMX instructions themselves are hypervisors.
 */
#ifndef SESQUI_EMU_MACHINE_EXIT_COUNTS_H
#define SESQUI_EMU_MACHINE_EXIT_COUNTS_H

#include <stdint.h>
#include <stdio.h>

#include "model/observer.h"

struct exit_counts;

/* NULL: the host has no memory. */
struct exit_counts *exit_counts_open(void);
void exit_counts_close(struct exit_counts *counts);
/* `level`: over the native core, 1 or 2; 0: L0 is guest code. Looks at NOTICE_EXIT and NOTICE_ENTRY_FAILED only. */
void exit_counts_notice(struct exit_counts *counts, const struct notice *notice, unsigned level);
/* `nanoseconds`: how long the run was, in the guest's time. */
void exit_counts_print(const struct exit_counts *counts, uint64_t nanoseconds, FILE *to);

#endif
