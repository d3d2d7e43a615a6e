/* SPDX-License-Identifier: MIT */
/* The PC's memory map: base memory, the hole for video and ROM, extended memory around L0's pool, memory above 4 GB. */
#include "emu/load/parts.h"

uint64_t memory_low_end(const struct model *model)
{
    return model->memory.size < MEMORY_HOLE ? model->memory.size : MEMORY_HOLE;
}

unsigned memory_map(const struct model *model, const struct load_request *request, struct memory_range range[MEMORY_RANGES_MAX])
{
    uint64_t low = memory_low_end(model), high_end = MEMORY_HIGH + (model->memory.size - low);
    uint64_t reserved = request->reserved_size ? request->reserved_base : low;
    uint64_t reserved_end = reserved + request->reserved_size;
    const struct memory_range all[] = {
        { 0, BASE_MEMORY_END, RANGE_RAM },
        { BASE_MEMORY_END, HIGH_START, RANGE_RESERVED },
        { HIGH_START, reserved, RANGE_RAM },
        { reserved, reserved_end, RANGE_RESERVED },
        { reserved_end, low, RANGE_RAM },
        { MEMORY_HIGH, high_end, RANGE_RAM },
    };
    unsigned count = 0;

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].end > all[i].base)
            range[count++] = all[i];
    return count;
}
