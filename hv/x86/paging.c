/* SPDX-License-Identifier: MIT */
/* L0's paging structures, in its pool: memory one to one, the image where it is linked. SDM Vol. 3, 4.5. */
#include "hv/x86/x86.h"

#define PRESENT (1ull << 0)
#define WRITABLE (1ull << 1)
#define UNCACHEABLE (1ull << 4 | 1ull << 3)     /* PCD, PWT */
#define LARGE (1ull << 7)
#define EXECUTE_DISABLE (1ull << 63)
#define ADDRESS 0x000ffffffffff000ull
#define LARGE_PAGE (2 * MEGABYTE)
enum { LEVELS = 4 };

extern uint8_t image_start[], image_writable[], image_end[];
static uint64_t root, root_5;

uint64_t paging_root(bool la57) { return la57 ? root_5 : root; }

/* False: the pool is empty. */
static bool map(uint64_t linear, unsigned level, uint64_t entry)
{
    uint64_t table = root;

    for (unsigned l = LEVELS;; l--) {
        uint64_t *slot = (uint64_t *)in_pool(table) + (linear >> (12 + 9 * (l - 1)) & 511);
        if (l == level) {
            *slot = entry;
            return true;
        }
        if (!*slot) {
            const uint64_t page = hal_page_allocate().value;
            if (!page)
                return false;
            *slot = page | PRESENT | WRITABLE;
        }
        table = *slot & ADDRESS;
    }
}

uint64_t paging_top(void)
{
    uint64_t top = 4096 * MEGABYTE;

    for (unsigned i = 0; i < boot.ranges; i++)
        if (boot.range[i].type == MEMORY_AVAILABLE && boot.range[i].end > top)
            top = boot.range[i].end;
    return top;
}

static bool any_ram(uint64_t base, uint64_t end)
{
    for (unsigned i = 0; i < boot.ranges; i++)
        if (boot.range[i].type == MEMORY_AVAILABLE && boot.range[i].base < end && base < boot.range[i].end)
            return true;
    return false;
}

/* Pages at `linear` for what is at [base, base + size), the image at `image` among it: its code is read-only, the rest is no code. */
static bool map_small(uint64_t linear, uint64_t base, uint64_t size, uint64_t image)
{
    bool done = true;

    for (uint64_t at = 0; done && at < size; at += PAGE_SIZE)
        done = map(linear + at, 1, (base + at) | PRESENT |
                                   (base + at - image < (uint64_t)(image_writable - image_start) ? 0 : WRITABLE | EXECUTE_DISABLE));
    return done;
}

/* With 5 levels the same addresses, the lowest and highest 128 TB, are two entries of one more table. */
static void build_root_5(void)
{
    uint64_t *const table = in_pool(root_5);

    table[0] = table[511] = root | PRESENT | WRITABLE;
}

const char *paging_build(uint64_t linear)
{
    const uint64_t image = hal_pool().base.value, size = image_size(), top = paging_top();
    const uint64_t executed_end = options.late && linear == image ? image + size : image;   /* by passage.S, one to one */
    bool done = (root = hal_page_allocate().value) && (root_5 = hal_page_allocate().value);

    for (uint64_t a = 0; done && a < top; a += LARGE_PAGE)
        done = image < a + LARGE_PAGE && a < executed_end ? map_small(a, a, LARGE_PAGE, image)
                   : map(a, 2, a | PRESENT | WRITABLE | LARGE | EXECUTE_DISABLE | (any_ram(a, a + LARGE_PAGE) ? 0 : UNCACHEABLE));
    done = done && map_small(IMAGE_VIRTUAL + IMAGE_LOAD, image, size, image) && (linear == image || map_small(linear, image, size, image));
    if (!done)
        return "too little memory: L0's pool is too small for its paging structures";
    build_root_5();
    return NULL;
}

/* Until now others have started there. */
void paging_seal(void)
{
    map(0, 2, PRESENT | WRITABLE | LARGE | EXECUTE_DISABLE);
}

const char *paging_start(void)
{
    const char *why = paging_build(hal_pool().base.value);

    if (why)
        return why;
    map(0, 2, PRESENT | WRITABLE | LARGE);      /* the trampoline of the other processors turns paging on */
    /* Everything moves, the stack included: nothing may be written between the copy and its use. */
    uint8_t *from = image_start;
    uint64_t to = hal_pool().base.value, length = (uint64_t)(image_end - image_start);
    __asm__ volatile("rep movsb\n movq %3, %%cr3" : "+S"(from), "+D"(to), "+c"(length) : "r"(root) : "memory");
    return NULL;
}
