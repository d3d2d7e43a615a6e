/* SPDX-License-Identifier: MIT */
/* The local APIC in both its modes: SDM Vol. 3, ch. 11. */
#ifndef SESQUI_TURNSTILE_APIC_H
#define SESQUI_TURNSTILE_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Software-enables the local APIC; `x2apic`: after switching it to x2APIC mode (from which there is no way back). */
void apic_enable(bool x2apic);
bool apic_has_x2apic(void);
/* One interrupt with `vector` after `ticks` of the timer. */
void apic_timer(uint8_t vector, uint32_t ticks);
void apic_self_ipi(uint8_t vector);     /* x2APIC mode only */
void apic_self_nmi(void);               /* x2APIC mode only */
void apic_end_of_interrupt(void);

#endif
