/* SPDX-License-Identifier: MIT */
/* What the files of the local APIC share with each other. */
#ifndef SESQUI_EMU_DEVICE_LAPIC_PARTS_H
#define SESQUI_EMU_DEVICE_LAPIC_PARTS_H

#include "emu/device/lapic.h"

#define LVT_MASKED (1u << 16)
#define LVT_TIMER_MODE(entry) ((entry) >> 17 & 3u)
#define SPURIOUS_ENABLE (1u << 8)
/* Vector, enable, and focus processor checking: a bit that the register has (11.9, Figure 11-23) and that means nothing since the
 * Pentium 4. It is not reserved, so in x2APIC mode too it may be set. Bit 12 needs bit 24 of the version register. */
#define SPURIOUS_WRITABLE 0x3ffu
#define ICR_LOGICAL (1u << 11)
#define ICR_ASSERT (1u << 14)
#define ICR_LEVEL_TRIGGERED (1u << 15)
#define ERROR_SEND_VECTOR (1u << 5)
#define ERROR_RECEIVE_VECTOR (1u << 6)
#define ERROR_REGISTER (1u << 7)

enum timer_mode { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_DEADLINE };

/* Byte offsets of the xAPIC registers (Table 11-1); an x2APIC MSR is 0x800 + offset / 16 (Table 11-6). */
enum lapic_register {
    REGISTER_ID = 0x20, REGISTER_VERSION = 0x30, REGISTER_TPR = 0x80, REGISTER_APR = 0x90, REGISTER_PPR = 0xa0,
    REGISTER_EOI = 0xb0, REGISTER_LDR = 0xd0, REGISTER_DFR = 0xe0, REGISTER_SPURIOUS = 0xf0, REGISTER_ISR = 0x100,
    REGISTER_TMR = 0x180, REGISTER_IRR = 0x200, REGISTER_ESR = 0x280, REGISTER_ICR_LOW = 0x300, REGISTER_ICR_HIGH = 0x310,
    REGISTER_LVT = 0x320, REGISTER_LVT_LAST = 0x370, REGISTER_INITIAL = 0x380, REGISTER_CURRENT = 0x390,
    REGISTER_DIVIDE = 0x3e0, REGISTER_SELF_IPI = 0x3f0,
};

bool lapic_software_enabled(const struct lapic *lapic);
uint32_t lapic_processor_priority(const struct lapic *lapic);
void lapic_accept(struct lapic *lapic, uint8_t vector, bool level);
void lapic_raise(struct lapic *lapic, enum lapic_lvt which);
uint32_t lapic_id(const struct lapic *lapic);
uint32_t lapic_logical_id(const struct lapic *lapic);
void lapic_send(struct lapic *lapic);

/* The timer. */
uint32_t lapic_timer_current(const struct lapic *lapic);
void lapic_timer_start(struct lapic *lapic, uint32_t initial);
void lapic_timer_set_divide(struct lapic *lapic, uint32_t value);
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t value);
uint64_t lapic_timer_deadline(const struct lapic *lapic);
void lapic_timer_set_deadline(struct lapic *lapic, uint64_t value);

#endif
