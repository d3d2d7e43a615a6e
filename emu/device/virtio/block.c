/* SPDX-License-Identifier: MIT */
/* The virtio block device: VirtIO 1.2, 5.2. Requests are done at once, in the time of the instruction that notifies. */
#include <stdio.h>
#include <string.h>

#include "emu/device/board.h"
#include "emu/disk/disk.h"

#define FEATURE_SIZE_MAX (1ull << 1)
#define FEATURE_SEG_MAX (1ull << 2)
#define FEATURE_READ_ONLY (1ull << 5)
#define FEATURE_BLOCK_SIZE (1ull << 6)
#define FEATURE_FLUSH (1ull << 9)
#define BLOCK_FEATURES (FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_BLOCK_SIZE | FEATURE_FLUSH)

enum { CAPACITY = 0, SIZE_MAX_AT = 8, SEG_MAX_AT = 12, BLOCK_SIZE_AT = 20 };
enum { SEGMENT_MOST = 64 << 10, SEGMENTS = VIRTQUEUE_SIZE - 2, REQUEST_MOST = SEGMENT_MOST * VIRTQUEUE_SIZE };
enum { REQUEST_IN = 0, REQUEST_OUT = 1, REQUEST_FLUSH = 4, REQUEST_GET_ID = 8, HEADER_SIZE = 16, ID_SIZE = 20 };
enum { DONE = 0, IO_ERROR = 1, UNSUPPORTED = 2 };

struct request { uint32_t type, reserved; uint64_t sector; };

uint64_t block_features(const struct virtio *v)
{
    return BLOCK_FEATURES | (v->host.disk->mode == DISK_READ_ONLY ? FEATURE_READ_ONLY : 0);
}

void block_config(const struct virtio *v, uint8_t *to)
{
    memcpy(to + CAPACITY, &v->host.disk->sectors, 8);
    memcpy(to + SIZE_MAX_AT, &(uint32_t){ SEGMENT_MOST }, 4);
    memcpy(to + SEG_MAX_AT, &(uint32_t){ SEGMENTS }, 4);
    memcpy(to + BLOCK_SIZE_AT, &(uint32_t){ DISK_SECTOR }, 4);
}

/* Between the disk and guest memory, without a copy between: buffer by buffer. */
static uint8_t transfer(const struct virtio *v, const struct chain *chain, uint64_t sector, bool in, uint64_t length)
{
    struct disk *disk = v->host.disk;
    uint64_t done = 0, at, pa;
    size_t piece;
    uint8_t *host;

    if (length % DISK_SECTOR || length > REQUEST_MOST || sector > disk->sectors || length / DISK_SECTOR > disk->sectors - sector)
        return IO_ERROR;
    while (done < length && (piece = chain_piece(chain, in, (in ? 0 : HEADER_SIZE) + done, length - done, &at))) {
        if (!(piece = dma_at(&v->dma, at, piece, in, &host, &pa)))
            return IO_ERROR;
        bool good = in ? disk_read(disk, sector * DISK_SECTOR + done, host, piece) : disk_write(disk, sector * DISK_SECTOR + done, host, piece);

        if (in)
            memory_written(v->dma.memory, pa, piece);
        if (!good)
            return IO_ERROR;
        done += piece;
    }
    return DONE;
}

static uint8_t identify(const struct virtio *v, const struct chain *chain)
{
    char id[ID_SIZE + 1] = { 0 };

    snprintf(id, sizeof id, "sesqui-disk-%u", v->index);
    return chain_write(&v->dma, chain, 0, id, ID_SIZE) == ID_SIZE ? DONE : IO_ERROR;
}

/* The status byte is the last that may be written (VirtIO 5.2.6). */
static uint8_t serve(const struct virtio *v, const struct chain *chain, const struct request *request)
{
    uint64_t in = chain->to_write - 1, out = chain->to_read - HEADER_SIZE;

    switch (request->type) {
    case REQUEST_IN:
        return transfer(v, chain, request->sector, true, in);
    case REQUEST_OUT:
        return transfer(v, chain, request->sector, false, out);
    case REQUEST_FLUSH:
        return disk_flush(v->host.disk) ? DONE : IO_ERROR;
    case REQUEST_GET_ID:
        return in >= ID_SIZE ? identify(v, chain) : IO_ERROR;
    }
    return UNSUPPORTED;
}

/* No more than what can be in the queue: a request that is read over the ring would go on for ever. */
void block_notified(struct board *board, struct virtio *v, unsigned queue)
{
    struct chain chain;
    unsigned most = v->queue[queue].size;

    while (most-- && virtio_pop(board, v, queue, &chain)) {
        struct request request;

        if (chain_read(&v->dma, &chain, 0, &request, HEADER_SIZE) < HEADER_SIZE || !chain.to_write) {
            virtio_needs_reset(board, v, "a request without a header of 16 bytes or without a status byte");
            return;
        }
        uint8_t status = serve(v, &chain, &request);
        bool data = status == DONE && (request.type == REQUEST_IN || request.type == REQUEST_GET_ID);
        board_disk_failed(board, v->host.disk);
        if (!chain_write(&v->dma, &chain, chain.to_write - 1, &status, 1)) {
            virtio_needs_reset(board, v, "a request's status byte is not in RAM that it can reach");
            return;
        }
        virtio_push(board, v, queue, &chain, data ? (uint32_t)chain.to_write : 1);
    }
    virtio_pushed(board, v, queue);
}
