/* SPDX-License-Identifier: MIT */
/* What ends a processor, or lets it run for ever. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

const struct mistake mistakes_of_shutdown[] = { { NULL, NULL } };
