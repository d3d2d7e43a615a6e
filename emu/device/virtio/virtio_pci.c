/* SPDX-License-Identifier: MIT */
/*
 * Virtio over PCI: VirtIO 1.2, 4.1. BAR 0: the ports of the interface before version 1. BAR 1: MSI-X table and pending bits. BAR 4: the
 * structures of version 1, one a page.
 */
#include <string.h>

#include "emu/device/board.h"

enum { BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4, LEGACY_PORTS = 0x80, MSIX_SIZE = 0x1000, MODERN_SIZE = 0x4000, PAGE = 0x1000 };
enum { FIRST_PORT = 0xc000, FIRST_ADDRESS = 0xf0000000, ADDRESS_STEP = 0x10000, MODERN_AT = 0x4000 };
enum { VENDOR_VIRTIO = 0x1af4, PENDING_AT = 0x800, ENTRY_SIZE = 16, ENTRY_MASKED = 1 };
enum structure { COMMON = 1, NOTIFY = 2, ISR = 3, DEVICE = 4, WINDOW = 5 };
/* Capabilities in configuration space (VirtIO 4.1.4; PCI 6.8.2), each followed by the next. */
enum { CAP_COMMON = 0x40, CAP_NOTIFY = 0x50, CAP_ISR = 0x64, CAP_DEVICE = 0x74, CAP_WINDOW = 0x84, CAP_MSIX = 0x98, CAP_VENDOR = 9, CAP_ID_MSIX = 0x11 };
enum { WINDOW_BAR = CAP_WINDOW + 4, WINDOW_OFFSET = CAP_WINDOW + 8, WINDOW_LENGTH = CAP_WINDOW + 12, WINDOW_DATA = CAP_WINDOW + 16 };
enum { MSIX_CONTROL = CAP_MSIX + 2, MSIX_ON = 0x8000, MSIX_MASKED = 0x4000, NOTIFY_MULTIPLIER = 4 };

static const struct { uint16_t id, pci_id; uint32_t class; } kinds[] = {
    { 0, 0, 0 },
#define VIRTIO(noun, id, pci_id, class, queues, config) { id, pci_id, class },
#include "emu/device/virtio/virtio.def"
#undef VIRTIO
};

static void put(uint8_t *to, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get(const uint8_t *from, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)from[i] << 8 * i;
    return value;
}

static struct pci_function *function(struct board *board, const struct virtio *v) { return &board->pci.function[PCI_FUNCTIONS + v->index]; }

/* struct virtio_pci_cap. */
static void capability(uint8_t *config, unsigned at, unsigned next, unsigned size, enum structure what, uint32_t length)
{
    uint8_t *to = config + at;

    put(to, CAP_VENDOR | next << 8 | size << 16 | (uint32_t)what << 24, 4);
    to[4] = what == WINDOW ? 0 : BAR_MODERN;
    put(to + 8, what == WINDOW ? 0 : (what - 1) * PAGE, 4);
    put(to + 12, length, 4);
}

static void capabilities(struct pci_function *f)
{
    uint8_t *c = f->config;

    c[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
    c[PCI_CAPABILITIES] = CAP_COMMON;
    capability(c, CAP_COMMON, CAP_NOTIFY, 16, COMMON, PAGE);
    capability(c, CAP_NOTIFY, CAP_ISR, 20, NOTIFY, PAGE);
    put(c + CAP_NOTIFY + 16, NOTIFY_MULTIPLIER, 4);
    capability(c, CAP_ISR, CAP_DEVICE, 16, ISR, PAGE);
    capability(c, CAP_DEVICE, CAP_WINDOW, 16, DEVICE, PAGE);
    capability(c, CAP_WINDOW, CAP_MSIX, 20, WINDOW, 0);
    f->writable[WINDOW_BAR] = 0xff;
    memset(f->writable + WINDOW_OFFSET, 0xff, 12);          /* offset, length, data */
    put(c + CAP_MSIX, CAP_ID_MSIX | (VIRTIO_VECTORS - 1) << 16, 4);
    put(c + CAP_MSIX + 4, BAR_MSIX, 4);
    put(c + CAP_MSIX + 8, PENDING_AT | BAR_MSIX, 4);
    put(f->writable + MSIX_CONTROL, MSIX_ON | MSIX_MASKED, 2);
}

struct virtio *virtio_plug(struct board *board, enum virtio_kind kind)
{
    const struct pci_identity identity = { VENDOR_VIRTIO, kinds[kind].pci_id, VENDOR_VIRTIO, kinds[kind].id, 0, kinds[kind].class };
    unsigned at = pci_plug(&board->pci, &identity);

    if (at == PCI_NOBODY)
        return NULL;
    unsigned index = at - PCI_FUNCTIONS;
    struct virtio *v = &board->virtio[index];
    *v = (struct virtio){ .kind = kind, .index = index, .dma = board_dma(board, board->pci.function[at].where) };
    uint32_t base = FIRST_ADDRESS + index * ADDRESS_STEP;
    pci_bar(&board->pci, at, BAR_LEGACY, true, LEGACY_PORTS, FIRST_PORT + index * LEGACY_PORTS);
    pci_bar(&board->pci, at, BAR_MSIX, false, MSIX_SIZE, base);
    pci_bar(&board->pci, at, BAR_MODERN, false, MODERN_SIZE, base + MODERN_AT);
    capabilities(&board->pci.function[at]);
    for (unsigned i = 0; i < VIRTIO_VECTORS; i++)
        v->message[i].control = ENTRY_MASKED;
    virtio_reset(board, v);
    return v;
}

/* ---- interrupts ---- */

static uint32_t msix_control(struct board *board, const struct virtio *v) { return get(function(board, v)->config + MSIX_CONTROL, 2); }

bool virtio_msix_on(struct board *board, const struct virtio *v) { return msix_control(board, v) & MSIX_ON; }

/* INTx holds as long as the ISR is not read, and not at all with MSI-X (VirtIO 4.1.4.5, PCI 6.8.3.3). */
void virtio_interrupt_lines(struct board *board, struct virtio *v)
{
    pci_request(&board->pci, PCI_FUNCTIONS + v->index, v->isr && !virtio_msix_on(board, v));
    board_pci_lines(board);
}

/* Sends what is pending and no longer masked. */
static void send_messages(struct board *board, struct virtio *v)
{
    if ((msix_control(board, v) & (MSIX_ON | MSIX_MASKED)) != MSIX_ON)
        return;
    for (unsigned i = 0; i < VIRTIO_VECTORS; i++) {
        if (!(v->pending >> i & 1) || (v->message[i].control & ENTRY_MASKED))
            continue;
        v->pending &= (uint8_t)~(1u << i);
        board_message(board, function(board, v)->where, v->message[i].address, v->message[i].data);
    }
}

void virtio_interrupt(struct board *board, struct virtio *v, int queue)
{
    uint16_t vector = queue == VIRTIO_CONFIG_CHANGE ? v->config_vector : v->queue[queue].vector;

    if (virtio_msix_on(board, v)) {
        if (vector < VIRTIO_VECTORS)
            v->pending |= (uint8_t)(1u << vector);
        send_messages(board, v);
        return;
    }
    v->isr |= queue == VIRTIO_CONFIG_CHANGE ? 2 : 1;
    virtio_interrupt_lines(board, v);
}

uint8_t virtio_isr_read(struct board *board, struct virtio *v)
{
    uint8_t value = v->isr;

    v->isr = 0;
    virtio_interrupt_lines(board, v);
    return value;
}

/* An entry: address, data, vector control, in double words, two of which may be accessed at once (PCI 6.8.3.2). */
static uint32_t table_word(const struct virtio *v, unsigned offset)
{
    unsigned i = offset / ENTRY_SIZE;

    if (offset == PENDING_AT)
        return v->pending;
    if (i >= VIRTIO_VECTORS)
        return 0;
    switch (offset % ENTRY_SIZE / 4) {
    case 0:
        return (uint32_t)v->message[i].address;
    case 1:
        return (uint32_t)(v->message[i].address >> 32);
    case 2:
        return v->message[i].data;
    }
    return v->message[i].control;
}

static void write_table_word(struct virtio *v, unsigned offset, uint32_t value)
{
    unsigned i = offset / ENTRY_SIZE;

    if (i >= VIRTIO_VECTORS)
        return;
    switch (offset % ENTRY_SIZE / 4) {
    case 0:
        v->message[i].address = (v->message[i].address & ~0xffffffffull) | (value & ~3u);
        break;
    case 1:
        v->message[i].address = (v->message[i].address & 0xffffffff) | (uint64_t)value << 32;
        break;
    case 2:
        v->message[i].data = value;
        break;
    case 3:
        v->message[i].control = value & ENTRY_MASKED;
        break;
    }
}

static uint64_t read_table(const struct virtio *v, unsigned offset, unsigned size)
{
    if (size == 8)
        return table_word(v, offset) | (uint64_t)table_word(v, offset + 4) << 32;
    return table_word(v, offset & ~3u) >> 8 * (offset & 3);
}

static void write_table(struct board *board, struct virtio *v, unsigned offset, unsigned size, uint64_t value)
{
    if (size < 4 || offset % size)
        return;
    write_table_word(v, offset, (uint32_t)value);
    if (size == 8)
        write_table_word(v, offset + 4, (uint32_t)(value >> 32));
    send_messages(board, v);
}

/* ---- BARs ---- */

static uint64_t read_structure(struct board *board, struct virtio *v, unsigned offset, unsigned size)
{
    switch (offset / PAGE + 1) {
    case COMMON:
        return offset < PAGE - 8 ? virtio_common_read(v, offset, size) : 0;
    case ISR:
        return offset % PAGE == 0 ? virtio_isr_read(board, v) : 0;
    case DEVICE:
        return virtio_device_read(v, offset % PAGE, size);
    }
    return 0;
}

static void write_structure(struct board *board, struct virtio *v, unsigned offset, unsigned size, uint64_t value)
{
    switch (offset / PAGE + 1) {
    case COMMON:
        virtio_common_write(board, v, offset, size, value);
        break;
    case NOTIFY:                        /* the queue's number is the place and, as nothing else was negotiated, the value */
        if (offset % NOTIFY_MULTIPLIER == 0)
            virtio_notify(board, v, offset % PAGE / NOTIFY_MULTIPLIER);
        break;
    }
}

static uint64_t bar_read(struct board *board, struct virtio *v, unsigned bar, uint32_t offset, unsigned size)
{
    if (bar == BAR_LEGACY)
        return virtio_legacy_read(board, v, offset, size);
    return bar == BAR_MSIX ? read_table(v, offset, size) : read_structure(board, v, offset, size);
}

static void bar_write(struct board *board, struct virtio *v, unsigned bar, uint32_t offset, unsigned size, uint64_t value)
{
    if (bar == BAR_LEGACY)
        virtio_legacy_write(board, v, offset, size, (uint32_t)value);
    else if (bar == BAR_MSIX)
        write_table(board, v, offset, size, value);
    else
        write_structure(board, v, offset, size, value);
}

bool virtio_bar_read(struct board *board, bool io, uint64_t address, unsigned size, uint64_t *value)
{
    uint32_t offset;
    unsigned bar, at = pci_decode(&board->pci, io, address, &bar, &offset);

    if (at == PCI_NOBODY)
        return false;
    *value = bar_read(board, &board->virtio[at - PCI_FUNCTIONS], bar, offset, size);
    return true;
}

bool virtio_bar_write(struct board *board, bool io, uint64_t address, unsigned size, uint64_t value)
{
    uint32_t offset;
    unsigned bar, at = pci_decode(&board->pci, io, address, &bar, &offset);

    if (at == PCI_NOBODY)
        return false;
    bar_write(board, &board->virtio[at - PCI_FUNCTIONS], bar, offset, size, value);
    return true;
}

/* ---- configuration space ---- */

/* The window to the BARs (VirtIO 4.1.4.9): where its fields point, if that is an access. */
static bool window(const struct pci_function *f, unsigned *bar, uint32_t *offset, unsigned *size)
{
    *bar = f->config[WINDOW_BAR];
    *offset = get(f->config + WINDOW_OFFSET, 4);
    *size = get(f->config + WINDOW_LENGTH, 4);
    return *bar < PCI_BARS && f->bar_size[*bar] && (*size == 1 || *size == 2 || *size == 4) && *offset % *size == 0 &&
           *offset < f->bar_size[*bar] && *size <= f->bar_size[*bar] - *offset;
}

static bool covers_data(unsigned offset, unsigned size)
{
    return offset < WINDOW_DATA + 4 && offset + size > WINDOW_DATA;
}

void virtio_config_read(struct board *board, unsigned index, unsigned offset, unsigned size)
{
    struct virtio *v = &board->virtio[index];
    struct pci_function *f = function(board, v);
    uint32_t at;
    unsigned bar, length;

    if (covers_data(offset, size) && window(f, &bar, &at, &length))
        put(f->config + WINDOW_DATA, (uint32_t)bar_read(board, v, bar, at, length), length);
}

void virtio_config_written(struct board *board, unsigned index, unsigned offset, unsigned size)
{
    struct virtio *v = &board->virtio[index];
    struct pci_function *f = function(board, v);
    uint32_t at;
    unsigned bar, length;

    if (covers_data(offset, size) && window(f, &bar, &at, &length))
        bar_write(board, v, bar, at, length, get(f->config + WINDOW_DATA, length));
    send_messages(board, v);
    virtio_interrupt_lines(board, v);
}
