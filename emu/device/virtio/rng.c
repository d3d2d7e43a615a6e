/* SPDX-License-Identifier: MIT */
/* The virtio entropy device: VirtIO 1.2, 5.4. Its numbers come from the machine's seed, so that a run repeats itself: they are no secret. */
#include <string.h>

#include "emu/device/board.h"
#include "model/random.h"

enum { REQUEST_MOST = 64 << 10 };       /* a request may be answered in part (VirtIO 5.4.6.2) */

uint64_t rng_features(const struct virtio *v)
{
    (void)v;
    return 0;
}

void rng_config(const struct virtio *v, uint8_t *to)
{
    (void)v, (void)to;
}

void rng_notified(struct board *board, struct virtio *v, unsigned queue)
{
    struct chain chain;
    unsigned most = v->queue[queue].size;

    while (most-- && virtio_pop(board, v, queue, &chain)) {
        uint64_t wanted = chain.to_write < REQUEST_MOST ? chain.to_write : REQUEST_MOST, done = 0;

        while (done < wanted) {
            uint64_t number = random_next(&v->random);
            size_t piece = wanted - done < sizeof number ? (size_t)(wanted - done) : sizeof number, put = chain_write(&v->dma, &chain, done, &number, piece);

            done += put;
            if (put < piece)                    /* a remapping unit refuses the rest */
                break;
        }
        virtio_push(board, v, queue, &chain, (uint32_t)done);
    }
    virtio_pushed(board, v, queue);
}
