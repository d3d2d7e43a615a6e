/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical mappings (SDM Vol. 3, 29.4.1): what a processor may remember of an EPT, apart from linear and combined
 * mappings (tlb.h). Each is one entry of a paging structure with the rights of all above it: the one that maps a page, or one
 * that refers to a table (the paging-structure caches). They are tagged by EPTRTA only, so that neither VM entries and exits nor
 * INVVPID, INVLPG or MOV to CR3 touch them; INVEPT, EPT violations and RESET do.
 */
#ifndef SESQUI_MODEL_GUEST_PHYSICAL_H
#define SESQUI_MODEL_GUEST_PHYSICAL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/ept/ept.h"
#include "model/tlb/shootdown.h"

struct cpu;
struct tlb;

enum { GUEST_PHYSICAL_SETS = 1024, GUEST_PHYSICAL_WAYS = 4 };

struct guest_physical {
    bool valid;
    bool leaf;                  /* maps a page; otherwise refers to a table */
    bool dirty;                 /* of a leaf: writable without another walk */
    bool shadowed;              /* of an EPT that L1 has made, on whose shadow its guest runs: nothing is translated by it */
    uint8_t cpu, level;         /* of the entry: 1 to 5 */
    uint8_t memory_type;
    uint64_t right_bits;        /* of all entries from the root to this one, ANDed; */
    uint64_t right_mask;        /* as far as they were rights at that time (mode-based execute control) */
    uint64_t eptp;              /* found by bits 51:12 */
    uint64_t gpa;               /* the first address that the entry is about */
    uint64_t address;           /* of the page or of the table */
    struct sighting seen;       /* that memory says something else */
    struct ept_steps steps;     /* from the root to the entry */
};

struct guest_physical_cache {
    struct guest_physical entry[GUEST_PHYSICAL_SETS][GUEST_PHYSICAL_WAYS];
    uint8_t next_way[GUEST_PHYSICAL_SETS];
    uint64_t occupied[GUEST_PHYSICAL_SETS / 64];
    uint32_t leaves[EPT_LEVELS_MAX + 1];        /* that are valid, by level */
};

void guest_physical_init(struct guest_physical_cache *cache);
/* Bytes that an entry of this level is about. */
uint64_t guest_physical_span(unsigned level);
/* What `cpu` remembers of `gpa`: the mapping of its page, or NULL; the entry of that level that refers to a table, or NULL. */
struct guest_physical *guest_physical_page(struct cpu *cpu, uint64_t eptp, uint64_t gpa);
struct guest_physical *guest_physical_table(struct cpu *cpu, uint64_t eptp, uint64_t gpa, unsigned level);
/* Remembers one. What was remembered of the same place, or of the set for too long, goes. */
void guest_physical_insert(struct cpu *cpu, const struct guest_physical *mapping);
void guest_physical_remove(struct tlb *tlb, struct guest_physical *mapping);

/* INVEPT of one EPT and of all; an EPT violation at `gpa`; RESET. tlb.c calls them with its own. */
void guest_physical_invept(struct cpu *cpu, uint64_t eptp);
void guest_physical_invept_all(struct cpu *cpu);
void guest_physical_drop(struct cpu *cpu, uint64_t eptp, uint64_t gpa);
/* INVEPT of all EPTs by an L1 that runs on shadows of them. */
void guest_physical_forget_shadowed(struct cpu *cpu);

/* What is remembered, of all processors: the one after `mapping` (NULL: the first), or NULL. For the rules. */
const struct guest_physical *guest_physical_next(const struct tlb *tlb, const struct guest_physical *mapping);

#endif
