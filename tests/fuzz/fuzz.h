/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is LLVMFuzzerTestOneInput(): link it with libFuzzer, or with standalone.c, which
 * feeds it inputs that fuzz_make() makes from a seed and a number, so that each of them can be made again.
 */
#ifndef SESQUI_TESTS_FUZZ_H
#define SESQUI_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

enum { FUZZ_INPUT_MAX = 1 << 16 };

/* SplitMix64. */
struct fuzz_random {
    uint64_t state;
};
static inline uint64_t fuzz_next(struct fuzz_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
static inline unsigned fuzz_below(struct fuzz_random *random, unsigned limit)
{
    return (unsigned)(fuzz_next(random) % limit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* An input that gets somewhere; returns its size, at most FUZZ_INPUT_MAX. */
size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX]);

/* Ends the program with a message: what must never happen has. */
_Noreturn void fuzz_fail(const char *file, int line, const char *what);
#define FUZZ_ASSERT(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

#endif
