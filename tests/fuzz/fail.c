/* SPDX-License-Identifier: MIT */
/* The end of a fuzz target that met what must never happen: abort(), which libFuzzer and standalone.c both see. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

_Noreturn void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
    abort();
}
