/* SPDX-License-Identifier: MIT */
/* A VM entry that failed, as told to the person who has to find out why: failed checks, fields, and who wrote them. */
#ifndef SESQUI_EMU_ENTRY_FAILURE_H
#define SESQUI_EMU_ENTRY_FAILURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/explain/msr_area.h"
#include "emu/load/symbols.h"
#include "emu/vmcs/snapshot.h"
#include "model/observer.h"

struct entry_failure {
    const struct check *row[SNAPSHOT_ROWS_MAX];     /* that failed, of the entry under way */
    bool of_core[SNAPSHOT_ROWS_MAX];                /* the row would hold on the machine: the core offers L1 less */
    unsigned rows;
    bool complete;                                  /* what follows is of the last entry that failed */
    bool has_vmcs, native, late;                    /* late: with a VM exit */
    bool of_l1, unseen;                             /* by an L1 over a native L0; with fields that nobody has seen it write */
    int64_t result;                                 /* exit reason, VM-instruction error, or -1 (VMfailInvalid) */
    uint64_t qualification, rip;
    struct snapshot snapshot;
    char msr[MSR_AREA_TEXT_MAX];                    /* which MSR could not be loaded, or empty */
};

/* The model's notices: one call for each NOTICE_CHECK_FAILED, then one for NOTICE_ENTRY_FAILED. */
void entry_failure_row(struct entry_failure *failure, const struct check *row);
/* NOTICE_L1_ENTRY_FAILED, all in one: what L1 would be told on the bare machine. */
void entry_failure_of_l1(struct entry_failure *failure, const struct notice *notice);
void entry_failure_complete(struct entry_failure *failure, const struct notice *notice, bool native);

/* The key for explain_first(): the same for entries that fail at the same place with the same result and rows. */
uint64_t entry_failure_hash(const struct entry_failure *failure);
/* The first line goes without, the others with `prefix`. `symbols` may be NULL. Of rows the first ENTRY_FAILURE_ROWS. */
enum { ENTRY_FAILURE_ROWS = 12 };
void entry_failure_print(const struct entry_failure *failure, const struct symbols *symbols, FILE *to, const char *prefix);
/* The VMCS in the format that `sesqui check-vmcs` reads; the failed rows as comments, all of them. */
void entry_failure_dump(const struct entry_failure *failure, const struct symbols *symbols, FILE *to);

#endif
