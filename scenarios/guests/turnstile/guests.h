/* SPDX-License-Identifier: MIT */
/* The parts of turnstile, in the order main() calls them. */
#ifndef SESQUI_TURNSTILE_GUESTS_H
#define SESQUI_TURNSTILE_GUESTS_H

#include <stddef.h>

#include "scenarios/guests/lib/guest.h"

/* VMWRITE and VMREAD through each register; there is a current VMCS. registers.c */
void try_every_register(void);
/* Makes each VMX instruction fail in each way it can, with `guest` the current VMCS, not launched. errors.c */
void provoke_instruction_errors(struct guest *guest);
/* Makes VM entries fail for their guest state: the VMCS is as before at the end. errors.c */
void provoke_entry_failures(struct guest *guest);

/* NULL, or the name of what the processor does not offer. Afterwards the guest's VMCS is current. */
const char *long_guest_create(struct guest *guest);
const char *real_guest_create(struct guest *guest);
const char *nmi_guest_create(struct guest *guest);
void long_guest_run(struct guest *guest);
void real_guest_run(struct guest *guest);
void nmi_guest_run(struct guest *guest);

#endif
