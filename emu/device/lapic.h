/* SPDX-License-Identifier: MIT */
/*
 * The local APIC in xAPIC and x2APIC mode: SDM Vol. 3, ch. 11 "Advanced Programmable Interrupt Controller". Its timer counts
 * cpu->clock, one tick a nanosecond before the divider; the TSC deadline compares with cpu->clock + IA32_TSC_ADJUST.
 */
#ifndef SESQUI_EMU_DEVICE_LAPIC_H
#define SESQUI_EMU_DEVICE_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "model/cpu/cpu.h"

#define LAPIC_BASE 0xfee00000ull
enum { LAPIC_SIZE = 4096 };

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };
enum delivery { DELIVER_FIXED, DELIVER_LOWEST, DELIVER_SMI, DELIVER_NMI = 4, DELIVER_INIT, DELIVER_STARTUP, DELIVER_EXTINT };

struct ioapic;
struct lapic;

/* What became of an inter-processor interrupt. */
enum ipi_fate {
    IPI_SENT,
    IPI_NOBODY,                     /* no local APIC has that destination */
    IPI_DISABLED,                   /* those that have it are disabled */
    IPI_VECTOR,                     /* vectors below 16 are not sent */
    IPI_NOT_TO_SELF,                /* the shorthand "self" is for fixed interrupts (Table 11-3) */
};
struct ipi {
    enum delivery mode;
    enum ipi_fate fate;
    uint8_t vector;
    bool logical;
    uint32_t destination, addressed;    /* addressed: one bit a processor */
    uint64_t command;               /* the interrupt-command register */
};
/* Whoever wants to know of them. */
struct ipi_observer {
    void *context;
    void (*sent)(void *context, const struct lapic *sender, const struct ipi *ipi);
};

struct lapic {
    struct cpu *cpu;
    struct lapic *peer;             /* all local APICs of the machine, this one among them */
    unsigned peers;
    struct ioapic *ioapic;          /* learns of the end of level-triggered interrupts; may be NULL */
    const struct ipi_observer *observer;    /* may be NULL */

    uint64_t base;                  /* IA32_APIC_BASE */
    uint32_t tpr, ldr, dfr, spurious, divide;
    uint32_t requested[8], in_service[8], level[8];     /* IRR, ISR, TMR */
    uint32_t errors, errors_visible;                    /* ESR: collected, and latched by a write */
    uint32_t lvt[LVT_COUNT];
    uint64_t icr;
    uint32_t initial_count;
    uint64_t timer_start, timer_fired;  /* clock: counting began; interrupts delivered up to here */
    bool timer_expired;             /* a one-shot count has ended: it stays 0 whatever the mode becomes */
    uint64_t deadline;              /* IA32_TSC_DEADLINE; 0: disarmed */
};

/* Power-up: xAPIC mode, software-disabled (11.4.7.1). */
void lapic_reset(struct lapic *lapic);
/* The same but for IA32_APIC_BASE: what INIT does, and disabling (11.4.7.3). */
void lapic_clear(struct lapic *lapic);
/* As firmware leaves the bootstrap processor: software-enabled, LINT0 takes the PIC's interrupts (virtual wire mode). */
void lapic_virtual_wire(struct lapic *lapic);

/* Registers by byte offset, xAPIC mode (11.4.1). */
uint32_t lapic_read(struct lapic *lapic, unsigned offset);
void lapic_write(struct lapic *lapic, unsigned offset, uint32_t value);
/* IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC MSRs (11.12). False: #GP. */
bool lapic_read_msr(struct lapic *lapic, uint32_t index, uint64_t *value);
bool lapic_write_msr(struct lapic *lapic, uint32_t index, uint64_t value);

bool lapic_enabled(const struct lapic *lapic);      /* by IA32_APIC_BASE */
bool lapic_x2apic(const struct lapic *lapic);
/* Does LINT0, or the INTR pin of a disabled APIC, let the PIC's interrupts through? */
bool lapic_accepts_pic(const struct lapic *lapic);
/* The vector to be delivered now, priority considered, or -1. Then: takes it into service (SDM Vol. 3, 11.8.3). */
int lapic_pending(const struct lapic *lapic);
uint8_t lapic_acknowledge(struct lapic *lapic);
void lapic_end_of_interrupt(struct lapic *lapic);
/* A message arrives (an IPI, the IOAPIC): `destination` is 8 bits wide unless `wide`. */
enum ipi_fate lapic_message(struct lapic *any, enum delivery mode, bool logical, uint32_t destination, bool wide, uint8_t vector,
                            bool level);

/* The same from the write that a device makes (SDM Vol. 3, 11.11): address FEExxxxxH and data; `wide`: 63:40 of the address are 31:8 of
 * the destination, as a remapping unit sends it. */
enum ipi_fate lapic_message_write(struct lapic *any, uint64_t address, uint32_t data, bool wide);

/* When the timer raises its next interrupt; ~0 if never. And: raises what came up until cpu->clock. */
uint64_t lapic_next(const struct lapic *lapic);
void lapic_advance(struct lapic *lapic);

#endif
