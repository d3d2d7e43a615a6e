/* SPDX-License-Identifier: MIT */
/* A translation was used that an INVEPT should have removed: which EPT entry, what it said, what it says now. */
#ifndef SESQUI_EMU_STALE_H
#define SESQUI_EMU_STALE_H

#include "emu/explain/explain.h"
#include "model/observer.h"

/* Explains a NOTICE_VIOLATION or NOTICE_MISTAKE that has `stale`. */
void explain_stale(struct machine *machine, const struct notice *notice);

#endif
