/* SPDX-License-Identifier: MIT */
/* The host memory behind the guest's RAM. */
#include <sys/mman.h>

#include "emu/machine_parts.h"

uint8_t *host_memory_reserve(uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void host_memory_release(uint8_t *memory, uint64_t size)
{
    if (memory)
        munmap(memory, size);
}
