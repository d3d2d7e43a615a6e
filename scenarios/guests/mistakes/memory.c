/* SPDX-License-Identifier: MIT */
/* VMCS regions written like memory, EPTs changed without INVEPT, entries that the host state forgets. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

const struct mistake mistakes_of_memory[] = { { NULL, NULL } };
