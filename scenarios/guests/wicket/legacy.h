/* SPDX-License-Identifier: MIT */
/* The 32-bit guest of wicket: how its paging begins, its conversation. */
#ifndef SESQUI_WICKET_LEGACY_H
#define SESQUI_WICKET_LEGACY_H

#include "scenarios/guests/lib/guest.h"

/* NULL, or the name of what the processor does not offer. Afterwards the guest's VMCS is current. `on`: paging is on at entry. */
const char *legacy_guest_create(struct guest *guest, enum guest_paging paging, bool on);
void legacy_guest_run(struct guest *guest, enum guest_paging paging, bool on);

#endif
