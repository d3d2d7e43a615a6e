/* SPDX-License-Identifier: MIT */
/* Instructions that fault or fail, told with the row that refused them: model/refusal.h. */
#ifndef SESQUI_EMU_REFUSAL_H
#define SESQUI_EMU_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

struct attempt;
struct machine;
struct notice;
struct refusal;

/* Tells a NOTICE_REFUSED. */
void refusal_explain(struct machine *machine, const struct notice *notice);
/* The row's sentence with the values of an attempt. False: the row has a {name} that nobody knows. */
bool refusal_sentence(const struct attempt *attempt, const struct refusal *refusal, char *to, size_t size);

#endif
