/* SPDX-License-Identifier: MIT */
/* INIT and start-up IPI for the other processors: SDM Vol. 3, 11.6.1, shorthand "all excluding self". */
#include "scenarios/guests/lib/second.h"

#include <stddef.h>
#include <stdint.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"

enum { SECOND_START = 0x8000, ICR_INIT_OTHERS = 0xc4500, ICR_STARTUP_OTHERS = 0xc4600, PATIENCE = 100000 };
#define ICR_LOW 0xfee00300ull

extern const uint8_t second_start[], second_end[], second_gdtr[], second_cr3[];     /* second_cpu.S */

void second_wake(void)
{
    volatile uint32_t *const command = (uint32_t *)ICR_LOW;
    const struct descriptor_table gdtr = store_gdtr();
    const uint32_t cr3 = (uint32_t)read_cr3();
    uint8_t *const start = (uint8_t *)SECOND_START;

    memcpy(start, second_start, (size_t)(second_end - second_start));
    memcpy(start + (second_gdtr - second_start), &gdtr, 6);         /* 32 bits of base: real mode */
    memcpy(start + (second_cr3 - second_start), &cr3, sizeof cr3);
    *command = ICR_INIT_OTHERS;
    for (volatile int i = 0; i < PATIENCE; i++)
        ;
    *command = ICR_STARTUP_OTHERS | SECOND_START >> 12;
}
