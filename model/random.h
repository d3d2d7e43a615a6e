/* SPDX-License-Identifier: MIT */
/* The machine's only randomness: SplitMix64 (Steele, Lea and Flood), a counter through an invertible mix. */
#ifndef SESQUI_MODEL_RANDOM_H
#define SESQUI_MODEL_RANDOM_H

#include <stdint.h>

/* The next number of the sequence that `state`, the seed at first, stands for. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15ull;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

#endif
