/* SPDX-License-Identifier: MIT */
/* Split virtqueues: VirtIO 1.2, 2.7. */
#include "emu/device/virtio/virtqueue.h"

enum { DESCRIPTOR_SIZE = 16, DESCRIPTOR_NEXT = 1, DESCRIPTOR_WRITE = 2, DESCRIPTOR_INDIRECT = 4 };
enum { RING = 4, AVAILABLE_ENTRY = 2, USED_ENTRY = 8, NO_INTERRUPT = 1 };

struct descriptor { uint64_t at; uint32_t length; uint16_t flags, next; };
/* Where a chain's descriptors are: the queue's table, or an indirect one. */
struct table { uint64_t at; uint32_t entries; };

static const char no_descriptors[] = "its descriptors are not all in RAM that it can reach", no_available[] = "its available ring is not all in RAM that it can reach",
                  no_used[] = "its used ring is not all in RAM that it can reach", no_indirect[] = "an indirect table is not all in RAM that it can reach";

static bool read16(const struct dma *dma, uint64_t at, uint16_t *value) { return dma_read(dma, at, value, sizeof *value) == sizeof *value; }

static bool write16(const struct dma *dma, uint64_t at, uint16_t value) { return dma_write(dma, at, &value, sizeof value) == sizeof value; }

/* Of a queue's parts: descriptors, flags, index, ring, and the other side's event index. */
static const char *parts(const struct dma *dma, const struct virtqueue *q)
{
    if (!dma_may_reach(dma, q->descriptors, DESCRIPTOR_SIZE * (uint64_t)q->size))
        return no_descriptors;
    if (!dma_may_reach(dma, q->available, RING + AVAILABLE_ENTRY * (uint64_t)q->size + 2))
        return no_available;
    if (!dma_may_reach(dma, q->used, RING + USED_ENTRY * (uint64_t)q->size + 2))
        return no_used;
    return NULL;
}

static const char *add(const struct dma *dma, struct chain *chain, const struct descriptor *d, unsigned limit)
{
    if (chain->count == limit)
        return "a chain has more descriptors than the queue (or is a loop)";
    if (!dma_may_reach(dma, d->at, d->length))
        return "a descriptor names memory that is not all RAM";
    chain->buffer[chain->count++] = (struct buffer){ d->at, d->length };
    if (d->flags & DESCRIPTOR_WRITE) {
        chain->to_write += d->length;
    } else {
        if (chain->readable != chain->count - 1)
            return "in a chain a buffer to be read follows one to be written";
        chain->readable++;
        chain->to_read += d->length;
    }
    return chain->to_read + chain->to_write > UINT32_MAX ? "a chain has more than 4 GB" : NULL;
}

static const char *enter_indirect(const struct dma *dma, const struct descriptor *d, struct table *table)
{
    if (d->flags & DESCRIPTOR_NEXT)
        return "an indirect descriptor has a next one";
    if (!d->length || d->length % DESCRIPTOR_SIZE)
        return "an indirect table's length is no multiple of 16";
    if (!dma_may_reach(dma, d->at, d->length))
        return no_indirect;
    *table = (struct table){ d->at, d->length / DESCRIPTOR_SIZE };
    return NULL;
}

static const char *collect(const struct dma *dma, const struct virtqueue *q, bool indirect, struct chain *chain)
{
    struct table table = { q->descriptors, q->size };
    uint32_t i = chain->head;
    bool inside = false;

    for (;;) {
        const char *fault;

        if (i >= table.entries)
            return inside ? "an indirect descriptor's next one is not in its table" : "a descriptor's number is not in the table";
        struct descriptor d;
        if (dma_read(dma, table.at + DESCRIPTOR_SIZE * (uint64_t)i, &d, sizeof d) < sizeof d)
            return inside ? no_indirect : no_descriptors;
        if (d.flags & DESCRIPTOR_INDIRECT) {
            if (!indirect || inside)
                return inside ? "an indirect table within another" : "an indirect descriptor that was not negotiated";
            if ((fault = enter_indirect(dma, &d, &table)))
                return fault;
            inside = true;
            i = 0;
            continue;
        }
        if ((fault = add(dma, chain, &d, q->size)))
            return fault;
        if (!(d.flags & DESCRIPTOR_NEXT))
            return NULL;
        i = d.next;
    }
}

static enum virtqueue_result broken(struct virtqueue *q, const char *why, const char **fault)
{
    q->enabled = false;
    *fault = why;
    return VIRTQUEUE_BROKEN;
}

enum virtqueue_result virtqueue_pop(const struct dma *dma, struct virtqueue *q, bool events, bool indirect, struct chain *chain,
                                    const char **fault)
{
    uint16_t ahead;
    const char *why;

    if (!q->enabled)
        return VIRTQUEUE_EMPTY;
    if ((why = parts(dma, q)))
        return broken(q, why, fault);
    if (!read16(dma, q->available + 2, &ahead))
        return broken(q, no_available, fault);
    ahead = (uint16_t)(ahead - q->next_available);
    if (ahead > q->size)
        return broken(q, "more chains are available than the queue has entries", fault);
    /* The index from which on the driver is to notify again (VirtIO 2.7.10). */
    if (events && !write16(dma, q->used + RING + USED_ENTRY * (uint64_t)q->size, q->next_available))
        return broken(q, no_used, fault);
    if (!ahead)
        return VIRTQUEUE_EMPTY;
    if (!read16(dma, q->available + RING + AVAILABLE_ENTRY * (uint64_t)(q->next_available % q->size), &chain->head))
        return broken(q, no_available, fault);
    chain->readable = chain->count = 0;
    chain->to_read = chain->to_write = 0;
    if ((why = collect(dma, q, indirect, chain)))
        return broken(q, why, fault);
    q->next_available++;
    return VIRTQUEUE_CHAIN;
}

const char *virtqueue_push(const struct dma *dma, struct virtqueue *q, const struct chain *chain, uint32_t written)
{
    const uint32_t entry[2] = { chain->head, written };

    if (dma_write(dma, q->used + RING + USED_ENTRY * (uint64_t)(q->next_used % q->size), entry, sizeof entry) < sizeof entry ||
        !write16(dma, q->used + 2, (uint16_t)(q->next_used + 1))) {
        q->enabled = false;
        return no_used;
    }
    q->next_used++;
    return NULL;
}

/* VirtIO 2.7.7: by the flag, or, with event indexes, if the index that the driver waits for was passed. */
bool virtqueue_signals(const struct dma *dma, struct virtqueue *q, bool events)
{
    uint16_t old = q->signalled, new = q->next_used, word;

    if (!q->enabled || old == new)
        return false;
    q->signalled = new;
    if (!read16(dma, events ? q->available + RING + AVAILABLE_ENTRY * (uint64_t)q->size : q->available, &word))
        return false;
    return events ? (uint16_t)(new - word - 1) < (uint16_t)(new - old) : !(word & NO_INTERRUPT);
}

/* ---- the bytes of a chain ---- */

size_t chain_piece(const struct chain *chain, bool writable, uint64_t offset, size_t length, uint64_t *at)
{
    unsigned i = writable ? chain->readable : 0, end = writable ? chain->count : chain->readable;

    for (; i < end; i++) {
        const struct buffer *b = &chain->buffer[i];

        if (offset < b->length) {
            uint64_t left = b->length - offset;

            *at = b->at + offset;
            return left < length ? (size_t)left : length;
        }
        offset -= b->length;
    }
    return 0;
}

size_t chain_read(const struct dma *dma, const struct chain *chain, uint64_t offset, void *to, size_t length)
{
    size_t done = 0, piece;
    uint64_t at;

    while (done < length && (piece = chain_piece(chain, false, offset + done, length - done, &at))) {
        size_t got = dma_read(dma, at, (uint8_t *)to + done, piece);

        done += got;
        if (got < piece)
            break;
    }
    return done;
}

size_t chain_write(const struct dma *dma, const struct chain *chain, uint64_t offset, const void *from, size_t length)
{
    size_t done = 0, piece;
    uint64_t at;

    while (done < length && (piece = chain_piece(chain, true, offset + done, length - done, &at))) {
        size_t put = dma_write(dma, at, (const uint8_t *)from + done, piece);

        done += put;
        if (put < piece)
            break;
    }
    return done;
}
