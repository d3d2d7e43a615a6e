/* SPDX-License-Identifier: MIT */
/* What the processors of one machine share. No global state anywhere: every function gets here through its cpu. */
#ifndef SESQUI_MODEL_MODEL_H
#define SESQUI_MODEL_MODEL_H

#include "model/bus.h"
#include "model/cpu/cpu.h"
#include "model/memory.h"
#include "model/observer.h"
#include "model/tlb/tlb.h"
#include "model/vmx/capability.h"
#include "model/vmx/vmcs.h"

enum { MODEL_CPU_MAX = 80, REFUSAL_MAX = 160 };

struct model {
    struct memory memory;
    struct bus bus;
    struct observer observer;
    struct vmx_capability capability;
    struct vmcs_cache vmcs_cache;
    struct tlb tlb;
    struct cpu cpu[MODEL_CPU_MAX];
    unsigned cpu_count;
    uint64_t shadowed_exits;    /* of guests whose EPT is shadowed (vmx.shadowed_eptp), to their L1 */
    uint64_t exits;             /* VM exits and failed VM entries that loaded the host state, of all processors */
    uint64_t shootdown_patience;        /* model/tlb/shootdown.h: SHOOTDOWN_PATIENCE, or 0 where a script says who does what */
    uint64_t random;                    /* state of RDRAND and RDSEED: set it to the machine's seed */
    unsigned physical_address_width;    /* MAXPHYADDR, 36-52 */
    char refusal[REFUSAL_MAX];          /* set with STATUS_REFUSED: what is not implemented, one line */
};

/* Resets everything but memory contents, bus and observer; allocates nothing. The caller has called memory_init(). */
void model_init(struct model *model, unsigned cpu_count);
/* How many instructions the processors have executed, all together. */
uint64_t model_instructions(const struct model *model);

/* Records what is not implemented and returns STATUS_REFUSED. */
enum status model_refuse(struct cpu *cpu, const char *what);

#endif
