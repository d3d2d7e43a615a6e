/* SPDX-License-Identifier: MIT */
/*
 * The table of state, and the hash that reads it: each byte of a structure is a member's in the table, a member's that is no state, or a gap
 * that is too narrow for a number. So a member that is added has to be put into one of both. And each byte of state counts.
 */
#define _GNU_SOURCE                     /* mkstemp() */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emu/device/date.h"
#include "emu/disk/disk.h"
#include "emu/machine/hash.h"

#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

struct range { const char *structure; size_t of, offset, size; };
#define RANGE(structure, member) { #structure, sizeof(struct structure), offsetof(struct structure, member), sizeof ((struct structure *)0)->member },

static const struct range state[] = {
#define STATE(structure, member) RANGE(structure, member)
#include "emu/device/state.def"
};

/* Structures of their own, what the machine is built of, pointers, and what only explanations ask for. */
static const struct range others[] = {
    RANGE(pit, channel) RANGE(ioapic, lapic) RANGE(ioapic, fate) RANGE(hpet, timer) RANGE(pci, function)
    RANGE(lapic, cpu) RANGE(lapic, peer) RANGE(lapic, peers) RANGE(lapic, ioapic) RANGE(lapic, observer)
    RANGE(uart, console) RANGE(uart, trigger) RANGE(uart, dialogue) RANGE(uart, typed) RANGE(uart, typed_count) RANGE(uart, heard) RANGE(fw_cfg, memory_size) RANGE(fw_cfg, cpus) RANGE(fw_cfg, map) RANGE(fw_cfg, map_size)
    RANGE(ioapic, iommu) RANGE(edu, plugged) RANGE(edu, index)
    RANGE(iommu, memory) RANGE(iommu, outside) RANGE(iommu, profile) RANGE(iommu, host_address_width) RANGE(iommu, cache) RANGE(iommu, policy) RANGE(iommu, stale_uses)
    RANGE(iommu_context, way) RANGE(iommu_pasid, way) RANGE(iommu_page, way)
    RANGE(virtio, kind) RANGE(virtio, index) RANGE(virtio, queue) RANGE(virtio, dma) RANGE(virtio, host)
};

static bool looked_at(const char *structure)
{
    static const char *const open[] = { "cpu", "vmx", "vmcs", "board" };        /* much of them is the model's and the machine's own */

    for (unsigned i = 0; i < 4; i++)
        if (!strcmp(structure, open[i]))
            return false;
    return true;
}

static bool covered(const char *structure, size_t offset)
{
    for (size_t i = 0; i < sizeof state / sizeof state[0]; i++)
        if (!strcmp(state[i].structure, structure) && offset >= state[i].offset && offset < state[i].offset + state[i].size)
            return true;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strcmp(others[i].structure, structure) && offset >= others[i].offset && offset < others[i].offset + others[i].size)
            return true;
    return false;
}

START_TEST(every_member_is_in_one_of_both)
{
    size_t gap = 0;

    if (!looked_at(state[_i].structure))
        return;
    for (size_t offset = 0; offset < state[_i].of; offset++) {
        gap = covered(state[_i].structure, offset) ? 0 : gap + 1;
        ck_assert_msg(gap < 8, "struct %s: what is at offset %zu is neither state nor named as none", state[_i].structure, offset);
    }
}
END_TEST

START_TEST(every_byte_counts)
{
    uint64_t before = board_hash(board);
    struct { uint8_t *at; size_t size; } where[] = {
        { (uint8_t *)&board->pic.chip[1].mask, 1 }, { (uint8_t *)&board->pit.channel[2].start, 8 }, { (uint8_t *)&board->ioapic.entry[23], 8 },
        { (uint8_t *)&board->hpet.timer[2].comparator, 8 }, { &board->keyboard.queue[0], 1 }, { &board->pci.function[1].config[255], 1 },
        { (uint8_t *)&board->pm.enable, 2 }, { (uint8_t *)board->lapic[0].lvt, sizeof board->lapic[0].lvt }, { &board->uart[1].scratch, 1 },
        { board->cmos.memory, CMOS_SIZE }, { board->test_memory + 65535, 1 }, { (uint8_t *)&board->fw_cfg.position, 1 },
        { (uint8_t *)&board->virtio[0].queue[0].next_used, 2 }, { (uint8_t *)&board->pit.gate, 1 },
    };

    for (unsigned i = 0; i < sizeof where / sizeof where[0]; i++)
        for (size_t byte = 0; byte < where[i].size; byte++) {
            where[i].at[byte] ^= 1;
            ck_assert_msg(board_hash(board) != before, "row %u, byte %zu", i, byte);
            where[i].at[byte] ^= 1;
        }
    ck_assert_uint_eq(board_hash(board), before);
}
END_TEST

/* What a guest has written to a disk counts: which bytes, and where; not the order of the writes. */
START_TEST(disks_count)
{
    char path[] = "/tmp/sesqui-state-XXXXXX", error[300];
    int file = mkstemp(path);
    uint8_t byte = 1;
    uint64_t hash[4];

    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(ftruncate(file, 1 << 20), 0);
    for (unsigned i = 0; i < 4; i++) {
        struct disk *disk = disk_open(path, error, sizeof error);

        ck_assert_msg(disk != NULL, "%s", error);
        board->virtio[0].host.disk = disk;
        if (i)
            ck_assert(disk_write(disk, i == 2 ? 70000 : 5000, &byte, 1));
        if (i == 3)
            ck_assert(disk_write(disk, 70000, &byte, 1));
        hash[i] = board_hash(board);
        if (i == 2) {
            ck_assert(disk_write(disk, 5000, &byte, 1));
            hash[0] = board_hash(board);
        } else if (i) {
            ck_assert_uint_ne(hash[i], hash[i - 1]);
        }
        board->virtio[0].host.disk = NULL;
        disk_close(disk);
    }
    ck_assert_uint_eq(hash[0], hash[3]);
    ck_assert_uint_ne(hash[1], hash[2]);
    close(file);
    unlink(path);
}
END_TEST

START_TEST(dates)
{
    static const struct { const char *text; int64_t seconds; } good[] = {
        { "1970-01-01", 0 }, { "2024-01-01", 1704067200 }, { "2024-02-29T12:30", 1709209800 }, { "2000-02-29 23:59:59", 951868799 },
        { "9999-12-31T23:59:59", 253402300799 },
    };
    static const char *const bad[] = {
        "", "2024", "2024-1-1", "2023-02-29", "2024-13-01", "2024-00-10", "2024-01-32", "2024-01-01T24:00", "2024-01-01T00:60", "2024-01-01T00",
        "2024-01-01T00:00:60", "2024-01-01T00:00:00Z", "1969-12-31", "2024-01-01x", "+024-01-01", "2100-02-29",
    };
    int64_t seconds;

    for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(date_parse(good[i].text, &seconds), "%s", good[i].text);
        ck_assert_int_eq(seconds, good[i].seconds);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!date_parse(bad[i], &seconds), "%s", bad[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, board_setup, board_teardown);
    tcase_add_loop_test(tcase, every_member_is_in_one_of_both, 0, sizeof state / sizeof state[0]);
    tcase_add_test(tcase, every_byte_counts);
    tcase_add_test(tcase, disks_count);
    tcase_add_test(tcase, dates);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
