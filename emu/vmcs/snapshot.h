/* SPDX-License-Identifier: MIT */
/*
 * A VMCS outside of any machine: what a VM entry looked at, as text. Written when an entry fails, read by
 * `sesqui check-vmcs`, which also reads what other hypervisors and QEMU print. docs/check-vmcs.md has the formats.
 */
#ifndef SESQUI_EMU_VMCS_SNAPSHOT_H
#define SESQUI_EMU_VMCS_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/load/symbols.h"
#include "model/model.h"

enum {
    SNAPSHOT_WORDS = 8, SNAPSHOT_NOTES = 12, SNAPSHOT_NOTE_MAX = 160, SNAPSHOT_MSRS = 64, CAPABILITY_PARTS_MAX = 32,
};

/* What was printed with a VMCS of the outcome of its VM entry. */
enum verdict_kind {
    VERDICT_NONE,
    VERDICT_EXIT,               /* value: an exit reason */
    VERDICT_ERROR,              /* value: a VM-instruction error */
    VERDICT_SVM,                /* an AMD processor: nothing here is about it */
};

/* The MSR areas of 25.7.2 and 25.8.2. */
enum msr_list { MSR_LIST_ENTRY_LOAD, MSR_LIST_EXIT_STORE, MSR_LIST_EXIT_LOAD };
struct msr_entry {
    uint8_t list;               /* enum msr_list */
    uint32_t number, index;     /* number: its place in the area, from 1 */
    uint32_t reserved;          /* bits 63:32 of the entry, where they were printed; must be 0 */
    uint64_t value;
};

struct snapshot {
    struct vmcs vmcs;
    bool given[VMCS_FIELD_COUNT];       /* read, not assumed */
    bool uncertain[VMCS_FIELD_COUNT];   /* read from lines of which it is a guess that they belong to this VMCS */
    struct vmx_capability capability;
    bool part_given[CAPABILITY_PARTS_MAX];      /* of capability_parts; what is not was taken as offered */
    bool profile_given;                 /* --vmx-profile */
    unsigned physical_address_width;
    bool width_given, ia32e_given;
    bool ia32e;                         /* the processor was in IA-32e mode at the VM entry */
    bool native;                        /* written by a native L0: the writers have no addresses */
    bool registers;                     /* QEMU's registers: what KVM shows of the guest, not a VMCS */
    bool cut;                           /* a part with a title of its own is missing */
    struct { uint64_t address, value; } word[SNAPSHOT_WORDS];   /* of memory, 8 bytes each, that the checks read */
    unsigned words;
    struct msr_entry msr[SNAPSHOT_MSRS];
    unsigned msrs;
    enum verdict_kind verdict;
    uint64_t verdict_value;
    unsigned line;                      /* where it begins in its file */
    const char *numbers;                /* of a list: in which base they were read, if they do not say so; or NULL */
    /* Lines that were not understood although they ought to be: "line 12: ..." */
    char note[SNAPSHOT_NOTES][SNAPSHOT_NOTE_MAX];
    unsigned notes;                     /* how many there were; the array holds the first ones */
};

/* What a VM entry of `cpu` with `vmcs` would look at. */
void snapshot_take(struct snapshot *snapshot, const struct cpu *cpu, const struct vmcs *vmcs, bool native);
void snapshot_write(const struct snapshot *snapshot, const struct symbols *symbols, FILE *to);
/* "VMWRITE at rip 0x401234 <vmwrite+0x4>, called at rip 0x401367 <main+0x12>, then 3 VM exits" */
enum { SNAPSHOT_WRITER_MAX = 700 };
void snapshot_writer(const struct snapshot *snapshot, enum vmcs_field field, const struct symbols *symbols, char *to,
                     size_t size);
/* The same of a VMCS; `native`: a native L0 has written it. */
void vmcs_writer_text(const struct vmcs *vmcs, bool native, enum vmcs_field field, const struct symbols *symbols, char *to,
                      size_t size);
/* Does the field matter with these controls?  Exit information and what the controls leave unused do not. */
bool vmcs_field_used(const struct vmcs *vmcs, enum vmcs_field field);

/* ---- reading ---- */

/* A VMCS whose lines are still being read. Two at a time where two processors printed together. */
struct block {
    struct snapshot snapshot;
    bool open;
    unsigned section;           /* enum section of log.c */
    int last;                   /* the row of its table that was read last, by its place among them; -1: none */
    unsigned turn;              /* when a line was last read into it */
    bool guess;                 /* its lines have been mixed with another's in a way that leaves them in doubt from here on */
    unsigned msr_list;          /* enum msr_list + 1: a list of MSRs is under way */
    bool untitled;              /* it began with a line of a part whose title is lost */
    char tag[16];               /* printk's name for who printed: "T1234", "C3", or empty */
};
enum { BLOCKS_MAX = 4 };

/* A place in a text. */
struct cursor {
    const char *text;                   /* as mail_clean() leaves it */
    size_t length, at;
    unsigned line;                      /* of the text, the one read last */
};

/* How the values in a list are written: with 0x, without but with letters, without and with digits alone; encodings: how many
 * are their fields' own. */
struct list_numbers {
    unsigned fields, marked, hexadecimal, digits, encodings;
};

/* Reads the VMCSs of a text one after the other. */
struct snapshot_reader {
    struct cursor cursor;
    struct block block[BLOCKS_MAX];
    struct snapshot common;             /* what stands before the first VMCS, or outside of any: counts for all */
    unsigned turn;
    unsigned formats;                   /* lines of a log with conversions of printf in place of values */
    bool surveyed;                      /* of a list: these are known */
    bool bare;                          /* numbers are hexadecimal without 0x */
    bool hashes;                        /* each line begins with #, which is no comment */
    bool prose, definitions;            /* no list: a few fields among many sentences; names and encodings without values */
    struct list_numbers numbers;        /* of the whole text */
    bool begun, log, found;             /* the format is chosen; it is a log; there was a VMCS */
    enum verdict_kind verdict;          /* said before the VMCS that it is about */
    uint64_t verdict_value;
};
/* The next one; false: there is none. Nothing in the text is an error: a line that cannot be read costs that line and
 * becomes a note. */
bool snapshot_read(struct snapshot_reader *reader, struct snapshot *snapshot);

/*
 * What mailers, forums and terminals do to a log, undone: quoted-printable, "> ", HTML entities, colours, UTF-16, blanks that
 * are no blanks. As many lines as before. To be freed; NULL: the host has no memory.
 */
char *mail_clean(const char *text, size_t length, size_t *clean_length);

/* What was said of the outcome, in the VMCS itself or beside it. */
enum verdict_kind snapshot_verdict(const struct snapshot *snapshot, uint64_t *value);

/* Takes the processor for one of a profile (model/vmx/profile.h), where the file does not say otherwise: what it lacks is not
 * offered; of max, what the model implements. */
void snapshot_profile(struct snapshot *snapshot, bool max, const struct vmx_lacks *lacks);
/* Gives the fields that were not read values that VM entry accepts. */
void snapshot_assume(struct snapshot *snapshot);

enum row_state { ROW_HOLDS, ROW_FAILS, ROW_UNDECIDED };
enum { SNAPSHOT_ROWS_MAX = 512 };
/* Evaluates every check of VM entry. Undecided: a row that fails, but would hold with other values of fields that were not
 * given, with other memory than the snapshot holds, or on other processors. False: the host has no memory. */
bool snapshot_check(const struct snapshot *snapshot, enum row_state row[SNAPSHOT_ROWS_MAX]);
/* "MSR 0xc0000080 (ia32_efer) = 0xd01" */
enum { MSR_TEXT_MAX = 100 };
const char *msr_entry_text(const struct msr_entry *entry, char to[MSR_TEXT_MAX]);
/* Why the entry of this list cannot be loaded (27.4, 28.6) or stored (28.4), or NULL. */
const char *snapshot_msr_refused(const struct snapshot *snapshot, const struct msr_entry *entry);

/* ---- what the readers share ---- */

/* Next line without its end; false: none. */
bool cursor_line(struct cursor *cursor, const char **line, size_t *length);
void snapshot_note(struct snapshot *snapshot, unsigned line, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* An empty snapshot that begins in the reader's line, with what counts for all. */
void snapshot_begin(const struct snapshot_reader *reader, struct snapshot *snapshot);
/* Gives a field its value. A value that is too wide, or another one than before, becomes a note. */
void snapshot_give(struct snapshot *snapshot, unsigned line, enum vmcs_field field, uint64_t value);
/* "processor NAME = VALUE", "capability NAME = VALUE", "memory ADDRESS = VALUE": false if the line is none of them. */
bool processor_line(struct snapshot *snapshot, unsigned number, const char *line, size_t length);
/* "IA32_VMX_CR4_FIXED1 = 0x3727ff": a capability MSR by its name. */
bool capability_msr_give(struct snapshot *snapshot, const char *name, uint64_t value);
/* What a line says of the outcome: "hardware error 0x80000021". *before: of the VMCS that follows. */
enum verdict_kind verdict_line(const char *line, const char *end, uint64_t *value, bool *before);
/* A hexadecimal number of at most 64 bits, with or without 0x, that ends where the word does; what follows, or NULL. */
const char *hexadecimal(const char *c, const char *end, uint64_t *value);
/* How a pattern of a *_lines.def fits at `c`: the end of the text that it covers, or NULL. *started: up to a number it
 * did. */
enum { PATTERN_VALUES_MAX = 7 };
const char *pattern_match(const char *pattern, const char *c, const char *end, uint64_t value[PATTERN_VALUES_MAX],
                          bool *started);

bool log_recognised(const char *text, size_t length);
bool log_read(struct snapshot_reader *reader, struct snapshot *snapshot);
bool list_read(struct snapshot_reader *reader, struct snapshot *snapshot);
/* The field of a name that another hypervisor, Linux or the SDM gives it, or of its encoding; VMCS_FIELD_COUNT: none. The
 * name is what stands at the end of the text. `about`: "guest" or "host", where the lines before have said so, or NULL.
 * *high: the encoding is that of the high half. */
enum vmcs_field field_by_any_name(const char *text, size_t length, const char *about, bool *high);

/* The parts of struct vmx_capability by name. */
struct capability_part {
    const char *name, *msr;             /* msr: the capability MSR, for people */
    size_t offset;
    bool wide;                          /* 64 bits, else 32 */
};
extern const struct capability_part capability_parts[];
extern const unsigned capability_part_count;

#endif
