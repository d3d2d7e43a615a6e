/* SPDX-License-Identifier: MIT */
/*
 * The second stage: tables of three to five levels, as those of EPT are (VT-d, 3.7, 9.8).
 *
 *    63  62 61    52 51      N N-1                      12 11 10  9  8   7   6   2   1   0
 *   +---+--+--------+---------+--------------------------+--+---+---+---+---+-----+---+---+
 *   |ign|TM|ignored |reserved |  address of table, page  |SN|ign| D | A |PS |ign  | W | R |
 *   +---+--+--------+---------+--------------------------+--+---+---+---+---+-----+---+---+
 */
#include "model/iommu/parts.h"

enum { LEVELS_MAX = 5 };

bool iommu_beyond_width(const struct iommu *iommu, unsigned aw, uint64_t address)
{
    unsigned width = 30 + 9 * aw, most = VTD_CAP_MGAW(iommu->profile->cap);

    return address >> (width < most ? width : most);
}

/* Bit 11 is for leaves, and for a unit with snoop control; bit 7 for leaves of 2 MB and 1 GB, if the unit has them. */
static bool reserved(const struct iommu *iommu, uint64_t entry, unsigned level, bool leaf)
{
    uint64_t cap = iommu->profile->cap, bits = (iommu_beyond_host(iommu) & VTD_ADDRESS) | VTD_SECOND_TRANSIENT;

    if (leaf)
        bits |= (iommu_level_span(level) - 1) & PAGE_MASK;
    if (!leaf || !(iommu->profile->ecap & VTD_ECAP_SC))
        bits |= VTD_SECOND_SNOOP;
    if (level > 3 || (level == 3 && !(cap & VTD_CAP_SLLPS_1G)) || (level == 2 && !(cap & VTD_CAP_SLLPS_2M)))
        bits |= VTD_SECOND_LARGE;
    return entry & bits;
}

/* 3.7.2 "Accessed and dirty flags": set once all is known to be allowed, in every entry that was used. */
static enum iommu_reason set_flags(struct iommu_walk *walk, unsigned first, bool write)
{
    struct iommu_way *way = walk->way;
    uint64_t missing[LEVELS_MAX], any = 0;
    unsigned used = way->count - first;

    for (unsigned i = 0; i < used; i++) {
        missing[i] = (VTD_SECOND_ACCESSED | (write && i == used - 1 ? VTD_SECOND_DIRTY : 0)) & ~way->step[first + i].value;
        any |= missing[i];
    }
    if (!any || walk->probe)
        return IOMMU_GRANTED;
    if (!walk->snoops)
        return IOMMU_second_snoop;
    for (unsigned i = 0; i < used; i++) {
        way->step[first + i].value |= missing[i];
        memory_write64(walk->iommu->memory, way->step[first + i].pa, way->step[first + i].value);
    }
    return IOMMU_GRANTED;
}

struct iommu_stage iommu_second_walk(struct iommu_walk *walk, uint64_t table, unsigned aw, bool flags, uint64_t address, enum iommu_access access)
{
    struct iommu *iommu = walk->iommu;
    uint64_t entry = 0, rights = VTD_SECOND_READ | VTD_SECOND_WRITE, span = 0, pa;
    unsigned first = walk->way->count;
    struct iommu_stage at = { 0 };
    bool leaf = false;

    if (iommu_beyond_width(iommu, aw, address))
        return iommu_stage_refused(IOMMU_second_range);
    for (unsigned level = aw + 2; !leaf; level--) {
        span = iommu_level_span(level);
        pa = (table & VTD_ADDRESS) + (address / span & 0x1ff) * 8;
        if (!iommu_read_entry(iommu, walk->way, IOMMU_SECOND, level, pa, &entry))
            return iommu_stage_refused(level == aw + 2 ? IOMMU_second_root : IOMMU_second_access);
        rights &= entry;
        if (!(entry & (VTD_SECOND_READ | VTD_SECOND_WRITE)))
            break;
        leaf = level == 1 || (entry & VTD_SECOND_LARGE);
        if (reserved(iommu, entry, level, leaf))
            return iommu_stage_refused(IOMMU_second_reserved);
        table = entry;
    }
    /* Legacy mode knows no "not present": what is neither readable nor writable refuses by the access. */
    if (!rights && iommu_scalable(iommu))
        return iommu_stage_refused(IOMMU_second_absent);
    if (access != IOMMU_READ && !(rights & VTD_SECOND_WRITE))
        return iommu_stage_refused(IOMMU_second_write);
    if (access != IOMMU_WRITE && !(rights & VTD_SECOND_READ))
        return iommu_stage_refused(IOMMU_second_read);
    at.reason = flags ? set_flags(walk, first, access != IOMMU_READ) : IOMMU_GRANTED;
    at.pa = (entry & VTD_ADDRESS & ~(span - 1)) | (address & (span - 1));
    at.size = span;
    at.readable = rights & VTD_SECOND_READ;
    at.writable = rights & VTD_SECOND_WRITE;
    at.user = at.executable = true;
    at.dirty = !flags || access != IOMMU_READ || (entry & VTD_SECOND_DIRTY);
    return at;
}
