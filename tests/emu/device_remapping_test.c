/* SPDX-License-Identifier: MIT */
/* The remapping unit on the board: DMA, messages and the IOAPIC's interrupts pass through it; the device to learn on; the DMAR table. */
#include <string.h>

#include "emu/firmware/acpi.h"
#include "emu/device/edu.h"
#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

enum { ROOT = 0x100000, CONTEXT = 0x101000, TOP = 0x102000, INTERRUPTS = 0x106000, PAGE = 0x200000 };
#define BAR 0xf1000000ull
#define IRTE_VECTOR(n) ((uint64_t)(n) << 16 | 1)
static struct iommu *iommu;
static struct iommu_notice refusal;

static void refused(void *context, const struct iommu_notice *notice)
{
    (void)context;
    if (notice->kind == IOMMU_NOTICE_REFUSED)
        refusal = *notice;
}

static void put64(uint64_t pa, uint64_t value)
{
    memory_write64(&model->memory, pa, value);
}

static void command(uint32_t bit)
{
    store(REMAPPING_BASE + VTD_gcmd, 4, (load(REMAPPING_BASE + VTD_gsts, 4) & VTD_TOGGLES) | bit);
}

/* The device is number 1 of bus 0, in domain 1, whose page 0 is at PAGE; the interrupt table has 256 entries. */
static void setup(void)
{
    board_setup();
    iommu = malloc(sizeof *iommu);
    remapping_install(board, iommu, &iommu_profiles[IOMMU_PROFILE_legacy]);
    board->remapping = refused;
    memset(&refusal, 0, sizeof refusal);
    ck_assert(edu_plug(board));
    lapic_write(&board->lapic[0], 0xf0, 0x1ff);
    put64(ROOT, CONTEXT | 1);
    put64(CONTEXT + 8 * 16, TOP | 1);
    put64(CONTEXT + 8 * 16 + 8, 1 << 8 | 1);
    put64(TOP, (TOP + 0x1000) | 3);
    put64(TOP + 0x1000, (TOP + 0x2000) | 3);
    put64(TOP + 0x2000, PAGE | 3);
    store(REMAPPING_BASE + VTD_rtaddr, 8, ROOT);
    store(REMAPPING_BASE + VTD_irta, 8, INTERRUPTS | 7);
}

static void teardown(void)
{
    free(iommu);
    board_teardown();
}

static void dma(uint64_t from, uint64_t to, uint64_t count, uint64_t direction)
{
    store(BAR + 0x80, 8, from);
    store(BAR + 0x88, 8, to);
    store(BAR + 0x90, 8, count);
    store(BAR + 0x98, 8, 1 | direction);
    ck_assert_uint_eq(load(BAR + 0x98, 8), direction);
}

START_TEST(registers_of_the_device)
{
    ck_assert_uint_eq(load(BAR, 4), 0x010000ed);
    store(BAR + 4, 4, 1);
    ck_assert_uint_eq(load(BAR + 4, 4), 0xfffffffe);
    store(BAR + 8, 4, 6);
    ck_assert_uint_eq(load(BAR + 8, 4), 720);
    store(BAR + 8, 4, 0xffffffff);
    ck_assert_uint_eq(load(BAR + 8, 4), 0);
    ck_assert_uint_eq(load(BAR + 4, 2), 0xffff);
    ck_assert_uint_eq(load(BAR + 0x1000, 4), 0xffffffff);
    store(BAR + 0x84, 4, 0x1234);
    store(BAR + 0x80, 4, 0x5678);
    ck_assert_uint_eq(load(BAR + 0x80, 8), 0x123400005678);
    ck_assert_uint_eq(load(BAR + 0x84, 4), 0x1234);
}
END_TEST

/* Without translation addresses are memory's; with it they are the domain's. */
START_TEST(dma_is_translated)
{
    put64(PAGE, 0x1111);
    put64(0x3000, 0x2222);
    dma(0x3000, EDU_BUFFER, 8, 0);
    dma(EDU_BUFFER, 0x4000, 8, 2);
    ck_assert_uint_eq(memory_read64(&model->memory, 0x4000), 0x2222);
    command(VTD_SRTP);
    command(VTD_TE);
    dma(0, EDU_BUFFER, 8, 0);
    dma(EDU_BUFFER, 0x10, 8, 2);
    ck_assert_uint_eq(memory_read64(&model->memory, PAGE + 0x10), 0x1111);
    ck_assert_int_eq(refusal.reason, IOMMU_GRANTED);
    dma(EDU_BUFFER, 0x1000, 8, 2);
    ck_assert_int_eq(refusal.reason, IOMMU_second_write);
    dma(0x1000, EDU_BUFFER, 8, 0);                          /* a refused read leaves zeros, not what was there */
    dma(EDU_BUFFER, 0x20, 8, 2);
    ck_assert_uint_eq(memory_read64(&model->memory, PAGE + 0x20), 0);
    dma(0, EDU_BUFFER + EDU_BUFFER_SIZE - 4, 8, 0);         /* beyond its buffer nothing moves */
    dma(0, 0, 1ull << 40, 2);
    put64(CONTEXT + 8 * 16, 0);
    ck_assert_uint_eq(load(REMAPPING_BASE + VTD_fsts, 4), VTD_FSTS_PPF);
}
END_TEST

/* No bus master, no DMA. */
START_TEST(bus_master)
{
    out(0xcf8, 4, 0x80000000u | 1 << 11 | 4);
    out(0xcfc, 2, 2);
    put64(PAGE, 0x1111);
    dma(PAGE, EDU_BUFFER, 8, 0);
    out(0xcfc, 2, 6);
    dma(EDU_BUFFER, PAGE + 8, 8, 2);
    ck_assert_uint_eq(memory_read64(&model->memory, PAGE + 8), 0);
}
END_TEST

static int taken(void)
{
    int vector = lapic_pending(&board->lapic[0]);

    if (vector >= 0) {
        lapic_acknowledge(&board->lapic[0]);
        lapic_end_of_interrupt(&board->lapic[0]);
    }
    return vector;
}

START_TEST(messages)
{
    out(0xcf8, 4, 0x80000000u | 1 << 11 | 0x44);
    out(0xcfc, 4, 0xfee00000);
    out(0xcf8, 4, 0x80000000u | 1 << 11 | 0x4c);
    out(0xcfc, 2, 0x4031);
    out(0xcf8, 4, 0x80000000u | 1 << 11 | 0x40);
    out(0xcfe, 2, 1);
    store(BAR + 0x60, 4, 1);
    ck_assert_int_eq(taken(), 0x31);
    ck_assert_uint_eq(load(BAR + 0x24, 4), 1);
    store(BAR + 0x64, 4, 1);
    ck_assert_uint_eq(load(BAR + 0x24, 4), 0);
    command(VTD_SIRTP);
    command(VTD_IRE);
    store(BAR + 0x60, 4, 1);                                /* compatibility format is blocked now */
    ck_assert_int_eq(taken(), -1);
    ck_assert_int_eq(refusal.reason, IOMMU_interrupt_compatible);
    put64(INTERRUPTS + 16 * 2, IRTE_VECTOR(0x52));
    put64(INTERRUPTS + 16 * 2 + 8, 1 << 18 | 0x08);
    out(0xcf8, 4, 0x80000000u | 1 << 11 | 0x44);
    out(0xcfc, 4, 0xfee00050);
    store(BAR + 0x60, 4, 1);
    ck_assert_int_eq(taken(), 0x52);
    put64(INTERRUPTS + 16 * 2 + 8, 1 << 18 | 0x10);
    iommu_init(iommu, &model->memory, iommu->outside, iommu->profile, 40);
    store(REMAPPING_BASE + VTD_irta, 8, INTERRUPTS | 7);
    command(VTD_SIRTP);
    command(VTD_IRE);
    store(BAR + 0x60, 4, 1);                                /* the entry is another device's */
    ck_assert_int_eq(taken(), -1);
    ck_assert_int_eq(refusal.reason, IOMMU_interrupt_source);
}
END_TEST

static void set_pin(unsigned pin, uint64_t entry)
{
    store(IOAPIC_BASE, 4, 0x10 + 2 * pin);
    store(IOAPIC_BASE + 0x10, 4, entry & 0xffffffff);
    store(IOAPIC_BASE, 4, 0x11 + 2 * pin);
    store(IOAPIC_BASE + 0x10, 4, entry >> 32);
}

/* An IOAPIC's entry in remappable format: index 1; its requests carry no source, so that a wrong one in the entry is not looked at. */
START_TEST(pins_of_the_ioapic)
{
    set_pin(17, 0x45);
    store(BAR + 0x60, 4, 1);
    ck_assert_int_eq(taken(), 0x45);
    store(BAR + 0x64, 4, 1);
    command(VTD_SIRTP);
    command(VTD_IRE);
    put64(INTERRUPTS + 16, IRTE_VECTOR(0x62));
    put64(INTERRUPTS + 24, 1 << 18 | 0x77);
    set_pin(17, 1ull << 49 | 1ull << 48 | 0x61);
    store(BAR + 0x60, 4, 1);
    ck_assert_int_eq(taken(), 0x62);
    ck_assert_int_eq(refusal.reason, IOMMU_GRANTED);
}
END_TEST

START_TEST(dmar_table)
{
    uint8_t dmar[72];
    uint64_t at = 0;

    acpi_write(model);
    for (uint64_t pa = ACPI_BASE; pa < ACPI_BASE + 0x10000 && !at; pa += 16)
        at = memory_read32(&model->memory, pa) == 0x52414d44 ? pa : 0;
    ck_assert_uint_ne(at, 0);
    memory_read(&model->memory, at, dmar, sizeof dmar);
    ck_assert_uint_eq(dmar[4], sizeof dmar);
    ck_assert_uint_eq(dmar[36], 39);
    ck_assert_uint_eq(dmar[37], 1);
    ck_assert_uint_eq(memory_read64(&model->memory, at + 56), REMAPPING_BASE);
    ck_assert_uint_eq(dmar[64], 3);
}
END_TEST

/* A machine without a unit has neither registers nor a table. */
START_TEST(without_a_unit)
{
    board->iommu = NULL;
    board->ioapic.iommu = NULL;
    ck_assert_uint_eq(load(REMAPPING_BASE, 4), 0xffffffff);
    store(REMAPPING_BASE + VTD_gcmd, 4, VTD_TE);
    ck_assert_uint_eq(iommu->reg[IOMMU_REGISTER_gsts], 0);
    memset(board_ram + ACPI_BASE, 0, 0x10000);
    acpi_write(model);
    for (uint64_t pa = ACPI_BASE; pa < ACPI_BASE + 0x10000; pa += 16)
        ck_assert_uint_ne(memory_read32(&model->memory, pa), 0x52414d44);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_remapping");
    TCase *tests = tcase_create("remapping");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, registers_of_the_device);
    tcase_add_test(tests, dma_is_translated);
    tcase_add_test(tests, bus_master);
    tcase_add_test(tests, messages);
    tcase_add_test(tests, pins_of_the_ioapic);
    tcase_add_test(tests, dmar_table);
    tcase_add_test(tests, without_a_unit);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
