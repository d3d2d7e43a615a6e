/* SPDX-License-Identifier: MIT */
/* ACPI power management. */
#include "emu/device/pm.h"

enum { STATUS_TIMER = 1 << 0, STATUS_BUS_MASTER = 1 << 4, STATUS_GLOBAL = 1 << 5, STATUS_POWER_BUTTON = 1 << 8, STATUS_SLEEP_BUTTON = 1 << 9,
       STATUS_RTC = 1 << 10, STATUS_WAKE = 1 << 15 };
enum { STATUS_CLEARABLE = STATUS_TIMER | STATUS_BUS_MASTER | STATUS_GLOBAL | STATUS_POWER_BUTTON | STATUS_SLEEP_BUTTON | STATUS_RTC |
                          STATUS_WAKE,
       ENABLE_WRITABLE = STATUS_TIMER | STATUS_GLOBAL | STATUS_POWER_BUTTON | STATUS_SLEEP_BUTTON | STATUS_RTC };
enum { CONTROL_SCI_ENABLE = 1, CONTROL_WRITABLE = 0x1c02, CONTROL_SLEEP_ENABLE = 1 << 13 };
#define TIMER_HALF (1ull << 31)         /* the carry: each change of the highest bit (ACPI 4.8.2.1) */

void pm_reset(struct pm *pm)
{
    *pm = (struct pm){ .control = CONTROL_SCI_ENABLE };
}

static uint64_t ticks_at(uint64_t now)
{
    return (uint64_t)((unsigned __int128)now * PM_TIMER_FREQUENCY / 1000000000u);
}

uint32_t pm_timer(uint64_t now)
{
    return (uint32_t)ticks_at(now);
}

bool pm_interrupt(const struct pm *pm)
{
    bool raised = pm->status & pm->enable;

    for (unsigned i = 0; i < PM_GPE_SIZE / 2; i++)
        raised = raised || (pm->gpe_status[i] & pm->gpe_enable[i]);
    return raised && (pm->control & CONTROL_SCI_ENABLE);
}

void pm_advance(struct pm *pm, uint64_t now)
{
    if (now > pm->seen && ticks_at(now) / TIMER_HALF != ticks_at(pm->seen) / TIMER_HALF)
        pm->status |= STATUS_TIMER;
    if (now > pm->seen)
        pm->seen = now;
}

uint64_t pm_next(const struct pm *pm)
{
    uint64_t carry = (ticks_at(pm->seen) / TIMER_HALF + 1) * TIMER_HALF;

    if (!(pm->enable & STATUS_TIMER) || (pm->status & STATUS_TIMER))
        return UINT64_MAX;
    return (uint64_t)(((unsigned __int128)carry * 1000000000u + PM_TIMER_FREQUENCY - 1) / PM_TIMER_FREQUENCY);
}

uint8_t pm_read(struct pm *pm, uint16_t port, uint64_t now)
{
    unsigned shift = 8 * (port & 1), gpe = port - PM_GPE;

    pm_advance(pm, now);
    if (port < PM_EVENT + 2)
        return (uint8_t)(pm->status >> shift);
    if (port < PM_EVENT + 4)
        return (uint8_t)(pm->enable >> shift);
    if (port < PM_CONTROL + 2)
        return (uint8_t)(pm->control >> shift);
    if (port >= PM_TIMER && port < PM_TIMER + 4)
        return (uint8_t)(pm_timer(now) >> 8 * (port - PM_TIMER));
    if (port >= PM_GPE && gpe < PM_GPE_SIZE)
        return gpe < PM_GPE_SIZE / 2 ? pm->gpe_status[gpe] : pm->gpe_enable[gpe - PM_GPE_SIZE / 2];
    return 0;
}

static uint16_t with_byte(uint16_t old, unsigned shift, uint8_t value)
{
    return (uint16_t)((old & ~(0xff << shift)) | value << shift);
}

enum pm_request pm_write(struct pm *pm, uint16_t port, uint8_t value, uint64_t now)
{
    unsigned shift = 8 * (port & 1), gpe = port - PM_GPE;

    pm_advance(pm, now);
    if (port < PM_EVENT + 2)
        pm->status &= (uint16_t)~((value << shift) & STATUS_CLEARABLE);
    else if (port < PM_EVENT + 4)
        pm->enable = with_byte(pm->enable, shift, value) & ENABLE_WRITABLE;
    else if (port < PM_CONTROL + 2) {
        uint16_t control = with_byte(pm->control, shift, value);
        pm->control = (control & CONTROL_WRITABLE) | CONTROL_SCI_ENABLE;
        if (shift && (control & CONTROL_SLEEP_ENABLE))
            return (control >> 10 & 7) == PM_SLEEP_OFF ? PM_OFF : PM_SLEEP;
    } else if (port >= PM_GPE && gpe < PM_GPE_SIZE / 2) {
        pm->gpe_status[gpe] &= (uint8_t)~value;
    } else if (port >= PM_GPE && gpe < PM_GPE_SIZE) {
        pm->gpe_enable[gpe - PM_GPE_SIZE / 2] = value;
    }
    return PM_NOTHING;
}
