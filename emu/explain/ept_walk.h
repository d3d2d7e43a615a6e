/* SPDX-License-Identifier: MIT */
/*
 * EPT violations and misconfigurations: the walk, entry by entry, and what is wrong or missing. A hypervisor that maps on demand lives by
 * violations, and some mark the guest's devices by misconfigured entries, so people hear of one when it comes for the third time in a row at
 * the same instruction and nothing has changed in the entries, or when the run ends and the guest was never entered again after it (a
 * violation: only if the run ends badly).
 * Traces, and people with --explain=all, get every one.
 */
#ifndef SESQUI_EMU_EPT_WALK_H
#define SESQUI_EMU_EPT_WALK_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct explanation;
struct machine;
struct notice;

/* One violation or misconfiguration. */
struct ept_fault {
    uint64_t reason, qualification, rip, gpa, linear, eptp, vmcs;
    bool user_execute;              /* mode-based execute control: */
    bool wide;                      /* the guest is in IA-32e mode, */
    unsigned cpl, paging_levels;    /* with these levels of paging */
    uint64_t cr3;
    unsigned level;                 /* of the guest */
};

/* The latest one of a VMCS: several virtual processors may meet the same page one after the other. */
enum { EPT_VMCSS = 8 };
struct ept_seen {
    struct ept_fault fault;
    uint64_t entries;               /* hash of the entries that the walk used */
    unsigned same;                  /* how often it has come again since anything changed */
};

/* The latest ones of a processor. */
struct ept_watch {
    struct ept_seen seen[EPT_VMCSS];
    struct ept_fault fault;
    bool open;                      /* the guest has not been entered since */
    bool reflected;                 /* L0 hands this one to L1: */
    struct ept_fault exit;          /* over the core: the exit that L0 handles */
    bool exit_retired;              /* the guest had executed something since it was entered */
};

/* An exit of a guest whose EPT is the program's, or of L2 over the core (which may handle it); L0 hands it to L1; a VM entry. */
void ept_exited(struct machine *machine, struct cpu *cpu, const struct notice *notice);
void ept_reflected(struct machine *machine, const struct cpu *cpu, const struct notice *notice);
void ept_entered(struct machine *machine, struct cpu *cpu);
/* The entry that maps a guest-physical address: its value, its address and level (1 to 3); false: none does, or it is misconfigured. */
const char *ept_entry_name(unsigned level);          /* "PDE" */
bool ept_leaf(const struct machine *machine, uint64_t eptp, uint64_t gpa, uint64_t *entry, uint64_t *at, unsigned *level);
/* The run is over. */
void ept_end(struct machine *machine);

#endif
