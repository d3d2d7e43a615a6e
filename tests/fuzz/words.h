/* SPDX-License-Identifier: MIT */
/* Texts from a vocabulary: lines that are nearly right, with bytes that are not. */
#ifndef SESQUI_TESTS_FUZZ_WORDS_H
#define SESQUI_TESTS_FUZZ_WORDS_H

#include <string.h>

#include "tests/fuzz/fuzz.h"

static inline size_t fuzz_append(uint8_t to[FUZZ_INPUT_MAX], size_t at, const char *text)
{
    size_t length = strlen(text);

    if (length > FUZZ_INPUT_MAX - at)
        length = FUZZ_INPUT_MAX - at;
    memcpy(to + at, text, length);
    return at + length;
}

/* Changes, drops and doubles bytes here and there. */
static inline size_t fuzz_damage(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX], size_t size)
{
    for (unsigned i = fuzz_below(random, 4); i && size; i--) {
        size_t at = fuzz_next(random) % size, length = fuzz_next(random) % (size - at) % 16;

        switch (fuzz_below(random, 4)) {
        case 0:
            to[at] = (uint8_t)fuzz_next(random);
            break;
        case 1:
            to[at] ^= (uint8_t)(1 << fuzz_below(random, 8));
            break;
        case 2:
            memmove(to + at, to + at + length, size - at - length);
            size -= length;
            break;
        case 3:
            if (size + length <= FUZZ_INPUT_MAX) {
                memmove(to + at + length, to + at, size - at);
                size += length;
            }
            break;
        }
    }
    return size;
}

#endif
