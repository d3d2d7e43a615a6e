/* SPDX-License-Identifier: MIT */
/*
 * L0's own paging structures in the image, built by hv/x86/paging.c in the memory of this test: nothing is both writable and code once all
 * processors have started, nothing is a user page, and the image's code is read-only wherever it is mapped, for each way in which the image comes.
 */
#include <check.h>
#include <stdlib.h>

#include "hv/x86/paging.c"
#include "tests/suite.h"

#undef MEGABYTE
#define MEGABYTE (1ull << 20)
/* An image of 1400 KB, 80 KB of it code, 1 MB below a border of 2 MB. */
#define POOL 0x7300000ull
#define IMAGE_SIZE 0x15e000ull
#define CODE_SIZE 0x14000ull
__asm__(".globl image_start, image_writable, image_end\n image_start = 0x100000\n image_writable = 0x114000\n image_end = 0x25e000\n");

struct boot boot;
struct options options;
static uint8_t pool[256][PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned taken;

uint64_t image_size(void) { return IMAGE_SIZE; }
struct hal_range hal_pool(void) { return (struct hal_range){ PA(POOL), IMAGE_SIZE + sizeof pool }; }
physical_address hal_page_allocate(void) { return PA(taken < 256 ? POOL + IMAGE_SIZE + taken++ * PAGE_SIZE : 0); }
void *in_pool(uint64_t physical) { return pool[(physical - POOL - IMAGE_SIZE) / PAGE_SIZE]; }

static uint64_t code_pages;                     /* executable bytes that are not the image's code */

/* Every leaf below the table, with the rights of all levels. */
static void check_table(uint64_t table, unsigned level, bool writable, bool executable, bool sealed)
{
    for (unsigned i = 0; i < 512; i++) {
        const uint64_t entry = ((uint64_t *)in_pool(table))[i];
        const bool w = writable && entry & WRITABLE, x = executable && !(entry & EXECUTE_DISABLE);

        if (!(entry & PRESENT))
            continue;
        ck_assert_uint_eq(entry & 4, 0);        /* a supervisor page */
        if (level > 1 && !(entry & LARGE)) {
            check_table(entry & ADDRESS, level - 1, w, x, sealed);
            continue;
        }
        if (sealed)
            ck_assert_msg(!(w && x), "%llx is writable and code", (unsigned long long)(entry & ADDRESS));
        if (x && (level > 1 || (entry & ADDRESS) - POOL >= CODE_SIZE))
            code_pages++;
    }
}

/* How the page of an address is mapped: its leaf. */
static uint64_t leaf(uint64_t linear)
{
    uint64_t table = root, entry;

    for (unsigned level = LEVELS;; level--) {
        entry = ((uint64_t *)in_pool(table))[linear >> (12 + 9 * (level - 1)) & 511];
        if (!(entry & PRESENT) || level == 1 || entry & LARGE)
            return entry;
        table = entry & ADDRESS;
    }
}

START_TEST(nothing_is_writable_and_code)
{
    static const struct { bool late; uint64_t linear; } row[] = { { false, POOL }, { true, POOL }, { true, 0xffff880007300000 } };

    boot.ranges = 4;
    boot.range[0] = (struct memory_range){ 0, 128 * MEGABYTE, MEMORY_AVAILABLE };
    boot.range[1] = (struct memory_range){ 4096 * MEGABYTE, 4100 * MEGABYTE, MEMORY_AVAILABLE };
    boot.range[2] = (struct memory_range){ 4096 * MEGABYTE, 4098 * MEGABYTE, MEMORY_AVAILABLE };
    boot.range[3] = (struct memory_range){ 0, 8192 * MEGABYTE, MEMORY_RESERVED };
    options.late = row[_i].late;
    ck_assert_ptr_null(paging_build(row[_i].linear));
    if (row[_i].linear == POOL) {
        map(0, 2, PRESENT | WRITABLE | LARGE);  /* other processors start there: paging_start() */
        paging_seal();
    }
    ck_assert_uint_eq(paging_top(), 4100 * MEGABYTE);
    ck_assert_uint_eq(leaf(4098 * MEGABYTE), 4098 * MEGABYTE | PRESENT | WRITABLE | LARGE | EXECUTE_DISABLE);
    ck_assert_uint_eq(leaf(4100 * MEGABYTE), 0);
    check_table(root, LEVELS, true, true, true);
    ck_assert_uint_eq(code_pages, 0);
    for (uint64_t at = 0; at < IMAGE_SIZE; at += PAGE_SIZE) {
        const uint64_t wanted = (POOL + at) | (at < CODE_SIZE ? PRESENT : PRESENT | WRITABLE | EXECUTE_DISABLE);
        ck_assert_uint_eq(leaf(IMAGE_VIRTUAL + IMAGE_LOAD + at), wanted);
        if (row[_i].late)                       /* passage.S is executed there */
            ck_assert_uint_eq(leaf(row[_i].linear + at), wanted);
    }
    /* The rest of memory is there, one to one; what is no RAM uncacheable. */
    ck_assert_uint_eq(leaf(0x1000000), 0x1000000 | PRESENT | WRITABLE | LARGE | EXECUTE_DISABLE);
    ck_assert_uint_eq(leaf(0xfee00000), 0xfee00000 | PRESENT | WRITABLE | LARGE | EXECUTE_DISABLE | UNCACHEABLE);
    ck_assert_uint_eq(leaf(POOL + IMAGE_SIZE) & ~((1ull << 21) - 1), options.late && row[_i].linear == POOL
                      ? ((POOL + IMAGE_SIZE) | EXECUTE_DISABLE) & ~((1ull << 21) - 1) : 0x7400000 | EXECUTE_DISABLE);
}
END_TEST

START_TEST(a_pool_that_is_too_small_is_said_so)
{
    boot.ranges = 1;
    boot.range[0] = (struct memory_range){ 0, 128 * MEGABYTE, MEMORY_AVAILABLE };
    taken = 256 - (unsigned)_i;
    ck_assert_str_eq(paging_build(POOL), "too little memory: L0's pool is too small for its paging structures");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv image paging");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, nothing_is_writable_and_code, 0, 3);
    tcase_add_loop_test(tcase, a_pool_that_is_too_small_is_said_so, 0, 7);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
