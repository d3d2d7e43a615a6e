/* SPDX-License-Identifier: MIT */
/* ACPI power management at port 0x600: "ACPI Specification 6.4", 4.8 "ACPI Register Model"; and the reset control register at 0xcf9. The
 * machine is in ACPI mode from the start: there is no SMI command port. */
#ifndef SESQUI_EMU_DEVICE_PM_H
#define SESQUI_EMU_DEVICE_PM_H

#include <stdbool.h>
#include <stdint.h>

/* Ports; the FADT names them. */
enum { PM_BASE = 0x600, PM_EVENT = PM_BASE, PM_CONTROL = PM_BASE + 4, PM_TIMER = PM_BASE + 8, PM_GPE = PM_BASE + 0x20, PM_GPE_SIZE = 8 };
enum { PM_TIMER_FREQUENCY = 3579545, PM_SLEEP_OFF = 5 /* SLP_TYP of _S5 */ };

struct pm {
    uint16_t status, enable, control;
    uint8_t gpe_status[PM_GPE_SIZE / 2], gpe_enable[PM_GPE_SIZE / 2];
    uint64_t seen;                      /* up to when the timer's carry has been seen */
};

enum pm_request { PM_NOTHING, PM_OFF, PM_SLEEP /* another state than off: there is none */ };

void pm_reset(struct pm *pm);
uint8_t pm_read(struct pm *pm, uint16_t port, uint64_t now);
enum pm_request pm_write(struct pm *pm, uint16_t port, uint8_t value, uint64_t now);
uint32_t pm_timer(uint64_t now);
/* The level of the system control interrupt. */
bool pm_interrupt(const struct pm *pm);
/* When the timer raises its next interrupt; ~0 if never. And: raises what came up until `now`. */
uint64_t pm_next(const struct pm *pm);
void pm_advance(struct pm *pm, uint64_t now);

#endif
