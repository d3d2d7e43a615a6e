/* SPDX-License-Identifier: MIT */
/* Processors with less than all of what the model implements: named profiles, and switches by the names of capabilities. */
#ifndef SESQUI_MODEL_PROFILE_H
#define SESQUI_MODEL_PROFILE_H

#include "model/vmx/capability.h"

enum profile_number {
    PROFILE_max,
#define PROFILE(name, text) PROFILE_##name,
#include "model/vmx/profiles.def"
};

/* Sets `lacks` to what the profile lacks ("max": nothing). False: no such profile. */
bool profile_find(const char *name, struct vmx_lacks *lacks);

enum profile_switch { SWITCH_DONE, SWITCH_UNKNOWN, SWITCH_NOT_IMPLEMENTED };
/*
 * Takes a capability away or gives it back, in all control words where it stands. `name` has `length` characters; it is
 * that of the table, or that without "enable_", "use_", "activate_" or "process_" in front; "-" stands for "_" too.
 */
enum profile_switch profile_switch(struct vmx_lacks *lacks, const char *name, unsigned length, bool present);

/* Rows of the tables by number, for lists; NULL beyond the last. Profile 0 is max. */
const char *profile_name(unsigned number, const char **text);
/* A capability that the model implements; the text is the SDM's name. One that stands in two words comes once. */
const char *profile_capability(unsigned number, const char **text);

#endif
