/* SPDX-License-Identifier: MIT */
/* Never ends: --limit must stop it. */
#include "scenarios/guests/bad/program.h"
1:  jmp 1b
