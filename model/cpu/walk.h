/* SPDX-License-Identifier: MIT */
/*
 * One walk of the paging structures of guest paging and, in non-root operation with EPT, of EPT: what it finds, before
 * any access is judged by it. paging.c walks, translate.c judges and remembers.
 */
#ifndef SESQUI_MODEL_WALK_H
#define SESQUI_MODEL_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "model/cpu/translate.h"
#include "model/tlb/shootdown.h"

struct cpu;
struct memory;

/* What the paging structures say of one 4 KB page: what a TLB entry remembers of them (SDM Vol. 3, 4.10.2.2). */
struct mapping {
    bool user, writable, execute_disable;   /* of guest paging, all levels together */
    bool global;                            /* the G flag, with CR4.PGE = 1 */
    bool dirty;                             /* the guest's dirty flag is set, or there is none to set */
    bool ept_dirty;                         /* the same of EPT */
    uint8_t ept_rights;                     /* RIGHT_*; all of them without EPT */
    uint64_t page_size;                     /* of the guest page in bytes; PAGE_SIZE with paging off */
    uint64_t gpa_page, pa_page;             /* addresses without bits 11:0 */
};

/*
 * The entries that a walk used, of guest paging and of EPT, and what it started from. As long as they are unchanged
 * another walk finds the same mapping.
 */
enum { TRAIL_STEPS = 5 * (5 + 1) + 5 };         /* five levels of each; every guest entry is reached through EPT */
struct trail {
    uint64_t root, eptp, cr4, efer;
    struct sighting seen;                       /* that the EPT says something else now */
    unsigned count;
    struct {
        uint64_t pa, value;                     /* an aligned quadword of memory */
    } step[TRAIL_STEPS];
};
/* Notes the entry at `pa` with its present value. */
void trail_note(struct trail *trail, const struct memory *memory, uint64_t pa);
void trail_copy(struct trail *to, const struct trail *from);
/* Would a walk of `linear` by `cpu` find each entry as it was? */
bool trail_holds(const struct cpu *cpu, uint64_t linear, const struct trail *trail);

/*
 * Walks for `access` to `linear`, a canonical address; sets accessed and dirty flags unless probing, where the walk
 * permits the access. On TRANSLATION_OK `mapping` is set, and `trail` unless it is NULL; otherwise the translation's
 * error_code, gpa, qualification.
 */
struct translation paging_walk(struct cpu *cpu, uint64_t linear, struct access access, struct mapping *mapping,
                               struct trail *trail);
/* What `mapping` says of its page, as bits of an exit qualification: EPT_VIOLATION_*_PAGE. */
uint64_t mapping_page_bits(const struct mapping *mapping);

/* What an access as `access` (but of any kind) may do in a page mapped so: RIGHT_*, by the present CR0, CR4, EFER.
 * paging_rights() judges by guest paging alone; mapping_rights() also by EPT, and grants no write that would have to set
 * a dirty flag first. */
uint8_t paging_rights(const struct cpu *cpu, const struct mapping *mapping, struct access access);
uint8_t mapping_rights(const struct cpu *cpu, const struct mapping *mapping, struct access access);
/* The right that an access of this kind needs. */
uint8_t access_right(enum access_kind kind);

/* Is PAE paging, with its PDPTE registers, in use?  (SDM Vol. 3, 4.4) */
bool paging_is_pae(const struct cpu *cpu);

/* A translation in non-root operation, of an access or of a step of a walk, leads to `pa`: reports R4 where it must not. */
void translation_reaches(struct cpu *cpu, uint64_t linear, uint64_t gpa, uint64_t pa);

/* Writes of the processor to physical memory that an active VMCS must not notice silently: reports R2 first. */
void physical_write(struct cpu *cpu, uint64_t pa, const void *from, unsigned length);

/*
 * Canonical addresses (SDM Vol. 1, 3.3.7.1): of memory accesses, by the present paging mode; of what is loaded into
 * registers that hold addresses, by the width that the processor supports.
 */
bool linear_canonical(const struct cpu *cpu, uint64_t linear);
bool register_canonical(const struct cpu *cpu, uint64_t linear);

#endif
