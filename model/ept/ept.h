/* SPDX-License-Identifier: MIT */
/* Extended page tables: SDM Vol. 3, 29.3: the walk (ept.c), and the second stage as software meets it (second_stage.c). What is
 * remembered stands in model/tlb/. */
#ifndef SESQUI_MODEL_EPT_H
#define SESQUI_MODEL_EPT_H

#include <stdbool.h>
#include <stdint.h>

#include "model/cpu/translate.h"
#include "model/cpu/walk.h"

struct cpu;

/* The entries that a walk used, from the root on, with the flags that it set. */
enum { EPT_LEVELS_MAX = 5 };
struct ept_steps {
    unsigned count;
    struct {
        uint64_t pa, value;
    } step[EPT_LEVELS_MAX];
};

/* A paging structure in the middle of an EPT: `level` is that of its entries, `rights` what those above have in common. */
struct ept_table {
    unsigned level;
    uint64_t pa, rights;
};

/* Why a guest-physical address is translated. */
struct ept_access {
    enum access_kind kind;
    bool paging_structure;      /* the access reads or updates a guest paging-structure entry */
    bool linear_valid;          /* a linear address stands behind it (not for PDPTE loads) */
    bool probe;                 /* no accessed or dirty flags, nothing logged or reported */
    uint64_t linear;
    uint64_t page;              /* the access itself: what guest paging says of the page, EPT_VIOLATION_*_PAGE */
    struct ept_steps *steps;    /* NULL, or where a walk that succeeds notes the entries that it used */
    const struct ept_table *from;   /* NULL: the walk begins at the root */
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
    uint64_t right_bits;        /* of all entries used, ANDed */
    uint64_t qualification;
};
struct ept_translation ept_walk(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access);
/* RIGHT_* that these bits of EPT entries (2:0, and 10 with mode-based execute control) give to an access from its mode. */
uint8_t ept_access_rights(const struct cpu *cpu, uint64_t bits, struct ept_access access);
/* Does an access like this need the right to write, and the dirty flag? */
bool ept_counts_as_write(uint64_t eptp, struct ept_access access);
/* The levels of the EPT that a pointer names: 4 or 5. */
unsigned ept_levels(uint64_t eptp);
/* The bits of entries that give rights: 2:0, and 10 with mode-based execute control. */
uint64_t ept_right_bits(const struct cpu *cpu);

/*
 * The same as a processor does it: with what it remembers (29.4.2), and remembering what it finds. A violation drops what was
 * remembered of `gpa` (29.4.3.1). The use of what an INVEPT should have removed is reported as rule R4. Probes only walk.
 */
struct ept_translation ept_translate(struct cpu *cpu, uint64_t eptp, uint64_t gpa, struct ept_access access);
/*
 * The processor runs on a shadow of cpu->vmx.shadowed_eptp, and `gpa` has been translated, or was not in the shadow: would a processor that ran on that
 * EPT itself have used what an INVEPT should have removed?  Then NOTICE_MISTAKE says so.
 */
void ept_watch_shadowed(struct cpu *cpu, uint64_t gpa, struct ept_access access);

/* What makes a present entry a misconfiguration (29.3.3.1); EPT_SOUND: nothing. `leaf`: it maps a page. */
enum ept_flaw {
    EPT_SOUND,
#define EPT_FLAW(name, sentence) EPT_FLAW_##name,
#include "model/ept/flaws.def"
};
struct model;
enum ept_flaw ept_entry_flaw(const struct model *model, uint64_t entry, unsigned level, bool leaf);

#endif
