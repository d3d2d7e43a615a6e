/* SPDX-License-Identifier: MIT */
/*
 * The virtio network device: VirtIO 1.2, 5.1. No network of the host's: what the guest sends is written to a capture file, or comes back to it at
 * once (loopback). The file is a pcap savefile with nanoseconds of virtual time (pcap-savefile(5) of libpcap).
 */
#include <stdio.h>
#include <string.h>

#include "emu/device/board.h"

#define FEATURE_MAC (1ull << 5)
#define FEATURE_LINK_STATUS (1ull << 16)
enum { RECEIVE = 0, TRANSMIT = 1, HEADER = 12, HEADER_OLD = 10, BUFFERS_AT = 10, FRAME_MOST = 1514, MAC_SIZE = 6, LINK_UP = 1 };
enum { PCAP_NANOSECONDS = 0xa1b23c4d, PCAP_ETHERNET = 1 };
#define SECOND 1000000000ull

uint64_t net_features(const struct virtio *v)
{
    (void)v;
    return FEATURE_MAC | FEATURE_LINK_STATUS;
}

/* A locally administered address. */
void net_config(const struct virtio *v, uint8_t *to)
{
    const uint8_t mac[MAC_SIZE] = { 0x02, 's', 'e', 's', 'q', (uint8_t)v->index };

    memcpy(to, mac, sizeof mac);
    to[MAC_SIZE] = LINK_UP;
}

/* The number of buffers is part of the header since version 1 (VirtIO 5.1.6). */
static size_t header_size(const struct virtio *v) { return virtio_has(v, FEATURE_VERSION_1) ? HEADER : HEADER_OLD; }

static void capture(struct board *board, struct virtio *v, const uint8_t *frame, uint32_t length)
{
    static const uint32_t file_header[] = { PCAP_NANOSECONDS, 2 | 4 << 16, 0, 0, FRAME_MOST, PCAP_ETHERNET };
    uint64_t now = board_time(board);
    const uint32_t header[] = { (uint32_t)(now / SECOND), (uint32_t)(now % SECOND), length, length };

    if (!v->host.out)
        return;
    if (!v->sent++)
        fwrite(file_header, 1, sizeof file_header, v->host.out);
    fwrite(header, 1, sizeof header, v->host.out);
    fwrite(frame, 1, length, v->host.out);
}

/* A frame for which there is no buffer, or too small a one, is lost, as on a wire. */
static void receive(struct board *board, struct virtio *v, const uint8_t *frame, uint32_t length)
{
    const uint8_t header[HEADER] = { [BUFFERS_AT] = 1 };
    size_t size = header_size(v);
    struct chain chain;

    if (!virtio_pop(board, v, RECEIVE, &chain))
        return;
    bool fits = chain.to_write >= size + length;
    if (fits)
        fits = chain_write(&v->dma, &chain, 0, header, size) == size && chain_write(&v->dma, &chain, size, frame, length) == length;
    virtio_push(board, v, RECEIVE, &chain, fits ? (uint32_t)size + length : 0);
}

void net_notified(struct board *board, struct virtio *v, unsigned queue)
{
    unsigned most = v->queue[queue].size;
    struct chain chain;

    while (queue == TRANSMIT && most-- && virtio_pop(board, v, queue, &chain)) {
        uint8_t frame[FRAME_MOST];
        size_t header = header_size(v);

        if (chain.to_read < header || chain.to_read > header + FRAME_MOST) {
            virtio_needs_reset(board, v, "a frame without a header, or of more than 1,514 bytes (no offload was negotiated)");
            return;
        }
        uint32_t length = (uint32_t)chain_read(&v->dma, &chain, header, frame, sizeof frame);
        virtio_push(board, v, queue, &chain, 0);
        if (length < chain.to_read - header)    /* a remapping unit refuses a part of it */
            continue;
        capture(board, v, frame, length);
        if (v->host.loopback)
            receive(board, v, frame, length);
    }
    virtio_pushed(board, v, queue);
    virtio_pushed(board, v, RECEIVE);
}
