/* SPDX-License-Identifier: MIT */
/* Golden traces of scenarios: FOLDER/NAME.trace for NAME.scn. What is wrong is told as TAP comments. */
#ifndef SESQUI_CLI_GOLDEN_H
#define SESQUI_CLI_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>

enum { GOLDEN_PATH_BYTES = 4096 };

/* False: the path would be too long. */
bool golden_path(const char *folder, const char *scenario, char path[GOLDEN_PATH_BYTES]);
/* Is this the golden trace? */
bool golden_compare(const char *path, const char *trace, size_t length);
bool golden_write(const char *path, const char *trace, size_t length);

#endif
