/* SPDX-License-Identifier: MIT */
/*
 * The translations that the processor may still hold (SDM Vol. 3, 4.10, 29.4): tagged by VPID, PCID and EPTRTA, kept
 * until an invalidation that the architecture prescribes, so that a missing one is seen. Never a negative entry: an entry
 * that would deny an access is dropped and walked anew.
 *
 *   kind              made from              found by                       INVLPG, MOV CR   VM entry, exit   INVVPID   INVEPT
 *   MAPPING_LINEAR    guest paging           VPID, PCID or global           drops            of VPID 0        drops     -
 *   MAPPING_COMBINED  guest paging and EPT   VPID, PCID or global, EPTRTA   drops            of VPID 0        drops     drops
 *   guest-physical    EPT                    EPTRTA                         -                -                -         drops
 *
 * Guest-physical mappings stand in an array of their own (guest_physical.h). All are remembered whatever the policy, since
 * another processor might: what the policy decides is whether they are used.
 */
#ifndef SESQUI_MODEL_TLB_H
#define SESQUI_MODEL_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "model/cpu/walk.h"
#include "model/tlb/guest_physical.h"
#include "model/tlb/policy.h"

struct cpu;

enum { TLB_SETS = 1024, TLB_WAYS = 4, TLB_REGIONS = 256 };

enum mapping_kind { MAPPING_LINEAR, MAPPING_COMBINED };

struct tlb_entry {
    bool valid;
    uint8_t cpu;
    uint8_t kind;               /* enum mapping_kind */
    uint16_t vpid, pcid;
    uint64_t eptrta;            /* EPTP bits 51:12; 0 for MAPPING_LINEAR */
    uint64_t page;              /* linear address without bits 11:0 */
    struct mapping mapping;     /* always of one 4 KB page, whatever the page size: SDM Vol. 3, 4.10.2.3 */
};

struct tlb {
    enum tlb_policy policy;
    uint64_t seed;
    struct tlb_entry entry[TLB_SETS][TLB_WAYS];
    struct trail trail[TLB_SETS][TLB_WAYS];     /* of each entry; apart, since a look-up does not read it */
    struct guest_physical_cache guest_physical;
    uint8_t next_way[TLB_SETS];
    uint64_t occupied[TLB_SETS / 64];       /* sets with a valid entry: a flush looks at no others */
    uint32_t large[TLB_REGIONS];            /* valid entries of guest pages above 4 KB, by linear address bits 37:30 */
    uint64_t generation;        /* moves with every removal: the CPU engine flushes its own TLB when it has moved */
    uint64_t stale_uses;        /* remembered translations used although a fresh walk would differ */
};

void tlb_init(struct tlb *tlb, enum tlb_policy policy, uint64_t seed);

/*
 * Used by translate.c: the entry for a linear address in the present context of `cpu`, or NULL; remembering a mapping of
 * that context; forgetting one entry (the caller moves the generation unless a like mapping takes its place at once).
 */
struct tlb_entry *tlb_find(struct cpu *cpu, uint64_t linear);
void tlb_insert(struct cpu *cpu, uint64_t linear, const struct mapping *mapping, const struct trail *trail);
/* How the walk went that made an entry. */
struct trail *tlb_trail(struct tlb *tlb, const struct tlb_entry *entry);
void tlb_drop(struct cpu *cpu, struct tlb_entry *entry);
/* The next decision of TLB_SEEDED: may a remembered translation be used? */
bool tlb_use(struct tlb *tlb);

/* Invalidations, each with the scope SDM Vol. 3, 4.10.4.1 and 29.4.3.1 give it; `cpu` is the one that executes. Those of
 * guest paging act on its present VPID. */
void tlb_invlpg(struct cpu *cpu, uint64_t linear);
void tlb_flush_pcid(struct cpu *cpu, uint16_t pcid, bool keep_global);      /* MOV to CR3, INVPCID 1 */
void tlb_flush_all(struct cpu *cpu, bool keep_global);                      /* MOV to CR4/CR0, INVPCID 2, 3: this VPID */
void tlb_flush_linear_pcid(struct cpu *cpu, uint64_t linear, uint16_t pcid);    /* INVPCID 0 */
void tlb_invept(struct cpu *cpu, uint64_t eptp);                            /* single context */
void tlb_invept_all(struct cpu *cpu);
void tlb_invvpid_address(struct cpu *cpu, uint16_t vpid, uint64_t linear);
void tlb_invvpid(struct cpu *cpu, uint16_t vpid, bool keep_global);
void tlb_invvpid_all(struct cpu *cpu);
/* VM entry and exit without VPID: everything of VPID 0 (SDM Vol. 3, 29.4.3.1). */
void tlb_vmx_transition(struct cpu *cpu);
/* An EPT violation at `gpa` drops guest-physical mappings for it (29.4.3.1). The combined mappings that the clause names,
 * those of the linear address being translated, translate() drops itself. */
void tlb_drop_gpa(struct cpu *cpu, uint64_t eptp, uint64_t gpa);
/* What is remembered, entry by entry, of all processors: the one after `entry` (NULL: the first), or NULL. For the rules. */
const struct tlb_entry *tlb_next(const struct tlb *tlb, const struct tlb_entry *entry);
/* RESET: everything this processor holds. */
void tlb_reset(struct cpu *cpu);

#endif
