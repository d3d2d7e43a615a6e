/* SPDX-License-Identifier: MIT */
/* The IOAPIC at 0xfec00000: 24 pins. Intel 82093AA data sheet. */
#ifndef SESQUI_EMU_DEVICE_IOAPIC_H
#define SESQUI_EMU_DEVICE_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#define IOAPIC_BASE 0xfec00000ull
enum { IOAPIC_SIZE = 4096, IOAPIC_PINS = 24 };

struct lapic;
struct iommu;

#define IOAPIC_LOGICAL (1ull << 11)
#define IOAPIC_REMOTE_IRR (1ull << 14)      /* a level-triggered interrupt is on its way or in service */
#define IOAPIC_LEVEL (1ull << 15)
#define IOAPIC_MASKED (1ull << 16)

struct ioapic {
    struct lapic *lapic;            /* any local APIC of the machine: messages go to all */
    struct iommu *iommu;            /* through which they go; NULL: there is none */
    uint8_t id, select;
    uint64_t entry[IOAPIC_PINS];    /* the redirection table; bit 14 is the remote IRR */
    bool line[IOAPIC_PINS];
    uint8_t fate[IOAPIC_PINS];      /* enum ipi_fate of the pin's latest interrupt */
};

void ioapic_reset(struct ioapic *ioapic, struct lapic *lapic);
uint32_t ioapic_read(const struct ioapic *ioapic, unsigned offset);
void ioapic_write(struct ioapic *ioapic, unsigned offset, uint32_t value);
bool ioapic_masked(const struct ioapic *ioapic, unsigned pin);
void ioapic_line(struct ioapic *ioapic, unsigned pin, bool level);
/* A local APIC has ended the level-triggered interrupt `vector`. */
void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector);

#endif
