/* SPDX-License-Identifier: MIT */
/* The HAL on the metal: physical memory and device registers, through L0's map of all memory. */
#include "hv/x86/x86.h"

static struct range { uint64_t base, size; } ram[RANGES_MAX];
static unsigned ram_count;

/* Ranges count in whole pages: a page that is RAM in part is none. The largest comes first: most addresses lie in it. */
void memory_describe(void)
{
    ram_count = 0;
    for (unsigned i = 0; i < boot.ranges; i++) {
        const uint64_t base = (boot.range[i].base + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1), end = boot.range[i].end & ~(PAGE_SIZE - 1);
        if (boot.range[i].type != MEMORY_AVAILABLE || base >= end)
            continue;
        const struct range range = { base, end - base };
        const bool largest = !ram_count || range.size > ram[0].size;
        ram[ram_count] = largest ? ram[0] : range;
        if (largest)
            ram[0] = range;
        ram_count++;
    }
}

bool is_ram(uint64_t address, uint64_t length)
{
    for (unsigned i = 0; i < ram_count; i++)
        if (address - ram[i].base < ram[i].size && length <= ram[i].size - (address - ram[i].base))
            return true;
    return false;
}

bool hal_ram(unsigned index, struct hal_range *range)
{
    if (index >= ram_count)
        return false;
    *range = (struct hal_range){ PA(ram[index].base), ram[index].size };
    return true;
}

bool hal_pm_read(physical_address pa, void *to, size_t length)
{
    if (!is_ram(pa.value, length))
        return false;
    if (__builtin_constant_p(length) && length <= 64)
        __builtin_memcpy(to, at(pa.value), length);     /* in line */
    else
        memcpy(to, at(pa.value), length);
    __asm__ volatile("" : : : "memory");        /* once: what follows looks at the copy */
    return true;
}

bool hal_pm_write(physical_address pa, const void *from, size_t length)
{
    if (!is_ram(pa.value, length))
        return false;
    memcpy(at(pa.value), from, length);
    return true;
}

bool hal_pm_read64(physical_address pa, uint64_t *value)
{
    if (!is_ram(pa.value, sizeof *value))
        return false;
    *value = *(volatile uint64_t *)at(pa.value);
    return true;
}

#define WRITE(bits)                                                                                                 \
    bool hal_pm_write##bits(physical_address pa, uint##bits##_t value)                                              \
    {                                                                                                               \
        if (!is_ram(pa.value, sizeof value))                                                                        \
            return false;                                                                                           \
        *(volatile uint##bits##_t *)at(pa.value) = value;                                                           \
        return true;                                                                                                \
    }
WRITE(64)
WRITE(32)

bool hal_pm_compare_exchange64(physical_address pa, uint64_t *expected, uint64_t desired)
{
    return is_ram(pa.value, sizeof desired) && __atomic_compare_exchange_n((uint64_t *)at(pa.value), expected, desired, false,
                                                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool hal_pm_zero_page(physical_address pa)
{
    if (!is_ram(pa.value, PAGE_SIZE))
        return false;
    memset(at(pa.value), 0, PAGE_SIZE);
    return true;
}

/* Device registers below 4 GB are mapped with the rest. */
static bool is_device(uint64_t address) { return address < 4096 * MEGABYTE && !is_ram(address, 4); }

bool hal_mmio_read32(physical_address pa, uint32_t *value)
{
    if (!is_device(pa.value))
        return false;
    *value = *(volatile uint32_t *)at(pa.value);
    return true;
}

bool hal_mmio_write32(physical_address pa, uint32_t value)
{
    if (!is_device(pa.value))
        return false;
    *(volatile uint32_t *)at(pa.value) = value;
    return true;
}
