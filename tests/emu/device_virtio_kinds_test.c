/* SPDX-License-Identifier: MIT */
/* The virtio devices besides disks: network, console, entropy. Each is PCI device 1 of a board of its own. */
#define _GNU_SOURCE                     /* open_memstream() */
#include "tests/emu/virtio_fixture.h"
#include "tests/suite.h"

enum { SECOND = 0x100000 /* what is the first queue's, for the second one */, TRANSMIT = 1 };
static struct virtio *device;
static char *written;
static size_t written_size;
static FILE *out_file;

static void setup(void)
{
    board_setup();
    board->warn = warn;
    warnings = 0;
    out_file = open_memstream(&written, &written_size);
}

static void teardown(void)
{
    fclose(out_file);
    free(written);
    board_teardown();
}

/* Both queues. */
static void begin_two(void)
{
    begin(1 << 5);
    enable_queue(1, SECOND);
}

static void offer_second(uint16_t head)
{
    uint16_t index = half(AVAILABLE + SECOND + 2);

    set_half(AVAILABLE + SECOND + 4 + 2 * (index % SIZE), head);
    set_half(AVAILABLE + SECOND + 2, (uint16_t)(index + 1));
    store(NOTIFY_AT + 4 * TRANSMIT, 2, TRANSMIT);
}

/* Sends 12 bytes of header and `length` of a frame. */
static void send_frame(uint32_t length)
{
    memset(board_ram + HEADER, 0, 12);
    memset(board_ram + DATA, 0x5a, 2048);
    describe_at(DESCRIPTORS + SECOND, 0, HEADER, 12, NEXT, 1);
    describe_at(DESCRIPTORS + SECOND, 1, DATA, length, 0, 0);
    offer_second(0);
}

START_TEST(loopback)
{
    device = virtio_plug(board, VIRTIO_net);
    device->host.loopback = true;
    ck_assert_uint_eq(config(0, 4), 0x10001af4);
    ck_assert_uint_eq(load(CONFIG_AT, 4), 'e' << 16 | 's' << 8 | 2 | (uint32_t)'s' << 24);
    ck_assert_uint_eq(load(CONFIG_AT + 6, 2), 1);
    ck_assert_uint_eq(load(CONFIG_AT + 8, 4), 0);
    begin(0);
    begin_two();
    send_frame(60);                                             /* no buffer: lost */
    ck_assert_uint_eq(half(USED + SECOND + 2), 1);
    ck_assert_uint_eq(half(USED + 2), 0);
    describe(0, INDIRECT, 12 + 1514, WRITE, 0);
    describe(1, INDIRECT, 64, WRITE, 0);
    offer(0);
    send_frame(60);
    ck_assert_uint_eq(half(USED + 2), 1);
    ck_assert_uint_eq(memory_read32(&model->memory, USED + 8), 72);
    ck_assert_uint_eq(half(INDIRECT + 10), 1);                  /* buffers */
    ck_assert_uint_eq(board_ram[INDIRECT + 12], 0x5a);
    ck_assert_uint_eq(board_ram[INDIRECT + 71], 0x5a);
    ck_assert_uint_eq(board_ram[INDIRECT + 72], 0);
    ck_assert_uint_eq(load(ISR_AT, 1), 1);
    offer(1);                                                   /* too small */
    send_frame(60);
    ck_assert_uint_eq(memory_read32(&model->memory, USED + 16), 0);
    ck_assert_uint_eq(warnings, 0);
    send_frame(1514);
    ck_assert_uint_eq(warnings, 0);
    send_frame(1515);
    ck_assert(strstr(warned, "1,514"));
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 15 | 0x40);
}
END_TEST

START_TEST(header_alone)
{
    device = virtio_plug(board, VIRTIO_net);
    begin_two();
    describe_at(DESCRIPTORS + SECOND, 0, HEADER, 11, 0, 0);
    offer_second(0);
    ck_assert(strstr(warned, "without a header"));
}
END_TEST

START_TEST(capture_file)
{
    uint32_t words[10];

    device = virtio_plug(board, VIRTIO_net);
    device->host.out = out_file;
    begin_two();
    pass(3000000005);
    send_frame(60);
    send_frame(100);
    fflush(out_file);
    ck_assert_uint_eq(written_size, 24 + 16 + 60 + 16 + 100);
    memcpy(words, written, sizeof words);
    ck_assert_uint_eq(words[0], 0xa1b23c4d);
    ck_assert_uint_eq(words[1], 0x00040002);
    ck_assert_uint_eq(words[5], 1);
    ck_assert_uint_eq(words[6], 3);
    ck_assert_uint_eq(words[7], 5);
    ck_assert_uint_eq(words[8], 60);
    ck_assert_uint_eq(words[9], 60);
    ck_assert_uint_eq((uint8_t)written[40], 0x5a);
    ck_assert_uint_eq(half(USED + 2), 0);
}
END_TEST

START_TEST(console_output)
{
    device = virtio_plug(board, VIRTIO_console);
    device->host.out = out_file;
    begin(0);
    store(COMMON_AT + 22, 2, 1);
    store(COMMON_AT + 24, 2, SIZE);
    store(COMMON_AT + 32, 4, DESCRIPTORS + SECOND);
    store(COMMON_AT + 40, 4, AVAILABLE + SECOND);
    store(COMMON_AT + 48, 4, USED + SECOND);
    store(COMMON_AT + 28, 2, 1);
    memset(board_ram + DATA, 'x', 1000);
    memcpy(board_ram + HEADER, "Hello, ", 7);
    describe_at(DESCRIPTORS + SECOND, 0, HEADER, 7, NEXT, 1);
    describe_at(DESCRIPTORS + SECOND, 1, DATA, 1000, 0, 0);
    offer_second(0);
    fflush(out_file);
    ck_assert_uint_eq(written_size, 1007);
    ck_assert_int_eq(memcmp(written, "Hello, xxx", 10), 0);
    ck_assert_uint_eq(written[1006], 'x');
    ck_assert_uint_eq(half(USED + SECOND + 2), 1);
    describe_at(DESCRIPTORS + SECOND, 0, DATA, 2 << 20, 0, 0);
    offer_second(0);
    ck_assert(strstr(warned, "more than 1 MB"));
}
END_TEST

static void draw(uint64_t seed, uint8_t to[37])
{
    device = virtio_plug(board, VIRTIO_rng);
    device->random = seed;
    begin(0);
    describe(0, DATA, 30, NEXT | WRITE, 1);
    describe(1, DATA + 30, 7, WRITE, 0);
    offer(0);
    notify();
    ck_assert_uint_eq(half(USED + 2), 1);
    ck_assert_uint_eq(memory_read32(&model->memory, USED + 8), 37);
    memcpy(to, board_ram + DATA, 37);
}

/* From the seed; a reset does not begin anew; a large request is answered in part. */
START_TEST(random_numbers)
{
    uint8_t first[37], again[37], other[37];

    draw(1, first);
    set_half(AVAILABLE + 2, 0);
    set_half(USED + 2, 0);
    begin(0);
    offer(0);
    notify();
    ck_assert_int_ne(memcmp(board_ram + DATA, first, 37), 0);
    describe(0, DATA, 1 << 20, WRITE, 0);
    offer(0);
    notify();
    ck_assert_uint_eq(memory_read32(&model->memory, USED + 16), 64 << 10);
    teardown();
    setup();
    draw(1, again);
    ck_assert_int_eq(memcmp(again, first, 37), 0);
    teardown();
    setup();
    draw(2, other);
    ck_assert_int_ne(memcmp(other, first, 37), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_virtio_kinds");
    TCase *tcase = tcase_create("kinds");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, loopback);
    tcase_add_test(tcase, header_alone);
    tcase_add_test(tcase, capture_file);
    tcase_add_test(tcase, console_output);
    tcase_add_test(tcase, random_numbers);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
