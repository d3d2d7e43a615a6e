/* SPDX-License-Identifier: MIT */
/*
 * From a VM exit to the next VM entry of the same VMCS: what the hypervisor in between has done to the event and the instruction that the
 * exit was about, where that can hardly be meant. An event that is not injected after all, a #PF whose CR2 is another's, a GUEST_RIP inside
 * an instruction, interruption information without its valid bit, a type of event that is another's, translations that the instruction ought
 * to have invalidated; and two processors in guests with the same HOST_RSP, or one with the host state of another.
 */
#ifndef SESQUI_EMU_REENTRY_H
#define SESQUI_EMU_REENTRY_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct machine;
struct notice;
struct vmcs;

struct explanation;

enum { REENTRY_VMCSS = 16, REENTRY_PATIENCE = 3 };

/* The latest exit of a VMCS. */
struct reentry {
    uint64_t vmcs;                      /* its address; 0: none */
    bool fresh;                         /* not entered since */
    bool doubtful;                      /* GUEST_RIP may be inside an instruction: to be looked at in the guest */
    uint64_t new_rip;
    uint32_t reason, interruption, vectoring;
    uint64_t exit_instructions;         /* of the processor, at the exit */
    unsigned cpu;                       /* that has entered it last */
    uint32_t injected;                  /* by the latest entry: interruption information, or 0 */
    uint64_t qualification, rip, length;
    enum debt {                         /* what the instruction that exited invalidates, where EPT and VPIDs are on (4.10.4.1): */
        OWES_NOTHING,
        OWES_ADDRESS,                   /* mappings of the linear address `owed`, */
        OWES_PCID,                      /* those of the PCID `owed` but for global ones, */
        OWES_ALL_PCIDS,                 /* all but global ones, */
        OWES_ALL,
    } debt;
    bool due;                           /* it has been emulated */
    uint64_t owed;
    uint32_t lost;                      /* information of an interrupt whose delivery an exit has interrupted; 0: none, or injected since */
    uint32_t lost_reason;
    uint64_t lost_rip;
    unsigned entries;                   /* since then */
};

/* A VM exit of a guest of the program's; L0 hands an exit of L2 to L1. */
void reentry_exited(struct machine *machine, const struct cpu *cpu, const struct notice *notice);
void reentry_reflected(struct machine *machine, const struct cpu *cpu);
/* At a VM exit that has come before, like this: was GUEST_RIP written meanwhile with what it was?  A line about it. `exits`: of the VMCS, when the
 * hypervisor wrote. */
void reentry_tell_same_rip(struct explanation *explanation, const struct vmcs *vmcs, uint64_t exits, uint32_t reason, uint64_t rip);
/* The run is over: what is still to be injected is lost. */
void reentry_ended(struct machine *machine);
/* VM entry. `vmcs`: as its author has written it. Then, and over the core later than that, the guest goes on. */
void reentry_entered(struct machine *machine, const struct cpu *cpu, const struct vmcs *vmcs);
void reentry_goes_on(struct machine *machine, const struct cpu *cpu, const struct vmcs *vmcs);

#endif
