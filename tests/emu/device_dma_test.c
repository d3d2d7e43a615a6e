/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices behind the remapping unit: rings, buffers and headers are where the unit puts them, page by page, and what it refuses stops the
 * device or fails the request by name, with nothing written elsewhere.
 */
#define _GNU_SOURCE                     /* memfd_create() */
#include "tests/emu/disk_fixture.h"
#include "tests/emu/virtio_fixture.h"
#include "tests/suite.h"

/* The device sees the fixture's pages at AWAY beyond where they are, but for the second page of data, which is elsewhere. */
enum { ROOT = 0x100000, CONTEXT = 0x101000, TOP = 0x102000, LEAVES = 0x104000, AWAY = 0x400000, PAGES = 16, ELSEWHERE = 0x30000 };
enum { READABLE = 1, WRITABLE = 2 };
static struct iommu *iommu;
static struct virtio *device;
static struct { enum iommu_reason reason; uint64_t address; unsigned count; } refused;

static void told(void *context, const struct iommu_notice *notice)
{
    (void)context;
    if (notice->kind == IOMMU_NOTICE_REFUSED) {
        refused.reason = notice->reason;
        refused.address = notice->request->address;
        refused.count++;
    }
}

static void put64(uint64_t pa, uint64_t value) { memory_write64(&model->memory, pa, value); }

static uint64_t page_of(uint64_t at) { return LEAVES + 8 * (at / PAGE_SIZE % 512); }

static void command(uint32_t bit)
{
    store(REMAPPING_BASE + VTD_gcmd, 4, (load(REMAPPING_BASE + VTD_gsts, 4) & VTD_TOGGLES) | bit);
}

static void setup(void)
{
    board_setup();
    board->warn = warn;
    board->remapping = told;
    warnings = 0;
    refused.reason = IOMMU_GRANTED;
    refused.count = 0;
    disk_setup("");
    iommu = malloc(sizeof *iommu);
    remapping_install(board, iommu, &iommu_profiles[IOMMU_PROFILE_legacy]);
    put64(ROOT, CONTEXT | 1);
    put64(CONTEXT + 16 * (DEVICE << 3), TOP | 1);
    put64(CONTEXT + 16 * (DEVICE << 3) + 8, 1 << 8 | 1);
    put64(TOP, (TOP + 0x1000) | READABLE | WRITABLE);
    put64(TOP + 0x1000 + 8 * (AWAY >> 21), LEAVES | READABLE | WRITABLE);
    for (uint64_t at = DESCRIPTORS; at < DESCRIPTORS + PAGES * PAGE_SIZE; at += PAGE_SIZE)
        put64(page_of(at), (at == DATA + PAGE_SIZE ? ELSEWHERE : at) | READABLE | WRITABLE);
    store(REMAPPING_BASE + VTD_rtaddr, 8, ROOT);
    command(VTD_SRTP);
    command(VTD_TE);
}

static void teardown(void)
{
    disk_teardown();
    free(iommu);
    board_teardown();
}

static void begin_away(uint64_t features) { begin_beyond(features | FEATURE_ACCESS_PLATFORM, AWAY); }

/* A request to the disk with its data across two pages. */
static void transfer(uint32_t type, uint64_t away)
{
    memory_write32(&model->memory, HEADER, type);
    memory_write64(&model->memory, HEADER + 8, 3);
    memory_write(&model->memory, STATUS, &(uint8_t){ 0xee }, 1);
    describe(0, away + HEADER, 16, NEXT, 1);
    describe(1, away + DATA + PAGE_SIZE - 512, 1024, NEXT | (type == 0 ? WRITE : 0), 2);
    describe(2, away + STATUS, 1, WRITE, 0);
    offer(0);
    notify();
}

START_TEST(offered_behind_a_unit_alone)
{
    device = virtio_plug(board, VIRTIO_block);
    device->host.disk = disk;
    store(COMMON_AT, 4, 1);
    ck_assert_uint_eq(load(COMMON_AT + 4, 4), 3);
    board->iommu = NULL;
    device->dma = board_dma(board, DEVICE << 3);
    ck_assert_uint_eq(load(COMMON_AT + 4, 4), 1);
}
END_TEST

START_TEST(a_request_is_where_the_unit_puts_it)
{
    uint8_t back[1024];

    device = virtio_plug(board, VIRTIO_block);
    device->host.disk = disk;
    begin_away(0);
    transfer(0, AWAY);
    ck_assert_uint_eq(half(USED + 2), 1);
    ck_assert_uint_eq(board_ram[STATUS], 0);
    ck_assert_uint_eq(board_ram[DATA + PAGE_SIZE - 1], 4);
    ck_assert_uint_eq(board_ram[DATA + PAGE_SIZE], 0);
    ck_assert_uint_eq(board_ram[ELSEWHERE], 5);
    ck_assert_uint_eq(board_ram[ELSEWHERE + 511], 5);
    ck_assert_uint_eq(board_ram[ELSEWHERE + 512], 0);
    memset(board_ram + ELSEWHERE, 0x77, 512);
    transfer(1, AWAY);
    ck_assert_uint_eq(board_ram[STATUS], 0);
    ck_assert(disk_read(disk, 3 * DISK_SECTOR, back, sizeof back));
    ck_assert_uint_eq(back[0], 4);
    ck_assert_uint_eq(back[512], 0x77);
    ck_assert_uint_eq(refused.count, 0);
    ck_assert_uint_eq(warnings, 0);
}
END_TEST

/* Translation off, and a driver of the machine's addresses: they are the device's, too. With it on, they are not, whatever the driver accepted. */
START_TEST(no_driver_goes_past_the_unit)
{
    device = virtio_plug(board, VIRTIO_block);
    device->host.disk = disk;
    store(REMAPPING_BASE + VTD_gcmd, 4, 0);
    begin(0);
    transfer(0, 0);
    ck_assert_uint_eq(half(USED + 2), 1);
    ck_assert_uint_eq(board_ram[DATA + PAGE_SIZE], 5);
    command(VTD_TE);
    transfer(0, 0);
    ck_assert_uint_eq(half(USED + 2), 1);
    ck_assert_int_eq(refused.reason, IOMMU_second_read);
    ck_assert(strstr(warned, "not all in RAM that it can reach"));
}
END_TEST

enum effect { RESET, FAILS };
static const struct { uint64_t page; uint64_t rights; uint8_t effect; uint64_t address; uint64_t features; const char *words; } refusals[] = {
    { DESCRIPTORS, 0, RESET, DESCRIPTORS, 0, "descriptors are not all in RAM" },
    { AVAILABLE, 0, RESET, AVAILABLE + 2, 0, "available ring is not all in RAM" },
    { USED, READABLE, RESET, USED + 4, 0, "used ring is not all in RAM" },
    { USED, READABLE, RESET, USED + 4 + 8 * SIZE, FEATURE_EVENT_INDEX, "used ring is not all in RAM" },
    { HEADER, 0, RESET, HEADER, 0, "a request without a header" },
    { HEADER, READABLE, RESET, STATUS, 0, "status byte is not in RAM" },
    { DATA, READABLE, FAILS, DATA + PAGE_SIZE - 512, 0, NULL },
    { DATA + PAGE_SIZE, READABLE, FAILS, DATA + PAGE_SIZE, 0, NULL },
};

START_TEST(what_is_refused_has_a_name)
{
    const uint64_t page = refusals[_i].page, leaf = memory_read64(&model->memory, page_of(page));

    device = virtio_plug(board, VIRTIO_block);
    device->host.disk = disk;
    begin_away(refusals[_i].features);
    put64(page_of(page), (leaf & ~3ull) | refusals[_i].rights);
    transfer(0, AWAY);
    ck_assert_uint_eq(refused.count, 1);
    ck_assert_uint_eq(refused.address, AWAY + refusals[_i].address);
    ck_assert_int_eq(refused.reason, refusals[_i].rights ? IOMMU_second_write : IOMMU_second_read);
    if (refusals[_i].effect == FAILS) {
        ck_assert_uint_eq(board_ram[ELSEWHERE], 0);
        ck_assert_uint_eq(board_ram[STATUS], 1);
        ck_assert_uint_eq(half(USED + 2), 1);
        ck_assert_uint_eq(warnings, 0);
        return;
    }
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 15 | 0x40);
    ck_assert_msg(strstr(warned, refusals[_i].words), "%s", warned);
    ck_assert_uint_eq(half(USED + 2), 0);
}
END_TEST

/* A ring or a buffer in the range of interrupts is no memory: a device that writes there must not send one. */
START_TEST(interrupts_are_no_memory)
{
    device = virtio_plug(board, VIRTIO_block);
    device->host.disk = disk;
    lapic_write(&board->lapic[0], 0xf0, 0x1ff);
    begin_away(0);
    transfer(0, AWAY);
    describe(1, 0xfee00000, 1024, NEXT | WRITE, 2);
    offer(0);
    notify();
    ck_assert_uint_eq(board_ram[STATUS], 1);
    ck_assert_int_eq(lapic_pending(&board->lapic[0]), -1);
}
END_TEST

START_TEST(an_answer_in_part)
{
    device = virtio_plug(board, VIRTIO_rng);
    begin_away(0);
    put64(page_of(DATA + PAGE_SIZE), 0);
    describe(0, AWAY + DATA + PAGE_SIZE - 16, 64, WRITE, 0);
    offer(0);
    notify();
    ck_assert_uint_eq(half(USED + 2), 1);
    ck_assert_uint_eq(memory_read32(&model->memory, USED + 8), 16);
    ck_assert_uint_ne(memory_read64(&model->memory, DATA + PAGE_SIZE - 8), 0);
}
END_TEST

/* A frame that the device can read, or write, in part alone is lost. */
START_TEST(a_frame_in_part_is_lost)
{
    FILE *capture = tmpfile();

    device = virtio_plug(board, VIRTIO_net);
    device->host = (struct virtio_host){ .out = capture };
    begin_away(0);
    store(COMMON_AT + 20, 1, 11);
    enable_queue(1, AWAY);
    store(COMMON_AT + 20, 1, 15);
    put64(page_of(DATA + PAGE_SIZE), 0);
    describe(0, AWAY + DATA + PAGE_SIZE - 40, 100, 0, 0);
    offer(0);
    store(NOTIFY_AT + 4, 2, 1);
    ck_assert_uint_eq(half(USED + 2), 1);
    ck_assert_uint_eq(refused.count, 1);
    fflush(capture);
    ck_assert_int_eq(ftell(capture), 0);
    describe(0, AWAY + DATA + PAGE_SIZE - 100, 100, 0, 0);
    offer(0);
    store(NOTIFY_AT + 4, 2, 1);
    ck_assert_uint_eq(half(USED + 2), 2);
    fflush(capture);
    ck_assert_int_eq(ftell(capture), 24 + 16 + 88);
    fclose(capture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dma");
    TCase *tests = tcase_create("virtio");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, offered_behind_a_unit_alone);
    tcase_add_test(tests, a_request_is_where_the_unit_puts_it);
    tcase_add_test(tests, no_driver_goes_past_the_unit);
    tcase_add_loop_test(tests, what_is_refused_has_a_name, 0, sizeof refusals / sizeof refusals[0]);
    tcase_add_test(tests, interrupts_are_no_memory);
    tcase_add_test(tests, an_answer_in_part);
    tcase_add_test(tests, a_frame_in_part_is_lost);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
