/* SPDX-License-Identifier: MIT */
/* Physical memory: the two blocks and the hole between them, whole or failed accesses, notes of written code pages. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/insn.h"
#include "model/memory.h"
#include "tests/suite.h"

enum { PAGES_HIGH = 4 };
#define SIZE (MEMORY_HOLE + PAGES_HIGH * PAGE_SIZE)

static struct memory memory;
static uint8_t *ram, *watch;

static void setup(void)
{
    ram = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert_ptr_ne(ram, MAP_FAILED);
    watch = calloc(1, SIZE / PAGE_SIZE);
    ck_assert_ptr_nonnull(watch);
    memory_init(&memory, ram, SIZE, watch);
}

static void teardown(void)
{
    munmap(ram, SIZE);
    free(watch);
}

START_TEST(blocks_and_hole)
{
    uint64_t high = MEMORY_HIGH + PAGES_HIGH * PAGE_SIZE;

    ck_assert_ptr_eq(memory_at(&memory, 0, 1), ram);
    ck_assert_ptr_eq(memory_at(&memory, MEMORY_HOLE - 8, 8), ram + MEMORY_HOLE - 8);
    ck_assert_ptr_null(memory_at(&memory, MEMORY_HOLE - 8, 9));
    ck_assert_ptr_null(memory_at(&memory, MEMORY_HOLE, 1));
    ck_assert_ptr_null(memory_at(&memory, MEMORY_HIGH - 1, 1));
    ck_assert_ptr_null(memory_at(&memory, MEMORY_HIGH - 1, 2));
    ck_assert_ptr_eq(memory_at(&memory, MEMORY_HIGH, 1), ram + MEMORY_HOLE);
    ck_assert_ptr_eq(memory_at(&memory, high - 1, 1), ram + SIZE - 1);
    ck_assert_ptr_null(memory_at(&memory, high - 1, 2));
    ck_assert_ptr_null(memory_at(&memory, high, 1));
    ck_assert(!memory_is_ram(&memory, ~0ull, 1));
    ck_assert(!memory_is_ram(&memory, ~0ull, 2));
    ck_assert(!memory_is_ram(&memory, 16, ~0ull));
}
END_TEST

START_TEST(page_numbers_go_both_ways)
{
    static const uint64_t pages[] = { 0, 0x1000, MEMORY_HOLE - PAGE_SIZE, MEMORY_HIGH, MEMORY_HIGH + 3 * PAGE_SIZE };

    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        size_t index = memory_page_index(&memory, pages[i] + 0xabc);

        ck_assert_uint_lt(index, SIZE / PAGE_SIZE);
        ck_assert_uint_eq(memory_page_address(&memory, index), pages[i]);
    }
    ck_assert_uint_eq(memory_page_index(&memory, MEMORY_HOLE), SIZE_MAX);
    ck_assert_uint_eq(memory_page_index(&memory, MEMORY_HIGH + PAGES_HIGH * PAGE_SIZE), SIZE_MAX);
}
END_TEST

START_TEST(accesses_are_whole_or_fail)
{
    uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

    memory_write64(&memory, 0x1001, 0x1122334455667788);
    ck_assert_uint_eq(memory_read64(&memory, 0x1001), 0x1122334455667788);
    ck_assert_uint_eq(memory_read32(&memory, 0x1001), 0x55667788);
    ck_assert_uint_eq(ram[0x1001], 0x88);
    /* Half in RAM: nothing moves. */
    ck_assert(!memory_write(&memory, MEMORY_HOLE - 4, bytes, 8));
    ck_assert_uint_eq(memory_read32(&memory, MEMORY_HOLE - 4), 0);
    ck_assert(!memory_read(&memory, MEMORY_HOLE - 4, bytes, 8));
    ck_assert_uint_eq(bytes[0], 0xff);
    ck_assert_uint_eq(bytes[7], 0xff);
    ck_assert_uint_eq(memory_read64(&memory, MEMORY_HOLE), ~0ull);
}
END_TEST

START_TEST(written_code_pages_are_noted_once)
{
    watch[1] = WATCH_CODE;
    watch[2] = WATCH_VMCS;
    watch[3] = WATCH_CODE | WATCH_VMCS;
    memory_write64(&memory, 0x500, 1);
    memory_write64(&memory, 0x2500, 1);
    ck_assert_uint_eq(memory.written_count, 0);
    memory_write64(&memory, 0x1500, 1);
    memory_write64(&memory, 0x1508, 1);
    memory_write32(&memory, 0x2ffe, 1);         /* ends in page 3 */
    ck_assert_uint_eq(memory.written_count, 2);
    ck_assert_uint_eq(memory.written[0], 0x1000);
    ck_assert_uint_eq(memory.written[1], 0x3000);
    ck_assert(!memory.written_overflow);
}
END_TEST

START_TEST(too_many_notes_overflow)
{
    memset(watch, WATCH_CODE, 100);
    for (unsigned i = 0; i < MEMORY_WRITTEN_MAX; i++)
        memory_write32(&memory, i * PAGE_SIZE, i);
    ck_assert(!memory.written_overflow);
    memory_write32(&memory, MEMORY_WRITTEN_MAX * PAGE_SIZE, 1);
    ck_assert(memory.written_overflow);
    ck_assert_uint_eq(memory.written_count, MEMORY_WRITTEN_MAX);
}
END_TEST

START_TEST(instruction_names)
{
    ck_assert_str_eq(insn_name(INSN_vmread), "vmread");
    ck_assert_str_eq(insn_name(INSN_cpuid), "cpuid");
    ck_assert_str_eq(insn_name(INSN_none), "none");
    ck_assert_str_eq(insn_name((enum insn_id)999), "none");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, blocks_and_hole);
    tcase_add_test(tcase, page_numbers_go_both_ways);
    tcase_add_test(tcase, accesses_are_whole_or_fail);
    tcase_add_test(tcase, written_code_pages_are_noted_once);
    tcase_add_test(tcase, too_many_notes_overflow);
    tcase_add_test(tcase, instruction_names);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
