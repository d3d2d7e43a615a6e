/* SPDX-License-Identifier: MIT */
/*
 * The image's beginning as a program of this host: hv/x86/ text.c, memory.c, multiboot.c, option.c and pool.c, whose physical memory is memory
 * of the test, at the same addresses.
 */
#ifndef SESQUI_TESTS_HV_IMAGE_H
#define SESQUI_TESTS_HV_IMAGE_H

#include <check.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/suite.h"

/* What text.c has instead of the C library. */
#define memcpy image_memcpy
#define memmove image_memmove
#define memset image_memset
#define memcmp image_memcmp
#include "hv/x86/text.c"
extern uint8_t image_start[];
#undef IMAGE_VIRTUAL
#define IMAGE_VIRTUAL ((uint64_t)image_start - IMAGE_LOAD)      /* the boot loader put the image at IMAGE_LOAD */
#define ram ram_ranges                          /* a name that pool.c has for something else */
#include "hv/x86/memory.c"
#undef ram
#include "hv/x86/multiboot.c"
#include "hv/x86/option.c"
#include "hv/x86/pool.c"
#ifdef ALSO                                     /* a file of hv/x86/ more */
#define overlap also_overlap
#include ALSO
#undef overlap
#endif
#ifdef ALSO_2
#include ALSO_2
#endif
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

#define MB MEGABYTE
#define BOTTOM 0x10000ull                       /* of what is there in this test */
#define TOP (64 * MB)
#define IMAGE 0x100000ull
#define IMAGE_BYTES 0x120000ull                 /* a multiple of a processor's place */
__asm__(".bss\n.balign 4096\n.globl image_start, image_end\nimage_start: .skip 0x120000\nimage_end: .skip 1\n.text\n");

/* ---- what else the image has ---- */

static uint64_t where;                          /* in which world this is executed */
static uint64_t pages = 100;                    /* that the core asks for */
static char said[1024];
static jmp_buf stops;
static const char *lacks;                       /* a strategy, from flip down */
static unsigned port_of_log = 0x3f8, locked;

uint64_t here(void) { return where; }
void hal_lock(uint32_t *l) { locked += !(*l)++; }
void hal_unlock(uint32_t *l) { locked -= !--*l; }
_Noreturn void hal_fail_stop(const char *reason)
{
    strcpy(said, reason);
    longjmp(stops, 1);
}
uint64_t hv_pool_pages(unsigned count, uint64_t bytes) { return pages * count + bytes / (1024 * MB); }
const char *hv_refusal(enum hv_strategy strategy) { return strategy == HV_FLIP || (strategy == HV_COPY && !strcmp(lacks, "copy")) ? lacks : NULL; }
void log_open(uint16_t port) { port_of_log = port; }
void print(const char *format, ...) { strncat(said, format, sizeof said - strlen(said) - 1); }

/* Everything as at the start, the memory zero. */
static inline void reset(void)
{
    memset((void *)BOTTOM, 0, TOP - BOTTOM);
    memset(&boot, 0, sizeof boot);
    memset(used, 0, sizeof used);
    memset(said, 0, sizeof said);
    options = (struct options){ .strategy = HV_FLIP };
    where = (uint64_t)image_start;
    pages = 100;
    lacks = "";
    pool_base = pool_pages = image_pages = next_free = shift = 0;
    places = 1;
}

static inline void range(uint64_t base, uint64_t end, uint32_t type)
{
    boot.range[boot.ranges++] = (struct memory_range){ base, end, type };
}

static inline void usual_memory(void)
{
    range(0, 0x9fc00, MEMORY_AVAILABLE);
    range(0x9fc00, 0xa0000, MEMORY_RESERVED);
    range(MB, TOP, MEMORY_AVAILABLE);
    range(0xfffc0000, 0x100000000, MEMORY_RESERVED);
    memory_describe();
}

static inline void module(uint64_t base, uint64_t size, const char *text)
{
    struct module *m = &boot.module[boot.modules++];

    m->base = base;
    m->size = size;
    strcpy(m->text, text);
}

/* Runs a suite of one case on that memory. */
static inline int image_tests(const char *name, void (*add)(TCase *))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create("all");

    if (mmap((void *)BOTTOM, TOP - BOTTOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0) !=
        (void *)BOTTOM)
        return 1;
    add(tcase);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}

#endif
