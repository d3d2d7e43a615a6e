/* SPDX-License-Identifier: MIT */
/*
 * Why an instruction is refused: a row of model/cpu/refusals.def or model/vmx/refusals.def for each reason, from which come the
 * decision, the sentence that tells it, and the page docs/refusals.md. Rows stand in groups: what is looked at in one go, in
 * the SDM's order; the first that applies refuses.
 */
#ifndef SESQUI_MODEL_REFUSAL_H
#define SESQUI_MODEL_REFUSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/insn.h"
#include "model/status.h"

struct cpu;
struct vmx_capability;

/* What a refusal gives. n > 0: VMfail with error n. */
enum {
    OUTCOME_INVALID = -1, OUTCOME_UD = -2, OUTCOME_GP = -3,
    OUTCOME_OPERAND = -4,       /* #SS(0) where the operand's segment is SS, else #GP(0) */
};

struct refusal {
    const char *id;             /* "vmxon.vmxe" */
    int outcome;
    const char *section;        /* "24.7": of SDM Vol. 3, unless it says otherwise */
    const char *text;           /* the cause; {names} stand for values: emu/explain/refusal.c */
};

/* A row's number in refusal_table. */
enum refusal_row {
#define REFUSAL(instruction, name, outcome, section, text, refused) REFUSED_##instruction##_##name,
#include "model/cpu/refusals.def"
#define REFUSAL(instruction, name, outcome, section, text, refused) REFUSED_##instruction##_##name,
#include "model/vmx/refusals.def"
    REFUSAL_COUNT
};
extern const struct refusal refusal_table[REFUSAL_COUNT];

enum refusal_group {
#define GROUP(name) REFUSALS_##name,
#include "model/cpu/refusals.def"
    REFUSALS_OF_VMX,
    REFUSALS_LAST_OF_CPU = REFUSALS_OF_VMX - 1,
#define GROUP(name) REFUSALS_##name,
#include "model/vmx/refusals.def"
};

/* What the rows look at: the processor before the instruction, and the instruction as far as it is known. */
struct attempt {
    const struct cpu *cpu;
    const struct vmx_capability *capability;    /* what the processor offers to whoever executes the instruction */
    enum insn_id id;
    const struct insn *insn;    /* NULL where a native L0 executes it */
    uint64_t operand;           /* number of a control or debug register, region address, field encoding, type of an invalidation, MSR or XCR index, port, linear address */
    uint64_t value;             /* to be loaded or written; an invalidation descriptor's first quadword */
    uint64_t second;            /* that descriptor's second quadword; a load of PDPTEs: the address of `value` */
    unsigned field;             /* VMREAD, VMWRITE: enum vmcs_field of `operand`; VMCS_FIELD_COUNT: there is none here */
};

/* `insn` is about to be executed. */
struct attempt attempt_of(const struct cpu *cpu, const struct insn *insn);

/* The first row of the group that refuses, or NULL. Nothing is changed and nobody told. */
const struct refusal *cpu_refuses(enum refusal_group group, const struct attempt *attempt);
const struct refusal *vmx_refuses(enum refusal_group group, const struct attempt *attempt);

/* #UD and #GP(0) by privilege of an instruction that is none of VMX's: attempt_of() it; the row that refuses it, or NULL. */
const struct refusal *execute_refuses(struct attempt *attempt);

/* The row that refuses an attempt whose operands are known, from first to last; NULL where none does, or the answer is not in the
 * processor (accesses to the local APIC's MSRs). Of the VM-entry checks and of VM exits nothing is asked.
 * `attempt` becomes what the row has looked at. */
const struct refusal *refusal_find(struct attempt *attempt);
const struct refusal *vmx_refusal_find(struct attempt *attempt);     /* the same of VMX instructions */

/* The bits of CR0 that must be 1 for whoever executes the instruction, if it is in VMX operation (24.8). */
uint64_t cr0_must_be_1(const struct attempt *attempt);

/* Tells the observer that `attempt` was refused (NOTICE_REFUSED). */
void refusal_notify(const struct attempt *attempt, const struct refusal *refusal);
/* The vector of the exception that the row names: an outcome of OUTCOME_UD, OUTCOME_GP or OUTCOME_OPERAND. */
unsigned refusal_vector(const struct attempt *attempt, const struct refusal *refusal);
/* refusal_notify(), and raises that exception. */
enum status refusal_raise(struct cpu *cpu, const struct attempt *attempt, const struct refusal *refusal);

#endif
