/* SPDX-License-Identifier: MIT */
/*
 * Virtio over PCI: capabilities, the registers of both interfaces, queues, MSI-X and INTx, and drivers that do what they must not. The device
 * under test is a block device on PCI device 1.
 */
#define _GNU_SOURCE                     /* memfd_create() */
#include "tests/emu/disk_fixture.h"
#include "tests/emu/virtio_fixture.h"
#include "tests/suite.h"

static struct virtio *device;
static void open_disk(const char *mode)
{
    disk_setup(mode);
    device = virtio_plug(board, VIRTIO_block);
    device->host.disk = disk;
}

static void setup(void)
{
    board_setup();
    board->warn = warn;
    warnings = 0;
    open_disk("");
}

static void teardown(void)
{
    disk_teardown();
    board_teardown();
}

static void request(uint32_t type, uint64_t sector)
{
    memory_write32(&model->memory, HEADER, type);
    memory_write64(&model->memory, HEADER + 8, sector);
    memory_write(&model->memory, STATUS, &(uint8_t){ 0xee }, 1);
}

/* One request with a buffer of `length` bytes; its status. */
static uint8_t transfer(uint32_t type, uint64_t sector, uint32_t length)
{
    uint16_t used = half(USED + 2);

    request(type, sector);
    describe(0, HEADER, 16, NEXT, 1);
    describe(1, DATA, length, NEXT | (type == 0 || type == 8 ? WRITE : 0), 2);
    describe(2, STATUS, 1, WRITE, 0);
    offer(0);
    notify();
    ck_assert_uint_eq(half(USED + 2), (uint16_t)(used + 1));
    ck_assert_uint_eq(memory_read32(&model->memory, USED + 4 + 8 * (used % SIZE)), 0);
    return board_ram[STATUS];
}

START_TEST(identity)
{
    ck_assert_uint_eq(config(0, 4), 0x10011af4);
    ck_assert_uint_eq(config(0x2c, 4), 0x00021af4);
    ck_assert_uint_eq(config(8, 4), 0x01000000);
    ck_assert_uint_eq(config(0x3d, 1), 1);
    ck_assert_uint_eq(config(0x10, 4), PORTS | 1);
    ck_assert_uint_eq(config(0x14, 4), TABLE_AT);
    ck_assert_uint_eq(config(0x20, 4), COMMON_AT);
}
END_TEST

/* Each structure of VirtIO 4.1.4 is named once, in a BAR and within it; the list ends. */
START_TEST(capability_list)
{
    unsigned seen = 0, msix = 0, at = config(0x34, 1), steps = 0;

    ck_assert(config(6, 2) & 0x10);
    while (at && steps++ < 32) {
        unsigned id = config(at, 1), what = config(at + 3, 1), bar = config(at + 4, 1);
        ck_assert_uint_eq(at % 4, 0);
        msix += id == 0x11;
        if (id == 9) {
            seen |= 1u << what;
            if (what != 5) {
                ck_assert_uint_eq(bar, 4);
                ck_assert_uint_le(config(at + 8, 4) + config(at + 12, 4), 0x4000);
            }
        }
        at = config(at + 1, 1);
    }
    ck_assert_uint_eq(at, 0);
    ck_assert_uint_eq(seen, 0x3e);
    ck_assert_uint_eq(msix, 1);
}
END_TEST

/* Ones written to a BAR tell its size; what it decodes follows it and the command register. */
START_TEST(bars)
{
    set_config(0x10, 4, ~0u);
    ck_assert_uint_eq(config(0x10, 4), 0xffffff81);
    set_config(0x14, 4, ~0u);
    ck_assert_uint_eq(config(0x14, 4), 0xfffff000);
    set_config(0x20, 4, ~0u);
    ck_assert_uint_eq(config(0x20, 4), 0xffffc000);
    set_config(0x18, 4, ~0u);
    ck_assert_uint_eq(config(0x18, 4), 0);
    set_config(0x20, 4, 0xf1230000);
    ck_assert_uint_eq(load(COMMON_AT + 18, 2), 0xffff);
    ck_assert_uint_eq(load(0xf1230000 + 18, 2), 1);
    set_config(4, 2, 0);
    ck_assert_uint_eq(load(0xf1230000 + 18, 2), 0xffff);
    set_config(0x10, 4, 0xd001);
    set_config(4, 2, 1);
    ck_assert_uint_eq(in(0xd00c, 2), VIRTQUEUE_SIZE);
}
END_TEST

START_TEST(features)
{
    store(COMMON_AT, 4, 0);
    uint32_t low = (uint32_t)load(COMMON_AT + 4, 4);
    store(COMMON_AT, 4, 1);
    ck_assert_uint_eq(load(COMMON_AT + 4, 4), 1);               /* version 1 */
    store(COMMON_AT, 4, 2);
    ck_assert_uint_eq(load(COMMON_AT + 4, 4), 0);
    ck_assert(low & FEATURE_INDIRECT && low & FEATURE_EVENT_INDEX && !(low & 1 << 5));
    store(COMMON_AT + 20, 1, 3);
    store(COMMON_AT + 20, 1, 11);                               /* without version 1 */
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 3);
    store(COMMON_AT + 8, 4, 1);
    store(COMMON_AT + 12, 4, 3);                                /* and what was not offered */
    store(COMMON_AT + 20, 1, 11);
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 3);
    store(COMMON_AT + 12, 4, 1);
    store(COMMON_AT + 20, 1, 11);
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 11);
    store(COMMON_AT + 12, 4, 0);                                /* agreed is agreed */
    ck_assert_uint_eq(load(COMMON_AT + 12, 4), 1);
}
END_TEST

START_TEST(queue_registers)
{
    ck_assert_uint_eq(load(COMMON_AT + 24, 2), VIRTQUEUE_SIZE);
    store(COMMON_AT + 24, 2, 7);                                /* no power of 2 */
    store(COMMON_AT + 24, 2, 512);
    store(COMMON_AT + 24, 2, 0);
    ck_assert_uint_eq(load(COMMON_AT + 24, 2), VIRTQUEUE_SIZE);
    store(COMMON_AT + 24, 2, 8);
    store(COMMON_AT + 32, 8, 0x123456789a);
    ck_assert_uint_eq(load(COMMON_AT + 24, 2), 8);
    ck_assert_uint_eq(load(COMMON_AT + 32, 8), 0x123456789a);
    store(COMMON_AT + 33, 1, 0xff);                             /* a part of a field */
    ck_assert_uint_eq(load(COMMON_AT + 32, 8), 0x123456789a);
    store(COMMON_AT + 26, 2, 3);                                /* a vector that there is not */
    ck_assert_uint_eq(load(COMMON_AT + 26, 2), 0xffff);
    store(COMMON_AT + 26, 2, 2);
    ck_assert_uint_eq(load(COMMON_AT + 26, 2), 2);
    store(COMMON_AT + 22, 2, 1);                                /* no such queue */
    ck_assert_uint_eq(load(COMMON_AT + 24, 2), 0);
    store(COMMON_AT + 20, 1, 0);
    ck_assert_uint_eq(load(COMMON_AT + 22, 2), 0);
    ck_assert_uint_eq(load(COMMON_AT + 32, 8), 0);
}
END_TEST

START_TEST(reads_and_writes)
{
    begin(0);
    ck_assert_uint_eq(load(CONFIG_AT, 8), SECTORS);
    ck_assert_uint_eq(load(CONFIG_AT + 20, 4), 512);
    ck_assert_uint_eq(transfer(0, 5, 1024), 0);
    ck_assert_uint_eq(board_ram[DATA], 6);
    ck_assert_uint_eq(board_ram[DATA + 1023], 7);
    ck_assert_uint_eq(memory_read32(&model->memory, USED + 8), 1025);
    memset(board_ram + DATA, 0xaa, 512);
    ck_assert_uint_eq(transfer(1, 5, 512), 0);
    ck_assert_uint_eq(transfer(0, 5, 1024), 0);
    ck_assert_uint_eq(board_ram[DATA], 0xaa);
    ck_assert_uint_eq(board_ram[DATA + 512], 7);
    uint8_t byte;
    ck_assert_int_eq(pread(image, &byte, 1, 5 * 512), 1);
    ck_assert_uint_eq(byte, 6);                                 /* the file is as it was */
    ck_assert_uint_eq(transfer(4, 0, 512), 0);
    ck_assert_uint_eq(transfer(8, 0, 20), 0);
    ck_assert_int_eq(memcmp(board_ram + DATA, "sesqui-disk-0", 14), 0);
    ck_assert_uint_eq(transfer(99, 0, 512), 2);
    ck_assert_uint_eq(warnings, 0);
}
END_TEST

START_TEST(edges_of_the_disk)
{
    begin(0);
    ck_assert_uint_eq(transfer(0, SECTORS - 1, 512), 0);
    ck_assert_uint_eq(transfer(0, SECTORS, 512), 1);
    ck_assert_uint_eq(transfer(0, SECTORS - 1, 1024), 1);
    ck_assert_uint_eq(transfer(0, ~0ull, 512), 1);
    ck_assert_uint_eq(transfer(1, 1ull << 55, 512), 1);
    ck_assert_uint_eq(transfer(0, 0, 100), 1);
    ck_assert_uint_eq(transfer(8, 0, 19), 1);
    ck_assert_uint_eq(board->virtio[0].status, 15);
}
END_TEST

START_TEST(cut_disk)
{
    begin(0);
    ck_assert_int_eq(ftruncate(image, 512), 0);
    ck_assert_uint_eq(transfer(0, 0, 512), 0);
    ck_assert_uint_eq(transfer(0, 1, 512), 1);
    ck_assert_uint_eq(transfer(1, 9, 512), 1);                  /* the rest of its cluster cannot be read */
    ck_assert_uint_eq(warnings, 1);
    ck_assert(strstr(warned, "was cut"));
}
END_TEST

START_TEST(read_only_disk)
{
    disk_close(disk);
    close(image);
    open_disk(",ro");
    device = &board->virtio[0];
    device->host.disk = disk;
    store(COMMON_AT, 4, 0);
    ck_assert(load(COMMON_AT + 4, 4) & 1 << 5);
    begin(1 << 5);
    ck_assert_uint_eq(transfer(0, 3, 512), 0);
    ck_assert_uint_eq(transfer(1, 3, 512), 1);
}
END_TEST

START_TEST(indirect_table)
{
    begin(FEATURE_INDIRECT);
    request(0, 2);
    describe_at(INDIRECT, 0, HEADER, 16, NEXT, 2);
    describe_at(INDIRECT, 2, DATA, 512, NEXT | WRITE, 1);
    describe_at(INDIRECT, 1, STATUS, 1, WRITE, 0);
    describe(3, INDIRECT, 48, IN_TABLE, 0);
    offer(3);
    notify();
    ck_assert_uint_eq(half(USED + 2), 1);
    ck_assert_uint_eq(board_ram[STATUS], 0);
    ck_assert_uint_eq(board_ram[DATA], 3);
}
END_TEST

/* INTx: up until the ISR is read; not with the bit that forbids it; the PIRQ reaches the IOAPIC and, routed, the PIC. */
START_TEST(line)
{
    unsigned pirq = pci_pirq(DEVICE, 1);

    begin(0);
    store(ECAM_BASE + (31 << 15) + 0x60 + pirq, 1, 10);
    transfer(0, 0, 512);
    ck_assert(line_up(16 + pirq));
    ck_assert(config(6, 2) & 8);
    ck_assert_uint_eq(board->pic.chip[1].lines >> 2 & 1, 1);
    store(ECAM_BASE + (31 << 15) + 0x60 + pirq, 1, 11);         /* routed anew */
    ck_assert_uint_eq(board->pic.chip[1].lines >> 2 & 3, 2);
    set_config(5, 1, 4);
    ck_assert(!line_up(16 + pirq));
    set_config(5, 1, 0);
    ck_assert(line_up(16 + pirq));
    ck_assert_uint_eq(load(ISR_AT, 1), 1);
    ck_assert(!line_up(16 + pirq));
    ck_assert_uint_eq(load(ISR_AT, 1), 0);
    set_half(AVAILABLE, 1);                                     /* the driver wants none */
    transfer(0, 0, 512);
    ck_assert(!line_up(16 + pirq));
}
END_TEST

/* MSI-X: by the table's entry; masked ones wait in the pending bits. */
START_TEST(messages)
{
    begin(0);
    board->lapic[0].spurious |= 0x100;
    store(COMMON_AT + 26, 2, 1);
    store(TABLE_AT + 16, 4, 0xfee00000);
    store(TABLE_AT + 24, 4, 0x51);
    set_config(0x9a, 2, 0x8000);
    transfer(0, 0, 512);
    ck_assert_uint_eq(load(TABLE_AT + 0x800, 4), 2);
    ck_assert_int_eq(lapic_pending(&board->lapic[0]), -1);
    store(TABLE_AT + 28, 4, 0);
    ck_assert_uint_eq(load(TABLE_AT + 0x800, 4), 0);
    ck_assert_int_eq(lapic_pending(&board->lapic[0]), 0x51);
    lapic_acknowledge(&board->lapic[0]);
    set_config(0x9a, 2, 0xc000);                                /* all masked */
    transfer(0, 0, 512);
    ck_assert_int_eq(lapic_pending(&board->lapic[0]), -1);
    lapic_end_of_interrupt(&board->lapic[0]);
    set_config(0x9a, 2, 0x8000);
    ck_assert_int_eq(lapic_pending(&board->lapic[0]), 0x51);
    ck_assert(!line_up(16 + pci_pirq(DEVICE, 1)));
}
END_TEST

/* VirtIO 2.7.7: with event indexes an interrupt comes when the one that the driver waits for is passed. */
START_TEST(event_index)
{
    begin(FEATURE_EVENT_INDEX);
    set_half(AVAILABLE + 4 + 2 * SIZE, 1);                      /* used_event: after the second */
    transfer(0, 0, 512);
    ck_assert_uint_eq(load(ISR_AT, 1), 0);
    ck_assert_uint_eq(half(USED + 4 + 8 * SIZE), 1);            /* avail_event: notify for the next */
    transfer(0, 0, 512);
    ck_assert_uint_eq(load(ISR_AT, 1), 1);
    transfer(0, 0, 512);
    ck_assert_uint_eq(load(ISR_AT, 1), 0);
}
END_TEST

/* No DMA where the command register does not allow it. */
START_TEST(bus_master)
{
    begin(0);
    set_config(4, 2, 2);
    request(0, 0);
    describe(0, HEADER, 16, NEXT, 1);
    describe(1, DATA, 512, NEXT | WRITE, 2);
    describe(2, STATUS, 1, WRITE, 0);
    offer(0);
    notify();
    ck_assert_uint_eq(half(USED + 2), 0);
    set_config(4, 2, 6);
    notify();
    ck_assert_uint_eq(half(USED + 2), 1);
}
END_TEST

START_TEST(interface_before_version_1)
{
    enum { FRAME = 0x20, BASE = FRAME << 12, RING = BASE + 16 * VIRTQUEUE_SIZE, USED_RING = (RING + 6 + 2 * VIRTQUEUE_SIZE + 4095) & ~4095 };

    ck_assert_uint_eq(in(PORTS + 20, 4), SECTORS);
    ck_assert(in(PORTS, 4) & 1u << 27);
    out(PORTS + 18, 1, 3);
    out(PORTS + 4, 4, ~0u);
    out(PORTS + 14, 2, 0);
    ck_assert_uint_eq(in(PORTS + 12, 2), VIRTQUEUE_SIZE);
    ck_assert_uint_eq(in(PORTS + 8, 4), 0);
    out(PORTS + 8, 4, FRAME);
    ck_assert_uint_eq(in(PORTS + 8, 4), FRAME);
    out(PORTS + 18, 1, 7);
    request(0, 1);
    describe_at(BASE, 0, HEADER, 16, NEXT, 1);
    describe_at(BASE, 1, DATA, 512, NEXT | WRITE, 2);
    describe_at(BASE, 2, STATUS, 1, WRITE, 0);
    set_half(RING + 4, 0);
    set_half(RING + 2, 1);
    out(PORTS + 16, 2, 0);
    ck_assert_uint_eq(half(USED_RING + 2), 1);
    ck_assert_uint_eq(board_ram[DATA], 2);
    ck_assert_uint_eq(in(PORTS + 19, 1), 1);
    ck_assert_uint_eq(in(PORTS + 19, 1), 0);
    set_config(0x9a, 2, 0x8000);                                /* with MSI-X, its vectors come before the configuration */
    ck_assert_uint_eq(in(PORTS + 20, 2), 0xffff);
    ck_assert_uint_eq(in(PORTS + 24, 4), SECTORS);
    out(PORTS + 18, 1, 0);
    ck_assert_uint_eq(in(PORTS + 8, 4), 0);
}
END_TEST

/* The window of configuration space reaches what the BARs do (VirtIO 4.1.4.9), and no further. */
START_TEST(window)
{
    set_config(0x88, 1, 4);
    set_config(0x8c, 4, 18);
    set_config(0x90, 4, 2);
    ck_assert_uint_eq(config(0x94, 2), 1);
    set_config(0x8c, 4, 20);
    set_config(0x90, 4, 1);
    set_config(0x94, 1, 3);
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 3);
    set_config(0x8c, 4, 0x4000);                                /* beyond the BAR */
    set_config(0x94, 1, 0);
    set_config(0x8c, 4, 21);
    set_config(0x90, 4, 4);                                     /* not aligned */
    set_config(0x94, 4, 0);
    set_config(0x88, 1, 9);                                     /* no BAR */
    set_config(0x94, 4, 0);
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 3);
}
END_TEST

/* ---- what a driver must not do ---- */

static void good_chain(void)
{
    request(0, 0);
    describe(0, HEADER, 16, NEXT, 1);
    describe(1, DATA, 512, NEXT | WRITE, 2);
    describe(2, STATUS, 1, WRITE, 0);
}
static void is_loop(void) { describe(1, DATA, 512, NEXT | WRITE, 1); }
static void bad_next(void) { describe(1, DATA, 512, NEXT | WRITE, SIZE); }
static void beyond_ram(void) { describe(1, BOARD_RAM - 256, 512, NEXT | WRITE, 2); }
static void far_away(void) { describe(1, ~0ull - 100, 512, NEXT | WRITE, 2); }
static void device_memory(void) { describe(1, COMMON_AT, 512, NEXT | WRITE, 2); }
static void wrong_order(void) { describe(1, DATA, 512, NEXT | WRITE, 2), describe(2, STATUS, 1, 0, 0); }
static void not_negotiated(void) { describe(1, INDIRECT, 16, IN_TABLE, 0); }
static void short_header(void) { describe(0, HEADER, 15, NEXT, 1); }
static void no_status(void) { describe(0, HEADER, 16, 0, 0); }
static void huge(void) { describe(1, 0, 1u << 31, NEXT | WRITE, 2); }
static void far_ahead(void) { set_half(AVAILABLE + 2, SIZE + 1); }
static void bad_head(void) { set_half(AVAILABLE + 4, 0xffff); }

static const struct { void (*spoil)(void); const char *words; } spoilt[] = {
    { is_loop, "more descriptors than the queue" }, { bad_next, "number is not in the table" }, { beyond_ram, "not all RAM" },
    { far_away, "not all RAM" }, { device_memory, "not all RAM" }, { wrong_order, "follows one to be written" }, { not_negotiated, "not negotiated" },
    { short_header, "without a header" }, { no_status, "without a header" }, { huge, "not all RAM" },
    { far_ahead, "more chains are available" }, { bad_head, "number is not in the table" },
};

/* The device needs a reset, says so by its status and a message, leaves the disk and memory alone, and works again after one. */
START_TEST(misuse)
{
    begin(0);
    good_chain();
    offer(0);
    spoilt[_i].spoil();
    notify();
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 15 | 0x40);
    ck_assert_uint_eq(warnings, 1);
    ck_assert_msg(strstr(warned, spoilt[_i].words), "%s", warned);
    ck_assert_uint_eq(half(USED + 2), 0);
    ck_assert_uint_eq(load(ISR_AT, 1), 2);
    store(COMMON_AT + 20, 1, 15);                               /* only a reset clears it */
    notify();
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 15 | 0x40);
    ck_assert_uint_eq(warnings, 1);
    set_half(AVAILABLE + 2, 0);
    begin(0);
    ck_assert_uint_eq(transfer(0, 0, 512), 0);
}
END_TEST

static const struct { uint64_t descriptors, available, used; } places[] = {
    { BOARD_RAM - 16, AVAILABLE, USED }, { DESCRIPTORS, BOARD_RAM - 4, USED }, { DESCRIPTORS, AVAILABLE, BOARD_RAM }, { ~0xfull, AVAILABLE, USED },
    { DESCRIPTORS, COMMON_AT, USED },
};

START_TEST(rings_outside_memory)
{
    begin(0);
    store(COMMON_AT + 20, 1, 0);
    store(COMMON_AT + 8, 4, 1);
    store(COMMON_AT + 12, 4, 1);
    store(COMMON_AT + 20, 1, 11);
    store(COMMON_AT + 32, 8, places[_i].descriptors);
    store(COMMON_AT + 40, 8, places[_i].available);
    store(COMMON_AT + 48, 8, places[_i].used);
    store(COMMON_AT + 28, 2, 1);
    store(COMMON_AT + 20, 1, 15);
    notify();
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 15 | 0x40);
    ck_assert(strstr(warned, "not all in RAM"));
}
END_TEST

enum { SPOILT = sizeof spoilt / sizeof spoilt[0], PLACES = sizeof places / sizeof places[0] };

int main(void)
{
    Suite *s = suite_create("device_virtio");
    TCase *c = tcase_create("registers");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, identity);
    tcase_add_test(c, capability_list);
    tcase_add_test(c, bars);
    tcase_add_test(c, features);
    tcase_add_test(c, queue_registers);
    tcase_add_test(c, window);
    tcase_add_test(c, interface_before_version_1);
    suite_add_tcase(s, c);
    c = tcase_create("requests");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, reads_and_writes);
    tcase_add_test(c, edges_of_the_disk);
    tcase_add_test(c, cut_disk);
    tcase_add_test(c, read_only_disk);
    tcase_add_test(c, indirect_table);
    tcase_add_test(c, line);
    tcase_add_test(c, messages);
    tcase_add_test(c, event_index);
    tcase_add_test(c, bus_master);
    suite_add_tcase(s, c);
    c = tcase_create("hostile drivers");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, misuse, 0, SPOILT);
    tcase_add_loop_test(c, rings_outside_memory, 0, PLACES);
    suite_add_tcase(s, c);
    return suite_run(s);
}
