/* SPDX-License-Identifier: MIT */
/* Clocks and timers of the board beside the PIT: the real-time clock, the ACPI timer, the HPET. */
#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

#define SECOND 1000000000ull

/* ---- real-time clock ---- */

static unsigned cmos(unsigned index)
{
    out(0x70, 1, index);
    return in(0x71, 1);
}

static void set_cmos(unsigned index, unsigned value)
{
    out(0x70, 1, index);
    out(0x71, 1, value);
}

START_TEST(date)
{
    ck_assert_uint_eq(cmos(9) | cmos(8) << 8 | cmos(7) << 16 | cmos(0x32) << 24, 0x20010124);   /* 2024-01-01, a Monday, 00:00:00 */
    ck_assert_uint_eq(cmos(6), 2);
    ck_assert_uint_eq(cmos(4) | cmos(2) | cmos(0), 0);
    pass((59 * 86400ull + 13 * 3600 + 45 * 60 + 59) * SECOND);                                 /* a leap year's 29th of February */
    ck_assert_uint_eq(cmos(8) << 8 | cmos(7), 0x0229);
    ck_assert_uint_eq(cmos(4) << 16 | cmos(2) << 8 | cmos(0), 0x134559);
    set_cmos(0xb, 0);                                                                          /* 12 hours */
    ck_assert_uint_eq(cmos(4), 0x81);
    set_cmos(0xb, 6);                                                                          /* binary, 24 hours */
    ck_assert_uint_eq(cmos(0), 59);
    ck_assert_uint_eq(cmos(0xd), 0x80);
}
END_TEST

START_TEST(date_is_set)
{
    pass(5 * SECOND);
    set_cmos(0xb, 0x82);                    /* SET: the clock stands */
    set_cmos(9, 0x99);
    set_cmos(0x32, 0x19);
    set_cmos(8, 0x12);
    set_cmos(7, 0x31);
    set_cmos(4, 0x23);
    set_cmos(2, 0x59);
    set_cmos(0, 0x58);
    pass(100 * SECOND);
    ck_assert_uint_eq(cmos(0), 0x58);
    set_cmos(0xb, 0x02);
    pass(101 * SECOND);
    ck_assert_uint_eq(cmos(0), 0x59);
    pass(102 * SECOND);
    ck_assert_uint_eq(cmos(0x32) << 8 | cmos(9), 0x2000);
    ck_assert_uint_eq(cmos(8) << 8 | cmos(7), 0x0101);
}
END_TEST

START_TEST(update_in_progress)
{
    ck_assert_uint_eq(cmos(0xa) & 0x80, 0);
    pass(SECOND - 2228001);
    ck_assert_uint_eq(cmos(0xa) & 0x80, 0);
    pass(SECOND - 1);
    ck_assert_uint_eq(cmos(0xa) & 0x80, 0x80);
    pass(SECOND);
    ck_assert_uint_eq(cmos(0xa) & 0x80, 0);
}
END_TEST

START_TEST(clock_interrupts)
{
    set_cmos(0xa, 0x26);                    /* 1024 Hz */
    set_cmos(0xb, 0x42);
    ck_assert_uint_eq(next_event(), SECOND / 1024);
    pass(SECOND / 1024);
    ck_assert(line_up(8));
    ck_assert_uint_eq(next_event(), UINT64_MAX);        /* until it is read */
    ck_assert_uint_eq(cmos(0xc), 0xc0);
    ck_assert(!line_up(8));
    set_cmos(1, 0x05);                      /* an alarm at second 5 of any minute */
    set_cmos(3, 0xc0);
    set_cmos(5, 0xff);
    set_cmos(0xb, 0x22);
    ck_assert_uint_eq(next_event(), 5 * SECOND);
    pass(5 * SECOND);
    ck_assert_uint_eq(cmos(0xc) & 0xa0, 0xa0);
    ck_assert_uint_eq(next_event(), 65 * SECOND);
    set_cmos(0xb, 0x12);                    /* each second */
    ck_assert_uint_eq(next_event(), 6 * SECOND);
    pass(6 * SECOND);
    ck_assert_uint_eq(cmos(0xc) & 0x90, 0x90);
}
END_TEST

START_TEST(memory_sizes)
{
    ck_assert_uint_eq(cmos(0x15) | cmos(0x16) << 8, 639);
    ck_assert_uint_eq(cmos(0x17) | cmos(0x18) << 8, 63 * 1024);
    ck_assert_uint_eq(cmos(0x34) | cmos(0x35) << 8, 48 * 16);
    set_cmos(0x40, 0x5a);                   /* memory that keeps its values */
    ck_assert_uint_eq(cmos(0x40), 0x5a);
    ck_assert_uint_eq(in(0x70, 1), 0xff);
}
END_TEST

/* ---- ACPI ---- */

START_TEST(acpi_timer)
{
    ck_assert_uint_eq(in(0x608, 4), 0);
    pass(SECOND);
    ck_assert_uint_eq(in(0x608, 4), 3579545);
    ck_assert_uint_eq(in(0x60a, 1), 3579545 >> 16 & 0xff);
    out(0x602, 2, 1);                       /* the carry: when bit 31 changes */
    uint64_t carry = next_event();
    ck_assert_uint_eq((carry * 3579545 / SECOND) >> 31, 1);
    ck_assert_uint_eq(((carry - 1) * 3579545 / SECOND) >> 31, 0);
    pass(carry);
    ck_assert(line_up(9));
    ck_assert_uint_eq(in(0x600, 2) & 1, 1);
    out(0x600, 2, 1);
    ck_assert_uint_eq(in(0x600, 2) & 1, 0);
    ck_assert(!line_up(9));
}
END_TEST

START_TEST(power_off)
{
    ck_assert_uint_eq(in(0x604, 2) & 1, 1);     /* ACPI mode, always */
    out(0x604, 2, 0);
    ck_assert_uint_eq(in(0x604, 2) & 1, 1);
    out(0x604, 2, 1 << 13 | 1 << 10);           /* a sleep state that is not there */
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    out(0x604, 2, 5 << 10);
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    out(0x604, 2, 1 << 13 | 5 << 10);
    ck_assert_int_eq(board->end, BOARD_SHUTDOWN);
}
END_TEST

/* ---- HPET ---- */

enum { CAPABILITIES = 0, CONFIGURATION = 0x10, STATUS = 0x20, COUNTER = 0xf0, TIMER0 = 0x100, TIMER2 = 0x140, COMPARATOR = 8 };
static uint64_t hpet(unsigned offset) { return load(HPET_BASE + offset, 8); }
static void set_hpet(unsigned offset, uint64_t value) { store(HPET_BASE + offset, 8, value); }

START_TEST(hpet_counts)
{
    ck_assert_uint_eq(hpet(CAPABILITIES) >> 32, 10000000);      /* 10 ns in femtoseconds */
    ck_assert_uint_eq(hpet(CAPABILITIES) >> 8 & 0x1f, 2);
    pass(1000);
    ck_assert_uint_eq(hpet(COUNTER), 0);                        /* stopped */
    set_hpet(CONFIGURATION, 1);
    pass(2000);
    ck_assert_uint_eq(hpet(COUNTER), 100);
    set_hpet(CONFIGURATION, 0);
    pass(3000);
    ck_assert_uint_eq(hpet(COUNTER), 100);
    set_hpet(COUNTER, 0x100000005);
    ck_assert_uint_eq(load(HPET_BASE + COUNTER + 4, 4), 1);
    ck_assert_uint_eq(load(HPET_BASE + COUNTER, 4), 5);
    store(HPET_BASE + COUNTER + 4, 4, 7);
    ck_assert_uint_eq(hpet(COUNTER), 0x700000005);
}
END_TEST

START_TEST(hpet_one_shot)
{
    set_hpet(TIMER2, 1 << 2 | 20 << 9);     /* on, edge, input 20 */
    set_hpet(TIMER2 + COMPARATOR, 100);
    set_hpet(CONFIGURATION, 1);
    ck_assert_uint_eq(next_event(), 1000);
    store(IOAPIC_BASE, 4, 0x10 + 2 * 20);
    store(IOAPIC_BASE + 0x10, 4, 0x30);     /* vector 30H, edge */
    pass(999);
    ck_assert(!board->lapic[0].requested[1]);
    pass(1000);
    ck_assert_uint_eq(board->lapic[0].requested[1], 1 << (0x30 - 0x20));
    ck_assert(!line_up(20));
    ck_assert_uint_gt(next_event(), 1ull << 60);
}
END_TEST

START_TEST(hpet_levels)
{
    set_hpet(TIMER2, 1 << 1 | 1 << 2 | 21 << 9);
    set_hpet(TIMER2 + COMPARATOR, 10);
    set_hpet(CONFIGURATION, 1);
    pass(100);
    ck_assert(line_up(21));
    ck_assert_uint_eq(hpet(STATUS), 1 << 2);
    set_hpet(STATUS, 1 << 2);
    ck_assert(!line_up(21));
    set_hpet(TIMER2, 1 << 2 | 3 << 9);      /* an input that it cannot reach */
    ck_assert_int_eq(hpet_route(&board->hpet, 2), -1);
}
END_TEST

START_TEST(hpet_periodic)
{
    set_hpet(CONFIGURATION, 3);             /* with legacy replacement: the PIT's line */
    set_hpet(TIMER0, 1 << 2 | 1 << 3 | 1 << 6);
    set_hpet(TIMER0 + COMPARATOR, 50);
    set_hpet(TIMER0 + COMPARATOR, 200);
    ck_assert_uint_eq(next_event(), 500);
    pass(500);
    ck_assert_uint_eq(board->pic.chip[0].requested, 1);
    ck_assert_uint_eq(next_event(), 2500);
    pass(8000);                             /* what was missed is no more than one interrupt */
    ck_assert_uint_eq(next_event(), 8500);
    set_hpet(TIMER2, 1 << 3);               /* the others cannot */
    ck_assert_uint_eq(hpet(TIMER2) & 1 << 3, 0);
}
END_TEST

START_TEST(hpet_32_bits)
{
    set_hpet(TIMER2, 1 << 2 | 1 << 8 | 20 << 9);
    set_hpet(TIMER2 + COMPARATOR, 0x1000000010);
    ck_assert_uint_eq(hpet(TIMER2 + COMPARATOR), 0x10);
    set_hpet(COUNTER, 0xfffffff0);
    set_hpet(CONFIGURATION, 1);
    ck_assert_uint_eq(next_event(), 0x20 * 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_timer");
    TCase *tcase = tcase_create("timers");
    tcase_add_checked_fixture(tcase, board_setup, board_teardown);
    tcase_add_test(tcase, date);
    tcase_add_test(tcase, date_is_set);
    tcase_add_test(tcase, update_in_progress);
    tcase_add_test(tcase, clock_interrupts);
    tcase_add_test(tcase, memory_sizes);
    tcase_add_test(tcase, acpi_timer);
    tcase_add_test(tcase, power_off);
    tcase_add_test(tcase, hpet_counts);
    tcase_add_test(tcase, hpet_one_shot);
    tcase_add_test(tcase, hpet_levels);
    tcase_add_test(tcase, hpet_periodic);
    tcase_add_test(tcase, hpet_32_bits);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
