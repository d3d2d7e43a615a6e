/* SPDX-License-Identifier: MIT */
/* The high-precision event timer at 0xfed00000: "IA-PC HPET Specification" 1.0a. Three comparators, 64 bits, 10 ns a tick, no FSB delivery. */
#ifndef SESQUI_EMU_DEVICE_HPET_H
#define SESQUI_EMU_DEVICE_HPET_H

#include <stdbool.h>
#include <stdint.h>

#define HPET_BASE 0xfed00000ull
enum { HPET_TIMERS = 3, HPET_PERIOD = 10 /* ns */, HPET_SIZE = 1024 };

struct hpet_timer {
    uint64_t configuration, comparator, period;
    bool set_accumulator;               /* the next write to the comparator of a periodic timer sets it, not only its period */
};

struct hpet {
    struct hpet_timer timer[HPET_TIMERS];
    uint64_t configuration, status;     /* status: level-triggered interrupts that were not yet cleared */
    uint64_t counter, since;            /* the main counter's value at time `since`, or always while it is stopped */
    uint64_t fired;                     /* the counter's value up to which timers have been seen */
};

void hpet_reset(struct hpet *hpet);
uint64_t hpet_read(const struct hpet *hpet, unsigned offset, unsigned size, uint64_t now);
void hpet_write(struct hpet *hpet, unsigned offset, unsigned size, uint64_t value, uint64_t now);
/* The input of the IOAPIC that a timer is routed to (with legacy replacement, timer 0 to 2 and timer 1 to 8); -1: to none. */
int hpet_route(const struct hpet *hpet, unsigned timer);
/* Does it take the place of the PIT's and the RTC's interrupt lines? */
bool hpet_legacy(const struct hpet *hpet);
/* When a timer raises its next interrupt; ~0 if never. */
uint64_t hpet_next(const struct hpet *hpet);
/* Until `now`: the inputs of the IOAPIC that got an edge, a bit each. And: those that level-triggered timers hold up. */
uint32_t hpet_advance(struct hpet *hpet, uint64_t now);
uint32_t hpet_held(const struct hpet *hpet);

#endif
