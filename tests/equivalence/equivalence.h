/* SPDX-License-Identifier: MIT */
/*
 * Equivalence (docs/equivalence.md): one random program of an L1 and its L2, line by line on four machines. On the first, the
 * reference, nothing is beneath L1; on the others the native core is, one strategy each. What L1 and L2 can see after every
 * line must be the same, but for what differences.def excuses.
 */
#ifndef SESQUI_TESTS_EQUIVALENCE_H
#define SESQUI_TESTS_EQUIVALENCE_H

#include "emu/scenario/run.h"
#include "model/vmx/profile.h"
#include "tests/fuzz/fuzz.h"

/* ---- lane.c: a machine on which a program runs ---- */

enum lane_id { LANE_ABSENT, LANE_TRAP, LANE_COPY, LANE_FLIP, LANES };
extern const char *const lane_name[LANES];

/* What is seen after a line: seen.def, the registers, and emu/scenario/state.def. */
enum seen {
#define SEEN(name, expression) SEEN_##name,
#include "tests/equivalence/seen.def"
    SEEN_REGISTERS,
    SEEN_STATES = SEEN_REGISTERS + REGISTER_RFLAGS + 1,
    SEEN_CR0 = SEEN_STATES + STATE_cr0,
    SEEN_CR4 = SEEN_STATES + STATE_cr4,
#define STATE(name, expression) + 1
    SEEN_COUNT = SEEN_STATES
#include "emu/scenario/state.def"
};
const char *seen_name(unsigned item);

struct record {
    uint64_t item[SEEN_COUNT];
    uint64_t clock;                     /* before the line */
    bool open;                          /* reference: the architecture does not say what the line's value is */
};

/* Statement 0 is `machine`, 1 is `l0 ...` and belongs to the lane. */
enum { FIRST_LINE = 2, MEMORY_SIZE = 32 << 20 };

struct lane {
    enum lane_id id;
    enum profile_number profile;
    struct program program;             /* the two lines that make the machine */
    struct statement head[FIRST_LINE];
    struct run run;
    struct scenario_error error;        /* why the machine stopped, if it did */
    bool over;                          /* nothing runs any more: shut down, or stopped */
};
void lane_open(struct lane *lane, enum lane_id id, enum profile_number profile);
void lane_close(struct lane *lane);
/* Executes a line if the level that it belongs to runs, and tells what is seen then. */
void lane_line(struct lane *lane, const struct statement *statement, struct record *record);
/* The same if the reference executed it, at the time that it was there. */
void lane_follow(struct lane *lane, const struct statement *statement, const struct record *reference, struct record *record);

/* ---- places in L1's memory: nothing that a program needs lies elsewhere ---- */
enum {
    PLACE_VMXON = 0x10000, PLACE_VMCS = 0x11000, VMCS_REGIONS = 6, PLACE_UNPREPARED = 0x17000,   /* no region, but taken for one */
    PLACE_MSR_BITMAP = 0x20000, PLACE_IO_BITMAP = 0x22000, PLACE_MSR_AREA = 0x26000, PLACE_VIRTUAL_APIC = 0x2a000,
    PLACE_DATA = 0x30000, PLACE_END = 0x40000,
    PLACE_EPT = 0x400000, EPT_DISTANCE = 0x100000, EPT_ROOTS = 2, EPT_PAGES = 16,
    PLACE_ABSENT = 0x1a00000,           /* L0's pool, or no memory at all */
};

static inline bool is_region(uint64_t page) { return page >= PLACE_VMXON && page <= PLACE_UNPREPARED; }

/* ---- compare.c ---- */

/* What differences.def makes depend on what happened before. */
struct excuses {
    bool check_order, guest_check_order;    /* a failed entry had wrong values of more than one kind */
    bool delivery_failed;                   /* L2 has had a double or triple fault */
    bool monitor_cleared;                   /* of one lane: its latest MWAIT exit came after an exit to L0 since the MONITOR */
};

/* A program, and what the reference showed after each of its lines. */
struct story {
    struct program program;
    struct record *record;              /* of statement FIRST_LINE + i */
    struct excuses excuses;
    enum profile_number profile;        /* the processor's */
    uint32_t forged[2];                 /* VMCSs in which L1 wrote what an exit is to tell of an event: compare.c */
};
void story_start(struct story *story, enum profile_number profile);
/* A line that the reference has just executed, or passed over. */
void story_add(struct story *story, const struct statement *statement, const struct record *record,
               const struct lane *reference);
void story_free(struct story *story);

struct difference {
    enum lane_id lane;                  /* LANE_ABSENT: there is none */
    unsigned line;                      /* statement; program.count: memory at the end */
    unsigned item;                      /* enum seen, or SEEN_COUNT: memory */
    uint64_t address;                   /* of the memory */
    uint64_t wanted, found;             /* the reference's, the lane's */
    char stopped[SCENARIO_ERROR_MAX];   /* why the lane's machine stopped, if it did */
};
/* Runs the story on one more lane. `reference` still stands where it ended. */
struct difference compare(const struct story *story, struct lane *reference, enum lane_id id);
/* Runs a program on reference and lane; the story is filled. */
struct difference replay(const struct program *program, enum profile_number profile, enum lane_id id, struct story *story);
void difference_print(const struct difference *difference, const struct program *program, FILE *to);

/* ---- generate.c ---- */

/* What programs do, to be sure that they do it. */
struct statistics {
    uint64_t programs, lines, entries, failed_entries, round_trips, reached_l2, faults, vmfails, shutdowns;
    uint64_t exits[80];                 /* from L2 to L1, by basic reason */
};

/* The processor of a program. */
enum profile_number profile_of(uint64_t number);
/* Makes program `number` of `seed` while it runs on the reference, which knows what level runs and what it may do. */
void generate(struct lane *reference, uint64_t seed, uint64_t number, struct story *story, struct statistics *statistics);

/* ---- minimize.c ---- */

/* Takes lines out while the same kind of difference stays. */
void minimize(struct story *story, struct difference *difference);
/* A scenario whose expectations are what the reference did. */
void scenario_write(const struct story *story, const struct difference *difference, const char *origin, FILE *to);

#endif
