/* SPDX-License-Identifier: MIT */
/*
 * Whatever state L1 brings itself into, the VM entry that L0 makes with it is not refused. Random system instructions run as guest
 * code over the native core, with VM exits among them: each exit is followed by an entry with the state that L1 has then.
 */
#ifndef SESQUI_TESTS_ENTRIES_H
#define SESQUI_TESTS_ENTRIES_H

#include "emu/machine/parts.h"
#include "model/random.h"

/* Where things are in L1's memory. Every paging mode maps the first 16 MB there, and again and again above them. */
enum {
    MEMORY_SIZE = 32 << 20,
    PLACE_GDT = 0x1000, PLACE_LDT = 0x2000, PLACE_IDT = 0x3000, PLACE_TSS = 0x4000, PLACE_OPERAND = 0x5000, PLACE_VMXON = 0x6000,
    PLACE_STACK = 0x7f00, PLACE_CODE = 0x8000, PLACE_CODE_END = 0xf000,
    PLACE_DIRECTORY = 0x10000, PLACE_PDPT_PAE = 0x11000, PLACE_PDS = 0x12000, PLACE_PML4 = 0x16000, PLACE_PDPT = 0x17000, PLACE_PT = 0x18000,
    PLACE_PML5 = 0x19000, PLACE_POOL = MEMORY_SIZE - (1 << 20),     /* L0's */
};

/* What the states of a run were, to be sure that all kinds are reached. */
#define KINDS(X)                                                                                                              \
    X(real) X(virtual_8086) X(protected_16) X(protected_32) X(compatibility) X(long_64) X(user) X(level_1_or_2)               \
    X(paging_32) X(paging_pae) X(paging_5) X(blocked_by_sti) X(blocked_by_mov_ss) X(blocked_by_nmi) X(pending_debug) X(single_step)     \
    X(resume_flag) X(shutdown) X(conforming) X(expand_down) X(stack_null) X(stack_of_16_bits) X(segment_null) X(segment_16_mb) X(ldtr_null) \
    X(ldtr) X(tr_unloaded) X(tr_16) X(debug_control) X(breakpoints) X(cet) X(injected) X(vmx_operation) X(cr0_cache) X(pcid)
enum kind {
#define X(name) KIND_##name,
    KINDS(X)
#undef X
    KIND_COUNT
};
struct tally { uint64_t states, kind[KIND_COUNT], programs, refused_by_engine; };

struct world {
    struct machine *machine;
    struct cpu *cpu;
    struct cpu base;                /* how each program begins */
    enum hypervisor strategy;
    uint64_t random;
    FILE *listing;                  /* each instruction, or NULL */
    FILE *messages;
};

void world_open(struct world *w, enum hypervisor strategy);
void world_close(struct world *w);
/* One program. False: L0 stopped, or a rule of its own was broken; the machine says why in its result. */
bool program_run(struct world *w, uint64_t seed, uint64_t number, struct tally *tally);

/* Selectors of code and data of level 1 or 2. */
#define OUTER_CODE(level) (0x30 + 0x10 * (level))
#define OUTER_DATA(level) (0x38 + 0x10 * (level))

/* ---- instruction.c ---- */
struct code { uint8_t byte[16]; unsigned length; const char *name; };
/* A random system instruction for the present state; its operands are in registers and memory already. */
void instruction_random(struct world *w, struct code *code);
/* What most systems do first. */
void instruction_ltr(struct world *w, struct code *code);
/* One that exits, whatever the state is. */
void instruction_exit(struct world *w, struct code *code);

/* ---- memory.c: descriptor tables, paging structures, TSSs; new for each program ---- */
void memory_prepare(struct world *w);

static inline uint64_t below(struct world *w, uint64_t n) { return random_next(&w->random) % n; }
static inline bool once_in(struct world *w, uint64_t n) { return !below(w, n); }

/* One of these values. */
static inline uint64_t of(struct world *w, const uint64_t *value, unsigned count) { return value[below(w, count)]; }
#define OF(...) of(w, (const uint64_t[]){ __VA_ARGS__ }, sizeof (const uint64_t[]){ __VA_ARGS__ } / sizeof(uint64_t))

static inline void put(struct world *w, uint64_t at, uint64_t value, unsigned length)
{
    memory_write(&machine_model(w->machine)->memory, at, &value, length);
}

#endif
