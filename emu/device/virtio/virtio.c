/* SPDX-License-Identifier: MIT */
/* What all virtio devices have in common: features, status, queues, and the registers for them (VirtIO 1.2, 2 and 4.1.4). */
#include "emu/device/virtio/virtio.h"

#include <stdio.h>
#include <string.h>

#include "emu/device/board.h"

enum { CONFIG_MAX = 64 };
#define FEATURES_OF_ALL (FEATURE_INDIRECT | FEATURE_EVENT_INDEX | FEATURE_VERSION_1)

static const struct { const char *name; uint8_t queues, config; } kinds[] = {
    { "none", 0, 0 },
#define VIRTIO(noun, id, pci_id, class, queues, config) { #noun, queues, config },
#include "emu/device/virtio/virtio.def"
#undef VIRTIO
};

static uint64_t offered(const struct virtio *v)
{
    switch (v->kind) {
#define VIRTIO(noun, id, pci_id, class, queues, config) \
    case VIRTIO_##noun: \
        return FEATURES_OF_ALL | noun##_features(v) | (v->dma.iommu ? FEATURE_ACCESS_PLATFORM : 0);
#include "emu/device/virtio/virtio.def"
#undef VIRTIO
    case VIRTIO_NONE:
        break;
    }
    return 0;
}

bool virtio_has(const struct virtio *v, uint64_t feature) { return v->accepted & feature; }

void virtio_reset(struct board *board, struct virtio *v)
{
    struct virtio fresh = { .kind = v->kind, .index = v->index, .random = v->random, .sent = v->sent, .dma = v->dma, .host = v->host };

    memcpy(fresh.message, v->message, sizeof v->message);       /* the MSI-X table is the PCI function's */
    fresh.pending = v->pending;
    *v = fresh;
    v->config_vector = VIRTIO_NO_VECTOR;
    for (unsigned i = 0; i < VIRTIO_QUEUES; i++)
        v->queue[i] = (struct virtqueue){ .size = VIRTQUEUE_SIZE, .vector = VIRTIO_NO_VECTOR };
    virtio_interrupt_lines(board, v);
}

void virtio_needs_reset(struct board *board, struct virtio *v, const char *fault)
{
    char text[200];

    snprintf(text, sizeof text, "the virtio %s device (PCI 00:%02x.0) stops and needs a reset: %s", kinds[v->kind].name, v->index + 1, fault);
    board_warn(board, text);
    v->status |= VIRTIO_STATUS_NEEDS_RESET;
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        virtio_interrupt(board, v, VIRTIO_CONFIG_CHANGE);
}

/* ---- queues ---- */

bool virtio_pop(struct board *board, struct virtio *v, unsigned queue, struct chain *chain)
{
    const char *fault = NULL;

    if ((v->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) != VIRTIO_STATUS_DRIVER_OK || !pci_may_master(&board->pci, PCI_FUNCTIONS + v->index))
        return false;
    switch (virtqueue_pop(&v->dma, &v->queue[queue], virtio_has(v, FEATURE_EVENT_INDEX), virtio_has(v, FEATURE_INDIRECT), chain,
                          &fault)) {
    case VIRTQUEUE_CHAIN:
        return true;
    case VIRTQUEUE_BROKEN:
        virtio_needs_reset(board, v, fault);
        break;
    case VIRTQUEUE_EMPTY:
        break;
    }
    return false;
}

void virtio_push(struct board *board, struct virtio *v, unsigned queue, const struct chain *chain, uint32_t written)
{
    const char *fault = virtqueue_push(&v->dma, &v->queue[queue], chain, written);

    if (fault)
        virtio_needs_reset(board, v, fault);
}

void virtio_pushed(struct board *board, struct virtio *v, unsigned queue)
{
    if (virtqueue_signals(&v->dma, &v->queue[queue], virtio_has(v, FEATURE_EVENT_INDEX)))
        virtio_interrupt(board, v, (int)queue);
}

void virtio_notify(struct board *board, struct virtio *v, unsigned queue)
{
    if (queue >= kinds[v->kind].queues)
        return;
    switch (v->kind) {
#define VIRTIO(noun, id, pci_id, class, queues, config) \
    case VIRTIO_##noun: \
        noun##_notified(board, v, queue); \
        break;
#include "emu/device/virtio/virtio.def"
#undef VIRTIO
    case VIRTIO_NONE:
        break;
    }
}

/* ---- registers ---- */

static uint64_t bytes(const uint8_t *from, unsigned length, unsigned offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size && offset + i < length; i++)
        value |= (uint64_t)from[offset + i] << 8 * i;
    return value;
}

uint64_t virtio_device_read(const struct virtio *v, unsigned offset, unsigned size)
{
    uint8_t config[CONFIG_MAX] = { 0 };

    switch (v->kind) {
#define VIRTIO(noun, id, pci_id, class, queues, size_) \
    case VIRTIO_##noun: \
        noun##_config(v, config); \
        break;
#include "emu/device/virtio/virtio.def"
#undef VIRTIO
    case VIRTIO_NONE:
        break;
    }
    return offset < kinds[v->kind].config ? bytes(config, kinds[v->kind].config, offset, size) : 0;
}

/* The structure of VirtIO 4.1.4.3. */
enum common { DEVICE_SELECT = 0, DEVICE_FEATURES = 4, DRIVER_SELECT = 8, DRIVER_FEATURES = 12, CONFIG_VECTOR = 16, NUM_QUEUES = 18, DEVICE_STATUS = 20,
              GENERATION = 21, QUEUE_SELECT = 22, QUEUE_SIZE = 24, QUEUE_VECTOR = 26, QUEUE_ENABLE = 28, QUEUE_NOTIFY_OFF = 30, QUEUE_DESCRIPTORS = 32,
              QUEUE_AVAILABLE = 40, QUEUE_USED = 48, COMMON_SIZE = 56 };
static const struct { uint8_t offset, size; } fields[] = {
    { DEVICE_SELECT, 4 }, { DEVICE_FEATURES, 4 }, { DRIVER_SELECT, 4 }, { DRIVER_FEATURES, 4 }, { CONFIG_VECTOR, 2 }, { NUM_QUEUES, 2 },
    { DEVICE_STATUS, 1 }, { GENERATION, 1 }, { QUEUE_SELECT, 2 }, { QUEUE_SIZE, 2 }, { QUEUE_VECTOR, 2 }, { QUEUE_ENABLE, 2 },
    { QUEUE_NOTIFY_OFF, 2 }, { QUEUE_DESCRIPTORS, 4 }, { QUEUE_DESCRIPTORS + 4, 4 }, { QUEUE_AVAILABLE, 4 }, { QUEUE_AVAILABLE + 4, 4 },
    { QUEUE_USED, 4 }, { QUEUE_USED + 4, 4 },
};

/* NULL: there is no such queue, and its registers read as zeros. */
static struct virtqueue *selected(const struct virtio *v)
{
    return v->queue_select < kinds[v->kind].queues ? (struct virtqueue *)&v->queue[v->queue_select] : NULL;
}

static uint32_t common_field(const struct virtio *v, unsigned offset)
{
    const struct virtqueue *q = selected(v);

    switch (offset) {
    case DEVICE_SELECT:
        return v->offered_select;
    case DEVICE_FEATURES:
        return v->offered_select < 2 ? (uint32_t)(offered(v) >> 32 * v->offered_select) : 0;
    case DRIVER_SELECT:
        return v->accepted_select;
    case DRIVER_FEATURES:
        return v->accepted_select < 2 ? (uint32_t)(v->accepted >> 32 * v->accepted_select) : 0;
    case CONFIG_VECTOR:
        return v->config_vector;
    case NUM_QUEUES:
        return kinds[v->kind].queues;
    case DEVICE_STATUS:
        return v->status;
    case QUEUE_SELECT:
        return v->queue_select;
    }
    if (!q)
        return 0;
    switch (offset) {
    case QUEUE_SIZE:
        return q->size;
    case QUEUE_VECTOR:
        return q->vector;
    case QUEUE_ENABLE:
        return q->enabled;
    case QUEUE_NOTIFY_OFF:
        return v->queue_select;
    case QUEUE_DESCRIPTORS:
    case QUEUE_DESCRIPTORS + 4:
        return (uint32_t)(q->descriptors >> 8 * (offset - QUEUE_DESCRIPTORS));
    case QUEUE_AVAILABLE:
    case QUEUE_AVAILABLE + 4:
        return (uint32_t)(q->available >> 8 * (offset - QUEUE_AVAILABLE));
    case QUEUE_USED:
    case QUEUE_USED + 4:
        return (uint32_t)(q->used >> 8 * (offset - QUEUE_USED));
    }
    return 0;
}

uint64_t virtio_common_read(const struct virtio *v, unsigned offset, unsigned size)
{
    uint8_t image[COMMON_SIZE];

    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        uint32_t value = common_field(v, fields[i].offset);

        for (unsigned byte = 0; byte < fields[i].size; byte++)
            image[fields[i].offset + byte] = (uint8_t)(value >> 8 * byte);
    }
    return bytes(image, sizeof image, offset, size);
}

static uint16_t vector(uint32_t value)
{
    return value < VIRTIO_VECTORS ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

/* A driver that wants what was not offered, or has not accepted version 1 here, is told so: FEATURES_OK stays 0 (VirtIO 2.2.2, VirtIO 6.1). */
static void write_status(struct board *board, struct virtio *v, uint8_t value, bool legacy)
{
    bool agreed = !(v->accepted & ~offered(v)) && (legacy || virtio_has(v, FEATURE_VERSION_1));

    if (!value) {
        virtio_reset(board, v);
        return;
    }
    if ((value & VIRTIO_STATUS_FEATURES_OK) && !agreed)
        value &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
    v->status = value | (v->status & VIRTIO_STATUS_NEEDS_RESET);
}

static void set_half(uint64_t *value, unsigned half, uint32_t to)
{
    *value = half ? (*value & 0xffffffff) | (uint64_t)to << 32 : (*value & ~0xffffffffull) | to;
}

/* A queue's addresses and size are set before it is enabled (VirtIO 4.1.4.3.2); afterwards they stay. */
static void write_queue(struct virtqueue *q, unsigned offset, uint32_t value)
{
    if (offset == QUEUE_VECTOR)
        q->vector = vector(value);
    if (offset == QUEUE_VECTOR || q->enabled)
        return;
    switch (offset) {
    case QUEUE_SIZE:
        if (value && value <= VIRTQUEUE_SIZE && !(value & (value - 1)))
            q->size = (uint16_t)value;
        break;
    case QUEUE_ENABLE:
        q->enabled = value == 1;
        break;
    case QUEUE_DESCRIPTORS:
    case QUEUE_DESCRIPTORS + 4:
        set_half(&q->descriptors, offset - QUEUE_DESCRIPTORS, value);
        break;
    case QUEUE_AVAILABLE:
    case QUEUE_AVAILABLE + 4:
        set_half(&q->available, offset - QUEUE_AVAILABLE, value);
        break;
    case QUEUE_USED:
    case QUEUE_USED + 4:
        set_half(&q->used, offset - QUEUE_USED, value);
        break;
    }
}

static void write_field(struct board *board, struct virtio *v, unsigned offset, uint32_t value)
{
    switch (offset) {
    case DEVICE_SELECT:
        v->offered_select = value;
        break;
    case DRIVER_SELECT:
        v->accepted_select = value;
        break;
    case DRIVER_FEATURES:
        if (v->accepted_select < 2 && !(v->status & VIRTIO_STATUS_FEATURES_OK))
            set_half(&v->accepted, v->accepted_select, value);
        break;
    case CONFIG_VECTOR:
        v->config_vector = vector(value);
        break;
    case DEVICE_STATUS:
        write_status(board, v, (uint8_t)value, false);
        break;
    case QUEUE_SELECT:
        v->queue_select = (uint16_t)value;
        break;
    default:
        if (selected(v))
            write_queue(selected(v), offset, value);
    }
}

/* A driver writes fields whole (VirtIO 4.1.3.1): a write that covers a part of one does nothing to it. */
void virtio_common_write(struct board *board, struct virtio *v, unsigned offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        unsigned at = fields[i].offset;

        if (at >= offset && at + fields[i].size <= offset + size)
            write_field(board, v, at, (uint32_t)(value >> 8 * (at - offset) & ((1ull << 8 * fields[i].size) - 1)));
    }
}

/* ---- the interface before version 1 (VirtIO 4.1.4.8) ---- */

enum legacy { HOST_FEATURES = 0, GUEST_FEATURES = 4, QUEUE_PFN = 8, LEGACY_SIZE = 12, LEGACY_SELECT = 14, LEGACY_NOTIFY = 16, LEGACY_STATUS = 18,
              LEGACY_ISR = 19, LEGACY_CONFIG_VECTOR = 20, LEGACY_QUEUE_VECTOR = 22, LEGACY_CONFIG = 20, LEGACY_CONFIG_MSIX = 24 };
enum { LEGACY_PAGE_SHIFT = 12, LEGACY_ALIGN = 4096 };

static uint64_t legacy_features(const struct virtio *v) { return (offered(v) & 0xffffffff) | FEATURE_ANY_LAYOUT; }

/* The parts of a queue follow each other; the last one begins on a page (VirtIO 2.7.2). */
static void set_frame(struct virtqueue *q, uint32_t frame)
{
    q->descriptors = (uint64_t)frame << LEGACY_PAGE_SHIFT;
    q->available = q->descriptors + 16ull * q->size;
    q->used = (q->available + 4 + 2ull * q->size + 2 + LEGACY_ALIGN - 1) & ~(uint64_t)(LEGACY_ALIGN - 1);
    q->enabled = frame != 0;
    q->next_available = q->next_used = q->signalled = 0;
}

uint64_t virtio_legacy_read(struct board *board, struct virtio *v, unsigned offset, unsigned size)
{
    unsigned config = virtio_msix_on(board, v) ? LEGACY_CONFIG_MSIX : LEGACY_CONFIG;
    const struct virtqueue *q = selected(v);

    if (offset >= config)
        return virtio_device_read(v, offset - config, size);
    switch (offset) {
    case HOST_FEATURES:
        return (uint32_t)legacy_features(v);
    case GUEST_FEATURES:
        return (uint32_t)v->accepted;
    case QUEUE_PFN:
        return q && q->enabled ? (uint32_t)(q->descriptors >> LEGACY_PAGE_SHIFT) : 0;
    case LEGACY_SIZE:
        return q ? VIRTQUEUE_SIZE : 0;
    case LEGACY_SELECT:
        return v->queue_select;
    case LEGACY_STATUS:
        return v->status;
    case LEGACY_ISR:
        return virtio_isr_read(board, v);
    case LEGACY_CONFIG_VECTOR:
        return v->config_vector;
    case LEGACY_QUEUE_VECTOR:
        return q ? q->vector : VIRTIO_NO_VECTOR;
    }
    return 0;
}

void virtio_legacy_write(struct board *board, struct virtio *v, unsigned offset, unsigned size, uint32_t value)
{
    struct virtqueue *q = selected(v);

    if (offset >= (virtio_msix_on(board, v) ? LEGACY_CONFIG_MSIX : LEGACY_CONFIG))
        return;
    switch (offset) {
    case GUEST_FEATURES:
        if (size == 4 && !(v->status & VIRTIO_STATUS_DRIVER_OK))
            v->accepted = value & legacy_features(v);
        break;
    case QUEUE_PFN:
        if (size == 4 && q)
            set_frame(q, value);
        break;
    case LEGACY_SELECT:
        v->queue_select = (uint16_t)value;
        break;
    case LEGACY_NOTIFY:
        virtio_notify(board, v, (uint16_t)value);
        break;
    case LEGACY_STATUS:
        write_status(board, v, (uint8_t)value, true);
        break;
    case LEGACY_CONFIG_VECTOR:
        v->config_vector = vector(value);
        break;
    case LEGACY_QUEUE_VECTOR:
        if (q)
            q->vector = vector(value);
        break;
    }
}
