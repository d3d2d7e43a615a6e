/* SPDX-License-Identifier: MIT */
/*
 * Random programs of system-level instructions, the environment each runs in, and what is told of its end. One image, which
 * runs on the bare machine and on Bochs; what it tells must be the same.
 */
#ifndef SESQUI_TESTS_PROCESSOR_PROGRAM_H
#define SESQUI_TESTS_PROCESSOR_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "arch/x86.h"
#include "tests/processor/layout.h"

/*
 * Linear memory: the image where it is, for the supervisor alone; a window of pages whose rights each program has its own, in legacy
 * modes also at LOW, where virtual-8086 mode reaches it. What else of the first megabyte belongs to firmware is not mapped.
 */
enum { WINDOW = 0x40000000, LOW = 0x10000, PAGE = 4096 };
enum window_page { PAGE_CODE, PAGE_LANDING, PAGE_DATA, PAGE_STACK_LOW, PAGE_STACK, PAGE_GDT, PAGE_LDT, PAGE_TSS, PAGE_IDT, PAGE_INNER,
                   PAGE_TASKS, PAGE_RIGHTS, PAGE_RIGHTS_LAST = PAGE_RIGHTS + 3, WINDOW_PAGES };
#define WINDOW_AT(page) (WINDOW + (page) * PAGE)

/*
 * What programs and exits can tell the place of: by CR3, by the base of a descriptor, by a pointer in the TSS, by a guest-physical address. It lies at a
 * fixed address behind the image, so that the same programs leave the same behind, whatever compiler and linker made the image.
 */
struct visible {
    uint8_t window[WINDOW_PAGES][PAGE];
    uint64_t pml4[512];
    uint32_t directory32[1024];
    uint8_t handler_stack[8192];
    uint64_t pae_pointers[4];       /* aligned to 32 bytes (SDM Vol. 3, 4.4.1) */
    uint8_t fault_tss[0x68];        /* of the task of double faults in legacy modes */
};
static struct visible *const visible = (struct visible *)0x1c0000;
static uint8_t (*const window)[PAGE] = (uint8_t (*)[PAGE])0x1c0000;

/* Selectors of the descriptors that every program finds; the others, up to the limits, are random. */
enum { CODE64 = SELECTOR_CODE64, DATA0 = SELECTOR_DATA, CODE32 = SELECTOR_CODE32, USER32 = 0x23, USER_DATA = 0x2b, USER64 = 0x33,
       CODE16 = 0x38, USER16 = 0x43, TASK = 0x48, LOCAL_TABLE = 0x58, OTHER_TASK = 0x68, OLD_TASK = 0x70, TASK_GATE = 0x78,
       STACK16 = 0x80, FAULT_TASK = 0x88, RANDOM_FIRST = 0x90, GDT_SIZE = 0x200, LDT_SIZE = 0x80 };
enum { GATE_FIRST = 0x30, GATE_LAST = 0x3f };       /* vectors with random gates */

/* A program is a few steps: an instruction or two, and INT3. Each step begins with registers of its own; tables and memory are
 * what the steps before it have left. */
enum { STEPS_MAX = 8, STEP_SIZE = 128 };

enum { MODE_LONG, MODE_PAE, MODE_LEGACY };          /* paging with 4 levels, PAE, 32 bits */

struct __attribute__((packed)) start {
    uint64_t gpr[8];
    uint64_t frame[5];              /* RIP, CS, RFLAGS, RSP, SS */
    uint64_t cr0, cr3, cr4, dr[4], dr7;
    uint32_t segment[4];            /* DS, ES, FS, GS */
    uint32_t tr, ldtr;
    struct __attribute__((packed)) { uint16_t limit; uint64_t base; } gdtr, idtr;
};
_Static_assert(offsetof(struct start, frame) == START_FRAME && offsetof(struct start, cr4) == START_CR4 &&
               offsetof(struct start, dr7) == START_DR7 && offsetof(struct start, tr) == START_TR &&
               offsetof(struct start, idtr) == START_IDTR, "layout.h");

struct record {
    uint64_t vector, error_code, gpr[16], rip, cs, rflags, rsp, ss;
    uint64_t ds, es, fs, gs, handler_ss, ldtr, tr, fs_base, gs_base, cr2, dr6, dr7, cr0, cr3, cr4;
};
_Static_assert(sizeof(struct record) == RECORD_SIZE && offsetof(struct record, rip) == RECORD_FRAME &&
               offsetof(struct record, ldtr) == RECORD_LDTR && offsetof(struct record, cr4) == RECORD_CR4, "layout.h");

struct program {
    uint64_t random;                /* state of the generator */
    uint8_t *code;                  /* where it is written: the code page, by its address in the image */
    unsigned length;
    unsigned mode;
    unsigned bits;                  /* 64, 32 or 16: how its code is decoded */
    unsigned level;                 /* CPL */
    int virtual_8086;
    unsigned steps;
    struct start step[STEPS_MAX];
    const char *kind[STEPS_MAX];    /* what the step is about */
    struct start *start;            /* of the step that is being written */
};

/* Numbers that follow from the seed: 0 to n - 1; true n times of 100. */
unsigned below(struct program *program, unsigned n);
int chance(struct program *program, unsigned percent);
uint64_t random64(struct program *program);

/* report.c */
void report_open(const uint32_t *information);                      /* multiboot information: options on the command line */
uint64_t option(const char *name, uint64_t otherwise);
void put(const char *text);                                         /* to the console, or with the option e9 to port E9H */
void number_in(uint64_t value, unsigned base);
void word(const char *name, uint64_t value);                        /* " name=value", unless it is 0 */

/* environment.c: tables, pages, registers. */
void environment_open(void);
void environment_prepare(struct program *program);
void environment_registers(struct program *program, unsigned at);    /* of the step whose code is at this place of the code page */
void environment_again(void);               /* before each step */
void environment_pages(const struct program *program);              /* the accessed and dirty flags that it began with */
void harness_state(void);
uint16_t random_selector(struct program *program);
uint32_t environment_sum(enum window_page page, unsigned first, unsigned end);     /* of its bytes from `first` on */
int environment_written(const struct program *program, enum window_page page);     /* is it dirty? */
uint32_t environment_flags(const struct program *program);           /* accessed and dirty flags of the window's pages */
uint32_t environment_msrs(void);

/* tasks.c: the TSSs of legacy modes. */
void tasks_prepare(struct program *program, uint32_t cr3);
void tasks_again(void);

/* generate.c: the steps. emit.c: their bytes. transfer.c, system.c, access.c: the instructions. */
struct kind {
    const char *name;
    void (*emit)(struct program *program);
    unsigned weight;
    unsigned modes;                 /* enum kind_modes */
};
enum kind_modes { IN_LONG = 1, IN_LEGACY = 2, IN_V86 = 4, ANYWHERE = 7, PROTECTED = 3 };
extern const struct kind transfer_kinds[], system_kinds[], access_kinds[];      /* end with a row without a name */
void generate(struct program *program);

void byte(struct program *p, unsigned value);
void number(struct program *p, uint64_t value, unsigned size);
void move_immediate(struct program *p, unsigned reg, uint32_t value);
void memory(struct program *p, unsigned reg, unsigned displacement);
void prefix_address(struct program *p);
unsigned operand_size(struct program *p);
void size_prefix(struct program *p, unsigned size);
void push(struct program *p, uint32_t value, unsigned size);
uint32_t window_address(const struct program *p, enum window_page page);

/* entry.S: the first in 64-bit mode and compatibility mode; legacy.S: the second outside IA-32e mode. */
void enter(const struct start *start);
void enter_legacy(const struct start *start);
extern volatile struct record record;
extern uint8_t stubs[], stubs_legacy[], fault_task[];
extern struct __attribute__((packed)) harness_table { uint16_t limit; uint64_t base; } harness_gdtr;
extern uint64_t harness_cr3, harness_cr4;

#endif
