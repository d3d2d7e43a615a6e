/* SPDX-License-Identifier: MIT */
/* What software does wrong with the regions of VMCSs: whose they are, and who did it. */
#ifndef SESQUI_EMU_REGION_H
#define SESQUI_EMU_REGION_H

#include "emu/explain/explain.h"
#include "model/observer.h"

/* Explains a NOTICE_VIOLATION or NOTICE_MISTAKE of RULE_ACTIVE_VMCS. */
void explain_region(struct machine *machine, const struct notice *notice);

#endif
