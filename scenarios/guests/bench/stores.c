/* SPDX-License-Identifier: MIT */
/* A store-heavy loop: 1 MB is filled again and again, four stores a turn, each pass with its own number. */
#include <stddef.h>
#include <stdint.h>

#include "scenarios/guests/lib/idt.h"

enum { WORDS = 1 << 17, PASSES = 1000 };

unsigned main(void);

static volatile uint64_t words[WORDS];

unsigned main(void)
{
    uint64_t sum = 0;

    idt_load();
    for (uint64_t pass = 1; pass <= PASSES; pass++) {
        for (size_t i = 0; i < WORDS; i += 4) {
            words[i] = pass;
            words[i + 1] = i;
            words[i + 2] = pass;
            words[i + 3] = pass;
        }
    }
    for (size_t i = 0; i < WORDS; i++)
        sum += i % 4 == 1 ? words[i] == i - 1 : words[i] == PASSES;
    return sum != WORDS;
}
