/* SPDX-License-Identifier: MIT */
/* The virtio console: VirtIO 1.2, 5.3. One port; what the guest writes goes to a file, and nobody types. */
#include <stdio.h>

#include "emu/device/board.h"

enum { TRANSMIT = 1, PIECE = 512, WRITE_MOST = 1 << 20 };

uint64_t console_features(const struct virtio *v)
{
    (void)v;
    return 0;
}

void console_config(const struct virtio *v, uint8_t *to)
{
    (void)v, (void)to;
}

void console_notified(struct board *board, struct virtio *v, unsigned queue)
{
    struct chain chain;
    unsigned most = v->queue[queue].size;

    while (queue == TRANSMIT && most-- && virtio_pop(board, v, queue, &chain)) {
        char text[PIECE];
        size_t got;

        if (chain.to_read > WRITE_MOST) {
            virtio_needs_reset(board, v, "more than 1 MB is written to the console at once");
            return;
        }
        for (uint64_t done = 0; (got = chain_read(&v->dma, &chain, done, text, sizeof text)); done += got)
            if (v->host.out)
                fwrite(text, 1, got, v->host.out);
        virtio_push(board, v, queue, &chain, 0);
    }
    virtio_pushed(board, v, queue);
}
