/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices on the PCI bus: "Virtual I/O Device (VIRTIO) Version 1.2" (OASIS). Transitional: a driver finds the interface of version 1
 * and the one before it (VirtIO 4.1.4.10). What a device does with its queues is in a file of its own; which devices there are, in virtio.def.
 *
 * All that a guest can change is in struct virtio; what host files stand behind a device is beside it, set when the machine is made.
 */
#ifndef SESQUI_EMU_DEVICE_VIRTIO_H
#define SESQUI_EMU_DEVICE_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/device/virtio/virtqueue.h"

struct board;
struct disk;

enum virtio_kind {
    VIRTIO_NONE,
#define VIRTIO(noun, id, pci_id, class, queues, config) VIRTIO_##noun,
#include "emu/device/virtio/virtio.def"
#undef VIRTIO
};

enum { VIRTIO_QUEUES = 2, VIRTIO_VECTORS = VIRTIO_QUEUES + 1, VIRTIO_NO_VECTOR = 0xffff };
/* Device status (VirtIO 2.1). */
enum { VIRTIO_STATUS_ACKNOWLEDGE = 1, VIRTIO_STATUS_DRIVER = 2, VIRTIO_STATUS_DRIVER_OK = 4, VIRTIO_STATUS_FEATURES_OK = 8, VIRTIO_STATUS_NEEDS_RESET = 0x40, VIRTIO_STATUS_FAILED = 0x80 };
/* Features of every device (6). */
#define FEATURE_ANY_LAYOUT (1ull << 27)
#define FEATURE_INDIRECT (1ull << 28)
#define FEATURE_EVENT_INDEX (1ull << 29)
#define FEATURE_VERSION_1 (1ull << 32)
/* Offered behind a remapping unit. A driver that does not accept it finds the device behind the unit all the same. */
#define FEATURE_ACCESS_PLATFORM (1ull << 33)

/* What the host has behind a device: opened before the machine, again after a snapshot. */
struct virtio_host {
    struct disk *disk;              /* block */
    FILE *out;                      /* console: what is written; net: the frames that are sent; NULL: nowhere */
    bool loopback;                  /* net: they come back */
};

struct virtio {
    enum virtio_kind kind;
    unsigned index;                 /* its number on the board */
    uint64_t accepted;              /* features that the driver wants */
    uint32_t offered_select, accepted_select;
    uint8_t status, isr;
    uint16_t config_vector, queue_select;
    struct virtqueue queue[VIRTIO_QUEUES];
    struct { uint64_t address; uint32_t data, control; } message[VIRTIO_VECTORS];   /* the MSI-X table */
    uint8_t pending;                /* its pending bits */
    uint64_t random, sent;          /* of the entropy device: its generator; of the network: frames captured */
    struct dma dma;                 /* its way to memory */
    struct virtio_host host;
};

/* Plugs in a device of that kind; the caller sets what the host has. NULL: the bus is full. */
struct virtio *virtio_plug(struct board *board, enum virtio_kind kind);

/* ---- for the PCI bus ---- */

/* An access that a BAR may decode. False: none does. */
bool virtio_bar_read(struct board *board, bool io, uint64_t address, unsigned size, uint64_t *value);
bool virtio_bar_write(struct board *board, bool io, uint64_t address, unsigned size, uint64_t value);
/* Configuration space is about to be read, or was written: the window of VirtIO 4.1.4.9, MSI-X, interrupts off. */
void virtio_config_read(struct board *board, unsigned index, unsigned offset, unsigned size);
void virtio_config_written(struct board *board, unsigned index, unsigned offset, unsigned size);

/* ---- for the devices ---- */

/* The registers of version 1 and of the interface before it, by structure (virtio_pci.c finds them in BARs). */
uint64_t virtio_common_read(const struct virtio *v, unsigned offset, unsigned size);
void virtio_common_write(struct board *board, struct virtio *v, unsigned offset, unsigned size, uint64_t value);
uint64_t virtio_device_read(const struct virtio *v, unsigned offset, unsigned size);
uint64_t virtio_legacy_read(struct board *board, struct virtio *v, unsigned offset, unsigned size);
void virtio_legacy_write(struct board *board, struct virtio *v, unsigned offset, unsigned size, uint32_t value);
uint8_t virtio_isr_read(struct board *board, struct virtio *v);
void virtio_notify(struct board *board, struct virtio *v, unsigned queue);
bool virtio_has(const struct virtio *v, uint64_t feature);
/* The next chain of a queue. False: there is none, or the queue is broken, and then the device needs a reset. */
bool virtio_pop(struct board *board, struct virtio *v, unsigned queue, struct chain *chain);
/* Gives it back with `written` bytes in it; and, after the last one, interrupts the driver if it wants that. */
void virtio_push(struct board *board, struct virtio *v, unsigned queue, const struct chain *chain, uint32_t written);
void virtio_pushed(struct board *board, struct virtio *v, unsigned queue);
/* The driver did what a device need not bear: it does nothing more until it is reset (VirtIO 2.1.2). `fault`: what, with its place. */
void virtio_needs_reset(struct board *board, struct virtio *v, const char *fault);
/* Raises the interrupt of a queue or, VIRTIO_CONFIG_CHANGE, of the configuration. */
enum { VIRTIO_CONFIG_CHANGE = -1 };
void virtio_interrupt(struct board *board, struct virtio *v, int queue);
void virtio_reset(struct board *board, struct virtio *v);
/* Is MSI-X on?  And: INTx follows the ISR. */
bool virtio_msix_on(struct board *board, const struct virtio *v);
void virtio_interrupt_lines(struct board *board, struct virtio *v);

/* What a device is made of: its configuration as bytes, and what it does when a queue was notified. */
#define VIRTIO(noun, id, pci_id, class, queues, config) \
    uint64_t noun##_features(const struct virtio *v); \
    void noun##_config(const struct virtio *v, uint8_t *to); \
    void noun##_notified(struct board *board, struct virtio *v, unsigned queue);
#include "emu/device/virtio/virtio.def"
#undef VIRTIO

#endif
