/* SPDX-License-Identifier: MIT */
/* Asking for L0 beneath a running program: arch/late_load.h. */
#ifndef SESQUI_GUESTS_LATE_H
#define SESQUI_GUESTS_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/late_load.h"

/* The function that slides L0 beneath the calling processor; NULL if no multiboot module offers one. */
typedef uint64_t late_load(void);
late_load *late_find(const void *information);
/* Does the multiboot command line end with this word? */
bool late_asked(const void *information, const char *word);

#endif
