/* SPDX-License-Identifier: MIT */
/* The IOAPIC. */
#include "emu/device/ioapic.h"

#include "emu/device/lapic.h"
#include "model/iommu/iommu.h"

enum { SELECT = 0x00, WINDOW = 0x10, REGISTER_ID = 0, REGISTER_VERSION = 1, REGISTER_ARBITRATION = 2, TABLE = 0x10 };
enum { VERSION = 0x11 | (IOAPIC_PINS - 1) << 16 };

#define ENTRY_WRITABLE 0xff0000000001afffull        /* not delivery status (12), not remote IRR (14) */
#define ENTRY_REMAPPABLE 0x00ff000000000000ull      /* before a remapping unit: the rest of the index, and the format (VT-d, 5.1.2.2) */

void ioapic_reset(struct ioapic *ioapic, struct lapic *lapic)
{
    *ioapic = (struct ioapic){ .lapic = lapic };
    for (unsigned i = 0; i < IOAPIC_PINS; i++)
        ioapic->entry[i] = IOAPIC_MASKED;
}

uint32_t ioapic_read(const struct ioapic *ioapic, unsigned offset)
{
    if (offset == SELECT)
        return ioapic->select;
    if (offset != WINDOW)
        return 0;
    switch (ioapic->select) {
    case REGISTER_ID:
    case REGISTER_ARBITRATION:
        return (uint32_t)ioapic->id << 24;
    case REGISTER_VERSION:
        return VERSION;
    }
    unsigned pin = (ioapic->select - TABLE) / 2u;
    if (ioapic->select < TABLE || pin >= IOAPIC_PINS)
        return 0;
    return (uint32_t)(ioapic->select & 1 ? ioapic->entry[pin] >> 32 : ioapic->entry[pin]);
}

bool ioapic_masked(const struct ioapic *ioapic, unsigned pin)
{
    return ioapic->entry[pin] & IOAPIC_MASKED;
}

/* The write that an entry stands for (VT-d, 5.1.5.1): its upper bits are the address's, whichever format they are in. Its requests carry no source. */
static void send(struct ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->entry[pin];
    struct iommu_message message = { VTD_INTERRUPT_BASE | (entry >> 48) << 4 | (entry & IOAPIC_LOGICAL ? 4 : 0),
                                     (uint32_t)(entry & 0xff) | (uint32_t)(entry & 0x700) | (entry & IOAPIC_LEVEL ? 1u << 15 : 0), false };

    ioapic->fate[pin] = IPI_NOBODY;
    if (!ioapic->iommu || iommu_interrupt(ioapic->iommu, IOMMU_NO_SOURCE, message, &message))
        ioapic->fate[pin] = (uint8_t)lapic_message_write(ioapic->lapic, message.address, message.data, message.wide);
}

/* A level-triggered pin asks as long as its line is up and nobody serves it. */
static void service(struct ioapic *ioapic, unsigned pin)
{
    if (!ioapic->line[pin] || (ioapic->entry[pin] & (IOAPIC_LEVEL | IOAPIC_MASKED | IOAPIC_REMOTE_IRR)) != IOAPIC_LEVEL)
        return;
    ioapic->entry[pin] |= IOAPIC_REMOTE_IRR;
    send(ioapic, pin);
}

static void write_entry(struct ioapic *ioapic, unsigned pin, bool high, uint32_t value)
{
    uint64_t old = ioapic->entry[pin];
    uint64_t new = high ? (old & 0xffffffff) | (uint64_t)value << 32 : (old & ~0xffffffffull) | value;

    new = (new & (ENTRY_WRITABLE | (ioapic->iommu ? ENTRY_REMAPPABLE : 0))) | (new & IOAPIC_LEVEL ? old & IOAPIC_REMOTE_IRR : 0);
    ioapic->entry[pin] = new;
    service(ioapic, pin);
}

void ioapic_write(struct ioapic *ioapic, unsigned offset, uint32_t value)
{
    unsigned pin = (ioapic->select - TABLE) / 2u;

    if (offset == SELECT)
        ioapic->select = (uint8_t)value;
    else if (offset == WINDOW && ioapic->select == REGISTER_ID)
        ioapic->id = value >> 24 & 0xf;
    else if (offset == WINDOW && ioapic->select >= TABLE && pin < IOAPIC_PINS)
        write_entry(ioapic, pin, ioapic->select & 1, value);
}

void ioapic_line(struct ioapic *ioapic, unsigned pin, bool level)
{
    bool rising = level && !ioapic->line[pin];

    ioapic->line[pin] = level;
    if (rising && !(ioapic->entry[pin] & (IOAPIC_MASKED | IOAPIC_LEVEL)))
        send(ioapic, pin);
    service(ioapic, pin);
}

void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (!(ioapic->entry[pin] & IOAPIC_REMOTE_IRR) || (uint8_t)ioapic->entry[pin] != vector)
            continue;
        ioapic->entry[pin] &= ~IOAPIC_REMOTE_IRR;
        service(ioapic, pin);
    }
}
