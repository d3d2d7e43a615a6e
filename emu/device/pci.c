/* SPDX-License-Identifier: MIT */
/* The PCI bus: configuration space. */
#include "emu/device/pci.h"

#include <string.h>

#include "emu/device/ports.h"
#include "emu/device/virtio/virtio.h"

/* The rest of the header (PCI 6.1). */
enum { VENDOR = 0x00, REVISION = 0x08, CLASS = 0x09, HEADER_TYPE = 0x0e, SUBSYSTEM_VENDOR = 0x2c };
enum { COMMAND_WRITABLE = 0x0547 };     /* I/O, memory, bus master, parity response, SERR, interrupt disable */
enum { SUBSYSTEM = 0x11001af4 };        /* a subsystem that drivers know as a virtual machine's */
#define ADDRESS_ENABLE 0x80000000u
enum { RESET_CPU = 4, PIRQ_OFF = 0x80 };

static void put(uint8_t *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static struct pci_function *header(struct pci *pci, unsigned index, uint16_t where, const struct pci_identity *identity, uint32_t type)
{
    struct pci_function *f = &pci->function[index];

    *f = (struct pci_function){ .present = true, .where = where };
    put(f->config + VENDOR, (uint32_t)identity->id << 16 | identity->vendor, 4);
    put(f->config + REVISION, identity->revision, 1);
    put(f->config + CLASS, identity->class, 3);
    put(f->config + HEADER_TYPE, type, 1);
    put(f->config + SUBSYSTEM_VENDOR, (uint32_t)identity->subsystem << 16 | identity->subsystem_vendor, 4);
    put(f->writable + PCI_COMMAND, COMMAND_WRITABLE, 2);
    f->writable[PCI_INTERRUPT_LINE] = 0xff;
    return f;
}

void pci_reset(struct pci *pci)
{
    *pci = (struct pci){ .address = 0 };
#define FUNCTION(noun, device, function_, vendor, id, revision, class, type) \
    header(pci, PCI_##noun, (device) << 3 | (function_), &(struct pci_identity){ vendor, id, SUBSYSTEM & 0xffff, SUBSYSTEM >> 16, revision, class }, type);
#define REGISTER(noun, offset, size, value, bits) \
    put(pci->function[PCI_##noun].config + (offset), value, size); \
    put(pci->function[PCI_##noun].writable + (offset), bits, size);
#include "emu/device/pci.def"
#undef FUNCTION
#undef REGISTER
}

unsigned pci_plug(struct pci *pci, const struct pci_identity *identity)
{
    unsigned index = PCI_FUNCTIONS;

    while (index < PCI_ALL && pci->function[index].present)
        index++;
    if (index == PCI_ALL)
        return PCI_NOBODY;
    struct pci_function *f = header(pci, index, (uint16_t)((index - PCI_FUNCTIONS + 1) << 3), identity, 0);
    f->config[PCI_INTERRUPT_PIN] = 1;
    return index;
}

void pci_bar(struct pci *pci, unsigned index, unsigned bar, bool io, uint32_t size, uint32_t address)
{
    struct pci_function *f = &pci->function[index];

    f->bar_size[bar] = size;
    put(f->config + PCI_BAR0 + 4 * bar, address | (io ? PCI_BAR_IO : 0), 4);
    put(f->writable + PCI_BAR0 + 4 * bar, ~(size - 1) & (io ? ~3u : ~0xfu), 4);
    f->config[PCI_COMMAND] |= PCI_COMMAND_MASTER | (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);
}

unsigned pci_function_at(const struct pci *pci, uint16_t where)
{
    unsigned i = 0;

    while (i < PCI_ALL && !(pci->function[i].present && pci->function[i].where == where))
        i++;
    return i;
}

uint32_t pci_config_read(const struct pci *pci, unsigned index, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    if (index == PCI_NOBODY)
        return ~0u;
    for (unsigned byte = 0; byte < size && offset + byte < PCI_CONFIG_SIZE; byte++)
        value |= (uint32_t)pci->function[index].config[offset + byte] << 8 * byte;
    return value;
}

void pci_config_write(struct pci *pci, unsigned index, unsigned offset, unsigned size, uint32_t value)
{
    for (unsigned byte = 0; index != PCI_NOBODY && byte < size && offset + byte < PCI_CONFIG_SIZE; byte++) {
        uint8_t bits = pci->function[index].writable[offset + byte], *at = &pci->function[index].config[offset + byte];
        *at = (uint8_t)((*at & ~bits) | (value >> 8 * byte & bits));
    }
}

static uint32_t get(const struct pci_function *f, unsigned offset)
{
    return f->config[offset] | (uint32_t)f->config[offset + 1] << 8 | (uint32_t)f->config[offset + 2] << 16 | (uint32_t)f->config[offset + 3] << 24;
}

unsigned pci_decode(const struct pci *pci, bool io, uint64_t address, unsigned *bar, uint32_t *offset)
{
    for (unsigned i = PCI_FUNCTIONS; i < PCI_ALL && pci->function[i].present; i++) {
        const struct pci_function *f = &pci->function[i];

        if (!(f->config[PCI_COMMAND] & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
            continue;
        for (unsigned b = 0; b < PCI_BARS; b++) {
            uint32_t value = get(f, PCI_BAR0 + 4 * b), base = value & (io ? ~3u : ~0xfu);

            if (!f->bar_size[b] || (value & PCI_BAR_IO) != io || address < base || address - base >= f->bar_size[b])
                continue;
            *bar = b;
            *offset = (uint32_t)(address - base);
            return i;
        }
    }
    return PCI_NOBODY;
}

bool pci_may_master(const struct pci *pci, unsigned index)
{
    return pci->function[index].config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

/* ---- ports and memory ---- */

/* Is the function a virtio device, which has more in its configuration space than bytes? */
static bool is_virtio(const struct board *board, unsigned index)
{
    return index >= PCI_FUNCTIONS && index != PCI_NOBODY && board->virtio[index - PCI_FUNCTIONS].kind;
}

static uint32_t config_read(struct board *board, uint16_t where, unsigned offset, unsigned size)
{
    unsigned index = pci_function_at(&board->pci, where);

    if (is_virtio(board, index))
        virtio_config_read(board, index - PCI_FUNCTIONS, offset, size);
    return pci_config_read(&board->pci, index, offset, size);
}

/* The bridge's routing may have changed, or a device's command register or capabilities. */
static void config_write(struct board *board, uint16_t where, unsigned offset, unsigned size, uint32_t value)
{
    unsigned index = pci_function_at(&board->pci, where);

    pci_config_write(&board->pci, index, offset, size, value);
    if (is_virtio(board, index))
        virtio_config_written(board, index - PCI_FUNCTIONS, offset, size);
    edu_config_written(board, index);
    board_pci_lines(board);
}

/*
 * The register that an access to the data port reaches. Bits 1:0 of the address are reserved (PCI 3.2.2.3.2); programs that were only ever run on
 * emulators put the register's there and use the first data port: as there, they count as if the port had been the right one.
 */
static unsigned data_offset(const struct pci *pci, uint16_t port, unsigned size)
{
    unsigned given = port - (unsigned)PCI_DATA, low = (pci->address & 3) | given;

    return (pci->address & 0xfc) + (low + size <= 4 ? low : given);
}

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
    return config_read(board, (uint16_t)(pci->address >> 8), data_offset(pci, port, size), size);
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
        pci->address = value & (ADDRESS_ENABLE | 0xffffff);
    else if (port == PCI_RESET && size == 1)
        write_reset_control(board, (uint8_t)value);
    else if (port >= PCI_DATA && (pci->address & ADDRESS_ENABLE))
        config_write(board, (uint16_t)(pci->address >> 8), data_offset(pci, port, size), size, value);
}

/* An address is bus, device, function, and 4 KB for each, of which what lies beyond 256 bytes is not there: it reads as zeros. */
uint64_t ecam_load(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size)
{
    uint16_t where = (uint16_t)((pa - ECAM_BASE) >> 12);
    unsigned offset = pa & 0xfff;

    (void)cpu;
    if (size > 4 || offset % size)
        return ~0ull;
    return config_read(board, where, offset, size);
}

void ecam_store(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    unsigned offset = pa & 0xfff;

    (void)cpu;
    if (size <= 4 && offset % size == 0)
        config_write(board, (uint16_t)((pa - ECAM_BASE) >> 12), offset, size, (uint32_t)value);
}

/* ---- interrupt lines ---- */

unsigned pci_pirq(unsigned device, unsigned pin)
{
    return (device + pin - 1) % PCI_PIRQS;
}

void pci_request(struct pci *pci, unsigned index, bool asks)
{
    struct pci_function *f = &pci->function[index];
    unsigned pirq = pci_pirq(f->where >> 3 & 31, f->config[PCI_INTERRUPT_PIN]);
    bool level = asks && !(get(f, PCI_COMMAND) & PCI_COMMAND_NO_INTX);

    f->config[PCI_STATUS] = (uint8_t)((f->config[PCI_STATUS] & ~PCI_STATUS_INTERRUPT) | (asks ? PCI_STATUS_INTERRUPT : 0));
    pci->lines[pirq] = level ? pci->lines[pirq] | 1u << index : pci->lines[pirq] & ~(1u << index);
}

int pci_route(const struct pci *pci, unsigned pirq)
{
    uint8_t value = pci->function[PCI_lpc].config[(pirq < 4 ? 0x60 : 0x68) + pirq % 4];

    return value & PIRQ_OFF ? -1 : value & 0xf;
}

/*
 * A PIRQ is an input of the IOAPIC and, where the bridge routes it, a line of the PIC, which several may hold (ICH9, 5.8.6, 5.9.3). The IOAPIC's
 * input of that number follows, as on QEMU's board of this kind: programs take the interrupt line register for it.
 */
void board_pci_lines(struct board *board)
{
    struct pci *pci = &board->pci;
    uint16_t up = 0, held = 0, was = pci->held;

    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++) {
        int irq = pci_route(pci, pirq);

        up |= (uint16_t)((pci->lines[pirq] != 0) << pirq);
        if (irq >= 0 && pci->lines[pirq])
            held |= (uint16_t)(1u << irq);
    }
    for (unsigned pirq = 0; pirq < PCI_PIRQS; pirq++)
        if ((up ^ pci->up) >> pirq & 1)
            board_hold(board, LINE_PCI, PCI_PIRQ_PIN + pirq, up >> pirq & 1);
    pci->held = held;
    for (unsigned irq = 0; irq < 16; irq++)
        if ((held ^ was) >> irq & 1)
            board_drive(board, irq);
    if (up != pci->up || held != was)
        board_kick(board);
    pci->up = up;
}
