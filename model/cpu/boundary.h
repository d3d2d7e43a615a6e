/* SPDX-License-Identifier: MIT */
/* The events at an instruction boundary as a table, for those who print and test it: model/cpu/boundary.def. */
#ifndef SESQUI_MODEL_BOUNDARY_H
#define SESQUI_MODEL_BOUNDARY_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

enum boundary_row {
#define BOUNDARY(name, states, blocking, section, text) BOUNDARY_##name,
#include "model/cpu/boundary.def"
    BOUNDARY_ROWS
};

struct boundary_event {
    const char *name;
    unsigned states;            /* bit n: in enum activity_state n */
    uint32_t blocking;          /* BLOCKING_BY_* that hold it back */
    const char *section, *text;
};

/* By priority, the highest first. */
extern const struct boundary_event boundary_table[BOUNDARY_ROWS];

#endif
