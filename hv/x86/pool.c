/* SPDX-License-Identifier: MIT */
/* L0's pool: memory at the top of RAM below 4 GB that the image moves to and takes its pages from. */
#include "hv/x86/x86.h"

enum { POOL_PAGES_MAX = 65536 };                /* to take pages from: hv_pool_pages() of some hundred processors, or 8 TB of RAM */

extern uint8_t image_start[], image_end[];

static uint64_t pool_base, image_pages, next_free, pool_pages;
static uint64_t shift;                          /* the pool's linear address less its physical one, in the caller's world */
static uint8_t used[POOL_PAGES_MAX];
static uint32_t lock;

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end) { return a < b_end && b < a_end; }

/* The lowest thing that [base, end) would overwrite; `end` if none. */
static uint64_t obstacle(uint64_t base, uint64_t end)
{
    const uint64_t image = (uint64_t)image_start - IMAGE_VIRTUAL;
    uint64_t lowest = end;

    if (overlap(base, end, image, image + (uint64_t)(image_end - image_start)))
        lowest = image;
    for (unsigned i = 0; i < boot.modules; i++) {
        const struct module *m = &boot.module[i];
        if (overlap(base, end, m->base, m->base + m->size) && m->base < lowest)
            lowest = m->base;
    }
    return lowest;
}

static unsigned places = 1;                     /* of processors, in the pool's copy of the image */

uint64_t image_size(void) { return (uint64_t)(image_end - image_start) + (places - 1) * (uint64_t)PROCESSOR_SIZE; }

static uint64_t pages_wanted(void)
{
    uint64_t ram = 0;
    struct hal_range range;

    for (unsigned i = 0; hal_ram(i, &range); i++)
        ram += range.size;
    const uint64_t pages = hv_pool_pages(places, ram);
    return pages < POOL_PAGES_MAX ? pages : POOL_PAGES_MAX;
}

/* The places of the other processors are no part of the image's file. */
static void clear_places(uint64_t pool)
{
    const uint64_t image = (uint64_t)(image_end - image_start);

    memset(in_pool(pool + image), 0, image_size() - image);
}

const char *pool_reserve(unsigned count)
{
    places = count < PROCESSORS ? count : PROCESSORS;
    image_pages = image_size() / PAGE_SIZE;
    pool_pages = pages_wanted();
    const uint64_t size = (pool_pages + image_pages) * PAGE_SIZE;

    for (unsigned i = 0; i < boot.ranges; i++) {
        const struct memory_range *r = &boot.range[i];
        uint64_t end = r->end < 4096 * MEGABYTE ? r->end : 4096 * MEGABYTE, found;
        if (r->type != MEMORY_AVAILABLE)
            continue;
        for (; end >= r->base + size; end = found) {
            const uint64_t base = (end - size) & ~(PROCESSOR_SIZE - 1ull);      /* layout.h: how a block is found */
            found = obstacle(base, base + size);
            if (found != base + size)
                continue;
            if (base >= r->base && base > pool_base)
                pool_base = base;
            break;
        }
    }
    if (!pool_base)
        return places > 8 ? "too little memory: no RAM below 4 GB is free for L0's pool, 1.2 MB for each processor"
                                    : "too little memory: no 10 MB of RAM below 4 GB are free for L0's pool";
    clear_places(pool_base);
    return NULL;
}

const char *pool_given(uint64_t base, uint64_t size, uint64_t linear, unsigned count)
{
    places = count < PROCESSORS ? count : PROCESSORS;
    image_pages = image_size() / PAGE_SIZE;
    if (base % PROCESSOR_SIZE || linear % PROCESSOR_SIZE || base + size < base ||
        size < (uint64_t)(image_end - image_start) + SMALLEST_POOL + (places - 1) * (uint64_t)POOL_PER_PROCESSOR)
        return "the pool is not aligned, or smaller than the image asks for";
    pool_base = base;
    pool_pages = size / PAGE_SIZE - image_pages < POOL_PAGES_MAX ? size / PAGE_SIZE - image_pages : POOL_PAGES_MAX;
    shift = linear - base;
    clear_places(base);
    return NULL;
}

void *in_pool(uint64_t physical)
{
    return at(here() == IMAGE_VIRTUAL + IMAGE_LOAD ? physical : physical + shift);
}

struct hal_range hal_pool(void)
{
    return (struct hal_range){ PA(pool_base), (pool_pages + image_pages) * PAGE_SIZE };
}

physical_address hal_page_allocate(void)
{
    physical_address page = PA(0);

    hal_lock(&lock);
    for (uint64_t i = 0; i < pool_pages && !page.value; i++) {
        const uint64_t index = (next_free + i) % pool_pages;
        if (used[index])
            continue;
        used[index] = 1;
        next_free = index + 1;                  /* the next search starts behind this page */
        page = PA(pool_base + (image_pages + index) * PAGE_SIZE);
        memset(in_pool(page.value), 0, PAGE_SIZE);
    }
    hal_unlock(&lock);
    return page;
}

void hal_page_free(physical_address page)
{
    const uint64_t index = (page.value - pool_base) / PAGE_SIZE - image_pages;

    if (page.value % PAGE_SIZE || index >= pool_pages || !used[index])
        hal_fail_stop("L0 freed a page that it had not allocated");
    hal_lock(&lock);
    used[index] = 0;
    hal_unlock(&lock);
}
