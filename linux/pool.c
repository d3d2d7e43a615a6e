// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/* Memory for L0: found below 4 GB, as what alloc_contig_range() can clear of everything that moves. */
#define pr_fmt(fmt) "sesqui: " fmt
#include <linux/elf.h>
#include <linux/gfp.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-flags.h>

#include "sesqui.h"

#define ALIGNMENT (2UL << 20)           /* of the large pages that map it in its world; a multiple of LATE_ALIGNMENT */
#define HIGHEST (4UL << 30)

/* The one PT_LOAD segment; NULL: this is no image of L0's. */
static const Elf64_Phdr *segment(void)
{
    const Elf64_Ehdr *header = (const void *)sesqui_image;
    const Elf64_Phdr *found = (const void *)(sesqui_image + header->e_phoff);
    const size_t size = sesqui_image_end - sesqui_image;

    if (size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_phnum != 1 || header->e_phoff + sizeof *found > size)
        return NULL;
    return found->p_type == PT_LOAD && found->p_offset + found->p_filesz <= size && found->p_filesz <= found->p_memsz ? found : NULL;
}

static const struct late_image *find_header(const u8 *image, size_t size)
{
    size_t at;

    for (at = 0; at + sizeof(struct late_image) <= min_t(size_t, size, 8192); at += 8)
        if (*(const u64 *)(image + at) == LATE_IMAGE_SIGNATURE)
            return (const void *)(image + at);
    return NULL;
}

/* Pages that are there, of one zone, and that nobody holds for good. */
static bool may_be_taken(unsigned long first, unsigned long count)
{
    struct page *begin = pfn_to_online_page(first);
    unsigned long pfn;

    for (pfn = first; begin && pfn < first + count; pfn++) {
        struct page *page = pfn_to_online_page(pfn);
        if (!page || page_zone(page) != page_zone(begin) || PageReserved(page) || PageHuge(page))
            return false;
        /* A free or movable page; the rest would be tried in vain, with a line in the log. */
        if (page_count(page) && !PageLRU(page) && !__PageMovable(page) && !PageBuddy(page))
            return false;
        if (PageBuddy(page))
            pfn += (1UL << page_private(page)) - 1;
    }
    return begin != NULL;
}

static int find_pages(struct pool *pool)
{
    const unsigned long count = pool->size >> PAGE_SHIFT, step = ALIGNMENT >> PAGE_SHIFT;
    unsigned long pfn;

    for (pfn = (HIGHEST >> PAGE_SHIFT) - ALIGN(count, step); pfn >= step; pfn -= step) {
        if (!may_be_taken(pfn, count) || alloc_contig_range(pfn, pfn + count, MIGRATE_MOVABLE, GFP_KERNEL | __GFP_NOWARN))
            continue;
        pool->pages = pfn_to_page(pfn);
        pool->base = (phys_addr_t)pfn << PAGE_SHIFT;
        return 0;
    }
    pr_err("no %zu MB of contiguous memory below 4 GB: load the module earlier, from the initramfs\n", pool->size >> 20);
    return -ENOMEM;
}

void pool_place_image(struct pool *pool)
{
    const Elf64_Phdr *part = segment();
    u8 *to = page_address(pool->pages);

    memset(to, 0, pool->size);
    memcpy(to, sesqui_image + part->p_offset, part->p_filesz);
    pool->image = find_header(to, part->p_memsz);
}

int pool_take(struct pool *pool, unsigned int processors)
{
    const Elf64_Phdr *part = segment();
    const struct late_image *header = part ? find_header(sesqui_image + part->p_offset, part->p_filesz) : NULL;
    int error;

    if (!header) {
        pr_err("the image in this module is none of L0's, or one of another version\n");
        return -ENOEXEC;
    }
    if (processors > header->processors) {
        pr_err("%u processors: the image keeps at most %llu\n", processors, header->processors);
        return -E2BIG;
    }
    pool->size = ALIGN(header->smallest + header->per_processor * (processors - 1), ALIGNMENT);
    error = find_pages(pool);
    if (!error)
        pool_place_image(pool);
    return error;
}

void pool_hide(const struct pool *pool)
{
    unsigned long i;

    page_offline_begin();
    for (i = 0; i < pool->size >> PAGE_SHIFT; i++)
        __SetPageOffline(pool->pages + i);
    page_offline_end();
}

void pool_give_back(struct pool *pool)
{
    unsigned long i;

    for (i = 0; pool->pages && i < pool->size >> PAGE_SHIFT; i++)
        if (PageOffline(pool->pages + i))
            __ClearPageOffline(pool->pages + i);
    if (pool->pages)
        free_contig_range(page_to_pfn(pool->pages), pool->size >> PAGE_SHIFT);
    pool->pages = NULL;
}
