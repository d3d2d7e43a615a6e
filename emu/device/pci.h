/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus: configuration space by the ports 0xcf8 and 0xcfc and by memory (ECAM), and the interrupt lines of its functions. "PCI Local Bus
 * Specification 3.0", 3.2.2.3.2 (configuration mechanism 1), "PCI Firmware Specification 3.2", 4.1.2 (ECAM).
 */
#ifndef SESQUI_EMU_DEVICE_PCI_H
#define SESQUI_EMU_DEVICE_PCI_H

#include <stdbool.h>
#include <stdint.h>

enum { PCI_ADDRESS = 0xcf8, PCI_RESET = 0xcf9, PCI_DATA = 0xcfc, PCI_CONFIG_SIZE = 256, PCI_PIRQS = 8, PCI_PIRQ_PIN = 16 /* of the IOAPIC */ };
#define ECAM_BASE 0xe0000000ull
enum { ECAM_SIZE = 0x10000000 };

enum pci_index {
#define FUNCTION(noun, device, function, vendor, id, revision, class, header) PCI_##noun,
#define REGISTER(noun, offset, size, value, writable)
#include "emu/device/pci.def"
#undef FUNCTION
#undef REGISTER
    PCI_FUNCTIONS
};

struct pci_function {
    uint8_t config[PCI_CONFIG_SIZE], writable[PCI_CONFIG_SIZE];     /* writable: bits that software may change */
};

struct pci {
    uint32_t address;                   /* port 0xcf8 */
    uint8_t reset_control;              /* port 0xcf9 */
    struct pci_function function[PCI_FUNCTIONS];
    uint32_t lines[PCI_PIRQS];          /* the functions that hold this PIRQ: a bit for each pci_index */
};

void pci_reset(struct pci *pci);
/* Configuration space by bus, device and function (bits 15:8, 7:3, 2:0 of `where`); ones where there is no function. `offset` and `size`
 * stay within an aligned double word. */
uint32_t pci_config_read(const struct pci *pci, uint16_t where, unsigned offset, unsigned size);
void pci_config_write(struct pci *pci, uint16_t where, unsigned offset, unsigned size, uint32_t value);
/* The PIRQ (0-7) to which pin 1-4 (INTA-D) of a device is wired. */
unsigned pci_pirq(unsigned device, unsigned pin);
/* A function's line goes up or down; the level of its PIRQ then. */
bool pci_line(struct pci *pci, enum pci_index function, unsigned pirq, bool level);
/* Which IRQ of the PIC a PIRQ is routed to by the LPC bridge; -1: to none. */
int pci_route(const struct pci *pci, unsigned pirq);

#endif
