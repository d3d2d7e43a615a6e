/* SPDX-License-Identifier: MIT */
/* Physical memory: where addresses are in the host's memory, and whole or failed accesses to it. */
#include "model/memory.h"

#include <string.h>

/* Bytes of RAM below the hole. */
static uint64_t low_size(const struct memory *memory)
{
    return memory->size < MEMORY_HOLE ? memory->size : MEMORY_HOLE;
}

/* Offset in `ram` of `length` bytes at `pa`; false where not all of them are RAM. */
static bool ram_offset(const struct memory *memory, uint64_t pa, uint64_t length, uint64_t *offset)
{
    uint64_t low = low_size(memory), high = memory->size - low;

    if (pa < low) {
        *offset = pa;
        return length <= low - pa;
    }
    if (pa >= MEMORY_HIGH && pa - MEMORY_HIGH < high) {
        *offset = low + (pa - MEMORY_HIGH);
        return length <= high - (pa - MEMORY_HIGH);
    }
    return false;
}

void memory_init(struct memory *memory, uint8_t *ram, uint64_t size, uint8_t *watch)
{
    *memory = (struct memory){ .ram = ram, .size = size & PAGE_MASK, .watch = watch };
}

uint8_t *memory_at(const struct memory *memory, uint64_t pa, uint64_t length)
{
    uint64_t offset;

    return ram_offset(memory, pa, length, &offset) ? memory->ram + offset : NULL;
}

bool memory_is_ram(const struct memory *memory, uint64_t pa, uint64_t length)
{
    return memory_at(memory, pa, length) != NULL;
}

size_t memory_page_index(const struct memory *memory, uint64_t pa)
{
    uint64_t offset;

    return ram_offset(memory, pa, 1, &offset) ? offset / PAGE_SIZE : SIZE_MAX;
}

uint64_t memory_page_address(const struct memory *memory, size_t index)
{
    uint64_t offset = index * PAGE_SIZE, low = low_size(memory);

    return offset < low ? offset : MEMORY_HIGH + (offset - low);
}

void memory_watch(struct memory *memory, uint64_t pa, uint8_t bits, bool on)
{
    size_t index = memory_page_index(memory, pa);

    if (index == SIZE_MAX)
        return;
    if (on && (bits & WATCH_ACCESSES) && !(memory->watch[index] & (WATCH_ACCESSES | WATCH_PRIVATE)))
        memory->watches++;
    if (on)
        memory->watch[index] |= bits;
    else
        memory->watch[index] &= (uint8_t)~bits;
}

uint8_t memory_watched(const struct memory *memory, uint64_t pa)
{
    size_t index = memory_page_index(memory, pa);

    return index == SIZE_MAX ? 0 : memory->watch[index];
}

/* A code page was written behind the CPU engine's back. */
static void note_written(struct memory *memory, uint64_t page)
{
    for (unsigned i = 0; i < memory->written_count; i++) {
        if (memory->written[i] == page)
            return;
    }
    if (memory->written_count == MEMORY_WRITTEN_MAX)
        memory->written_overflow = true;
    else
        memory->written[memory->written_count++] = page;
}

bool memory_read(const struct memory *memory, uint64_t pa, void *to, uint64_t length)
{
    const uint8_t *from = memory_at(memory, pa, length);

    if (!from) {
        memset(to, 0xff, length);
        return false;
    }
    memcpy(to, from, length);
    return true;
}

void memory_written(struct memory *memory, uint64_t pa, uint64_t length)
{
    for (uint64_t page = pa & PAGE_MASK; length && page <= ((pa + length - 1) & PAGE_MASK); page += PAGE_SIZE) {
        if (memory->watch[memory_page_index(memory, page)] & WATCH_CODE)
            note_written(memory, page);
    }
}

bool memory_write(struct memory *memory, uint64_t pa, const void *from, uint64_t length)
{
    uint8_t *to = memory_at(memory, pa, length);

    if (!to)
        return false;
    if (!length)
        return true;
    memcpy(to, from, length);
    memory_written(memory, pa, length);
    return true;
}

uint64_t memory_read64(const struct memory *memory, uint64_t pa)
{
    uint64_t value;

    memory_read(memory, pa, &value, sizeof(value));
    return value;
}

uint32_t memory_read32(const struct memory *memory, uint64_t pa)
{
    uint32_t value;

    memory_read(memory, pa, &value, sizeof(value));
    return value;
}

void memory_write64(struct memory *memory, uint64_t pa, uint64_t value)
{
    memory_write(memory, pa, &value, sizeof(value));
}

void memory_write32(struct memory *memory, uint64_t pa, uint32_t value)
{
    memory_write(memory, pa, &value, sizeof(value));
}
