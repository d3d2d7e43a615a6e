/* SPDX-License-Identifier: MIT */
/*
 * Split virtqueues, VirtIO 1.2, 2.7: buffers that a driver makes available as chains of descriptors, and that the device gives back. All of it is
 * in the guest's memory and may be nonsense or change at any time: each word is read once, and every address is checked. What a
 * remapping unit refuses is as if there were no RAM.
 */
#ifndef SESQUI_EMU_DEVICE_VIRTQUEUE_H
#define SESQUI_EMU_DEVICE_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/device/dma.h"

enum { VIRTQUEUE_SIZE = 256 };      /* the most entries */

struct virtqueue {
    bool enabled;
    uint16_t size, vector;
    uint16_t next_available, next_used, signalled;      /* signalled: next_used when the driver was interrupted last */
    uint64_t descriptors, available, used;              /* addresses of its three parts */
};

struct buffer { uint64_t at; uint32_t length; };
/* A chain: first the buffers that the device reads, then those that it writes. A chain is no longer than its queue (VirtIO 2.7.5.2). */
struct chain {
    uint16_t head, readable, count;
    uint64_t to_read, to_write;     /* bytes */
    struct buffer buffer[VIRTQUEUE_SIZE];
};

enum virtqueue_result { VIRTQUEUE_EMPTY, VIRTQUEUE_CHAIN, VIRTQUEUE_BROKEN };
/* Takes the next chain. `events`: VIRTIO_F_EVENT_IDX was negotiated; `indirect`: VIRTIO_F_INDIRECT_DESC. Broken: `fault` says why. */
enum virtqueue_result virtqueue_pop(const struct dma *dma, struct virtqueue *queue, bool events, bool indirect, struct chain *chain,
                                    const char **fault);
/* Gives it back, of whose writable bytes the first `written` were written. NULL, or why the queue is broken. */
const char *virtqueue_push(const struct dma *dma, struct virtqueue *queue, const struct chain *chain, uint32_t written);
/* Does the driver want to be interrupted for what was pushed since it was last?  A ring that cannot be read wants nothing. */
bool virtqueue_signals(const struct dma *dma, struct virtqueue *queue, bool events);

/* Copies from the readable bytes of a chain from `offset` on, or to its writable ones; how many there were and could be reached. */
size_t chain_read(const struct dma *dma, const struct chain *chain, uint64_t offset, void *to, size_t length);
size_t chain_write(const struct dma *dma, const struct chain *chain, uint64_t offset, const void *from, size_t length);
/* The piece of the readable (or writable) bytes that begins at `offset` and lies in one buffer; its length, at most `length`, 0: there is none. */
size_t chain_piece(const struct chain *chain, bool writable, uint64_t offset, size_t length, uint64_t *at);

#endif
