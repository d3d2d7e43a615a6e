/* SPDX-License-Identifier: MIT */
/* What the files of emu/native/ share: the native L0's state on the model's side. */
#ifndef SESQUI_EMU_NATIVE_STATE_H
#define SESQUI_EMU_NATIVE_STATE_H

#include "emu/native/fiber.h"
#include "emu/native/native.h"
#include "hv/hal.h"

struct native_cpu {
    struct native *native;
    struct cpu *cpu;
    struct fiber fiber;
    bool started;
    bool active;                    /* L0 is beneath this processor, or will be at its first step */
    bool ended;                     /* late load: the core gave the processor back */
    bool asked;                     /* the guest has asked for L0; else the machine slides it beneath (native_slide()) */
    struct cpu before;              /* late load: the processor as it asked for L0 */
    enum status request;            /* why the fiber yielded */
    unsigned level;                 /* as the core said with HAL_EVENT_LEVEL */
    bool in_guest;
    unsigned pauses;                /* of L0 since the latest exit */
    bool host_registered;
    struct hal_host_state host;     /* what hal_host_state() gave: every exit must load it */
    struct hal_capture capture;
    bool accounted;                 /* the core said what it did with the latest exit (rule R9) */
    bool exited;                    /* an exit has been returned to the core since the latest entry */
    unsigned exit_level;            /* the level that it came from */
    uint64_t exit_gpa;              /* of an EPT violation of L2 */
    uint64_t l1_rip, l1_efer;       /* at the latest exit from L1 */
    struct vmx_root l1_root;        /* the same, for explanations */
    uint64_t vmcs02;                /* as HAL_EVENT_LEVEL told last of level 2 */
    bool l1_in_vmx;                 /* L1 is in VMX operation here */
    uint64_t vmxon12;               /* L1's VMXON region; ~0: L1 is not in VMX operation */
    uint64_t current12;             /* L1's current VMCS; ~0: none */
    struct native_counts at_exit;   /* the native's counts at that moment */
    uint64_t dirty_vmcs;            /* the VMCS whose control words were written last, since it was entered; 0: none */
    bool entered;                   /* a guest has run: what L0 takes from now on is for nesting, or hal_keep() says so */
    uint64_t root01;                /* of the EPT that L1 runs on */
    uint8_t vpid02[65536 / 8];      /* the VPIDs that L2 has run with since L1's VMXON, one bit each */
    _Alignas(64) uint8_t local[HAL_CPU_LOCAL_SIZE];
};

/* reads.c: what L0 has read of its guest's memory since the latest exit. It is handled to its end before another is. */
enum { NATIVE_READS_MAX = 1024, NATIVE_READS_SAVED = 64 << 10 };
struct native_read {
    uint64_t pa;
    uint32_t length, saved;         /* place of its bytes in `saved` */
    uint8_t datum;                  /* enum hal_datum */
    bool changed;                   /* by the adversary, who saved them */
};
struct native_reads {
    bool races;                     /* the adversary is on */
    uint8_t datum;                  /* what hal_reading() said last */
    unsigned count, saved_bytes;
    uint64_t seed;
    struct native_read read[NATIVE_READS_MAX];
    uint8_t saved[NATIVE_READS_SAVED];
    char text[240];                 /* of the latest report */
};

/* refusals.c: L1 and its processor, while it is found out why the core refused it something. */
struct native_l1 {
    struct cpu cpu;
    struct vmcs vmcs;               /* of it the address and the launch state */
    struct vmx_capability capability;
};

/* A VMCS as L1 sees it. */
enum { NATIVE_REGIONS = 64 };
struct native_region {
    uint64_t pa, use;               /* use 0: a free entry */
    uint8_t cpu, former_cpu;        /* where it is active; where it was launched before it moved */
    bool active, launched, moved;
    uint64_t vmcs02;                /* the VMCS on which its guest ran last */
    struct vmcs vmcs;               /* vmcs12.c: what L1 wrote */
    uint64_t content;               /* what was in its page when it was cleared last, as a number; 0: it was not */
    bool unseen;                    /* it became active with other data than L1 has written by VMWRITE, here or elsewhere */
};

struct native {
    struct model *model;
    struct trace *trace;
    bool late;                      /* the guest asks for L0 (arch/late_load.h) */
    uint64_t late_entry;            /* where it calls */
    enum hv_strategy strategy;
    uint64_t pool_base, pool_pages, pages_used, next_free;
    uint8_t *pool_used;             /* one byte per pool page */
    uint8_t *pool_released;         /* the same: freed since the latest entry */
    bool released;                  /* one of them was */
    int in_vmx;                     /* processors on which L1 is in VMX operation */
    int64_t pages_taken;            /* of the pool, for nesting: not before a processor's first entry, nor kept for good */
    uint8_t *owner;                 /* enum hal_owner, one byte per RAM page */
    struct native_region region[NATIVE_REGIONS];
    uint64_t region_clock;
    struct native_counts counts;
    struct native_reads reads;
    struct native_l1 l1;
    struct native_passages passages;
    struct native_cpu cpu[MODEL_CPU_MAX];
    _Alignas(64) uint8_t local[HAL_MACHINE_LOCAL_SIZE];
};

/*
 * The processor whose L0 runs now. The HAL's signatures are those of instructions: they name no processor, so its back end
 * must know which one executes; native_resume() sets this before it switches to a fiber.
 */
extern _Thread_local struct native_cpu *native_here;

/* Suspends the L0 of native_here with `request`. */
void native_yield(enum status request);
/* Stops L0 for good. */
_Noreturn void native_stop(const char *reason);

/* refusals.c: the core has told of an event (hal_log()). If it refused L1 something, the observer is told why (NOTICE_REFUSED). */
struct vmx_capability native_shown_capability(void);     /* what the core offers to its L1: to be called while L0 runs */
void refusals_log(struct native_cpu *here, enum hal_event event, uint64_t a, uint64_t result);

/* reads.c: L0 read, or is about to write, memory; or it is about to enter its guest. */
void reads_note(struct native_cpu *here, uint64_t pa, size_t length);
void reads_write(struct native_cpu *here, uint64_t pa, size_t length);
void reads_end(struct native_cpu *here);
/* With the adversary on: memory as L0 has read it, and then again as it is. */
void reads_exchange(struct native_cpu *here, bool as_read);

/* Reports a broken rule; `text` outlives the machine. */
void rule_broken(struct native_cpu *here, enum rule rule, uint64_t a, uint64_t b, const char *text);

/* shadowed.c: what the processor that L1 believes in would remember of L1's own EPTs. */
void shadowed_told(struct native_cpu *here, enum hal_event event, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
void shadowed_after_exit(struct native_cpu *here);

/* vmcs12.c: L1 has written a field; it enters its current VMCS; an entry of L1's failed with a VM-instruction error or an exit reason. */
void vmcs12_written(struct native_cpu *here, uint64_t encoding, uint64_t value, uint64_t rip);
/* L1's page holds its data now; it becomes active with what its page holds. */
void vmcs12_cleared(struct native *native, struct native_region *region);
void vmcs12_loaded(struct native *native, struct native_region *region);
void vmcs12_entering(struct native_cpu *here, bool launch);
void vmcs12_entry_failed(struct native_cpu *here, uint64_t result, uint64_t qualification);

/* regions.c: what L1 does with the regions of its VMCSs. */
struct native_region *region_at(struct native *native, uint64_t pa);
void regions_told(struct native_cpu *here, enum hal_event event, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/* passage.c: an exit has been returned to the core; the core writes a field; it is about to enter. */
void passage_begin(struct native_cpu *here);
void passage_vmwrite(struct native_cpu *here, enum vmcs_encoding field);
void passage_end(struct native_cpu *here, bool launch);

/* rules.c: R2 before L0's VMXOFF; R1, R3 and R4 before an entry; R5 on what an exit loaded; R9 on accounting; R4 on pages that
 * L1 loses; R10 on L1's VMXON and VMXOFF. */
void rules_before_vmxoff(struct native_cpu *here);
void rules_before_entry(struct native_cpu *here);
void rules_after_exit(struct native_cpu *here);
void rules_accounted(struct native_cpu *here);
void rules_page_taken_away(struct native_cpu *here, uint64_t first, uint64_t pages);
void rules_vmx_operation(struct native_cpu *here, bool on);

#endif
