/* SPDX-License-Identifier: MIT */
/*
 * What the model tells whoever watches: one structured notice for each thing worth a line in a trace. The model formats
 * nothing; emu/trace/trace.c turns notices into text.
 */
#ifndef SESQUI_MODEL_OBSERVER_H
#define SESQUI_MODEL_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct attempt;
struct check;
struct vmcs;
struct vmx_capability;
struct refusal;
struct event;

enum notice_kind {
    NOTICE_ENTRY,               /* VM entry done: a = VMCS address, b = guest RIP, c = launch (1) or resume (0) */
    NOTICE_ENTRY_FAILED,        /* a = VMCS address, b = VM-instruction error or exit reason with bit 31, c = qualification */
    NOTICE_CHECK_FAILED,        /* one row of the check table that failed: check */
    NOTICE_EXIT,                /* VM exit: a = exit reason field, b = qualification, c = guest RIP, d = VMCS address */
    NOTICE_VMX_INSTRUCTION,     /* executed in root operation: a = insn_id, b = operand, c = value, d = result
                                   (0 succeeded, -1 VMfailInvalid, n VMfailValid with error n) */
    NOTICE_INJECT,              /* event delivered or injected: a = vector, b = type, c = error code, d = has one */
    NOTICE_INVALIDATE,          /* a = insn_id (INVEPT, INVVPID, INVLPG, MOV CR3 as mov_to_cr ...), b = type, c, d = operand */
    NOTICE_EPT_VIOLATION,       /* a = guest-physical address, b = qualification, c = linear address */
    NOTICE_VIOLATION,           /* a rule was broken: a = enum rule, b, c, d by rule; text */
    NOTICE_BARRIER,             /* a native L0 executed a barrier: text says which */
    NOTICE_SHUTDOWN,            /* triple fault or VMX abort: a = abort indicator or 0 */
    NOTICE_REFUSED,             /* an instruction will fault or fail: refusal says why, attempt what it looked at (both only during
                                   the call); a = insn_id, b = operand, c = value */
    NOTICE_REFLECTED,           /* a native L0 hands an exit of L2 to L1: a = reason, b = qualification, c = guest-physical address,
                                   d = L1's EPT pointer */
    NOTICE_ABORTED,             /* a native L0 gives its L1 a VMX abort: a = indicator, b = address of L1's VMCS */
    NOTICE_DISPLAY,             /* the first write to where a PC has its display: a = physical address, b = linear address of the block of
                                   code that writes, c = RSP */
    NOTICE_RAISED,              /* an exception or software interrupt, before it is intercepted, delivered or combined with
                                   cpu->event, whose delivery it interrupts if that is valid: event */
    NOTICE_SHADOW_WRITE,        /* VMWRITE in non-root operation to a shadow VMCS: a = encoding, b = value. Not traced */
    NOTICE_L1_ENTRY_FAILED,     /* as NOTICE_ENTRY_FAILED, by an L1 over a native L0: vmcs is what L1 wrote, cpu what L1 runs on, d =
                                   its region came with fields that no VMWRITE of L1's has been seen to write. Not
                                   traced: the core's own events are */
    NOTICE_L1_WRITE,            /* VMWRITE by an L1 over a native L0: a = address of its VMCS, b = encoding, c = RIP. Not traced */
    NOTICE_L1_ENTRY,            /* as NOTICE_ENTRY, by an L1 over a native L0: vmcs is what L1 wrote, c = launch or resume, d as there. Not traced */
    NOTICE_MISTAKE,             /* as NOTICE_VIOLATION, but it stops nothing: no rule forbids it, or an L1 over a native L0 did it */
};

/* The oracle rules R1-R10: reference list in docs/rules.md. */
enum rule {
    RULE_OWNED_ADDRESS = 1,     /* R1  hardware-visible addresses in a VMCS belong to L0 or to the VMCS's owner */
    RULE_ACTIVE_VMCS,           /* R2  nobody writes the region of an active VMCS; none is active on two processors */
    RULE_ORDINARY_ENTRY,        /* R3  entry with the indicator clear and a sane link pointer */
    RULE_ISOLATION,             /* R4  no translation, stale ones included, exceeds the ownership map */
    RULE_HOST_STATE,            /* R5  the host-state area is what L0 registered */
    RULE_PINNED,                /* R6  pinned control-register bits and MSRs hold */
    RULE_FAITHFUL,              /* R7  what L1 reads in its VMCS is what the SDM says */
    RULE_READ_ONCE,             /* R8  L0 reads each datum of L1 once */
    RULE_NAMED_FAILURE,         /* R9  every failed entry names its check; no exit is skipped silently */
    RULE_RETURNED,              /* R10 resources return to zero after VMXOFF */
};

/* A translation that an INVEPT should have removed: the first entry on its way that has changed since it was remembered. */
struct stale_entry {
    uint64_t eptp, gpa, linear;
    uint64_t pa, remembered, present;   /* of the entry: its address, and its values */
    unsigned level;
    bool reaches;                       /* a walk now leads to a page that the access may reach: */
    uint64_t pa_now;
    uint8_t rights_now;                 /* EPT's */
};

struct notice {
    enum notice_kind kind;
    const struct cpu *cpu;
    uint64_t a, b, c, d;
    const struct check *check;
    const struct refusal *refusal;
    const struct attempt *attempt;
    const struct event *event;  /* while the observer is called */
    const struct vmcs *vmcs;            /* NOTICE_L1_ENTRY_FAILED */
    const struct vmx_capability *capability;    /* the same: what the machine has; meanwhile the model has what L1 is offered */
    const struct stale_entry *stale;    /* NOTICE_VIOLATION and NOTICE_MISTAKE of RULE_ISOLATION; or NULL */
    const char *text;           /* static storage */
};

struct observer {
    void *context;
    void (*notify)(void *context, const struct notice *notice);    /* may be NULL */
};

#endif
