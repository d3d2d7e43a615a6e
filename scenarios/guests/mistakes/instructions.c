/* SPDX-License-Identifier: MIT */
/* VMX instructions at the wrong time, with the wrong operand, on the wrong processor. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

const struct mistake mistakes_of_instructions[] = { { NULL, NULL } };
