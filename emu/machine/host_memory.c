/* SPDX-License-Identifier: MIT */
/* The host memory behind the guest's RAM. */
#define _DEFAULT_SOURCE                 /* madvise() */
#include "emu/machine/host_memory.h"

#include <stddef.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE             /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

uint8_t *host_memory_reserve(uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void host_memory_touch(uint8_t *from, uint64_t size)
{
    if (madvise(from, size, MADV_POPULATE_WRITE))
        return;                         /* an older kernel: the pages come one by one */
}

void host_memory_release(uint8_t *memory, uint64_t size)
{
    if (memory)
        munmap(memory, size);
}
