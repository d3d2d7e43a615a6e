/* SPDX-License-Identifier: MIT */
/*
 * A VMCS outside of any machine: what a VM entry looked at, as text. Written when an entry fails, read by
 * `sesqui check-vmcs`, which also reads what Linux KVM prints of a VMCS. docs/check-vmcs.md has the formats.
 */
#ifndef SESQUI_EMU_VMCS_SNAPSHOT_H
#define SESQUI_EMU_VMCS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/load/symbols.h"
#include "model/model.h"

enum { SNAPSHOT_WORDS = 8, SNAPSHOT_ERROR_MAX = 200 };

struct snapshot {
    struct vmcs vmcs;
    bool given[VMCS_FIELD_COUNT];       /* read, not assumed */
    struct vmx_capability capability;
    unsigned physical_address_width;
    bool ia32e;                         /* the processor was in IA-32e mode at the VM entry */
    bool native;                        /* written by a native L0: the writers have no addresses */
    bool kvm;                           /* from KVM's log: the processor's capabilities are not known */
    struct { uint64_t address, value; } word[SNAPSHOT_WORDS];   /* of memory, 8 bytes each, that the checks read */
    unsigned words;
    unsigned line;                      /* where it begins in its file */
};

/* What a VM entry of `cpu` with `vmcs` would look at. */
void snapshot_take(struct snapshot *snapshot, const struct cpu *cpu, const struct vmcs *vmcs, bool native);
void snapshot_write(const struct snapshot *snapshot, const struct symbols *symbols, FILE *to);
/* "VMWRITE at rip 0x401234 <main+0x12>, then 3 VM exits" */
void snapshot_writer(const struct snapshot *snapshot, enum vmcs_field field, const struct symbols *symbols, char *to,
                     size_t size);
/* Does the field matter with these controls?  Exit information and what the controls leave unused do not. */
bool snapshot_field_used(const struct snapshot *snapshot, enum vmcs_field field);

/* Reads the VMCSs of a text one after the other. */
struct snapshot_reader {
    const char *path, *text;            /* the path is for messages */
    size_t length, at;
    unsigned line;
    char error[SNAPSHOT_ERROR_MAX];     /* "file:line: what is wrong" */
};
enum snapshot_read { SNAPSHOT_READ, SNAPSHOT_END, SNAPSHOT_ERROR };
enum snapshot_read snapshot_read(struct snapshot_reader *reader, struct snapshot *snapshot);

/* No field given, the capabilities of this model, a processor in IA-32e mode. */
void snapshot_begin(struct snapshot *snapshot);
/* Gives the fields that were not read values that VM entry accepts. */
void snapshot_assume(struct snapshot *snapshot);

enum row_state { ROW_HOLDS, ROW_FAILS, ROW_UNDECIDED };
enum { SNAPSHOT_ROWS_MAX = 512 };
/* Evaluates every check of VM entry. Undecided: a row that fails, but looks at memory that the snapshot does not hold or
 * at a field that was assumed. False: the host has no memory. */
bool snapshot_check(const struct snapshot *snapshot, enum row_state row[SNAPSHOT_ROWS_MAX]);

/* ---- what the readers share ---- */

/* Next line without its end; false: none. */
bool reader_line(struct snapshot_reader *reader, const char **line, size_t *length);
enum snapshot_read reader_error(struct snapshot_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum snapshot_read kvm_read(struct snapshot_reader *reader, struct snapshot *snapshot);

/* The parts of struct vmx_capability by name. */
struct capability_part {
    const char *name;
    size_t offset;
    bool wide;                          /* 64 bits, else 32 */
};
extern const struct capability_part capability_parts[];
extern const unsigned capability_part_count;

#endif
