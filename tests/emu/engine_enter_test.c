/* SPDX-License-Identifier: MIT */
/* ENTER beside the host's own processor, level by level, with the display above the stack and within it; and where it must not be (Vol. 2, ENTER). */
#include "tests/emu/fixture.h"

static struct fixture *f;
static void setup(void)
{
    f = fixture_open();
    fixture_long_mode(f);
}
static void teardown(void) { fixture_close(f); }

/* The same linear addresses on both sides, so that the pointers that are pushed are the same numbers. */
enum { AREA = 0x300000, AREA_SIZE = 0x2000, TOP = AREA + 0x1800 };

#define ENTER(level)                                                                                                                       \
    BLOB(enter_##level, "enter 24," #level "\n ud2");                                                                                      \
    static void enter_host_##level(uint64_t *rsp, uint64_t *rbp)                                                                           \
    {                                                                                                                                      \
        __asm__ volatile("mov %%rsp,%%r10\n mov %%rbp,%%r11\n mov %%rax,%%rsp\n mov %%rcx,%%rbp\n enter $24,$" #level "\n mov %%rsp,%%rax\n" \
                         " mov %%rbp,%%rcx\n mov %%r10,%%rsp\n mov %%r11,%%rbp" : "+a"(*rsp), "+c"(*rbp) : : "r10", "r11", "memory");       \
    }
ENTER(0)
ENTER(1)
ENTER(2)
ENTER(3)
ENTER(7)
ENTER(31)
ENTER(33)

static const struct {
    const uint8_t *code;
    void (*host)(uint64_t *rsp, uint64_t *rbp);
} levels[] = {
    { enter_0, enter_host_0 }, { enter_1, enter_host_1 }, { enter_2, enter_host_2 }, { enter_3, enter_host_3 },
    { enter_7, enter_host_7 }, { enter_31, enter_host_31 }, { enter_33, enter_host_33 },
};

START_TEST(as_the_host_does_it)
{
    static const int64_t displays[] = { 0x400, 0x100, 8, 0, -8, -24 };
    uint64_t *area = mmap((void *)(uintptr_t)AREA, AREA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    ck_assert_ptr_eq(area, (void *)(uintptr_t)AREA);
    for (unsigned i = 0; i < sizeof displays / sizeof *displays; i++) {
        uint64_t rsp = TOP, rbp = (uint64_t)(TOP + displays[i]);

        for (unsigned n = 0; n < AREA_SIZE / 8; n++)
            area[n] = 0x1111111111111111ull * (n % 15 + 1) + n;
        fixture_put(f, AREA, area, AREA_SIZE);
        fixture_put(f, FIXTURE_CODE, levels[_i].code, 6);
        f->cpu->gpr[RSP] = rsp;
        f->cpu->gpr[RBP] = rbp;
        fixture_run_at(f, FIXTURE_CODE);
        fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 4);
        levels[_i].host(&rsp, &rbp);
        ck_assert_uint_eq(f->cpu->gpr[RSP], rsp);
        ck_assert_uint_eq(f->cpu->gpr[RBP], rbp);
        ck_assert_mem_eq(f->ram + AREA, area, AREA_SIZE);
    }
    munmap(area, AREA_SIZE);
}
END_TEST

/* The top that it leaves must be writable, though nothing is written there; nothing has changed then. */
START_TEST(the_new_top_must_be_writable)
{
    fixture_put(f, FIXTURE_CODE, enter_2, 6);
    fixture_put64(f, FIXTURE_PT + 8 * 0x7f, 0x7f000 | 1);
    fixture_flush(f);
    f->cpu->gpr[RBP] = 0x81000;
    f->cpu->gpr[RSP] = 0x80028;                     /* three words and 24 bytes: the top is at 7fff8H */
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_PF, PF_PRESENT | PF_WRITE, FIXTURE_CODE);
    ck_assert_uint_eq(f->stop.event.address, 0x7fff8);
    ck_assert_uint_eq(f->cpu->gpr[RSP], 0x80028);
    ck_assert_uint_eq(f->cpu->gpr[RBP], 0x81000);
    ck_assert_uint_eq(fixture_get64(f, 0x80020), 0);
    f->cpu->gpr[RSP] = 0x80030;
    fixture_run_at(f, FIXTURE_CODE);
    fixture_expect_event(f, VECTOR_UD, 0, FIXTURE_CODE + 4);
    ck_assert_uint_eq(fixture_get64(f, 0x80028), 0x81000);
}
END_TEST

/* Outside 64-bit mode the stack's size says how wide RBP is written; of 16 bits here. */
BLOB16(enter_16, "enter 2,1\n ud2");
START_TEST(sixteen_bits)
{
    fixture_real_mode(f);
    fixture_put(f, 0x8000, enter_16, 6);
    f->cpu->gpr[RSP] = 0x12341000;
    f->cpu->gpr[RBP] = 0x5678abcd;
    fixture_run_at(f, 0x8000);
    ck_assert_uint_eq(f->cpu->rip, 0x8004);
    ck_assert_uint_eq((uint32_t)f->cpu->gpr[RSP], 0x12340ffa);
    ck_assert_uint_eq((uint32_t)f->cpu->gpr[RBP], 0x56780ffe);
    ck_assert_uint_eq(fixture_get64(f, 0xffc) & 0xffffffff, 0xabcd0ffe);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("emu/unicorn: ENTER");
    TCase *tc = tcase_create("enter");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, as_the_host_does_it, 0, sizeof levels / sizeof *levels);
    tcase_add_test(tc, the_new_top_must_be_writable);
    tcase_add_test(tc, sixteen_bits);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
