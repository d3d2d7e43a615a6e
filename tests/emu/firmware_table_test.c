/* SPDX-License-Identifier: MIT */
/*
 * ACPI and MP tables: found where systems look for them, whole, with right checksums, and saying what the board is. With a folder in
 * SESQUI_ACPI_TABLES, each table is also written to a file there, for iasl (tests/firmware/acpi.sh).
 */
#include <stdio.h>
#include <string.h>

#include "emu/firmware/acpi.h"
#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

static void setup(void)
{
    board_setup();
    model->cpu_count = 3;
    acpi_write(model);
    mp_table_write(model);
}

static uint8_t sum(uint64_t at, uint64_t size)
{
    uint8_t total = 0;

    for (uint64_t i = 0; i < size; i++)
        total = (uint8_t)(total + board_ram[at + i]);
    return total;
}

static uint32_t word(uint64_t at) { return memory_read32(&model->memory, at); }
static uint64_t table(unsigned i) { return memory_read64(&model->memory, memory_read64(&model->memory, ACPI_RSDP + 24) + 36 + 8 * i); }

static uint64_t find(const char *signature)
{
    unsigned count = (word(memory_read64(&model->memory, ACPI_RSDP + 24) + 4) - 36) / 8;

    for (unsigned i = 0; i < count; i++)
        if (memcmp(board_ram + table(i), signature, 4) == 0)
            return table(i);
    ck_abort_msg("no %s", signature);
    return 0;
}

static void keep(uint64_t at)
{
    const char *folder = getenv("SESQUI_ACPI_TABLES");
    char path[200];

    if (!folder)
        return;
    snprintf(path, sizeof path, "%s/%.4s.dat", folder, (const char *)board_ram + at);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(board_ram + at, 1, word(at + 4), file), word(at + 4));
    fclose(file);
}

static void is_whole(uint64_t at)
{
    ck_assert_uint_ge(at, ACPI_BASE);
    ck_assert_uint_le(at + word(at + 4), ACPI_END);
    ck_assert_uint_eq(sum(at, word(at + 4)), 0);
    keep(at);
}

START_TEST(pointers)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = i ? 0x9fc10 : 0xe0000;    /* in the extended BIOS data area, and below 1 MB */
        ck_assert_int_eq(memcmp(board_ram + at, "RSD PTR ", 8), 0);
        ck_assert_uint_eq(sum(at, 20), 0);
        ck_assert_uint_eq(sum(at, 36), 0);
    }
    ck_assert_int_eq(memcmp(board_ram + word(ACPI_RSDP + 16), "RSDT", 4), 0);
    is_whole(word(ACPI_RSDP + 16));
    is_whole(memory_read64(&model->memory, ACPI_RSDP + 24));
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(word(word(ACPI_RSDP + 16) + 36 + 4 * i), table(i));
}
END_TEST

START_TEST(fixed_description)
{
    uint64_t fadt = find("FACP"), dsdt = word(fadt + 40), facs = word(fadt + 36);
    is_whole(fadt);
    is_whole(dsdt);
    ck_assert_uint_eq(memory_read64(&model->memory, fadt + 140), dsdt);
    ck_assert_int_eq(memcmp(board_ram + facs, "FACS", 4), 0);
    ck_assert_uint_eq(facs % 64, 0);
    ck_assert_uint_eq(word(fadt + 76), PM_TIMER);
    ck_assert_uint_eq(word(fadt + 4), 268);
}
END_TEST

START_TEST(interrupt_controllers)
{
    uint64_t madt = find("APIC");
    unsigned processors = 0, ioapics = 0, overrides = 0;

    is_whole(madt);
    for (uint64_t at = madt + 44; at < madt + word(madt + 4); at += board_ram[at + 1]) {
        ck_assert_uint_ne(board_ram[at + 1], 0);
        processors += board_ram[at] == 0;
        ioapics += board_ram[at] == 1;
        overrides += board_ram[at] == 2;
    }
    ck_assert_uint_eq(processors, 3);
    ck_assert_uint_eq(ioapics, 1);
    ck_assert_uint_eq(overrides, 5);
}
END_TEST

START_TEST(others)
{
    is_whole(find("MCFG"));
    ck_assert_uint_eq(word(find("MCFG") + 44), ECAM_BASE);
    is_whole(find("HPET"));
    ck_assert_uint_eq(word(find("HPET") + 36), (uint32_t)load(HPET_BASE, 4));   /* as the capability register says */
}
END_TEST

START_TEST(mp_table)
{
    uint64_t at = word(MP_BASE + 4);
    ck_assert_int_eq(memcmp(board_ram + MP_BASE, "_MP_", 4), 0);
    ck_assert_uint_eq(sum(MP_BASE, 16), 0);
    ck_assert_int_eq(memcmp(board_ram + at, "PCMP", 4), 0);
    unsigned length = word(at + 4) & 0xffff, entries = word(at + 34) & 0xffff;
    ck_assert_uint_eq(sum(at, length), 0);
    uint64_t entry = at + 44;
    for (unsigned i = 0; i < entries; i++)
        entry += board_ram[entry] == 0 ? 20 : 8;
    ck_assert_uint_eq(entry, at + length);
}
END_TEST

/* With the most processors that there can be, all still fits. */
START_TEST(most_processors)
{
    model->cpu_count = MODEL_CPU_MAX;
    acpi_write(model);
    mp_table_write(model);
    is_whole(word(find("FACP") + 40));
    is_whole(find("APIC"));
    ck_assert_uint_eq(sum(word(MP_BASE + 4), word(word(MP_BASE + 4) + 4) & 0xffff), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("firmware_table");
    TCase *tcase = tcase_create("tables");
    tcase_add_checked_fixture(tcase, setup, board_teardown);
    tcase_add_test(tcase, pointers);
    tcase_add_test(tcase, fixed_description);
    tcase_add_test(tcase, interrupt_controllers);
    tcase_add_test(tcase, others);
    tcase_add_test(tcase, mp_table);
    tcase_add_test(tcase, most_processors);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
