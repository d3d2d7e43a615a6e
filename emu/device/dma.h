/* SPDX-License-Identifier: MIT */
/*
 * A bus master's way to memory: straight, or through the remapping unit, which may put each page elsewhere or refuse it. What lies at the end is RAM;
 * devices do not reach each other's registers, and an address range of interrupts is no memory (board_message()).
 */
#ifndef SESQUI_EMU_DEVICE_DMA_H
#define SESQUI_EMU_DEVICE_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/iommu/iommu.h"

struct dma {
    struct memory *memory;
    struct iommu *iommu;        /* NULL: there is none */
    uint16_t source;            /* who asks: bus, device, function */
};

/* Could all of it be RAM?  Behind a remapping unit only the access itself tells. */
bool dma_may_reach(const struct dma *dma, uint64_t address, uint64_t length);
/* Where the host has the first of these bytes, and how many lie there together: at most `length`; 0: they are no RAM, or the unit refuses,
 * which records and tells it. `pa` of what was written goes to memory_written(). */
size_t dma_at(const struct dma *dma, uint64_t address, size_t length, bool write, uint8_t **host, uint64_t *pa);
/* How many bytes were read or written before one that could not be. */
size_t dma_read(const struct dma *dma, uint64_t address, void *to, size_t length);
size_t dma_write(const struct dma *dma, uint64_t address, const void *from, size_t length);

#endif
