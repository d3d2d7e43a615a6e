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
/* Registers of the header (PCI 6.1, 6.2.5.1), and bits of them. */
enum { PCI_COMMAND = 0x04, PCI_STATUS = 0x06, PCI_BAR0 = 0x10, PCI_CAPABILITIES = 0x34, PCI_INTERRUPT_LINE = 0x3c, PCI_INTERRUPT_PIN = 0x3d };
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4, PCI_COMMAND_NO_INTX = 0x400, PCI_STATUS_INTERRUPT = 8,
       PCI_STATUS_CAPABILITIES = 0x10, PCI_BAR_IO = 1 };
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
/* Devices that a machine has if asked for stand behind those, one a device number from 1 on. */
enum { PCI_PLUGGED_MAX = 16, PCI_ALL = PCI_FUNCTIONS + PCI_PLUGGED_MAX, PCI_BARS = 6, PCI_NOBODY = PCI_ALL };

struct pci_function {
    bool present;
    uint16_t where;                     /* bus, device and function: bits 15:8, 7:3, 2:0 */
    uint32_t bar_size[PCI_BARS];        /* a power of 2; 0: there is none */
    uint8_t config[PCI_CONFIG_SIZE], writable[PCI_CONFIG_SIZE];     /* writable: bits that software may change */
};
/* What a plugged device is. */
struct pci_identity { uint16_t vendor, id, subsystem_vendor, subsystem; uint8_t revision; uint32_t class; };

struct pci {
    uint32_t address;                   /* port 0xcf8 */
    uint8_t reset_control;              /* port 0xcf9 */
    struct pci_function function[PCI_ALL];
    uint32_t lines[PCI_PIRQS];          /* the functions that hold this PIRQ: a bit for each of them */
    uint16_t up, held;                  /* PIRQs that are up, and IRQs of the PIC that they hold up */
};

void pci_reset(struct pci *pci);
/* Plugs a device in at the next free device number; its index, or PCI_NOBODY: there is no room. It has no BARs yet, its pin is INTA. */
unsigned pci_plug(struct pci *pci, const struct pci_identity *identity);
/* Gives it a BAR of 32 bits, where firmware has put it. Memory and ports of different devices do not overlap. */
void pci_bar(struct pci *pci, unsigned index, unsigned bar, bool io, uint32_t size, uint32_t address);

/* The function there; PCI_NOBODY: there is none. */
unsigned pci_function_at(const struct pci *pci, uint16_t where);
/* Configuration space of a function; ones where there is none. `offset` and `size` stay within an aligned double word. */
uint32_t pci_config_read(const struct pci *pci, unsigned index, unsigned offset, unsigned size);
void pci_config_write(struct pci *pci, unsigned index, unsigned offset, unsigned size, uint32_t value);
/* Who decodes a port or an address by a BAR; the offset in that BAR. PCI_NOBODY: nobody. */
unsigned pci_decode(const struct pci *pci, bool io, uint64_t address, unsigned *bar, uint32_t *offset);
bool pci_may_master(const struct pci *pci, unsigned index);

/* The PIRQ (0-7) to which pin 1-4 (INTA-D) of a device is wired. */
unsigned pci_pirq(unsigned device, unsigned pin);
/* A function asks for its interrupt, or no longer: its status bit and, unless its command register forbids, its line. */
void pci_request(struct pci *pci, unsigned index, bool asks);
/* Which IRQ of the PIC a PIRQ is routed to by the LPC bridge; -1: to none. */
int pci_route(const struct pci *pci, unsigned pirq);

#endif
