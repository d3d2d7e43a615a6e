/* SPDX-License-Identifier: MIT */
/* The local APIC and the bus around it: SDM Vol. 3, ch. 11. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "emu/device/board.h"
#include "model/cpu/execute.h"
#include "tests/suite.h"

enum { ID = 0x20, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0, SVR = 0xf0, ISR = 0x100, IRR = 0x200, ESR = 0x280,
       ICR = 0x300, ICR_HIGH = 0x310, LVT_TIMER_AT = 0x320, LVT_LINT0_AT = 0x350, LVT_ERROR_AT = 0x370, INITIAL = 0x380,
       CURRENT = 0x390, DIVIDE = 0x3e0 };
enum { CPUS = 4, MASKED = 1 << 16, PERIODIC = 1 << 17, DEADLINE = 2 << 17 };

static struct model *model;
static struct board *board;
static uint8_t *ram, *watch;

static void setup(void)
{
    model = calloc(1, sizeof *model);
    board = calloc(1, sizeof *board);
    ram = calloc(1, 1 << 20);
    watch = calloc(1, 256);
    memory_init(&model->memory, ram, 1 << 20, watch);
    model->cpu_count = CPUS;
    model->physical_address_width = 40;
    for (unsigned i = 0; i < CPUS; i++) {
        model->cpu[i].model = model;
        model->cpu[i].index = i;
    }
    board_init(board, model, NULL);
    for (unsigned i = 0; i < CPUS; i++)
        lapic_write(&board->lapic[i], SVR, 0x1ff);
}

static void teardown(void)
{
    free(model);
    free(board);
    free(ram);
    free(watch);
}

static void elapse(unsigned cpu, uint64_t ticks)
{
    model->cpu[cpu].clock += ticks;
    board_advance(board, &model->cpu[cpu]);
}

static bool requested(unsigned cpu)
{
    return model->bus.interrupt_requested(model->bus.context, &model->cpu[cpu]);
}

static unsigned acknowledge(unsigned cpu)
{
    return model->bus.interrupt_acknowledge(model->bus.context, &model->cpu[cpu]);
}

START_TEST(one_shot_fires_once)
{
    struct lapic *lapic = &board->lapic[0];
    lapic_write(lapic, DIVIDE, 0xb);                        /* by 1 */
    lapic_write(lapic, LVT_TIMER_AT, 0x40);
    lapic_write(lapic, INITIAL, 1000);
    ck_assert_uint_eq(board_next_event(board, &model->cpu[0]), 1000);
    elapse(0, 400);
    ck_assert_uint_eq(lapic_read(lapic, CURRENT), 600);
    ck_assert(!requested(0));
    elapse(0, 600);
    ck_assert(requested(0));
    ck_assert_uint_eq(acknowledge(0), 0x40);
    ck_assert_uint_eq(lapic_read(lapic, CURRENT), 0);
    ck_assert_uint_eq(board_next_event(board, &model->cpu[0]), UINT64_MAX);
    elapse(0, 5000);
    lapic_write(lapic, EOI, 0);
    ck_assert(!requested(0));
}
END_TEST

START_TEST(an_ended_count_stays_zero)
{
    struct lapic *lapic = &board->lapic[0];
    lapic_write(lapic, DIVIDE, 0xb);
    lapic_write(lapic, LVT_TIMER_AT, 0x40);
    lapic_write(lapic, INITIAL, 1000);
    elapse(0, 400);
    lapic_write(lapic, LVT_TIMER_AT, PERIODIC | 0x40);      /* counting goes on */
    ck_assert_uint_eq(lapic_read(lapic, CURRENT), 600);
    elapse(0, 700);
    ck_assert_uint_eq(lapic_read(lapic, CURRENT), 900);
    lapic_write(lapic, LVT_TIMER_AT, 0x40);
    elapse(0, 5000);
    lapic_write(lapic, LVT_TIMER_AT, PERIODIC | 0x40);      /* nothing is left to count */
    ck_assert_uint_eq(lapic_read(lapic, INITIAL), 1000);
    ck_assert_uint_eq(lapic_read(lapic, CURRENT), 0);
    ck_assert_uint_eq(board_next_event(board, &model->cpu[0]), UINT64_MAX);
    lapic_write(lapic, INITIAL, 1000);
    ck_assert_uint_eq(board_next_event(board, &model->cpu[0]), model->cpu[0].clock + 1000);
}
END_TEST

START_TEST(cpuid_tells_whether_it_is_enabled)
{
    struct lapic *lapic = &board->lapic[1];
    uint32_t out[4];
    cpuid_read(&model->cpu[1], 1, 0, out);
    ck_assert(out[3] >> 9 & 1);
    ck_assert(lapic_write_msr(lapic, MSR_ia32_apic_base, LAPIC_BASE));
    cpuid_read(&model->cpu[1], 1, 0, out);
    ck_assert(!(out[3] >> 9 & 1));
    cpuid_read(&model->cpu[0], 1, 0, out);
    ck_assert(out[3] >> 9 & 1);
}
END_TEST

START_TEST(periodic_divided)
{
    struct lapic *lapic = &board->lapic[0];
    lapic_write(lapic, DIVIDE, 0x1);                        /* by 4 */
    lapic_write(lapic, LVT_TIMER_AT, PERIODIC | 0x41);
    lapic_write(lapic, INITIAL, 100);
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_uint_eq(board_next_event(board, &model->cpu[0]), 400 * i);
        elapse(0, 400);
        ck_assert_uint_eq(acknowledge(0), 0x41);
        lapic_write(lapic, EOI, 0);
    }
    elapse(0, 100);
    ck_assert_uint_eq(lapic_read(lapic, CURRENT), 75);
}
END_TEST

START_TEST(masked_expiry_is_lost)
{
    struct lapic *lapic = &board->lapic[0];
    lapic_write(lapic, DIVIDE, 0xb);
    lapic_write(lapic, LVT_TIMER_AT, MASKED | 0x40);
    lapic_write(lapic, INITIAL, 100);
    ck_assert_uint_eq(board_next_event(board, &model->cpu[0]), UINT64_MAX);
    elapse(0, 200);
    lapic_write(lapic, LVT_TIMER_AT, 0x40);
    elapse(0, 200);
    ck_assert(!requested(0));
}
END_TEST

START_TEST(deadline_counts_the_tsc)
{
    struct lapic *lapic = &board->lapic[1];
    uint64_t value;

    CPU_MSR(&model->cpu[1], ia32_tsc_adjust) = 5000;
    ck_assert(lapic_write_msr(lapic, MSR_ia32_tsc_deadline, 7000));
    ck_assert(lapic_read_msr(lapic, MSR_ia32_tsc_deadline, &value));
    ck_assert_uint_eq(value, 0);                            /* ignored outside TSC-deadline mode */
    lapic_write(lapic, LVT_TIMER_AT, DEADLINE | 0x42);
    ck_assert(lapic_write_msr(lapic, MSR_ia32_tsc_deadline, 7000));
    ck_assert_uint_eq(board_next_event(board, &model->cpu[1]), 2000);
    elapse(1, 1999);
    ck_assert(!requested(1));
    elapse(1, 1);
    ck_assert_uint_eq(acknowledge(1), 0x42);
    ck_assert(lapic_read_msr(lapic, MSR_ia32_tsc_deadline, &value));
    ck_assert_uint_eq(value, 0);
    /* A far deadline does not wrap around. */
    ck_assert(lapic_write_msr(lapic, MSR_ia32_tsc_deadline, UINT64_MAX));
    ck_assert_uint_gt(board_next_event(board, &model->cpu[1]), 1ull << 62);
}
END_TEST

START_TEST(priorities)
{
    struct lapic *lapic = &board->lapic[0];
    lapic_write(lapic, ICR, 0x44000 | 0x35);                /* to self */
    lapic_write(lapic, ICR, 0x44000 | 0x62);
    lapic_write(lapic, ICR, 0x44000 | 0x68);
    ck_assert_uint_eq(lapic_read(lapic, IRR + 0x30), 1u << 2 | 1u << 8);
    ck_assert_uint_eq(acknowledge(0), 0x68);
    ck_assert_uint_eq(lapic_read(lapic, PPR), 0x60);
    ck_assert(!requested(0));                               /* 0x62 is of the class in service */
    lapic_write(lapic, EOI, 0);
    ck_assert_uint_eq(acknowledge(0), 0x62);
    lapic_write(lapic, EOI, 0);
    model->bus.apic_write_cr8(model->bus.context, &model->cpu[0], 3);
    ck_assert_uint_eq(lapic_read(lapic, TPR), 0x30);
    ck_assert(!requested(0));
    model->bus.apic_write_cr8(model->bus.context, &model->cpu[0], 2);
    ck_assert_uint_eq(acknowledge(0), 0x35);
    ck_assert_uint_eq(acknowledge(0), 0xff);                /* nothing there: spurious, not in service */
    ck_assert_uint_eq(lapic_read(lapic, ISR + 0x10), 1u << 21);
}
END_TEST

START_TEST(destinations)
{
    struct lapic *lapic = &board->lapic[0];
    for (unsigned i = 0; i < CPUS; i++)
        lapic_write(&board->lapic[i], LDR, 1u << (24 + i));
    lapic_write(lapic, ICR_HIGH, 2u << 24);
    lapic_write(lapic, ICR, 0x4050);                        /* physical, processor 2 */
    lapic_write(lapic, ICR_HIGH, 0xau << 24);
    lapic_write(lapic, ICR, 0x4851);                        /* logical, processors 1 and 3 */
    lapic_write(lapic, ICR, 0xc4052);                       /* all but self */
    ck_assert(!requested(0));
    ck_assert_uint_eq(acknowledge(1), 0x52);
    ck_assert_uint_eq(acknowledge(2), 0x52);
    ck_assert_uint_eq(lapic_read(&board->lapic[2], IRR + 0x20), 1u << 16);
    ck_assert_uint_eq(lapic_read(&board->lapic[3], IRR + 0x20), 1u << 17 | 1u << 18);
    ck_assert_uint_eq(lapic_read(&board->lapic[1], IRR + 0x20), 1u << 17);
    /* Cluster model: cluster 1, member bit 2. */
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_write(&board->lapic[i], DFR, 0x0fffffff);
        lapic_write(&board->lapic[i], LDR, (0x10u | 1u << i) << 24);
    }
    lapic_write(lapic, ICR_HIGH, 0x14u << 24);
    lapic_write(lapic, ICR, 0x4870);
    ck_assert_uint_eq(lapic_read(&board->lapic[2], IRR + 0x30), 1u << 16);
    ck_assert_uint_eq(lapic_read(&board->lapic[3], IRR + 0x30), 0);
}
END_TEST

/* 11.6.1: an interrupt by message is an edge. 11.12.10.2: the logical identifier of x2APIC mode follows from the identifier, also above 15. */
START_TEST(what_a_message_leaves)
{
    struct lapic *lapic = &board->lapic[1];
    uint64_t value;

    lapic_write(&board->lapic[0], ICR_HIGH, 1u << 24);
    lapic_write(&board->lapic[0], ICR, 0xc050);             /* level-triggered says the command: not since the Pentium 4 */
    ck_assert_uint_eq(lapic_read(lapic, IRR + 0x20), 1u << 16);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_uint_eq(lapic_read(lapic, 0x180 + 0x10 * i), 0);
    ck_assert(lapic_write_msr(lapic, MSR_ia32_apic_base, LAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC));
    for (unsigned index = 0; index < 80; index += 3) {
        model->cpu[1].index = index;
        ck_assert(lapic_read_msr(lapic, 0x802, &value) && value == index);
        ck_assert(lapic_read_msr(lapic, 0x80d, &value) && value == (index / 16 << 16 | 1u << index % 16));
    }
    model->cpu[1].index = 1;
}
END_TEST

/* Figure 11-8: what of each LVT entry can be written; and how firmware leaves LINT0 and LINT1 of the bootstrap processor. */
START_TEST(local_vector_table)
{
    static const uint32_t writable[] = { 0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff };
    struct lapic *lapic = &board->lapic[0];
    struct lapic wired = { .cpu = lapic->cpu };

    lapic_virtual_wire(&wired);
    ck_assert_uint_eq(wired.lvt[LVT_LINT0], 0x700);         /* ExtINT */
    ck_assert_uint_eq(wired.lvt[LVT_LINT1], 0x400);         /* NMI */
    for (unsigned i = 0; i < 6; i++) {
        lapic_write(lapic, 0x320 + 0x10 * i, 0xffffffff);
        ck_assert_uint_eq(lapic_read(lapic, 0x320 + 0x10 * i), writable[i]);
        lapic_write(lapic, 0x320 + 0x10 * i, MASKED);
        ck_assert_uint_eq(lapic_read(lapic, 0x320 + 0x10 * i), MASKED);
    }
}
END_TEST

START_TEST(signals)
{
    struct lapic *lapic = &board->lapic[0];
    lapic_write(lapic, ICR_HIGH, 1u << 24);
    lapic_write(lapic, ICR, 0x4612);                        /* SIPI outside wait-for-SIPI: lost */
    ck_assert(!model->cpu[1].sipi_pending);
    lapic_write(lapic, ICR, 0xc500);                        /* INIT, asserted */
    ck_assert(model->cpu[1].init_pending);
    lapic_write(lapic, ICR, 0x4612);
    ck_assert(model->cpu[1].sipi_pending);
    ck_assert_uint_eq(model->cpu[1].sipi_vector, 0x12);
    model->cpu[1].init_pending = false;
    lapic_write(lapic, ICR, 0x8500);                        /* de-assert */
    ck_assert(!model->cpu[1].init_pending);
    lapic_write(lapic, ICR, 0x4400);
    ck_assert(model->cpu[1].nmi_pending);
}
END_TEST

/* 11.4.7.2: disabled by software it accepts these and no other messages; 11.4.3: disabled in IA32_APIC_BASE none at all. */
START_TEST(signals_while_disabled)
{
    struct cpu *cpu = &model->cpu[1];
    const bool globally = _i;

    if (globally)
        ck_assert(model->bus.apic_write_msr(model->bus.context, cpu, MSR_ia32_apic_base, 0xfee00000));
    else
        lapic_write(&board->lapic[1], SVR, 0xff);
    lapic_write(&board->lapic[0], ICR_HIGH, 1u << 24);
    lapic_write(&board->lapic[0], ICR, 0x4430);             /* NMI */
    ck_assert_int_eq(cpu->nmi_pending, !globally);
    lapic_write(&board->lapic[0], ICR, 0xc500);             /* INIT */
    ck_assert_int_eq(cpu->init_pending, !globally);
    cpu->init_pending = false;
    cpu->activity = ACTIVITY_WAIT_FOR_SIPI;
    lapic_write(&board->lapic[0], ICR, 0x4610);             /* SIPI */
    ck_assert_int_eq(cpu->sipi_pending, !globally);
    lapic_write(&board->lapic[0], ICR, 0x4040);             /* fixed */
    ck_assert(!requested(1));
    /* What came meanwhile is not made up for. */
    if (globally)
        ck_assert(model->bus.apic_write_msr(model->bus.context, cpu, MSR_ia32_apic_base, 0xfee00800));
    lapic_write(&board->lapic[1], SVR, 0x1ff);
    ck_assert(!requested(1));
    ck_assert_int_eq(cpu->nmi_pending, !globally);
}
END_TEST

START_TEST(bad_vectors)
{
    struct lapic *lapic = &board->lapic[0];
    lapic_write(lapic, LVT_ERROR_AT, 0x99);
    lapic_write(lapic, ICR, 0x4400f);
    ck_assert_uint_eq(lapic_read(lapic, ESR), 0);
    lapic_write(lapic, ESR, 0);
    ck_assert_uint_eq(lapic_read(lapic, ESR), 1u << 5);     /* send illegal vector */
    ck_assert_uint_eq(acknowledge(0), 0x99);
    lapic_write(lapic, ESR, 0);
    ck_assert_uint_eq(lapic_read(lapic, ESR), 0);
}
END_TEST

START_TEST(mode_transitions)
{
    /* From a mode (disabled, xAPIC, x2APIC) to each value of EN and EXTD: SDM Vol. 3, Figure 12-27. */
    static const uint64_t bits[4] = { 0, APIC_BASE_X2APIC, APIC_BASE_ENABLE, APIC_BASE_ENABLE | APIC_BASE_X2APIC };
    static const bool legal[4][4] = {
        { true, false, true, false }, { false }, { true, false, true, true }, { true, false, false, true },
    };
    for (unsigned from = 0; from < 4; from++) {
        for (unsigned to = 0; to < 4; to++) {
            struct lapic *lapic = &board->lapic[0];
            if (from == 1)
                continue;
            lapic->base = LAPIC_BASE | APIC_BASE_BSP | bits[from];
            ck_assert_msg(lapic_write_msr(lapic, MSR_ia32_apic_base, LAPIC_BASE | APIC_BASE_BSP | bits[to]) ==
                          legal[from][to], "from %u to %u", from, to);
            ck_assert_uint_eq(lapic->base, LAPIC_BASE | APIC_BASE_BSP | bits[legal[from][to] ? to : from]);
        }
    }
    ck_assert(!lapic_write_msr(&board->lapic[0], MSR_ia32_apic_base, 1ull << 40 | APIC_BASE_ENABLE));
    ck_assert(!lapic_write_msr(&board->lapic[0], MSR_ia32_apic_base, 1 | APIC_BASE_ENABLE));
}
END_TEST

START_TEST(disabling_resets)
{
    struct lapic *lapic = &board->lapic[0];
    lapic_write(lapic, TPR, 0x50);
    ck_assert(lapic_write_msr(lapic, MSR_ia32_apic_base, LAPIC_BASE | APIC_BASE_BSP));
    ck_assert_uint_eq(model->bus.mmio_read(model->bus.context, &model->cpu[0], LAPIC_BASE + SVR, 4), 0xffffffff);
    ck_assert(lapic_write_msr(lapic, MSR_ia32_apic_base, LAPIC_BASE | APIC_BASE_BSP | APIC_BASE_ENABLE));
    ck_assert_uint_eq(model->bus.mmio_read(model->bus.context, &model->cpu[0], LAPIC_BASE + SVR, 4), 0xff);
    ck_assert_uint_eq(lapic_read(lapic, TPR), 0);
    ck_assert_uint_eq(lapic_read(lapic, LVT_LINT0_AT), MASKED);
    lapic_write(lapic, LVT_LINT0_AT, 0x700);                /* software-disabled: the mask stays */
    ck_assert_uint_eq(lapic_read(lapic, LVT_LINT0_AT), MASKED | 0x700);
}
END_TEST

START_TEST(x2apic_msrs)
{
    struct lapic *lapic = &board->lapic[3];
    uint64_t value;

    ck_assert(!lapic_read_msr(lapic, 0x802, &value));       /* not in x2APIC mode */
    lapic_write(lapic, ICR_HIGH, 5u << 24);
    ck_assert(lapic_write_msr(lapic, MSR_ia32_apic_base, LAPIC_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC));
    ck_assert_uint_eq(model->bus.mmio_read(model->bus.context, &model->cpu[3], LAPIC_BASE + ID, 4), 0xffffffff);
    ck_assert(lapic_read_msr(lapic, 0x802, &value) && value == 3);
    ck_assert(lapic_read_msr(lapic, 0x80d, &value) && value == 8);
    ck_assert(lapic_read_msr(lapic, 0x830, &value) && value == 0);
    ck_assert(!lapic_write_msr(lapic, 0x802, 1));
    ck_assert(!lapic_write_msr(lapic, 0x80d, 1));
    ck_assert(!lapic_read_msr(lapic, 0x80e, &value));       /* DFR does not exist */
    ck_assert(!lapic_read_msr(lapic, 0x80b, &value));       /* EOI is write-only */
    ck_assert(!lapic_write_msr(lapic, 0x80b, 1));
    ck_assert(!lapic_read_msr(lapic, 0x831, &value));
    ck_assert(!lapic_write_msr(lapic, 0x808, 0x100));
    ck_assert(!lapic_write_msr(lapic, 0x828, 1));
    ck_assert(lapic_write_msr(lapic, 0x835, 0x15700));      /* read-only bits of a pin's entry: delivery status, remote IRR */
    ck_assert(lapic_read_msr(lapic, 0x835, &value) && value == 0x10700);
    ck_assert(!lapic_write_msr(lapic, 0x834, 0x14000));     /* no pin, no remote IRR */
    ck_assert(lapic_write_msr(lapic, 0x83f, 0x77));         /* self-IPI */
    ck_assert_uint_eq(acknowledge(3), 0x77);
    ck_assert(lapic_write_msr(lapic, 0x80b, 0));
    ck_assert(lapic_write_msr(lapic, 0x830, 1ull << 32 | 0x4066));
    ck_assert_uint_eq(acknowledge(1), 0x66);
    ck_assert(lapic_write_msr(lapic, 0x830, 0xffffffffull << 32 | 0x4067));
    ck_assert_uint_eq(acknowledge(0), 0x67);
    ck_assert(lapic_read_msr(lapic, 0x823, &value) && value == (1u << 7));
}
END_TEST

/* Bit 9 of the spurious-interrupt vector register exists (11.9, Figure 11-23): no #GP in x2APIC mode, where bit 10 raises one. */
START_TEST(focus_processor_checking)
{
    uint64_t value;

    ck_assert(lapic_write_msr(&board->lapic[0], MSR_ia32_apic_base, 0xfee00000 | APIC_BASE_BSP | APIC_BASE_ENABLE | APIC_BASE_X2APIC));
    ck_assert(lapic_write_msr(&board->lapic[0], 0x80f, 0x3ff));
    ck_assert(lapic_read_msr(&board->lapic[0], 0x80f, &value));
    ck_assert_uint_eq(value, 0x3ff);
    ck_assert(!lapic_write_msr(&board->lapic[0], 0x80f, 0x4ff));
    ck_assert(!lapic_write_msr(&board->lapic[0], 0x80f, 0x11ff));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_lapic");
    TCase *tcase = tcase_create("lapic");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_shot_fires_once);
    tcase_add_test(tcase, an_ended_count_stays_zero);
    tcase_add_test(tcase, cpuid_tells_whether_it_is_enabled);
    tcase_add_test(tcase, periodic_divided);
    tcase_add_test(tcase, masked_expiry_is_lost);
    tcase_add_test(tcase, deadline_counts_the_tsc);
    tcase_add_test(tcase, priorities);
    tcase_add_test(tcase, destinations);
    tcase_add_test(tcase, what_a_message_leaves);
    tcase_add_test(tcase, local_vector_table);
    tcase_add_test(tcase, signals);
    tcase_add_loop_test(tcase, signals_while_disabled, 0, 2);
    tcase_add_test(tcase, bad_vectors);
    tcase_add_test(tcase, mode_transitions);
    tcase_add_test(tcase, disabling_resets);
    tcase_add_test(tcase, x2apic_msrs);
    tcase_add_test(tcase, focus_processor_checking);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
