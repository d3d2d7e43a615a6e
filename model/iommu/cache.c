/* SPDX-License-Identifier: MIT */
/*
 * What a remapping unit remembers until software invalidates it: context entries, PASID table entries, pages, interrupt remapping entries
 * (VT-d, 6.2). Never what is not present or refused: CAP.CM is 0. All of it is what *may* still be there; the policy says what is used.
 */
#include "model/iommu/parts.h"

#include <string.h>

#include "model/random.h"

bool iommu_holds(const struct iommu *iommu, const struct iommu_way *way)
{
    for (unsigned i = way->count; i-- > 0;) {
        if (memory_read64(iommu->memory, way->step[i].pa) != way->step[i].value)
            return false;
    }
    return true;
}

bool iommu_keeps_stale(struct iommu *iommu)
{
    return iommu->policy == TLB_KEEP || (iommu->policy == TLB_SEEDED && (random_next(&iommu->random) & 1) == 0);
}

/* ---- contexts and PASIDs: one place for each, by a hash ---- */

static struct iommu_context *context_place(struct iommu *iommu, uint16_t source)
{
    return &iommu->cache.context[(source ^ source >> 8) % IOMMU_CONTEXTS];
}

struct iommu_context *iommu_find_context(struct iommu *iommu, uint16_t source)
{
    struct iommu_context *known = context_place(iommu, source);

    return known->valid && known->source == source ? known : NULL;
}

void iommu_remember_context(struct iommu *iommu, const struct iommu_context *context)
{
    *context_place(iommu, context->source) = *context;
}

static struct iommu_pasid *pasid_place(struct iommu *iommu, uint16_t source, uint32_t pasid)
{
    return &iommu->cache.pasid[(source ^ source >> 8 ^ pasid * 7) % IOMMU_PASIDS];
}

struct iommu_pasid *iommu_find_pasid(struct iommu *iommu, uint16_t source, uint32_t pasid)
{
    struct iommu_pasid *known = pasid_place(iommu, source, pasid);

    return known->valid && known->source == source && known->pasid == pasid ? known : NULL;
}

void iommu_remember_pasid(struct iommu *iommu, const struct iommu_pasid *pasid)
{
    *pasid_place(iommu, pasid->source, pasid->pasid) = *pasid;
}

void iommu_forget_contexts(struct iommu *iommu)
{
    memset(iommu->cache.context, 0, sizeof(iommu->cache.context));
}

void iommu_forget_contexts_of_domain(struct iommu *iommu, uint16_t did)
{
    for (unsigned i = 0; i < IOMMU_CONTEXTS; i++) {
        if (iommu->cache.context[i].did == did)
            iommu->cache.context[i].valid = false;
    }
}

void iommu_forget_context(struct iommu *iommu, uint16_t source, unsigned mask, uint16_t did)
{
    static const uint16_t not_compared[4] = { 0, 4, 6, 7 };     /* 6.5.2.1, Function Mask */

    for (unsigned i = 0; i < IOMMU_CONTEXTS; i++) {
        struct iommu_context *known = &iommu->cache.context[i];

        if (!((known->source ^ source) & ~not_compared[mask]) && (iommu_scalable(iommu) || known->did == did))
            known->valid = false;
    }
}

void iommu_forget_pasids(struct iommu *iommu)
{
    memset(iommu->cache.pasid, 0, sizeof(iommu->cache.pasid));
}

void iommu_forget_pasids_of_domain(struct iommu *iommu, uint16_t did)
{
    for (unsigned i = 0; i < IOMMU_PASIDS; i++) {
        if (iommu->cache.pasid[i].did == did)
            iommu->cache.pasid[i].valid = false;
    }
}

void iommu_forget_pasid(struct iommu *iommu, uint16_t did, uint32_t pasid)
{
    for (unsigned i = 0; i < IOMMU_PASIDS; i++) {
        if (iommu->cache.pasid[i].did == did && iommu->cache.pasid[i].pasid == pasid)
            iommu->cache.pasid[i].valid = false;
    }
}

/* ---- pages: sets by the address of the page, whose size the search has to guess among those that are there ---- */

static unsigned page_set(uint16_t did, uint64_t address, uint64_t size)
{
    return (unsigned)((address / size ^ did * 5u) % IOMMU_PAGE_SETS);
}

struct iommu_page *iommu_find_page(struct iommu *iommu, uint16_t did, uint32_t pasid, uint64_t address)
{
    struct iommu_cache *cache = &iommu->cache;

    for (unsigned order = 12; cache->sizes >> order; order++) {
        uint64_t size = 1ull << order;
        struct iommu_page *set = cache->page[page_set(did, address, size)];

        for (unsigned way = 0; (cache->sizes & size) && way < IOMMU_PAGE_WAYS; way++) {
            if (set[way].valid && set[way].did == did && set[way].pasid == pasid && set[way].size == size && !((set[way].address ^ address) & ~(size - 1)))
                return &set[way];
        }
    }
    return NULL;
}

void iommu_remember_page(struct iommu *iommu, const struct iommu_page *page)
{
    struct iommu_cache *cache = &iommu->cache;
    unsigned set = page_set(page->did, page->address, page->size);
    struct iommu_page *place = iommu_find_page(iommu, page->did, page->pasid, page->address);

    if (!place || place->size != page->size) {
        if (place)
            place->valid = false;
        place = &cache->page[set][cache->next_way[set]];
        cache->next_way[set] = (uint8_t)((cache->next_way[set] + 1u) % IOMMU_PAGE_WAYS);
    }
    *place = *page;
    cache->sizes |= (uint32_t)page->size;
}

void iommu_forget_pages(struct iommu *iommu)
{
    for (unsigned set = 0; set < IOMMU_PAGE_SETS; set++) {
        for (unsigned way = 0; way < IOMMU_PAGE_WAYS; way++)
            iommu->cache.page[set][way].valid = false;
    }
    iommu->cache.sizes = 0;
}

/*
 * Those of a domain that a range of a PASID's addresses reaches. IOMMU_NO_PASID: the range is the second stage's, and what is nested in it was
 * found at other addresses, so that all of that goes (6.5.2.3).
 */
static void forget(struct iommu *iommu, uint16_t did, uint32_t pasid, uint64_t address, uint64_t length)
{
    for (unsigned set = 0; set < IOMMU_PAGE_SETS; set++) {
        for (unsigned way = 0; way < IOMMU_PAGE_WAYS; way++) {
            struct iommu_page *page = &iommu->cache.page[set][way];
            bool nested = pasid == IOMMU_NO_PASID && page->pasid != IOMMU_NO_PASID;
            bool reached = page->address - address < length || address - page->address < page->size;

            if (page->did == did && (nested || (page->pasid == pasid && reached)))
                page->valid = false;
        }
    }
}

void iommu_forget_pages_of_domain(struct iommu *iommu, uint16_t did)
{
    forget(iommu, did, IOMMU_NO_PASID, 0, ~0ull);
}

void iommu_forget_pages_of_pasid(struct iommu *iommu, uint16_t did, uint32_t pasid)
{
    forget(iommu, did, pasid, 0, ~0ull);
}

void iommu_forget_page(struct iommu *iommu, uint16_t did, uint32_t pasid, uint64_t address, unsigned order)
{
    uint64_t length = PAGE_SIZE << order;

    forget(iommu, did, pasid, address & ~(length - 1), length);
}

/* ---- interrupt remapping entries ---- */

struct iommu_irte *iommu_find_irte(struct iommu *iommu, uint16_t index)
{
    struct iommu_irte *known = &iommu->cache.irte[index % IOMMU_IRTES];

    return known->valid && known->index == index ? known : NULL;
}

void iommu_remember_irte(struct iommu *iommu, const struct iommu_irte *irte)
{
    iommu->cache.irte[irte->index % IOMMU_IRTES] = *irte;
}

void iommu_forget_irtes(struct iommu *iommu)
{
    memset(iommu->cache.irte, 0, sizeof(iommu->cache.irte));
}

void iommu_forget_irte(struct iommu *iommu, uint16_t index, unsigned order)
{
    for (unsigned i = 0; i < IOMMU_IRTES; i++) {
        if (!((iommu->cache.irte[i].index ^ index) >> order))
            iommu->cache.irte[i].valid = false;
    }
}
