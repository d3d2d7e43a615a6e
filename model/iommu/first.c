/* SPDX-License-Identifier: MIT */
/*
 * The first stage: page tables of the processor's format, alone or nested, when each of their addresses goes through the second stage
 * (VT-d, 3.6, 3.8, 9.7). The unit sets accessed and dirty flags always.
 */
#include "model/iommu/parts.h"

#define ENTRY_WRITE (1ull << 1)
#define ENTRY_USER (1ull << 2)
#define ENTRY_ACCESSED (1ull << 5)
#define ENTRY_DIRTY (1ull << 6)
#define ENTRY_LARGE (1ull << 7)
#define ENTRY_EXTENDED_ACCESSED (1ull << 10)
#define ENTRY_EXECUTE_DISABLE (1ull << 63)

static unsigned levels(const struct iommu_walk *walk)
{
    return VTD_PASID_FSPM(walk->word[2]) ? 5 : 4;
}

static bool canonical(uint64_t address, unsigned levels)
{
    unsigned shift = 64 - (12 + 9 * levels);

    return (uint64_t)((int64_t)(address << shift) >> shift) == address;
}

/* Where an address that the first stage gives is in memory. */
static struct iommu_stage place(struct iommu_walk *walk, bool nested, uint64_t address, enum iommu_access access)
{
    uint64_t w0 = walk->word[0];

    if (nested)
        return iommu_second_walk(walk, w0 & VTD_ADDRESS, VTD_PASID_AW(w0), w0 & VTD_PASID_SLADE, address, access);
    return (struct iommu_stage){ .pa = address, .size = ~0ull, .readable = true, .writable = true, .dirty = true };
}

/* The same refusals have other names when a table of the first stage was looked for, and not the request's page. */
static enum iommu_reason of_table(enum iommu_reason reason, bool top)
{
    switch (reason) {
    case IOMMU_second_range:
        return IOMMU_nested_range;
    case IOMMU_second_absent:
    case IOMMU_second_read:
        return top ? IOMMU_nested_root : IOMMU_nested_read;
    case IOMMU_second_write:
        return IOMMU_nested_write;
    default:
        return reason;
    }
}

/* The addresses of what is nested are not the host's: how wide they may be the second stage says. */
static bool reserved(const struct iommu *iommu, bool nested, uint64_t entry, unsigned level, bool leaf)
{
    uint64_t bits = nested ? 0 : iommu_beyond_host(iommu) & VTD_ADDRESS;

    if (leaf && level > 1)
        bits |= (iommu_level_span(level) - 1) & PAGE_MASK & ~(1ull << 12);    /* bit 12 of a large page is PAT's */
    if (level > 3 || (level == 3 && !(iommu->profile->cap & VTD_CAP_FL1GP)))
        bits |= ENTRY_LARGE;
    return entry & bits;
}

/* What all entries together allow: ANDed, but for execute disable, which is ORed. */
struct rights {
    uint64_t all, any;
};

static enum iommu_reason check_rights(const struct iommu_walk *walk, struct rights rights)
{
    const struct iommu_request *request = walk->request;
    bool user = !request->supervisor;

    if (user && !(rights.all & ENTRY_USER))
        return IOMMU_first_user;
    if (request->execute && (rights.any & ENTRY_EXECUTE_DISABLE))
        return IOMMU_first_execute;
    if (request->access != IOMMU_READ && !(rights.all & ENTRY_WRITE) && (user || (walk->word[2] & VTD_PASID_WPE)))
        return IOMMU_first_write;
    return IOMMU_GRANTED;
}

/* The entries that were used: where they are, as the second stage says, and which step of the way each is. */
struct used {
    unsigned count;
    struct {
        uint64_t address;
        unsigned step;
    } entry[5];
};

static enum iommu_reason set_flags(struct iommu_walk *walk, bool nested, const struct used *used)
{
    uint64_t accessed = ENTRY_ACCESSED | (walk->word[2] & VTD_PASID_EAFE ? ENTRY_EXTENDED_ACCESSED : 0);
    bool write = walk->request->access != IOMMU_READ;

    for (unsigned i = 0; i < used->count && !walk->probe; i++) {
        struct iommu_step *step = &walk->way->step[used->entry[i].step];
        uint64_t missing = (accessed | (write && i == used->count - 1 ? ENTRY_DIRTY : 0)) & ~step->value;
        struct iommu_stage at;

        if (!missing)
            continue;
        if (!walk->snoops)
            return IOMMU_first_snoop;
        at = place(walk, nested, used->entry[i].address, IOMMU_WRITE);
        if (at.reason)
            return of_table(at.reason, i == 0);
        step->value |= missing;
        memory_write64(walk->iommu->memory, step->pa, step->value);
    }
    return IOMMU_GRANTED;
}

struct iommu_stage iommu_first_walk(struct iommu_walk *walk, bool nested)
{
    const struct iommu_request *request = walk->request;
    uint64_t table = walk->word[2] & VTD_ADDRESS, entry = 0, span = 0;
    struct rights rights = { ~0ull, 0 };
    struct used used = { 0 };
    struct iommu_stage at, page;
    bool leaf = false;

    if (!canonical(request->address, levels(walk)))
        return iommu_stage_refused(IOMMU_first_canonical);
    for (unsigned level = levels(walk); !leaf; level--) {
        bool top = level == levels(walk);

        span = iommu_level_span(level);
        used.entry[used.count].address = table + (request->address / span & 0x1ff) * 8;
        at = place(walk, nested, used.entry[used.count].address, IOMMU_READ);
        if (at.reason)
            return iommu_stage_refused(of_table(at.reason, top));
        used.entry[used.count++].step = walk->way->count;
        if (!iommu_read_entry(walk->iommu, walk->way, IOMMU_FIRST, level, at.pa, &entry))
            return iommu_stage_refused(top ? IOMMU_first_root : IOMMU_first_access);
        if (!(entry & VTD_PRESENT))
            return iommu_stage_refused(IOMMU_first_absent);
        leaf = level == 1 || (entry & ENTRY_LARGE);
        if (reserved(walk->iommu, nested, entry, level, leaf))
            return iommu_stage_refused(IOMMU_first_reserved);
        rights.all &= entry;
        rights.any |= entry;
        table = entry & VTD_ADDRESS;
    }
    page = iommu_stage_refused(check_rights(walk, rights));
    if (page.reason)
        return page;
    page = place(walk, nested, (table & ~(span - 1)) | (request->address & (span - 1)), request->access);
    if (page.reason)
        return page;
    page.reason = set_flags(walk, nested, &used);
    page.size = span < page.size ? span : page.size;
    page.writable = page.writable && ((rights.all & ENTRY_WRITE) || (request->supervisor && !(walk->word[2] & VTD_PASID_WPE)));
    page.user = rights.all & ENTRY_USER;
    page.executable = !(rights.any & ENTRY_EXECUTE_DISABLE);
    page.dirty = page.dirty && (request->access != IOMMU_READ || (entry & ENTRY_DIRTY));
    return page;
}
