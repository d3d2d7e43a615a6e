/* SPDX-License-Identifier: MIT */
/* The devices behind ports: UART, PIC, PIT, IOAPIC, firmware configuration, the ways to end a run. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "emu/device/board.h"
#include "tests/suite.h"

static struct model *model;
static struct board *board;
static uint8_t *ram, *watch;
static char *console;
static size_t console_size;
static FILE *console_file;

static void setup(void)
{
    model = calloc(1, sizeof *model);
    board = calloc(1, sizeof *board);
    ram = calloc(1, 1 << 20);
    watch = calloc(1, 256);
    memory_init(&model->memory, ram, 1 << 20, watch);
    model->cpu_count = 1;
    model->physical_address_width = 40;
    model->cpu[0].model = model;
    console_file = open_memstream(&console, &console_size);
    board_init(board, model, console_file);
}

static void teardown(void)
{
    fclose(console_file);
    free(console);
    free(model);
    free(board);
    free(ram);
    free(watch);
}

static uint32_t in(uint16_t port, unsigned size)
{
    return model->bus.port_in(model->bus.context, &model->cpu[0], port, size);
}

static void out(uint16_t port, unsigned size, uint32_t value)
{
    model->bus.port_out(model->bus.context, &model->cpu[0], port, size, value);
}

static bool requested(void)
{
    return model->bus.interrupt_requested(model->bus.context, &model->cpu[0]);
}

static unsigned acknowledge(void)
{
    return model->bus.interrupt_acknowledge(model->bus.context, &model->cpu[0]);
}

static void init_pic(uint8_t mask)
{
    out(0x20, 1, 0x11);
    out(0x21, 1, 0x20);
    out(0x21, 1, 0x04);
    out(0x21, 1, 0x01);
    out(0xa0, 1, 0x11);
    out(0xa1, 1, 0x28);
    out(0xa1, 1, 0x02);
    out(0xa1, 1, 0x01);
    out(0x21, 1, mask);
    out(0xa1, 1, 0xff);
}

START_TEST(console_output)
{
    ck_assert_uint_eq(in(0x3fd, 1) & 0x20, 0x20);
    out(0x3f8, 1, 'h');
    out(0xe9, 1, 'i');
    out(0x3fb, 1, 0x80);                    /* the divisor latch hides the data register */
    out(0x3f8, 1, 1);
    ck_assert_uint_eq(in(0x3f8, 1), 1);
    out(0x3fb, 1, 3);
    out(0x3f8, 1, '!');
    fflush(console_file);
    ck_assert_str_eq(console, "hi!");
}
END_TEST

START_TEST(uart_interrupts)
{
    init_pic(0xef);
    out(0x3fc, 1, 0x08);
    ck_assert(!requested());
    out(0x3f9, 1, 0x02);
    ck_assert(requested());
    ck_assert_uint_eq(acknowledge(), 0x24);
    out(0x20, 1, 0x20);
    ck_assert_uint_eq(in(0x3fa, 1) & 0xf, 0x02);
    ck_assert_uint_eq(in(0x3fa, 1) & 0xf, 0x01);
    ck_assert(!requested());
    out(0x3f8, 1, 'x');
    ck_assert(requested());
}
END_TEST

START_TEST(pic_priorities)
{
    init_pic(0x00);
    pic_line(&board->pic, 3, true);
    pic_line(&board->pic, 1, true);
    ck_assert_uint_eq(acknowledge(), 0x21);
    ck_assert(!requested());                /* line 3 waits for line 1's EOI */
    out(0x20, 1, 0x20);
    ck_assert_uint_eq(acknowledge(), 0x23);
    out(0x20, 1, 0x0b);
    ck_assert_uint_eq(in(0x20, 1), 1 << 3);
    out(0x20, 1, 0x63);                     /* specific EOI */
    ck_assert_uint_eq(in(0x20, 1), 0);
    ck_assert(!requested());
    out(0xa1, 1, 0xfe);
    pic_line(&board->pic, 8, true);
    ck_assert_uint_eq(acknowledge(), 0x28);
    out(0xa0, 1, 0x20);
    out(0x20, 1, 0x20);
    pic_line(&board->pic, 5, true);
    pic_line(&board->pic, 5, false);        /* a pulse is enough */
    ck_assert(requested());
    out(0x21, 1, 0x20);                     /* masked before INTA: spurious, not in service */
    ck_assert(!requested());
    ck_assert_uint_eq(pic_acknowledge(&board->pic), 0x27);
    ck_assert_uint_eq(in(0x20, 1), 0);
}
END_TEST

START_TEST(pit_periodic)
{
    struct cpu *cpu = &model->cpu[0];
    init_pic(0xfe);
    out(0x43, 1, 0x34);
    out(0x40, 1, 0x9c);                     /* 11932: 100 Hz */
    out(0x40, 1, 0x2e);
    for (unsigned i = 1; i <= 5; i++) {
        uint64_t next = board_next_event(board, cpu);
        ck_assert_uint_ge(next, (i * 10000000ull) - 1000 + 100 * i);
        ck_assert_uint_le(next, (i * 10000000ull) + 1000 + 200 * i);
        cpu->clock = next - 1;
        board_advance(board, cpu);
        ck_assert(!requested());
        cpu->clock = next;
        board_advance(board, cpu);
        ck_assert_uint_eq(acknowledge(), 0x20);
        out(0x20, 1, 0x20);
    }
}
END_TEST

START_TEST(pit_channel_2)
{
    struct cpu *cpu = &model->cpu[0];
    out(0x61, 1, 0);
    out(0x43, 1, 0xb0);                     /* channel 2, mode 0 */
    out(0x42, 1, 0xa9);                     /* 1193: 1 ms */
    out(0x42, 1, 0x04);
    cpu->clock = 5000000;
    ck_assert_uint_eq(in(0x61, 1) & 0x20, 0);   /* its gate is closed */
    out(0x61, 1, 1);
    cpu->clock += 990000;
    ck_assert_uint_eq(in(0x61, 1) & 0x20, 0);
    cpu->clock += 20000;
    ck_assert_uint_eq(in(0x61, 1) & 0x20, 0x20);
}
END_TEST

START_TEST(ioapic_routes_edges)
{
    struct cpu *cpu = &model->cpu[0];
    model->bus.mmio_write(board, cpu, IOAPIC_BASE, 4, 0x10 + 2 * 4);
    model->bus.mmio_write(board, cpu, IOAPIC_BASE + 0x10, 4, 0x55);
    ck_assert_uint_eq(model->bus.mmio_read(board, cpu, IOAPIC_BASE + 0x10, 4), 0x55);
    out(0x3fc, 1, 0x08);
    out(0x3f9, 1, 0x02);
    ck_assert(requested());
    ck_assert_uint_eq(acknowledge(), 0x55);
    model->bus.mmio_write(board, cpu, IOAPIC_BASE, 4, 1);
    ck_assert_uint_eq(model->bus.mmio_read(board, cpu, IOAPIC_BASE + 0x10, 4) >> 16, 23);
    model->bus.mmio_write(board, cpu, IOAPIC_BASE, 4, 0xff);    /* no such register */
    model->bus.mmio_write(board, cpu, IOAPIC_BASE + 0x10, 4, ~0u);
    ck_assert_uint_eq(model->bus.mmio_read(board, cpu, IOAPIC_BASE + 0x10, 4), 0);
}
END_TEST

static uint32_t entry_of(unsigned pin)
{
    model->bus.mmio_write(board, &model->cpu[0], IOAPIC_BASE, 4, 0x10 + 2 * pin);
    return (uint32_t)model->bus.mmio_read(board, &model->cpu[0], IOAPIC_BASE + 0x10, 4);
}

START_TEST(ioapic_levels)
{
    struct cpu *cpu = &model->cpu[0];
    entry_of(14);
    model->bus.mmio_write(board, cpu, IOAPIC_BASE + 0x10, 4, 1 << 15 | 0x66);
    out(0x200e, 4, 1);
    ck_assert_uint_eq(entry_of(14), 1 << 15 | 1 << 14 | 0x66);
    ck_assert_uint_eq(acknowledge(), 0x66);
    out(0x200e, 1, 1);                      /* still up: nothing new before its EOI */
    ck_assert(!requested());
    model->bus.mmio_write(board, cpu, LAPIC_BASE + 0xb0, 4, 0);
    ck_assert_uint_eq(acknowledge(), 0x66);
    out(0x200e, 1, 0);
    model->bus.mmio_write(board, cpu, LAPIC_BASE + 0xb0, 4, 0);
    ck_assert(!requested());
    ck_assert_uint_eq(entry_of(14), 1 << 15 | 0x66);
    model->bus.mmio_write(board, cpu, IOAPIC_BASE + 0x10, 4, 1 << 16 | 1 << 15 | 0x66);
    out(0x200e, 1, 1);
    ck_assert(!requested());                /* masked; a level is seen when the mask goes */
    entry_of(14);
    model->bus.mmio_write(board, cpu, IOAPIC_BASE + 0x10, 4, 1 << 15 | 0x66);
    ck_assert_uint_eq(acknowledge(), 0x66);
}
END_TEST

START_TEST(test_device)
{
    struct cpu *cpu = &model->cpu[0];
    out(0xe0, 4, 0x12345678);
    ck_assert_uint_eq(in(0xe2, 2), 0x1234);
    model->bus.mmio_write(board, cpu, 0xff00fff8, 8, 0x1122334455667788);
    ck_assert_uint_eq(model->bus.mmio_read(board, cpu, 0xff00fffc, 4), 0x11223344);
    ck_assert_uint_eq(model->bus.mmio_read(board, cpu, 0xff00ffff, 1), 0x11);
    ck_assert_uint_eq(model->bus.mmio_read(board, cpu, 0xff00fffe, 4), 0xffffffff);     /* its end, not beyond */
    model->bus.mmio_write(board, cpu, 0xff00fffe, 4, 0);
    ck_assert_uint_eq(model->bus.mmio_read(board, cpu, 0xff010000, 8), ~0ull);
    for (unsigned port = 0x2000; port < 0x2020; port++)
        out((uint16_t)port, 4, 1);
}
END_TEST

START_TEST(firmware_configuration)
{
    uint64_t value = 0;
    out(0x510, 2, 3);
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)in(0x511, 1) << 8 * i;
    ck_assert_uint_eq(value, 1 << 20);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_eq(in(0x511, 1), 0);
    out(0x510, 2, 5);
    ck_assert_uint_eq(in(0x511, 1), 1);
    out(0x510, 2, 0xffff);
    ck_assert_uint_eq(in(0x511, 1), 0);
}
END_TEST

/* A request at 0x1000, written high half first; what its control word is behind it. */
static uint32_t request(uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t *at = ram + 0x1000;

    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(control >> (24 - 8 * i));
        at[4 + i] = (uint8_t)(length >> (24 - 8 * i));
    }
    for (unsigned i = 0; i < 8; i++)
        at[8 + i] = (uint8_t)(address >> (56 - 8 * i));
    out(0x514, 4, 0);
    out(0x518, 4, 0x00100000);          /* big-endian */
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

START_TEST(firmware_configuration_by_dma)
{
    enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

    ck_assert_uint_eq(in(0x514, 4), 0x554d4551);        /* "QEMU" */
    ck_assert_uint_eq(in(0x518, 4), 0x47464320);        /* " CFG" */
    memset(ram + 0x2000, 0xaa, 0x2000);
    ck_assert_uint_eq(request(SELECT | READ, 4, 0x2000), 0);
    ck_assert_int_eq(memcmp(ram + 0x2000, "QEMU\xaa", 5), 0);
    ck_assert_uint_eq(request(1 << 16 | SELECT | READ, 0x1800, 0x2000), 0);     /* more than the item has: zeros */
    ck_assert_uint_eq(ram[0x2000], 3);
    for (unsigned i = 1; i < 0x1800; i++)
        ck_assert_uint_eq(ram[0x2000 + i], 0);
    ck_assert_uint_eq(ram[0x3800], 0xaa);
    ck_assert_uint_eq(request(SELECT | SKIP, 2, 0), 0);
    ck_assert_uint_eq(request(READ, 2, 0x2000), 0);
    ck_assert_int_eq(memcmp(ram + 0x2000, "MU", 2), 0);
    ck_assert_uint_eq(request(SKIP, 0xffffffff, 0), 0);
    ck_assert_uint_eq(in(0x511, 1), 0);
    ck_assert_uint_eq(request(WRITE, 2, 0x2000), ERROR);
    ck_assert_uint_eq(request(SELECT | READ, 2, 0xfffff), ERROR);               /* not all of it is RAM */
    ck_assert_uint_eq(request(SELECT | READ, 0xffffffff, 0), ERROR);
    ck_assert_uint_eq(request(SELECT | READ, 2, ~0ull), ERROR);
    out(0x514, 4, 0xffffffff);
    out(0x518, 4, 0xffffffff);          /* a request that is nowhere: nothing happens */
    ck_assert_uint_eq(request(0x19 << 16 | SELECT | READ, 4, 0x2000), 0);       /* no files */
    ck_assert_int_eq(memcmp(ram + 0x2000, "\0\0\0", 4), 0);
}
END_TEST

/* The memory map, as whoever looks for a file finds it: the directory by DMA, the file by its key, from the middle on, and over the request itself. */
START_TEST(firmware_configuration_file)
{
    enum { READ = 2, SKIP = 4, SELECT = 8, SIZE = 20 };
    static const uint8_t directory[] = { 0, 0, 0, 1, 0, 0, 0, 2 * SIZE, 0, 0x20, 0, 0, 'e', 't', 'c', '/', 'e', '8', '2', '0', 0 };
    static const uint8_t second[] = { 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3e, 0, 0, 0, 0, 2, 0, 0, 0 };

    fw_cfg_add_range(&board->fw_cfg, 0, 0x9fc00, 1);
    fw_cfg_add_range(&board->fw_cfg, 1 << 20, 0x3ef00000, 2);
    memset(ram + 0x2000, 0xaa, 0x1000);
    ck_assert_uint_eq(request(0x19 << 16 | SELECT | READ, 4 + 64, 0x2000), 0);
    ck_assert_int_eq(memcmp(ram + 0x2000, directory, sizeof directory), 0);
    for (unsigned i = sizeof directory; i < 4 + 64; i++)
        ck_assert_uint_eq(ram[0x2000 + i], 0);
    ck_assert_uint_eq(ram[0x2000 + 4 + 64], 0xaa);
    ck_assert_uint_eq(request(0x20 << 16 | SELECT | SKIP, SIZE, 0), 0);
    ck_assert_uint_eq(request(READ, SIZE, 0x2000), 0);
    ck_assert_int_eq(memcmp(ram + 0x2000, second, sizeof second), 0);
    ck_assert_uint_eq(request(0x20 << 16 | SELECT | READ, SIZE, 0x1000), 0);    /* the control word is written last */
    for (unsigned i = 0; i < 2 * FW_CFG_MAP_MAX; i++)
        fw_cfg_add_range(&board->fw_cfg, 0, 1, 1);
    ck_assert_uint_eq(board->fw_cfg.map_size, sizeof board->fw_cfg.map);        /* no more than fits */
}
END_TEST

START_TEST(unclaimed)
{
    ck_assert_uint_eq(in(0x1234, 4), 0xffffffff);
    ck_assert_uint_eq(in(0xffff, 4), 0xffffffff);
    out(0x1234, 4, 5);
    ck_assert_uint_eq(model->bus.mmio_read(board, &model->cpu[0], 0xd0000000, 8), ~0ull);
    ck_assert_uint_eq(model->bus.mmio_read(board, &model->cpu[0], 0xd0000000, 1), 0xff);
    ck_assert_int_eq(board->end, BOARD_RUNNING);
}
END_TEST

START_TEST(ends)
{
    for (const char *c = "ShutShutdown"; *c; c++) {
        ck_assert_int_eq(board->end, BOARD_RUNNING);
        out(0x8900, 1, (uint8_t)*c);
    }
    ck_assert_int_eq(board->end, BOARD_SHUTDOWN);
    board->end = BOARD_RUNNING;
    out(0x64, 1, 0xfe);
    ck_assert_int_eq(board->end, BOARD_RESET);
    board->end = BOARD_RUNNING;
    out(0xcf8, 4, 0x80000600);              /* a PCI configuration address is no reset */
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    out(0x92, 1, 1);
    ck_assert_int_eq(board->end, BOARD_RESET);
    board->end = BOARD_RUNNING;
    out(0xcf9, 1, 6);
    ck_assert_int_eq(board->end, BOARD_RESET);
    board->end = BOARD_RUNNING;
    out(0xf4, 4, 0x1234);
    ck_assert_int_eq(board->end, BOARD_EXIT);
    ck_assert_uint_eq(board->exit_value, 0x1234);
    out(0xf4, 4, 1);                        /* the first one counts */
    ck_assert_uint_eq(board->exit_value, 0x1234);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("device_board");
    TCase *tcase = tcase_create("board");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, console_output);
    tcase_add_test(tcase, uart_interrupts);
    tcase_add_test(tcase, pic_priorities);
    tcase_add_test(tcase, pit_periodic);
    tcase_add_test(tcase, pit_channel_2);
    tcase_add_test(tcase, ioapic_routes_edges);
    tcase_add_test(tcase, ioapic_levels);
    tcase_add_test(tcase, test_device);
    tcase_add_test(tcase, firmware_configuration);
    tcase_add_test(tcase, firmware_configuration_by_dma);
    tcase_add_test(tcase, firmware_configuration_file);
    tcase_add_test(tcase, unclaimed);
    tcase_add_test(tcase, ends);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
