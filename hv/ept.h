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
/* Size in bytes of what an entry of level 1 (EPT PTE) to 4 (PML4E) maps. */
#define EPT_SPAN(level) (1ull << (12 + 9 * ((level) - 1)))
#define EPT_ENTRY_INDEX(gpa, level) ((gpa) >> (12 + 9 * ((level) - 1)) & 0x1ff)
#define EPT_MEMORY_TYPE_BITS(type) ((uint64_t)(type) << 3)
/* EPT covers guest-physical addresses of 48 bits with 4 levels. */
enum { EPT_LEVELS = 4, EPT_ADDRESS_BITS = 48 };

bool ept_create(struct ept *ept, unsigned limit);
/* Frees every paging structure. The caller invalidates. */
void ept_destroy(struct ept *ept);
uint64_t ept_pointer(const struct ept *ept);
/*
 * Writes the leaf for `gpa` at `level` (1: 4 KB, 2: 2 MB); the levels above get all rights. True on success. False: a
 * page was needed and the limit or the pool is reached, or a larger leaf is in the way; then nothing is mapped.
 */
bool ept_map(struct ept *ept, uint64_t gpa, unsigned level, uint64_t leaf);

/* EPT01: all RAM but the pool, write-back. Devices follow when L1 touches them. False: no page left. */
bool ept01_build(struct hv_machine *machine);
/* An EPT violation on EPT01, met by L1, or by L2 while it runs on EPT01. */
void ept01_violation(struct hv_cpu *cpu);

#endif
