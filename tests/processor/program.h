/* SPDX-License-Identifier: MIT */
/*
 * Random programs of system-level instructions, the environment each runs in, and what is told of its end. One image, which
 * runs on the bare machine and on Bochs; what it prints must be the same.
 */
#ifndef SESQUI_TESTS_PROCESSOR_PROGRAM_H
#define SESQUI_TESTS_PROCESSOR_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "arch/x86.h"
#include "tests/processor/layout.h"

/*
 * Linear memory: the image where it is, for the supervisor alone; a window of pages whose rights each program has its own. What
 * of the first megabyte belongs to firmware is not mapped.
 */
enum { WINDOW = 0x40000000, PAGE = 4096 };
enum window_page { PAGE_CODE, PAGE_LANDING, PAGE_DATA, PAGE_STACK_LOW, PAGE_STACK, PAGE_GDT, PAGE_LDT, PAGE_TSS, PAGE_IDT, PAGE_INNER,
                   WINDOW_PAGES };
#define WINDOW_AT(page) (WINDOW + (page) * PAGE)

/* Selectors of the descriptors that every program finds; the others, up to the limits, are random. */
enum { CODE64 = 0x08, DATA0 = 0x10, CODE32 = 0x18, USER32 = 0x23, USER_DATA = 0x2b, USER64 = 0x33, CODE16 = 0x38, USER16 = 0x43,
       TASK = 0x48, LOCAL_TABLE = 0x58, RANDOM_FIRST = 0x68, GDT_SIZE = 0x200, LDT_SIZE = 0x80 };
enum { GATE_FIRST = 0x30, GATE_LAST = 0x3f };       /* vectors with random gates */
enum { CODE_MAX = 512 };

struct __attribute__((packed)) start {
    uint64_t gpr[8];
    uint64_t frame[5];              /* RIP, CS, RFLAGS, RSP, SS */
    uint64_t cr0, cr4;
    uint32_t segment[4];            /* DS, ES, FS, GS */
    uint32_t tr, ldtr;
    struct __attribute__((packed)) { uint16_t limit; uint64_t base; } gdtr, idtr;
};
_Static_assert(offsetof(struct start, frame) == START_FRAME && offsetof(struct start, cr4) == START_CR4 &&
               offsetof(struct start, tr) == START_TR && offsetof(struct start, idtr) == START_IDTR, "layout.h");

struct record {
    uint64_t vector, error_code, gpr[16], rip, cs, rflags, rsp, ss;
    uint64_t ds, es, fs, gs, handler_ss, ldtr, tr, fs_base, gs_base, cr2, dr6;
};
_Static_assert(sizeof(struct record) == RECORD_SIZE, "layout.h");

struct program {
    uint64_t random;                /* state of the generator */
    uint8_t *code;                  /* where it is written: the code page, by its address in the image */
    unsigned length;
    unsigned bits;                  /* 64, 32 or 16: how its code is decoded */
    unsigned level;                 /* CPL */
    struct start start;
};

/* Numbers that follow from the seed: 0 to n - 1; true n times of 100. */
unsigned below(struct program *program, unsigned n);
int chance(struct program *program, unsigned percent);
uint64_t random64(struct program *program);

/* environment.c: tables, pages, registers. */
void environment_open(void);
void environment_prepare(struct program *program);
uint16_t random_selector(struct program *program);
uint64_t environment_sum(enum window_page page, unsigned first);     /* of its bytes from `first` on */
uint64_t environment_flags(void);           /* accessed and dirty flags of the window's pages, two bits each */
extern uint8_t window[WINDOW_PAGES][PAGE];

/* generate.c: the instructions. */
void generate(struct program *program);

/* entry.S */
void enter(const struct start *start);
extern volatile struct record record;
extern uint8_t stubs[];
extern struct __attribute__((packed)) harness_table { uint16_t limit; uint64_t base; } harness_gdtr;

#endif
