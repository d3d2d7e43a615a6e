/* SPDX-License-Identifier: MIT */
/* A VM entry that a processor has refused although no check of its dump fails: what may be the reason. */
#ifndef SESQUI_EMU_SUSPECTS_H
#define SESQUI_EMU_SUSPECTS_H

#include <stdio.h>

#include "emu/vmcs/snapshot.h"

/* "exit reason 33 (VM-entry failure due to invalid guest state)". */
enum { VERDICT_TEXT_MAX = 120 };
void verdict_text(enum verdict_kind kind, uint64_t value, char to[VERDICT_TEXT_MAX]);
/* One line each, with two blanks in front. */
void suspects_print(const struct snapshot *snapshot, const enum row_state row[], enum verdict_kind kind, uint64_t value, FILE *to);

#endif
