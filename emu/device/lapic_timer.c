/* SPDX-License-Identifier: MIT */
/* The local APIC's timer: SDM Vol. 3, 11.5.4. */
#include "emu/device/lapic_parts.h"

#include "model/cpu/cpu.h"

static enum timer_mode mode_of(const struct lapic *lapic)
{
    return LVT_TIMER_MODE(lapic->lvt[LVT_TIMER]);
}

/* Divide configuration, bits 3, 1, 0: 000 is 2, 001 is 4, ... 110 is 128, 111 is 1 (Figure 11-10). */
static uint64_t divisor(const struct lapic *lapic)
{
    unsigned code = (lapic->divide & 3) | (lapic->divide >> 1 & 4);

    return code == 7 ? 1 : 2ull << code;
}

static uint64_t elapsed_counts(const struct lapic *lapic)
{
    return (lapic->cpu->clock - lapic->timer_start) / divisor(lapic);
}

uint32_t lapic_timer_current(const struct lapic *lapic)
{
    if (!lapic->initial_count || lapic->timer_expired || mode_of(lapic) == TIMER_DEADLINE)
        return 0;
    uint64_t counts = elapsed_counts(lapic);
    if (mode_of(lapic) == TIMER_PERIODIC)
        return (uint32_t)(lapic->initial_count - counts % lapic->initial_count);
    return counts >= lapic->initial_count ? 0 : (uint32_t)(lapic->initial_count - counts);
}

void lapic_timer_start(struct lapic *lapic, uint32_t initial)
{
    if (mode_of(lapic) == TIMER_DEADLINE)
        return;                                 /* 11.5.4.1: the write is ignored */
    lapic->initial_count = initial;
    lapic->timer_start = lapic->timer_fired = lapic->cpu->clock;
    lapic->timer_expired = false;
}

void lapic_timer_set_divide(struct lapic *lapic, uint32_t value)
{
    lapic_advance(lapic);
    uint64_t counts = elapsed_counts(lapic);
    lapic->divide = value & 0xb;
    lapic->timer_start = lapic->cpu->clock - counts * divisor(lapic);   /* modulo 2^64: the count goes on from here */
}

void lapic_timer_set_lvt(struct lapic *lapic, uint32_t value)
{
    bool deadline_before = mode_of(lapic) == TIMER_DEADLINE;

    lapic_advance(lapic);
    if (mode_of(lapic) == TIMER_ONE_SHOT && elapsed_counts(lapic) >= lapic->initial_count)
        lapic->timer_expired = true;
    lapic->lvt[LVT_TIMER] = value;
    /* A switch to or from TSC-deadline mode disarms the timer (11.5.4.1). */
    if (deadline_before != (mode_of(lapic) == TIMER_DEADLINE)) {
        lapic->initial_count = 0;
        lapic->deadline = 0;
    }
}

/* The deadline as a value of cpu->clock; one that has passed is due now. */
static uint64_t deadline_clock(const struct lapic *lapic)
{
    uint64_t tsc = lapic->cpu->clock + CPU_MSR(lapic->cpu, ia32_tsc_adjust);

    if (lapic->deadline <= tsc)
        return lapic->cpu->clock;
    uint64_t left = lapic->deadline - tsc;
    return left > UINT64_MAX - 1 - lapic->cpu->clock ? UINT64_MAX - 1 : lapic->cpu->clock + left;
}

uint64_t lapic_timer_deadline(const struct lapic *lapic)
{
    return mode_of(lapic) == TIMER_DEADLINE ? lapic->deadline : 0;
}

void lapic_timer_set_deadline(struct lapic *lapic, uint64_t value)
{
    if (mode_of(lapic) == TIMER_DEADLINE)
        lapic->deadline = value;                /* otherwise the write is ignored */
}

uint64_t lapic_next(const struct lapic *lapic)
{
    if (!lapic_software_enabled(lapic) || (lapic->lvt[LVT_TIMER] & LVT_MASKED))
        return UINT64_MAX;
    if (mode_of(lapic) == TIMER_DEADLINE)
        return lapic->deadline ? deadline_clock(lapic) : UINT64_MAX;
    if (!lapic->initial_count || lapic->timer_expired)
        return UINT64_MAX;
    uint64_t period = lapic->initial_count * divisor(lapic);
    uint64_t fired = lapic->timer_fired - lapic->timer_start;
    if (mode_of(lapic) == TIMER_PERIODIC)
        return lapic->timer_start + (fired / period + 1) * period;
    return fired < period ? lapic->timer_start + period : UINT64_MAX;
}

void lapic_advance(struct lapic *lapic)
{
    uint64_t now = lapic->cpu->clock;

    if (lapic_next(lapic) <= now) {
        if (mode_of(lapic) == TIMER_DEADLINE)
            lapic->deadline = 0;
        lapic_raise(lapic, LVT_TIMER);
    } else if (mode_of(lapic) == TIMER_DEADLINE && lapic->deadline && deadline_clock(lapic) <= now) {
        lapic->deadline = 0;                    /* expired while masked */
    }
    lapic->timer_fired = now;
}
