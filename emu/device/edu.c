/* SPDX-License-Identifier: MIT */
/* The device to learn on. What it does takes no time: a DMA is done when the command register has been written. */
#include <string.h>

#include "emu/device/board.h"

enum { VENDOR = 0x1234, DEVICE = 0x11e8, REVISION = 0x10, CLASS = 0x00ff00, BAR_ADDRESS = 0xf1000000, BAR_SIZE = 0x100000 };
enum { CAP_MSI = 0x40, MSI_ID = 0x05, MSI_CONTROL = CAP_MSI + 2, MSI_ADDRESS = CAP_MSI + 4, MSI_DATA = CAP_MSI + 12, MSI_64 = 0x80, MSI_ON = 1 };
enum register_offset { ID = 0x00, LIVENESS = 0x04, FACTORIAL = 0x08, STATUS = 0x20, IRQ_STATUS = 0x24, IRQ_RAISE = 0x60, IRQ_ACKNOWLEDGE = 0x64, DMA_SOURCE = 0x80,
                       DMA_DESTINATION = 0x88, DMA_COUNT = 0x90, DMA_COMMAND = 0x98 };
enum { IDENTIFICATION = 0x010000ed, STATUS_INTERRUPT = 0x80, IRQ_FACTORIAL = 0x1, IRQ_DMA = 0x100 };
enum { DMA_RUN = 1, DMA_TO_MEMORY = 2, DMA_INTERRUPT = 4 };
#define DMA_ADDRESSES 0x0fffffffull             /* 28 address lines */

static struct pci_function *function(struct board *board)
{
    return &board->pci.function[board->edu.index];
}

bool edu_plug(struct board *board)
{
    const struct pci_identity identity = { VENDOR, DEVICE, 0x1af4, 0x1100, REVISION, CLASS };
    unsigned index = pci_plug(&board->pci, &identity);

    if (index == PCI_NOBODY)
        return false;
    board->edu = (struct edu){ .plugged = true, .index = index };
    pci_bar(&board->pci, index, 0, false, BAR_SIZE, BAR_ADDRESS);

    struct pci_function *f = function(board);
    f->config[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    f->config[PCI_CAPABILITIES] = CAP_MSI;
    f->config[PCI_INTERRUPT_LINE] = (uint8_t)(PCI_PIRQ_PIN + pci_pirq(f->where >> 3 & 31, 1));     /* its input of the IOAPIC */
    f->config[CAP_MSI] = MSI_ID;
    f->config[MSI_CONTROL] = MSI_64;
    f->writable[MSI_CONTROL] = MSI_ON;
    memset(f->writable + MSI_ADDRESS, 0xff, 10);
    f->writable[MSI_ADDRESS] = 0xfc;
    return true;
}

/* ---- interrupts ---- */

static bool by_message(struct board *board)
{
    return function(board)->config[MSI_CONTROL] & MSI_ON;
}

static void lines(struct board *board)
{
    pci_request(&board->pci, board->edu.index, board->edu.irq && !by_message(board));
    board_pci_lines(board);
}

static void raise_irq(struct board *board, uint32_t bits)
{
    const struct pci *pci = &board->pci;
    unsigned index = board->edu.index;
    uint64_t address = pci_config_read(pci, index, MSI_ADDRESS, 4) | (uint64_t)pci_config_read(pci, index, MSI_ADDRESS + 4, 4) << 32;

    board->edu.irq |= bits;
    if (board->edu.irq && by_message(board))
        board_message(board, function(board)->where, address, pci_config_read(pci, index, MSI_DATA, 2));
    lines(board);
}

void edu_config_written(struct board *board, unsigned index)
{
    if (board->edu.plugged && index == board->edu.index)
        lines(board);
}

/* ---- DMA: between memory and the buffer ---- */

static bool in_buffer(uint64_t at, uint64_t count)
{
    return at >= EDU_BUFFER && count <= EDU_BUFFER_SIZE && at - EDU_BUFFER <= EDU_BUFFER_SIZE - count;
}

/* What lies outside the buffer, and what the bus refuses, moves nothing; a refused read leaves zeros. */
static void run_dma(struct board *board)
{
    struct edu *edu = &board->edu;
    const struct dma dma = board_dma(board, function(board)->where);
    bool to_memory = edu->command & DMA_TO_MEMORY;
    uint64_t inside = to_memory ? edu->source : edu->destination, outside = (to_memory ? edu->destination : edu->source) & DMA_ADDRESSES;

    if (in_buffer(inside, edu->count) && pci_may_master(&board->pci, edu->index)) {
        uint8_t *buffer = edu->buffer + (inside - EDU_BUFFER);

        if (to_memory) {
            dma_write(&dma, outside, buffer, edu->count);
        } else {
            size_t got = dma_read(&dma, outside, buffer, edu->count);

            memset(buffer + got, 0, edu->count - got);
        }
    }
    edu->command &= ~(uint64_t)DMA_RUN;
    if (edu->command & DMA_INTERRUPT)
        raise_irq(board, IRQ_DMA);
}

/* ---- registers ---- */

static uint64_t *dma_register(struct edu *edu, uint32_t offset)
{
    switch (offset & ~7u) {
    case DMA_SOURCE:
        return &edu->source;
    case DMA_DESTINATION:
        return &edu->destination;
    case DMA_COUNT:
        return &edu->count;
    case DMA_COMMAND:
        return &edu->command;
    default:
        return NULL;
    }
}

static uint64_t read_register(struct edu *edu, uint32_t offset, unsigned size)
{
    const uint64_t *dma = dma_register(edu, offset);

    if (dma && (size == 4 || size == 8))
        return *dma >> 8 * (offset & 4);
    if (size != 4)
        return ~0ull;
    switch ((enum register_offset)offset) {
    case ID:
        return IDENTIFICATION;
    case LIVENESS:
        return edu->liveness;
    case FACTORIAL:
        return edu->factorial;
    case STATUS:
        return edu->status;
    case IRQ_STATUS:
        return edu->irq;
    default:
        return ~0ull;
    }
}

static uint32_t factorial(uint32_t n)
{
    uint32_t product = 1;

    for (; n > 1 && product; n--)               /* from 34! on it is 0 modulo 2 to the 32 */
        product *= n;
    return product;
}

static void write_register(struct board *board, uint32_t offset, unsigned size, uint64_t value)
{
    struct edu *edu = &board->edu;
    uint64_t *dma = dma_register(edu, offset);

    if (dma && (size == 4 || size == 8)) {
        *dma = size == 8 ? value : offset & 4 ? (*dma & 0xffffffff) | value << 32 : (*dma & ~0xffffffffull) | (uint32_t)value;
        if (dma == &edu->command && (edu->command & DMA_RUN))
            run_dma(board);
        return;
    }
    if (size != 4)
        return;
    switch ((enum register_offset)offset) {
    case LIVENESS:
        edu->liveness = ~(uint32_t)value;
        break;
    case FACTORIAL:
        edu->factorial = factorial((uint32_t)value);
        if (edu->status & STATUS_INTERRUPT)
            raise_irq(board, IRQ_FACTORIAL);
        break;
    case STATUS:
        edu->status = value & STATUS_INTERRUPT;
        break;
    case IRQ_RAISE:
        raise_irq(board, (uint32_t)value);
        break;
    case IRQ_ACKNOWLEDGE:
        edu->irq &= ~(uint32_t)value;
        lines(board);
        break;
    default:
        break;
    }
}

static bool decodes(struct board *board, uint64_t address, uint32_t *offset)
{
    unsigned bar;

    return board->edu.plugged && pci_decode(&board->pci, false, address, &bar, offset) == board->edu.index;
}

bool edu_bar_read(struct board *board, uint64_t address, unsigned size, uint64_t *value)
{
    uint32_t offset;

    if (!decodes(board, address, &offset))
        return false;
    *value = read_register(&board->edu, offset, size);
    return true;
}

bool edu_bar_write(struct board *board, uint64_t address, unsigned size, uint64_t value)
{
    uint32_t offset;

    if (!decodes(board, address, &offset))
        return false;
    write_register(board, offset, size, value);
    return true;
}
