/* SPDX-License-Identifier: MIT */
/* The local APIC: modes, priorities, messages. Its registers are in lapic_registers.c, its timer in lapic_timer.c. */
#include "emu/device/lapic.h"

#include <string.h>

#include "emu/device/ioapic.h"
#include "emu/device/lapic_parts.h"

bool lapic_enabled(const struct lapic *lapic)
{
    return lapic->base & APIC_BASE_ENABLE;
}

bool lapic_x2apic(const struct lapic *lapic)
{
    return lapic_enabled(lapic) && (lapic->base & APIC_BASE_X2APIC);
}

bool lapic_software_enabled(const struct lapic *lapic)
{
    return lapic_enabled(lapic) && (lapic->spurious & SPURIOUS_ENABLE);
}

void lapic_clear(struct lapic *lapic)
{
    *lapic = (struct lapic){
        .cpu = lapic->cpu, .peer = lapic->peer, .peers = lapic->peers, .ioapic = lapic->ioapic, .observer = lapic->observer,
        .base = lapic->base,
        .dfr = 0xffffffff, .spurious = 0xff,
        .lvt = { LVT_MASKED, LVT_MASKED, LVT_MASKED, LVT_MASKED, LVT_MASKED, LVT_MASKED },
    };
}

void lapic_reset(struct lapic *lapic)
{
    lapic->base = LAPIC_BASE | APIC_BASE_ENABLE | (lapic->cpu->index == 0 ? APIC_BASE_BSP : 0);
    lapic_clear(lapic);
}

void lapic_virtual_wire(struct lapic *lapic)
{
    lapic->spurious = SPURIOUS_ENABLE | 0xf;
    lapic->lvt[LVT_LINT0] = DELIVER_EXTINT << 8;
    lapic->lvt[LVT_LINT1] = DELIVER_NMI << 8;
}

bool lapic_accepts_pic(const struct lapic *lapic)
{
    if (!lapic_enabled(lapic))
        return lapic->base & APIC_BASE_BSP;     /* LINT0 is the INTR pin */
    return !(lapic->lvt[LVT_LINT0] & LVT_MASKED) && (lapic->lvt[LVT_LINT0] >> 8 & 7) == DELIVER_EXTINT;
}

/* Highest vector of a 256-bit register, or -1. */
static int highest(const uint32_t bits[8])
{
    for (int word = 7; word >= 0; word--)
        if (bits[word])
            return word * 32 + 31 - __builtin_clz(bits[word]);
    return -1;
}

static void set_bit(uint32_t bits[8], unsigned vector, bool value)
{
    if (value)
        bits[vector / 32] |= 1u << vector % 32;
    else
        bits[vector / 32] &= ~(1u << vector % 32);
}

/* Processor priority: SDM Vol. 3, 11.8.3.1. */
uint32_t lapic_processor_priority(const struct lapic *lapic)
{
    int serving = highest(lapic->in_service);
    uint32_t class = serving < 0 ? 0 : (uint32_t)serving & 0xf0;

    return (lapic->tpr & 0xf0) >= class ? lapic->tpr : class;
}

int lapic_pending(const struct lapic *lapic)
{
    int vector = highest(lapic->requested);

    if (vector < 0 || !lapic_software_enabled(lapic))
        return -1;
    return ((uint32_t)vector & 0xf0) > (lapic_processor_priority(lapic) & 0xf0) ? vector : -1;
}

uint8_t lapic_acknowledge(struct lapic *lapic)
{
    int vector = lapic_pending(lapic);

    if (vector < 0)
        return lapic->spurious & 0xff;          /* 11.9: the spurious vector is not put into service */
    set_bit(lapic->requested, (unsigned)vector, false);
    set_bit(lapic->in_service, (unsigned)vector, true);
    return (uint8_t)vector;
}

void lapic_end_of_interrupt(struct lapic *lapic)
{
    int vector = highest(lapic->in_service);

    if (vector < 0)
        return;
    set_bit(lapic->in_service, (unsigned)vector, false);
    if (lapic->ioapic && (lapic->level[vector / 32] >> vector % 32 & 1))
        ioapic_end_of_interrupt(lapic->ioapic, (uint8_t)vector);
}

/* An error is collected; the error LVT entry tells (11.5.3). */
static void error(struct lapic *lapic, uint32_t bit)
{
    uint32_t entry = lapic->lvt[LVT_ERROR];

    lapic->errors |= bit;
    if (!(entry & LVT_MASKED) && (entry & 0xff) >= 16)
        lapic_accept(lapic, entry & 0xff, false);
}

void lapic_accept(struct lapic *lapic, uint8_t vector, bool level)
{
    if (!lapic_software_enabled(lapic))
        return;
    if (vector < 16) {
        error(lapic, ERROR_RECEIVE_VECTOR);
        return;
    }
    set_bit(lapic->requested, vector, true);
    set_bit(lapic->level, vector, level);
}

void lapic_raise(struct lapic *lapic, enum lapic_lvt which)
{
    uint32_t entry = lapic->lvt[which];

    if (entry & LVT_MASKED)
        return;
    if (which != LVT_TIMER && which != LVT_ERROR && (entry >> 8 & 7) == DELIVER_NMI)
        lapic->cpu->nmi_pending = true;
    else
        lapic_accept(lapic, entry & 0xff, false);
}

uint32_t lapic_id(const struct lapic *lapic)
{
    return lapic->cpu->index;
}

uint32_t lapic_logical_id(const struct lapic *lapic)
{
    uint32_t id = lapic_id(lapic);

    return lapic_x2apic(lapic) ? (id >> 4) << 16 | 1u << (id & 15) : lapic->ldr;    /* 11.12.10.2 */
}

/* SDM Vol. 3, 11.6.2 "Determining IPI Destination". */
static bool addressed(const struct lapic *lapic, bool logical, uint32_t destination, bool wide)
{
    if (destination == (wide ? 0xffffffff : 0xff))
        return true;
    if (!logical)
        return destination == lapic_id(lapic);
    uint32_t mine = lapic_logical_id(lapic);
    if (lapic_x2apic(lapic))
        return mine >> 16 == destination >> 16 && (mine & destination & 0xffff);
    mine >>= 24;
    if (lapic->dfr >> 28 == 0xf)
        return mine & destination;
    return mine >> 4 == (destination >> 4 & 0xf) && (mine & destination & 0xf);
}

/*
 * Disabled by software (SVR) it still accepts NMI, INIT and SIPI (SDM Vol. 3, 11.4.7.2); disabled in IA32_APIC_BASE it is not there, and no
 * message reaches its processor (11.4.3). False: it takes nothing.
 */
static bool deliver(struct lapic *lapic, enum delivery mode, uint8_t vector, bool level)
{
    struct cpu *cpu = lapic->cpu;

    if (!lapic_enabled(lapic))
        return false;
    switch (mode) {
    case DELIVER_FIXED:
    case DELIVER_LOWEST:
        lapic_accept(lapic, vector, level);
        return lapic_software_enabled(lapic);
    case DELIVER_NMI:
        cpu->nmi_pending = true;
        break;
    case DELIVER_INIT:
        cpu->init_pending = true;
        break;
    case DELIVER_STARTUP:
        /* Without the wait-for-SIPI state a SIPI has no effect and is not remembered (26.2). A pending INIT comes first. */
        if (cpu->activity == ACTIVITY_WAIT_FOR_SIPI || cpu->init_pending) {
            cpu->sipi_pending = true;
            cpu->sipi_vector = vector;
        }
        break;
    default:
        break;                                  /* SMI: the machine has no SMM; ExtINT by message: none */
    }
    return true;
}

enum ipi_fate lapic_message(struct lapic *any, enum delivery mode, bool logical, uint32_t destination, bool wide, uint8_t vector,
                            bool level)
{
    enum ipi_fate fate = IPI_NOBODY;

    for (unsigned i = 0; i < any->peers; i++) {
        if (!addressed(&any->peer[i], logical, destination, wide))
            continue;
        bool taken = deliver(&any->peer[i], mode, vector, level);
        fate = taken && mode <= DELIVER_LOWEST && vector < 16 ? IPI_VECTOR : taken || fate == IPI_SENT ? IPI_SENT : IPI_DISABLED;
        if (mode == DELIVER_LOWEST)             /* arbitration is model-specific: the first one is addressed */
            break;
    }
    return fate;
}

enum ipi_fate lapic_message_write(struct lapic *any, uint64_t address, uint32_t data, bool wide)
{
    enum { LOGICAL = 1 << 2 };
    uint32_t destination = (uint32_t)(address >> 12 & 0xff) | (wide ? (uint32_t)(address >> 32) & ~0xffu : 0);

    return lapic_message(any, (enum delivery)(data >> 8 & 7), address & LOGICAL, destination, wide, (uint8_t)data, data >> 15 & 1);
}

/* To those that the destination, or the shorthand, names; whether any takes it. */
static bool deliver_ipi(struct lapic *lapic, struct ipi *ipi, unsigned shorthand)
{
    bool wide = lapic_x2apic(lapic), taken = false;

    for (unsigned i = 0; i < lapic->peers; i++) {
        struct lapic *peer = &lapic->peer[i];
        bool meant = shorthand == 0 ? addressed(peer, ipi->logical, ipi->destination, wide) : shorthand == 1 ? peer == lapic
                                                                                          : shorthand == 2 || peer != lapic;
        if (!meant)
            continue;
        ipi->addressed |= 1u << i;
        taken |= deliver(peer, ipi->mode, ipi->vector, false);
        if (shorthand == 0 && ipi->mode == DELIVER_LOWEST)      /* arbitration is model-specific: the first one is addressed */
            break;
    }
    return taken;
}

/* Interrupt command: SDM Vol. 3, 11.6.1. */
void lapic_send(struct lapic *lapic)
{
    uint32_t low = (uint32_t)lapic->icr;
    unsigned shorthand = low >> 18 & 3;
    struct ipi ipi = {
        .mode = low >> 8 & 7, .vector = low & 0xff, .logical = low & ICR_LOGICAL, .command = lapic->icr,
        .destination = (uint32_t)(lapic_x2apic(lapic) ? lapic->icr >> 32 : lapic->icr >> 56),
    };

    if (ipi.mode == DELIVER_INIT && (low & ICR_LEVEL_TRIGGERED) && !(low & ICR_ASSERT))
        return;                                 /* INIT level de-assert: not supported since the Pentium 4 */
    if (ipi.mode <= DELIVER_LOWEST && ipi.vector < 16) {
        error(lapic, ERROR_SEND_VECTOR);
        ipi.fate = IPI_VECTOR;
    } else if (shorthand == 1 && ipi.mode != DELIVER_FIXED)
        ipi.fate = IPI_NOT_TO_SELF;             /* Table 11-3 */
    else if (!deliver_ipi(lapic, &ipi, shorthand))
        ipi.fate = shorthand > 1 ? IPI_SENT : ipi.addressed ? IPI_DISABLED : IPI_NOBODY;     /* "all": whoever is there */
    if (lapic->observer && lapic->observer->sent)
        lapic->observer->sent(lapic->observer->context, lapic, &ipi);
}
