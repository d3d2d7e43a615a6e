/* SPDX-License-Identifier: MIT */
/* One piece at a time: behind a remapping unit no more than a page, for the next one may be anywhere. */
#include "emu/device/dma.h"

#include <string.h>

bool dma_may_reach(const struct dma *dma, uint64_t address, uint64_t length)
{
    return dma->iommu || memory_is_ram(dma->memory, address, length);
}

size_t dma_at(const struct dma *dma, uint64_t address, size_t length, bool write, uint8_t **host, uint64_t *pa)
{
    *pa = address;
    if (dma->iommu) {
        const struct iommu_request request = { .source = dma->source, .address = address, .access = write ? IOMMU_WRITE : IOMMU_READ };
        const struct iommu_translation to = iommu_translate(dma->iommu, &request);
        const size_t page = PAGE_SIZE - address % PAGE_SIZE;

        if (to.reason || to.interrupt)
            return 0;
        *pa = to.pa;
        length = length < page ? length : page;
    }
    if (!length || !memory_is_ram(dma->memory, *pa, length))
        return 0;
    *host = memory_at(dma->memory, *pa, length);
    return length;
}

size_t dma_read(const struct dma *dma, uint64_t address, void *to, size_t length)
{
    size_t done = 0, piece;
    uint8_t *host;
    uint64_t pa;

    while (done < length && (piece = dma_at(dma, address + done, length - done, false, &host, &pa))) {
        memcpy((uint8_t *)to + done, host, piece);
        done += piece;
    }
    return done;
}

size_t dma_write(const struct dma *dma, uint64_t address, const void *from, size_t length)
{
    size_t done = 0, piece;
    uint8_t *host;
    uint64_t pa;

    while (done < length && (piece = dma_at(dma, address + done, length - done, true, &host, &pa))) {
        memcpy(host, (const uint8_t *)from + done, piece);
        memory_written(dma->memory, pa, piece);
        done += piece;
    }
    return done;
}
