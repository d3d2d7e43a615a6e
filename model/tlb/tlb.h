/* SPDX-License-Identifier: MIT */
/*
 * The translations that the processor may still hold (SDM Vol. 3, 4.10, 29.4): tagged by VPID, PCID and EPTRTA, kept
 * until an invalidation that the architecture prescribes, so that a missing one is seen. Never a negative entry: an entry
 * that would deny an access is dropped and walked anew.
 */
#ifndef SESQUI_MODEL_TLB_H
#define SESQUI_MODEL_TLB_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct translation;

enum tlb_policy {
    TLB_KEEP,                   /* a remembered translation is used whenever the architecture allows it */
    TLB_DROP,                   /* nothing is remembered: every access walks */
    TLB_SEEDED,                 /* remembered translations are used or dropped at random, by seed */
};

enum { TLB_SETS = 1024, TLB_WAYS = 4 };

struct tlb_entry {
    bool valid, global;
    uint8_t cpu;
    uint8_t rights;             /* RIGHT_* for the privilege below */
    uint8_t privilege;          /* the mode the rights were computed for: user, SMAP override, CR0.WP, NXE, SMEP ... */
    bool dirty;                 /* dirty flags were set when it was filled */
    bool ept;                   /* combined mapping; `eptrta` tags it */
    uint16_t vpid, pcid;
    uint64_t eptrta;            /* EPTP bits 51:12 */
    uint64_t linear_page, gpa_page, pa_page;    /* addresses without bits 11:0 */
};

struct tlb {
    enum tlb_policy policy;
    uint64_t seed;
    struct tlb_entry entry[TLB_SETS][TLB_WAYS];
    uint8_t next_way[TLB_SETS];
    uint64_t generation;        /* moves with every removal: the CPU engine flushes its own TLB when it has moved */
    uint64_t stale_uses;        /* remembered translations used although a fresh walk would differ */
};

void tlb_init(struct tlb *tlb, enum tlb_policy policy, uint64_t seed);

/* Used by translate.c. */
struct tlb_entry *tlb_find(struct cpu *cpu, uint64_t linear, uint8_t privilege);
void tlb_insert(struct cpu *cpu, const struct tlb_entry *entry);

/* Invalidations, each with the scope SDM Vol. 3, 4.10.4.1 and 29.4.3.1 give it; `cpu` is the one that executes. */
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
/* An EPT violation at `gpa` drops guest-physical and combined mappings for it (29.4.3.1). */
void tlb_drop_gpa(struct cpu *cpu, uint64_t eptp, uint64_t gpa);

#endif
