/* SPDX-License-Identifier: MIT */
/*
 * From linear to physical addresses: guest paging (none, 32-bit, PAE, 4-level: SDM Vol. 3, ch. 4) and, in VMX non-root
 * operation with EPT, the second stage (29.3). The CPU engine's TLB fills and the model's own accesses both come here.
 */
#ifndef SESQUI_MODEL_TRANSLATE_H
#define SESQUI_MODEL_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/insn.h"
#include "model/status.h"

struct cpu;

enum access_kind { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH };

struct access {
    enum access_kind kind;
    bool user;                  /* a user-mode access: CPL 3 and not implicit (SDM Vol. 3, 4.6) */
    bool smap_override;         /* explicit supervisor access with RFLAGS.AC = 1: SMAP does not apply */
    bool probe;                 /* no accessed or dirty flags, no TLB use, nothing reported */
};

enum translation_result {
    TRANSLATION_OK,
    TRANSLATION_PAGE_FAULT,         /* error_code */
    TRANSLATION_NOT_CANONICAL,      /* #GP, or #SS for stack accesses: the caller knows */
    TRANSLATION_EPT_VIOLATION,      /* gpa, qualification */
    TRANSLATION_EPT_MISCONFIGURATION, /* gpa */
    TRANSLATION_APIC_ACCESS,        /* the APIC-access page: pa, rights, gpa as for success; qualification */
    TRANSLATION_PML_FULL,           /* an EPT flag was to be set, but the page-modification log is full */
};

enum { RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_EXECUTE = 4 };

struct translation {
    enum translation_result result;
    uint64_t pa;                /* physical address of the byte */
    uint8_t rights;             /* RIGHT_*: what an access of the same privilege may do in this 4 KB page without coming
                                   back here (write only once the dirty flags are set) */
    uint32_t error_code;
    uint64_t gpa;               /* guest-physical address, also on success */
    uint64_t qualification;     /* EPT violation, APIC access: as the exit qualification */
    uint8_t instruction_length; /* APIC access: set by whoever knows it, for the exit; 0 otherwise */
    bool convertible;           /* EPT violation: it may become a #VE (SDM Vol. 3, 26.5.7.1) */
};

/* Translates one byte's address. Sets accessed and dirty flags unless probing; fills the TLB. */
struct translation translate(struct cpu *cpu, uint64_t linear, struct access access);

/* What a failed translation means for the instruction that made the access: #PF, #GP (#SS if `stack`), VM exit. */
enum status translation_fault(struct cpu *cpu, uint64_t linear, const struct translation *translation, bool stack);

/*
 * Reads and writes of the model on behalf of an instruction, at the current privilege level, or as implicit supervisor
 * accesses (`system`: descriptor tables, TSS). All bytes are translated before the first one moves. Device memory goes to
 * the bus. On a fault nothing was transferred and the status is STATUS_EVENT or STATUS_VM_EXIT.
 */
enum status linear_read(struct cpu *cpu, uint64_t linear, void *to, unsigned length, bool system);
enum status linear_write(struct cpu *cpu, uint64_t linear, const void *from, unsigned length, bool system);

/* Linear address of a memory operand: segmentation with its limit, type and canonical checks (SDM Vol. 1, 3.3; Vol. 3,
 * 5.3). `write`: the access will write. */
enum status operand_linear(struct cpu *cpu, const struct insn *insn, unsigned length, bool write, uint64_t *linear);
/* A register operand's or memory operand's value; 1, 2, 4 or 8 bytes. */
enum status operand_read(struct cpu *cpu, const struct insn *insn, unsigned length, uint64_t *value);
enum status operand_write(struct cpu *cpu, const struct insn *insn, unsigned length, uint64_t value);

/* PAE: reads the four PDPTEs at CR3 through EPT and checks their reserved bits (SDM Vol. 3, 4.4.1). False with STATUS_OK: #GP is
 * due, for the entry at guest-physical *bad with *value. */
bool load_pdptes(struct cpu *cpu, uint64_t cr3, enum status *status, uint64_t *bad, uint64_t *value);

#endif
