/* SPDX-License-Identifier: MIT */
/* What the files that make programs share. */
#ifndef SESQUI_TESTS_EQUIVALENCE_MAKER_H
#define SESQUI_TESTS_EQUIVALENCE_MAKER_H

#include "tests/equivalence/equivalence.h"

struct maker {
    struct lane *lane;
    struct story *story;
    struct statistics *statistics;
    struct fuzz_random random;
    struct record latest;
    unsigned hostility;                 /* in a hundred */
    bool ept_dirty[EPT_ROOTS];          /* tables were changed since INVEPT */
    bool reached_l2;
};

/* ---- numbers ---- */

static inline unsigned below(struct maker *m, unsigned limit) { return fuzz_below(&m->random, limit); }
static inline uint64_t any(struct maker *m) { return fuzz_next(&m->random); }
static inline bool chance(struct maker *m, unsigned percent) { return below(m, 100) < percent; }
static inline bool hostile(struct maker *m) { return chance(m, m->hostility); }
#define PICK(m, table) (table)[below(m, sizeof(table) / sizeof((table)[0]))]

/* ---- what is there ---- */

static inline struct cpu *cpu(const struct maker *m) { return m->lane->run.cpu; }
static inline unsigned level(const struct maker *m) { return (unsigned)m->latest.item[SEEN_level]; }
static inline bool over(const struct maker *m) { return m->lane->over; }

/* ---- lines ---- */

/* The level that runs executes a line. operand[0] counts for nothing. generate.c */
void line(struct maker *m, enum op_id op, unsigned operands, const uint64_t operand[]);
#define LINE(m, op, ...)                                                                                            \
    line(m, OP_##op, sizeof((uint64_t[]){ 0, ##__VA_ARGS__ }) / 8 - 1, (uint64_t[]){ 0, ##__VA_ARGS__ })

/* A field for VMREAD and VMWRITE. generate.c */
uint64_t encoding(struct maker *m);

/* More than 512 MSRs in a list, and anything may happen (SDM Vol. 3, 25.7.2). generate.c */
bool is_list_count(uint64_t encoding);

/* Instructions of L1 with memory operands anywhere, in any mode. operands.c */
void try_operands(struct maker *m);

#endif
