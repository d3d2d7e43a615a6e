/* SPDX-License-Identifier: MIT */
/* The high-precision event timer. */
#include "emu/device/hpet.h"

/* Registers (HPET 2.3.1), of a timer from TIMER + 0x20 * n on. */
enum { CAPABILITIES = 0x000, CONFIGURATION = 0x010, STATUS = 0x020, COUNTER = 0x0f0, TIMER = 0x100, TIMER_STRIDE = 0x20,
       TIMER_CONFIGURATION = 0, TIMER_COMPARATOR = 8 };
enum { ENABLE = 1, LEGACY = 2, REVISION = 1, VENDOR = 0x8086, FEMTOSECONDS = 1000000 };
enum { LEVEL = 1 << 1, INTERRUPT = 1 << 2, PERIODIC = 1 << 3, CAN_PERIODIC = 1 << 4, IS_64_BITS = 1 << 5, SET_VALUE = 1 << 6, WORD = 1 << 8,
       ROUTE_SHIFT = 9, ROUTE_MASK = 0x1f };
#define ROUTES (0x00f00000ull << 32)    /* inputs 20-23 of the IOAPIC */
#define CAPABILITY_VALUE ((uint64_t)HPET_PERIOD * FEMTOSECONDS << 32 | (uint64_t)VENDOR << 16 | 1 << 15 /* legacy replacement */ | \
                          1 << 13 /* 64 bits */ | (HPET_TIMERS - 1) << 8 | REVISION)
#define TIMER_WRITABLE ((uint64_t)(LEVEL | INTERRUPT | PERIODIC | WORD | ROUTE_MASK << ROUTE_SHIFT))

void hpet_reset(struct hpet *hpet)
{
    *hpet = (struct hpet){ .counter = 0 };
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        hpet->timer[i].configuration = ROUTES | IS_64_BITS | (i == 0 ? CAN_PERIODIC : 0);
        hpet->timer[i].comparator = ~0ull;
    }
}

static bool runs(const struct hpet *hpet) { return hpet->configuration & ENABLE; }

static uint64_t counter(const struct hpet *hpet, uint64_t now)
{
    return hpet->counter + (runs(hpet) && now > hpet->since ? (now - hpet->since) / HPET_PERIOD : 0);
}

bool hpet_legacy(const struct hpet *hpet) { return hpet->configuration & LEGACY; }

int hpet_route(const struct hpet *hpet, unsigned timer)
{
    if (hpet_legacy(hpet) && timer < 2)
        return timer == 0 ? 2 : 8;
    unsigned route = hpet->timer[timer].configuration >> ROUTE_SHIFT & ROUTE_MASK;
    return hpet->timer[timer].configuration >> (32 + route) & 1 ? (int)route : -1;
}

/* Ticks from the value `from` of the counter until the timer matches; 64-bit and 32-bit timers wrap each in its width. 0 is a whole turn. */
static uint64_t distance(const struct hpet_timer *timer, uint64_t from)
{
    uint64_t ticks = timer->comparator - from;

    return timer->configuration & WORD ? (uint32_t)ticks ? (uint32_t)ticks : 1ull << 32 : ticks ? ticks : UINT64_MAX;
}

uint64_t hpet_next(const struct hpet *hpet)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < HPET_TIMERS && runs(hpet); i++) {
        if (!(hpet->timer[i].configuration & INTERRUPT))
            continue;
        uint64_t ticks = distance(&hpet->timer[i], hpet->fired), past = hpet->fired - hpet->counter;
        uint64_t time = ticks < UINT64_MAX / HPET_PERIOD / 2 ? hpet->since + (past + ticks) * HPET_PERIOD : UINT64_MAX;
        next = time < next ? time : next;
    }
    return next;
}

static uint32_t input(const struct hpet *hpet, unsigned timer)
{
    int route = hpet_route(hpet, timer);

    return route < 0 ? 0 : 1u << route;
}

/* A timer without INT_ENB has a status, and a HPET that is off none that counts: neither interrupts (2.3.4, 2.3.8). */
uint32_t hpet_held(const struct hpet *hpet)
{
    uint32_t held = 0;

    for (unsigned i = 0; i < HPET_TIMERS && runs(hpet); i++)
        if ((hpet->timer[i].configuration & (LEVEL | INTERRUPT)) == (LEVEL | INTERRUPT) && hpet->status >> i & 1)
            held |= input(hpet, i);
    return held;
}

uint32_t hpet_advance(struct hpet *hpet, uint64_t now)
{
    uint64_t to = counter(hpet, now);
    uint32_t edges = 0;

    for (unsigned i = 0; i < HPET_TIMERS && runs(hpet); i++) {
        struct hpet_timer *timer = &hpet->timer[i];
        uint64_t ticks = distance(timer, hpet->fired);

        if (ticks > to - hpet->fired)
            continue;
        if (timer->configuration & PERIODIC && timer->period)
            timer->comparator += ((to - hpet->fired - ticks) / timer->period + 1) * timer->period;
        if (timer->configuration & LEVEL)
            hpet->status |= 1u << i;
        else if (timer->configuration & INTERRUPT)
            edges |= input(hpet, i);
    }
    hpet->fired = to;
    return edges;
}

static uint64_t read_register(const struct hpet *hpet, unsigned offset, uint64_t now)
{
    unsigned i = (offset - TIMER) / TIMER_STRIDE;

    switch (offset) {
    case CAPABILITIES: return CAPABILITY_VALUE;
    case CONFIGURATION: return hpet->configuration;
    case STATUS: return hpet->status;
    case COUNTER: return counter(hpet, now);
    }
    if (offset < TIMER || i >= HPET_TIMERS)
        return 0;
    offset = (offset - TIMER) % TIMER_STRIDE;
    return offset == TIMER_CONFIGURATION ? hpet->timer[i].configuration : offset == TIMER_COMPARATOR ? hpet->timer[i].comparator : 0;
}

static void write_comparator(struct hpet_timer *timer, uint64_t value)
{
    if (timer->configuration & WORD)
        value = (uint32_t)value;
    if (!(timer->configuration & PERIODIC) || timer->set_accumulator)
        timer->comparator = value;
    if (timer->configuration & PERIODIC)
        timer->period = value;
    timer->set_accumulator = false;
}

static void write_timer(struct hpet_timer *timer, unsigned offset, uint64_t value)
{
    uint64_t writable = TIMER_WRITABLE & ~(timer->configuration & CAN_PERIODIC ? 0 : (uint64_t)PERIODIC);

    if (offset == TIMER_CONFIGURATION) {
        timer->configuration = (timer->configuration & ~writable) | (value & writable);
        timer->set_accumulator = value & SET_VALUE;
        if (timer->configuration & WORD)
            timer->comparator = (uint32_t)timer->comparator;
    } else if (offset == TIMER_COMPARATOR) {
        write_comparator(timer, value);
    }
}

static void write_register(struct hpet *hpet, unsigned offset, uint64_t value, uint64_t now)
{
    unsigned i = (offset - TIMER) / TIMER_STRIDE;

    if (offset == CONFIGURATION) {
        hpet->counter = counter(hpet, now);
        hpet->since = now;
        hpet->configuration = value & (ENABLE | LEGACY);
        hpet->fired = hpet->counter;
    } else if (offset == STATUS) {
        hpet->status &= ~value;
    } else if (offset == COUNTER) {
        hpet->counter = hpet->fired = value;
        hpet->since = now;
    } else if (offset >= TIMER && i < HPET_TIMERS) {
        write_timer(&hpet->timer[i], (offset - TIMER) % TIMER_STRIDE, value);
    }
}

/* Registers are 8 bytes wide; 4 bytes of them can be accessed (HPET 2.3.2). Other accesses are undefined: nothing, or zeros. */
uint64_t hpet_read(const struct hpet *hpet, unsigned offset, unsigned size, uint64_t now)
{
    if (size < 4 || offset % size)
        return 0;
    uint64_t value = read_register(hpet, offset & ~7u, now);
    return size == 8 ? value : (uint32_t)(value >> 8 * (offset & 4));
}

void hpet_write(struct hpet *hpet, unsigned offset, unsigned size, uint64_t value, uint64_t now)
{
    unsigned shift = 8 * (offset & 4);

    if (size < 4 || offset % size)
        return;
    if (size == 4) {
        /* The halves of a comparator are written one after the other, and of the status only what is 1 counts. */
        uint64_t other = (offset & ~7u) == STATUS ? 0 : read_register(hpet, offset & ~7u, now);
        value = (other & ~(0xffffffffull << shift)) | (uint64_t)(uint32_t)value << shift;
    }
    write_register(hpet, offset & ~7u, value, now);
}
