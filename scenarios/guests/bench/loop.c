/* SPDX-License-Identifier: MIT */
/* A plain loop of register arithmetic: Marsaglia's xorshift (13, 7, 17), 100 million steps, checked at the end. */
#include <stdint.h>

#include "scenarios/guests/lib/idt.h"

enum { STEPS = 100000000 };
#define SEED 88172645463325252ull
#define AFTER_STEPS 0xbd439832c15817fbull

unsigned main(void);

unsigned main(void)
{
    uint64_t x = SEED;

    idt_load();
    for (unsigned i = 0; i < STEPS; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x != AFTER_STEPS;
}
