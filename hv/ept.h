/* SPDX-License-Identifier: MIT */
/* EPT paging structures that L0 builds: EPT01 for L1, shadow EPTs for L2 (nested/vept.c). SDM Vol. 3, 29.3. */
#ifndef SESQUI_HV_EPT_H
#define SESQUI_HV_EPT_H

#include "hv/hal.h"

struct hv_cpu;
struct hv_machine;

struct ept {
    physical_address root;
    unsigned pages;             /* in use, the root included */
    unsigned limit;             /* most pages it may use */
};

#define EPT_ADDRESS 0x000ffffffffff000ull
#define EPT_ALL_RIGHTS (EPT_RIGHTS | EPT_USER_EXECUTE)
/* Size in bytes of what an entry of level 1 (EPT PTE) to 4 (PML4E) maps. */
#define EPT_SPAN(level) (1ull << (12 + 9 * ((level) - 1)))
#define EPT_ENTRY_INDEX(gpa, level) ((gpa) >> (12 + 9 * ((level) - 1)) & 0x1ff)
#define EPT_MEMORY_TYPE_BITS(type) ((uint64_t)(type) << 3)
/* EPT covers guest-physical addresses of 48 bits with 4 levels. */
enum { EPT_LEVELS = 4, EPT_ADDRESS_BITS = 48 };

bool ept_create(struct ept *ept, unsigned limit);
/* Frees every paging structure; ept_empty() all but the root. The caller invalidates first. */
void ept_destroy(struct ept *ept);
void ept_empty(struct ept *ept);
uint64_t ept_pointer(const struct ept *ept);
/*
 * Maps the page of `level` (1: 4 KB, 2: 2 MB, 3: 1 GB) around `gpa`; the levels above get all rights. `leaf`: what its
 * entry shall be, with bit 7 above level 1. Where there is a table below that level already, a smaller page around `gpa`
 * is mapped in it; a leaf that is in the way gives room to a table.
 */
enum ept_mapped {
    EPT_NO_PAGE,                /* a page was needed, and the limit or the pool is reached: nothing is mapped */
    EPT_UNCHANGED,              /* it was mapped like this */
    EPT_EXTENDED,               /* nothing is lost that was mapped before: nothing need be invalidated */
    EPT_REPLACED,               /* something is: the caller invalidates */
};
enum ept_mapped ept_map(struct ept *ept, uint64_t gpa, unsigned level, uint64_t leaf);
/* Takes the 4-KByte page at `gpa` out of the mappings: a larger page around it is split first. Processors may be using this
 * EPT; the caller invalidates. False: a page was needed, and the limit or the pool is reached: all is mapped as before. */
bool ept_unmap(struct ept *ept, uint64_t gpa);

/* EPT01: all RAM but the pool, write-back. Devices follow when L1 touches them. False: no page left. */
bool ept01_build(struct hv_machine *machine);
/* An EPT violation on EPT01, met by L1, or by L2 while it runs on EPT01. */
void ept01_violation(struct hv_cpu *cpu);

#endif
