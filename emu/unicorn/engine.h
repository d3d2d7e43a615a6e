/* SPDX-License-Identifier: MIT */
/*
 * The engine's own state, shared by the files of this folder.
 *
 * How it works: uc_emu_start() runs translated blocks. Whatever is not plain execution ends in leave(), which records
 * and unwinds to the library's loop; the loop calls on_exception(), which asks it to return. Everything that decides
 * (finish() in engine.c) runs after uc_emu_start() has returned, with the state back in struct cpu.
 */
#ifndef SESQUI_EMU_UNICORN_ENGINE_H
#define SESQUI_EMU_UNICORN_ENGINE_H

#include "emu/cpu.h"
#include "emu/decode/opcode.h"
#include "emu/unicorn/library.h"
#include "emu/unicorn/tcg.h"
#include "model/cpu/debug.h"

/* A memory operand that must be aligned (alignment.c). address_size 0: there is none. */
struct aligned_operand {
    int64_t displacement;
    uint8_t base, index, scale, segment, address_size;  /* as in struct insn */
    bool mode64;
};

/* One translated block: what counting needs to know of it, and the operand of its first instruction. */
struct block {
    uint64_t pc;                /* linear address */
    uint64_t ram;               /* offset in RAM, or ~0: device memory */
    uint16_t count;             /* instructions */
    uint16_t length;            /* in bytes */
    uint8_t shadow;             /* BLOCKING_BY_STI or BLOCKING_BY_MOV_SS if its last instruction shadows the next */
    bool counted;               /* by its own code; otherwise its beginning is a call (count.c) */
    bool resumes;               /* RFLAGS.RF is set when it begins */
    bool patched;               /* its last instruction is not the one the library has translated */
    uint8_t repeats;            /* its last instruction is a string instruction with a REP prefix: its address size in bytes; or 0 */
    struct aligned_operand aligned;
    const struct insn *insn;    /* its last instruction, if the model may execute it in place; or NULL */
    uint16_t offset[];          /* of each instruction from pc */
};
enum { BLOCK_INSNS_MAX = 512 };

/* What translated code counts with (count.c). */
struct counters {
    uint64_t retired;           /* instructions of blocks begun in this run; exact between blocks */
    uint64_t limit;             /* of `retired`: a block that finds it reached asks clock.c. engine->budget, or 0 for asking each time */
    struct block *current;      /* begun last */
    struct block *previous;     /* before it: exact where the one shadows the other */
};

/* The segments of a processor that were loaded into the library. */
struct given_segments {
    struct segment seg[SEG_COUNT];
    struct table_register gdtr, idtr;
    uint64_t code_base;
};

/* A function of ours that translated code calls; the library's record of it. */
struct called {
    void *hook;
    void (*function)(struct block *block);
    bool known;
};

/* What is still open in the block that is being translated (count.c). */
struct counting {
    library_op *count;          /* brings in the number of its instructions */
    library_label *exhausted, *counted;
};

/* Why generated code was left: indices of pseudo-exceptions, beyond the vectors and below the library's own. */
enum left {
    LEFT_NOT,
    LEFT_EVENT = 0x200,         /* engine->event */
    LEFT_UD,                    /* invalid opcode, or what the translator was shown in place of a sensitive instruction */
    LEFT_SOFTWARE_INTERRUPT,    /* INT n, INT3, INTO at RIP */
    LEFT_FAULT,                 /* engine->linear, engine->translation */
    LEFT_POLL,                  /* budget exhausted */
    LEFT_APIC_WRITE,            /* the instruction has to be a step of its own */
    LEFT_INTERRUPTIBLE,
    LEFT_REFUSED,               /* engine->text */
    LEFT_AGAIN,                 /* nothing: go on */
    LEFT_EXECUTED,              /* the model has executed an instruction: engine->status; cpu holds the state */
    LEFT_FLUSH,                 /* too many translations: drop them all, go on */
};
/* Does RIP point at an instruction of the current block, or has that block been retired as a whole? */
enum position { WITHIN_BLOCK, BETWEEN_BLOCKS };

/* Variants of translated code: part of the key under which the library finds blocks. */
enum {
    VARIANT_SINGLE = 1u << 0,       /* one instruction a block */
    VARIANT_NON_ROOT = 1u << 1,     /* MOV from CR0, CR4 and SMSW stop */
    VARIANT_UMIP = 1u << 2,         /* SGDT, SIDT, SLDT, STR and SMSW stop above CPL 0 */
    VARIANT_VME = 1u << 3,          /* CLI, STI, PUSHF, POPF and INT n stop where IOPL is not enough in virtual-8086 mode */
    VARIANT_PVI = 1u << 4,          /* CLI and STI stop there at CPL 3 */
    VARIANT_ROWS = 8,               /* from this bit on: one bit for each row of variant_rows[] that stops */
};

enum { RECENT_PAGES = 4096, MMU_MODES = 3, TLB = -0x590, TLB_SIZE = 0x580 };

/* What decides how the library's TLB was filled; any change flushes it. */
struct mapping_key {
    uint64_t cr0, cr3, cr4, efer, pdpte[4], eptp, generation, watches, dr[4], dr7, apic_access;
    unsigned cpu;
    uint16_t vpid;
    bool non_root, ept;
};


struct recent { uint64_t linear, page; };

/* A TLB of the library's (context.c): root operation's, and that of non-root operation. */
struct context {
    bool used;                          /* the library does not have it now; `tlb` is it */
    bool alignment_checked;
    uint64_t protections;
    struct mapping_key mapped;
    struct recent recent[RECENT_PAGES];
    _Alignas(16) uint8_t tlb[TLB_SIZE];
};

enum { SETTLED_TICKS = 1 << 28 };       /* a quarter of a second of the library's time */

struct engine {
    uc_engine *uc;
    library_cpu *library;
    library_env *env;
    struct model *model;
    void *region;                       /* the library's MemoryRegion of low RAM */
    uint64_t low_size;                  /* bytes of RAM below MEMORY_HOLE */

    /* The present run. */
    struct cpu *cpu;
    const struct engine_request *request;
    uint64_t start_instructions, start_clock;
    uint64_t budget;                    /* instructions that may be retired in this run */
    struct counters *count;             /* in the library's processor */
    bool interrupted, stopping;
    uint64_t limit;                     /* value of cpu->clock, as the caller has it now */
    uint64_t executed;                  /* by the model, in this run */
    enum status status;                 /* of the latest such instruction */
    uint64_t before_instructions, before_clock;     /* of cpu, as it came to it */
    struct insn insn;
    bool running;                       /* the library's loop is on the stack, to be left with leave() */
    bool sti_shadows;                   /* the latest STI found IF clear */
    uint32_t entry_shadow;              /* blocking by STI or MOV SS when the run began */
    bool probing;                       /* the self-check runs */

    /* Why it ended. */
    enum left left;
    enum position position;
    struct event event;
    uint64_t linear;
    struct access access;
    struct translation translation;
    const char *text;

    /* Translation (code.c). */
    uint32_t variant;
    struct translator_ops ops;
    const struct translator_ops *library_ops;
    struct block *building;
    struct insn decoded;                /* its last instruction, if the model may execute it in place; else id is INSN_none */
    uint8_t interest[MAP_COUNT][256];   /* enum opcode_interest */
    bool patching;
    uint64_t patch_pc;
    uint8_t patch[2];
    uint8_t *arena;                     /* struct block after struct block */
    size_t arena_used;
    uintptr_t first_tb;                 /* the library's first block since all were dropped; blocks are laid end to end */
    bool flush_wanted;                  /* budget is 0 to get there; the real one is kept here: */
    uint64_t budget_after_flush;
    library_tcg *tcg;
    library_temp *tcg_env;              /* the library's processor, as its translations name it */
    struct counting counting;
    struct called block_begins, operand_aligned;
    bool asks_first;                    /* the library is about to emit its own question at the start of a block */
    bool unlike;                        /* it did not */
    uint64_t translations;
    struct unexplored unexplored;       /* the stretch of new code that ends with the latest block */

    /* Memory (fill.c, code.c): per RAM page, and per linear page. */
    uint64_t *last_linear;              /* linear page of the latest fill that mapped the RAM page */
    struct recent *recent;              /* fills of the TLB that the library has now */
    struct mapping_key mapped;
    struct context context[2];
    bool in_context;                    /* which of them the library has */
    uint64_t protections;               /* pages that got translated code so far */
    bool display_written;               /* something was written to physical addresses a0000-bffff */
    uint64_t apic_linear;               /* linear page through which this run has written to the virtual-APIC page; ~0 */

    bool alignment_checked;             /* #AC is in effect: every data access of CPL 3 comes to fill.c */

    /* Breakpoints (debug.c). */
    bool debug_armed;
    uint64_t debug_pending;             /* as cpu->pending_debug: met in this run */

    /* State (state.c). */
    uint8_t segments[LIBRARY_SEGMENTS * SEGMENT_SIZE];  /* as loaded */
    struct given_segments given;
    bool segments_kept;                 /* the library has them still */
    unsigned fpu_owner;
    uint8_t *fpu;                       /* one image per processor */
    size_t xmm_first, xmm_stride;       /* of XMM0 in it, and from one to the next; stride 0: not looked for yet */

    uint64_t ticks;                     /* the library's time of day: SETTLED_TICKS + instructions of all runs */
};

/* The engine whose library code runs now. See engine.c. */
struct engine *engine_here(void);

/* engine.c: `cpu` goes on, or begins, as it is: engine_run() beneath, or translated code that called the model. */
void run_begin(struct engine *engine);

/* in_place.c: may the model execute what is at `pc`, and the run go on? */
bool in_place_find(struct engine *engine, uint64_t pc, struct insn *insn);

/* intercept.c */
_Noreturn void leave(struct engine *engine, enum left left, enum position position, uintptr_t return_address);
_Noreturn void leave_event(struct engine *engine, enum vector vector, bool has_error_code, uint32_t error_code,
                           enum position position, uintptr_t return_address);
_Noreturn void refuse(struct engine *engine, const char *text, uintptr_t return_address);
bool intercept_open(struct engine *engine);

/* state.c */
void state_load(struct engine *engine);
void state_store(struct engine *engine);
/* While translated code is on the stack the library keeps arithmetic flags apart. */
void state_join_flags(struct engine *engine);
void state_split_flags(struct engine *engine);
void set_segment(library_env *env, unsigned index, uint32_t selector, uint64_t base, uint32_t limit, uint32_t flags);
void set_features(library_env *env);

/* clock.c: what happens at the start of a block that does not count by itself, or finds its limit reached; exact position in
 * the current block. */
bool clock_open(struct engine *engine);
bool called_open(struct engine *engine, struct called *called, void (*function)(struct block *block));
/* Instructions that may be retired in this run. */
void clock_set_budget(struct engine *engine, uint64_t budget);
uint64_t clock_retired_at(const struct engine *engine, uint64_t linear_pc);
/* Makes cpu->clock and cpu->instructions exact for a callback from generated code. */
void clock_publish(struct engine *engine);

/* code.c */
bool code_open(struct engine *engine);
void code_close(struct engine *engine);
/* Drops translations of pages that others wrote; chooses the variant of code for the run. */
void code_prepare(struct engine *engine);
void code_flush(struct engine *engine);

/* count.c: what is added to the code of a block: at its beginning; a call; at its end. */
void count_begin(struct engine *engine, const struct block *block);
void count_call(struct engine *engine, struct called *called, const struct block *block);
void count_end(struct engine *engine, const struct block *block);

/* alignment.c: notes the operand of a block's first instruction, which ends before `next`; its code looks at it. */
void alignment_note(struct engine *engine, struct block *block, uint64_t next);
bool alignment_open(struct engine *engine);

/* fill.c */
void fill_prepare(struct engine *engine);
void fill_check_alignment(struct engine *engine, bool check);
void fill_finish(struct engine *engine);
bool fill_same_mapping(const struct mapping_key *a, const struct mapping_key *b);

/* context.c */
bool context_switch(struct engine *engine, const struct mapping_key *key);
bool context_plausible(struct engine *engine, uint64_t linear, bool ram);
void context_close(struct engine *engine);

/* fill.c */
/* Reads memory as the processor would for descriptor tables, without side effects; false also across pages. */
bool peek(struct engine *engine, uint64_t linear, void *to, unsigned length);

/* debug.c */
void debug_prepare(struct engine *engine);
void debug_access(struct engine *engine, uint64_t linear, unsigned size, enum access_kind kind);
void debug_block(struct engine *engine, uint64_t linear_pc);
/* Did the instruction just executed hold debug traps back (MOV SS, POP SS)?  Is it a single step? */
bool debug_held_back(const struct engine *engine);
bool debug_steps(const struct engine *engine);

/* layout.c: the first assumption that does not hold, or NULL. */
const char *check_layout(struct engine *engine);

#endif
