/* SPDX-License-Identifier: MIT */
/* Extended page tables: SDM Vol. 3, 29.3. The walk only; what is remembered of it is in model/tlb/. */
#ifndef SESQUI_MODEL_EPT_H
#define SESQUI_MODEL_EPT_H

#include <stdint.h>

#include "model/cpu/translate.h"
#include "model/cpu/walk.h"

struct cpu;

/* Why a guest-physical address is translated. */
struct ept_access {
    enum access_kind kind;
    bool paging_structure;      /* the access reads or updates a guest paging-structure entry */
    bool linear_valid;          /* a linear address stands behind it (not for PDPTE loads) */
    bool probe;                 /* no accessed or dirty flags, nothing logged or reported */
    uint64_t linear;
    uint64_t page;              /* the access itself: what guest paging says of the page, EPT_VIOLATION_*_PAGE */
    struct trail *trail;        /* NULL, or where a walk that succeeds notes the entries that it used */
};

/*
 * Walks the EPT of `eptp` for `gpa`. On success pa, rights (of the page, all levels ANDed) and memory type are set;
 * otherwise result is TRANSLATION_EPT_VIOLATION with its qualification, TRANSLATION_EPT_MISCONFIGURATION, or
 * TRANSLATION_PML_FULL. With mode-based execute control the right to execute is that of the linear address's mode.
 */
struct ept_translation {
    enum translation_result result;
    uint64_t pa;
    uint8_t rights;
    uint8_t memory_type;
    bool dirty;                 /* writable without another walk (dirty flag set, or A/D flags off) */
    bool convertible;           /* violation: no entry suppresses #VE */
    uint64_t page_size;
    uint64_t qualification;
};
struct ept_translation ept_walk(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access);

/* What makes a present entry a misconfiguration (29.3.3.1); EPT_SOUND: nothing. `leaf`: it maps a page. */
enum ept_flaw {
    EPT_SOUND,
#define EPT_FLAW(name, sentence) EPT_FLAW_##name,
#include "model/ept/flaws.def"
};
struct model;
enum ept_flaw ept_entry_flaw(const struct model *model, uint64_t entry, unsigned level, bool leaf);

#endif
