/* SPDX-License-Identifier: MIT */
/* The PCI bus: configuration space. */
#include "emu/device/pci.h"

#include <string.h>

#include "emu/device/ports.h"

/* The header (PCI 6.1). */
enum { VENDOR = 0x00, COMMAND = 0x04, REVISION = 0x08, CLASS = 0x09, HEADER_TYPE = 0x0e, SUBSYSTEM_VENDOR = 0x2c, INTERRUPT_LINE = 0x3c };
enum { COMMAND_WRITABLE = 0x0547 };     /* I/O, memory, bus master, parity response, SERR, interrupt disable */
enum { SUBSYSTEM = 0x11001af4 };        /* a subsystem that drivers know as a virtual machine's */
#define ADDRESS_ENABLE 0x80000000u
enum { RESET_CPU = 4, PIRQ_OFF = 0x80 };

static const uint16_t where_is[] = {
#define FUNCTION(noun, device, function, vendor, id, revision, class, header) (device) << 3 | (function),
#define REGISTER(noun, offset, size, value, writable)
#include "emu/device/pci.def"
#undef FUNCTION
#undef REGISTER
};

static void put(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void header(struct pci_function *f, uint32_t vendor, uint32_t id, uint32_t revision, uint32_t class, uint32_t type)
{
    put(f->config + VENDOR, id << 16 | vendor, 4);
    put(f->config + REVISION, revision, 1);
    put(f->config + CLASS, class, 3);
    put(f->config + HEADER_TYPE, type, 1);
    put(f->config + SUBSYSTEM_VENDOR, SUBSYSTEM, 4);
    put(f->writable + COMMAND, COMMAND_WRITABLE, 2);
    f->writable[INTERRUPT_LINE] = 0xff;
}

void pci_reset(struct pci *pci)
{
    *pci = (struct pci){ .address = 0 };
#define FUNCTION(noun, device, function_, vendor, id, revision, class, type) \
    header(&pci->function[PCI_##noun], vendor, id, revision, class, type);
#define REGISTER(noun, offset, size, value, bits) \
    put(pci->function[PCI_##noun].config + (offset), value, size); \
    put(pci->function[PCI_##noun].writable + (offset), bits, size);
#include "emu/device/pci.def"
#undef FUNCTION
#undef REGISTER
}

/* PCI_FUNCTIONS: there is none. */
static unsigned function_at(uint16_t where)
{
    unsigned i = 0;

    while (i < PCI_FUNCTIONS && where_is[i] != where)
        i++;
    return i;
}

uint32_t pci_config_read(const struct pci *pci, uint16_t where, unsigned offset, unsigned size)
{
    unsigned i = function_at(where);
    uint32_t value = 0;

    if (i == PCI_FUNCTIONS)
        return ~0u;
    for (unsigned byte = 0; byte < size && offset + byte < PCI_CONFIG_SIZE; byte++)
        value |= (uint32_t)pci->function[i].config[offset + byte] << 8 * byte;
    return value;
}

void pci_config_write(struct pci *pci, uint16_t where, unsigned offset, unsigned size, uint32_t value)
{
    unsigned i = function_at(where);

    for (unsigned byte = 0; i != PCI_FUNCTIONS && byte < size && offset + byte < PCI_CONFIG_SIZE; byte++) {
        uint8_t bits = pci->function[i].writable[offset + byte], *at = &pci->function[i].config[offset + byte];
        *at = (uint8_t)((*at & ~bits) | (value >> 8 * byte & bits));
    }
}

/* ---- ports and memory ---- */

uint32_t pci_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    const struct pci *pci = &board->pci;

    (void)cpu;
    if (port == PCI_ADDRESS && size == 4)
        return pci->address;
    if (port == PCI_RESET && size == 1)
        return pci->reset_control;
    if (port < PCI_DATA || !(pci->address & ADDRESS_ENABLE))
        return ~0u;
    return pci_config_read(pci, (uint16_t)(pci->address >> 8), (pci->address & 0xfc) + (port - PCI_DATA), size);
}

/* Bit 2 of the reset control register going up resets the machine (ICH9, 13.7.5). */
static void write_reset_control(struct board *board, uint8_t value)
{
    bool reset = (value & RESET_CPU) && !(board->pci.reset_control & RESET_CPU);

    board->pci.reset_control = value & 0x0e & ~RESET_CPU;
    if (reset)
        board_end(board, BOARD_RESET, 0);
}

void pci_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    struct pci *pci = &board->pci;

    (void)cpu;
    if (port == PCI_ADDRESS && size == 4)
        pci->address = value & (ADDRESS_ENABLE | 0xfffffc);
    else if (port == PCI_RESET && size == 1)
        write_reset_control(board, (uint8_t)value);
    else if (port >= PCI_DATA && (pci->address & ADDRESS_ENABLE))
        pci_config_write(pci, (uint16_t)(pci->address >> 8), (pci->address & 0xfc) + (port - PCI_DATA), size, value);
}

/* An address is bus, device, function, and 4 KB for each, of which what lies beyond 256 bytes is not there: it reads as zeros. */
uint64_t ecam_load(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size)
{
    uint16_t where = (uint16_t)((pa - ECAM_BASE) >> 12);
    unsigned offset = pa & 0xfff;

    (void)cpu;
    if (size > 4 || offset % size)
        return ~0ull;
    return pci_config_read(&board->pci, where, offset, size);
}

void ecam_store(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    unsigned offset = pa & 0xfff;

    (void)cpu;
    if (size <= 4 && offset % size == 0)
        pci_config_write(&board->pci, (uint16_t)((pa - ECAM_BASE) >> 12), offset, size, (uint32_t)value);
}

/* ---- interrupt lines ---- */

unsigned pci_pirq(unsigned device, unsigned pin)
{
    return (device + pin - 1) % PCI_PIRQS;
}

bool pci_line(struct pci *pci, enum pci_index function, unsigned pirq, bool level)
{
    pci->lines[pirq] = level ? pci->lines[pirq] | 1u << function : pci->lines[pirq] & ~(1u << function);
    return pci->lines[pirq];
}

int pci_route(const struct pci *pci, unsigned pirq)
{
    uint8_t value = pci->function[PCI_lpc].config[(pirq < 4 ? 0x60 : 0x68) + pirq % 4];

    return value & PIRQ_OFF ? -1 : value & 0xf;
}
