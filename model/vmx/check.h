/* SPDX-License-Identifier: MIT */
/*
 * The VM-entry checks (SDM Vol. 3, 27.2, 27.3) as a table: model/vmx/checks.def. Every row is evaluated, all failures are
 * reported; the architectural answer follows from the set: the first group with a failure decides.
 */
#ifndef SESQUI_MODEL_CHECK_H
#define SESQUI_MODEL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct vmcs;

enum check_group {
    CHECK_CONTROLS,             /* VMfailValid 7 */
    CHECK_HOST,                 /* VMfailValid 8 */
    CHECK_GUEST,                /* exit reason 33, qualification 0, 2 (PDPTE), 3 (NMI injection) or 4 (link pointer) */
};

struct check {
    const char *id;             /* "guest.cs.type" */
    enum check_group group;
    const char *section;        /* "27.3.1.2" */
    const char *text;           /* what the SDM requires, one line */
    unsigned qualification;     /* CHECK_GUEST: exit qualification */
};

extern const struct check check_table[];
extern const unsigned check_count;

struct check_outcome {
    bool failed;
    enum check_group group;             /* of the decisive group */
    unsigned qualification;
    unsigned failures;                  /* rows that failed, over all groups */
    const struct check *first;          /* first failing row of the decisive group */
};

/* Evaluates the controls and host rows, then the guest rows, on `vmcs` as `cpu` would enter it; each failing row is
 * notified as NOTICE_CHECK_FAILED. */
struct check_outcome check_entry(struct cpu *cpu, struct vmcs *vmcs);
/* Which rows hold, each for itself: holds[check_count]. Nothing is notified. */
void check_rows(struct cpu *cpu, const struct vmcs *vmcs, bool holds[]);
/* The same of these parts (model/vmx/check_parts.h); the rows of others are taken to hold. */
void check_rows_of(struct cpu *cpu, const struct vmcs *vmcs, unsigned parts, bool holds[]);
/* Whether one row holds, for tests. `index` < check_count. */
bool check_holds(struct cpu *cpu, const struct vmcs *vmcs, unsigned index);

/* The fields (enum vmcs_field) that a row looks at, those that it is about first: model/vmx/check_fields.def. Returns how
 * many; 0 for a row that the table has forgotten. */
enum { CHECK_FIELDS_MAX = 5 };
unsigned check_fields(const struct check *check, unsigned fields[CHECK_FIELDS_MAX]);

#endif
