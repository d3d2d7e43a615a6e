/* SPDX-License-Identifier: MIT */
/* The firmware's services, called as the ROM's handlers call them; and what firmware leaves in the BIOS data area and in PCI functions. */
#define _GNU_SOURCE                     /* memfd_create(), open_memstream() */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/disk/disk.h"
#include "emu/firmware/rom.h"
#include "emu/load/parts.h"
#include "tests/emu/board_fixture.h"
#include "tests/suite.h"

enum { SECTORS = 20000, STACK = 0x7000, BUFFER = 0x20000, PACKET = 0x30000 };
static struct cpu *cpu;
static struct disk *disk;
static int image;
static uint16_t call_at;
static char *said;
static size_t said_size;

/* The ROM's OUT. */
static uint16_t find_call(void)
{
    for (unsigned i = ROM_OFFSET; i < 0xffff; i++)
        if (board_ram[ROM_BASE + i] == 0xe6 && board_ram[ROM_BASE + i + 1] == ROM_SERVICE_PORT)
            return (uint16_t)i;
    ck_abort_msg("the ROM never calls");
    return 0;
}

static void setup(void)
{
    const struct load_request request = { .reserved_base = 48 << 20, .reserved_size = 1 << 20 };
    char option[60], error[300];

    board_setup();
    cpu = &model->cpu[0];
    image = memfd_create("disk", 0);
    for (unsigned i = 0; i < SECTORS; i += 7)
        ck_assert_int_eq(pwrite(image, &i, sizeof i, (off_t)i * DISK_SECTOR), sizeof i);
    ck_assert_int_eq(ftruncate(image, (off_t)SECTORS * DISK_SECTOR), 0);
    snprintf(option, sizeof option, "/proc/self/fd/%d", image);
    disk = disk_open(option, error, sizeof error);
    virtio_plug(board, VIRTIO_block)->host.disk = disk;
    firmware_leave(model, &request);
    call_at = find_call();
    board->uart[0].console = open_memstream(&said, &said_size);
}

static void teardown(void)
{
    fclose(board->uart[0].console);
    free(said);
    disk_close(disk);
    close(image);
    board_teardown();
}

/* Calls the service of a vector; true: CF = 1. Registers are those of `cpu`. */
static bool service(uint8_t vector, uint16_t ax)
{
    const uint16_t frame[] = { vector, 0x100, 0x2000, RFLAGS_CF | RFLAGS_FIXED };

    cpu->gpr[RAX] = ax | 0xabcd0000;
    cpu->gpr[RSP] = STACK;
    cpu->seg[SEG_CS].base = ROM_BASE;
    cpu->rip = call_at;
    memory_write(&model->memory, STACK, frame, sizeof frame);
    out(ROM_SERVICE_PORT, 1, 0);
    return memory_read32(&model->memory, STACK + 6) & RFLAGS_CF;
}

static uint16_t ax(void) { return (uint16_t)cpu->gpr[RAX]; }
static void set(unsigned gpr, uint64_t value) { cpu->gpr[gpr] = value; }

START_TEST(left_behind)
{
    ck_assert_uint_eq(board_ram[BDA_DISKS], 1);
    ck_assert_uint_eq(in(0x4d1, 1), 0x0e);
    out(0xcf8, 4, 0x80000000 | 31 << 11 | 0x60);
    ck_assert_uint_eq(in(0xcfc, 4), 0x0b0a0b0a);
    out(0xcf8, 4, 0x80000000 | 1 << 11 | 0x3c);
    ck_assert_uint_eq(in(0xcfc, 4) & 0xffff, 0x010b);           /* INTA of device 1: PIRQ B, IRQ 11 */
    for (unsigned vector = 0; vector < 256; vector++)
        ck_assert_uint_eq(memory_read32(&model->memory, 4 * vector) >> 16, ROM_SEGMENT);
    for (unsigned vector = 0x10; vector <= 0x1a; vector++) {    /* PUSH of the vector, JMP to the call */
        const uint16_t handler = (uint16_t)memory_read32(&model->memory, 4 * vector);
        const uint8_t *code = board_ram + ROM_BASE + handler;
        ck_assert_uint_eq(code[0], 0x6a);
        ck_assert_uint_eq(code[1], vector);
        ck_assert_uint_eq(code[2], 0xe9);
        ck_assert_uint_eq((uint16_t)(handler + 5 + (code[3] | code[4] << 8)), call_at);
    }
    ck_assert_uint_lt(memory_read32(&model->memory, 4 * 0xff) & 0xffff, 0xfff0 - 5);    /* the reset vector stays free */
}
END_TEST

/* Only the ROM may call. */
START_TEST(from_elsewhere)
{
    ck_assert(!service(0x12, 0));
    ck_assert_uint_eq(ax(), 639);
    cpu->gpr[RAX] = 0;
    cpu->seg[SEG_CS].base = 0x10000;
    out(ROM_SERVICE_PORT, 1, 0);
    ck_assert_uint_eq(ax(), 0);
    cpu->seg[SEG_CS].base = ROM_BASE;
    cpu->rip++;
    out(ROM_SERVICE_PORT, 1, 0);
    ck_assert_uint_eq(ax(), 0);
}
END_TEST

START_TEST(not_there)
{
    static const struct { uint8_t vector; uint16_t ax; } call[] = {
        { 0x10, 0x4f00 }, { 0x14, 0 }, { 0x15, 0x5300 }, { 0x15, 0xe881 }, { 0x15, 0x2404 }, { 0x16, 0x0900 }, { 0x17, 0 }, { 0x1a, 0xb101 },
    };
    for (unsigned i = 0; i < sizeof call / sizeof call[0]; i++) {
        ck_assert(service(call[i].vector, call[i].ax));
        ck_assert_uint_eq(ax() >> 8, 0x86);
    }
}
END_TEST

static char warned[300];
static unsigned warnings;

static void keep_warning(void *context, const char *text)
{
    (void)context;
    snprintf(warned, sizeof warned, "%s", text);
    warnings++;
}

/* service() calls from 2000:0100; this is what is before it. */
static void put_int(uint8_t vector)
{
    board_ram[0x200fe] = 0xcd;
    board_ram[0x200ff] = vector;
}

START_TEST(boot_again)
{
    static const char *const words[] = { "calls INT 18H at 2000:0100", "calls INT 19H at 2000:0100" };

    service((uint8_t)(0x18 + _i), 0x1234);
    ck_assert_int_eq(board->end, BOARD_FIRMWARE);
    ck_assert_ptr_nonnull(strstr(board->last_words, words[_i]));
}
END_TEST

/* A return would bring a fault again, but not an interrupt or a call. */
START_TEST(vectors_that_nobody_has_set)
{
    board->warn = keep_warning;
    for (warnings = 0; warnings < 2; ) {
        put_int(warnings ? 0x06 : 0xfe);
        ck_assert(service(warnings ? 0x06 : 0xfe, 0x1234));     /* CF as it was */
        ck_assert_uint_eq(ax(), 0x1234);
        ck_assert_int_eq(board->end, BOARD_RUNNING);
    }
    ck_assert_ptr_nonnull(strstr(warned, "INT 06H at 2000:0100"));
    ck_assert(service(0xfe, 0));
    ck_assert_uint_eq(warnings, 2);
    ck_assert(service(0x40, 0));
    ck_assert_ptr_nonnull(strstr(warned, "interrupt with vector 40H"));
    out(0x21, 1, 0);
    board_irq(board, 5, true);
    ck_assert_uint_eq(model->bus.interrupt_acknowledge(model->bus.context, cpu), ROM_PROTECTION);
    service(ROM_PROTECTION, 0);                                 /* IRQ 5 */
    ck_assert_uint_eq(board->pic.chip[0].in_service, 0);
    ck_assert_uint_eq(warnings, 3);
    ck_assert_int_eq(board->end, BOARD_RUNNING);
    service(ROM_PROTECTION, 0);
    ck_assert_int_eq(board->end, BOARD_FIRMWARE);
    ck_assert_ptr_nonnull(strstr(board->last_words, "#GP in real-address mode at 2000:0100"));
}
END_TEST

START_TEST(faults_that_nobody_handles)
{
    static const uint8_t vector[] = { 0x00, 0x05, 0x06, 0x07, 0x0c, 0x0d };

    service(vector[_i], 0);
    ck_assert_int_eq(board->end, BOARD_FIRMWARE);
    ck_assert_ptr_nonnull(strstr(board->last_words, "the guest has set no handler"));
}
END_TEST

START_TEST(teletype)
{
    for (const char *c = "ab"; *c; c++)
        ck_assert(!service(0x10, (uint16_t)(0x0e00 | *c)));
    memcpy(board_ram + BUFFER, "c\7d\7", 4);
    cpu->seg[SEG_ES].base = BUFFER;
    set(RBP, 0);
    set(RCX, 2);
    ck_assert(!service(0x10, 0x1302));
    ck_assert(!service(0x10, 0x0f00));
    ck_assert_uint_eq(ax(), 0x5003);
    fflush(board->uart[0].console);
    ck_assert_str_eq(said, "abcd");
}
END_TEST

START_TEST(memory_sizes)
{
    uint64_t end = 0;
    unsigned entries = 0;

    ck_assert(!service(0x11, 0));
    ck_assert_uint_eq(ax(), 0x0402);
    ck_assert(!service(0x15, 0x8800));
    ck_assert_uint_eq(ax(), 47 << 10);                          /* up to what is reserved */
    ck_assert(!service(0x15, 0xe801));
    ck_assert_uint_eq(ax(), 15 << 10);
    ck_assert_uint_eq((uint16_t)cpu->gpr[RDX], 32 << 4);
    ck_assert_uint_eq((uint16_t)cpu->gpr[RBX], 32 << 4);
    set(RBX, 0);
    cpu->seg[SEG_ES].base = BUFFER;
    do {
        set(RDX, 0x534d4150);
        set(RCX, 24);
        set(RDI, 0);
        ck_assert(!service(0x15, 0xe820));
        ck_assert_uint_eq((uint32_t)cpu->gpr[RAX], 0x534d4150);
        ck_assert_uint_eq(cpu->gpr[RCX], 20);
        ck_assert_uint_eq(memory_read64(&model->memory, BUFFER), end);
        if (memory_read32(&model->memory, BUFFER + 16) == 2 && end >= 1 << 20)
            ck_assert_uint_eq(end, 48 << 20);
        end = memory_read64(&model->memory, BUFFER) + memory_read64(&model->memory, BUFFER + 8);
        if (end == 0xa0000 || end == 0x9fc00)
            end = memory_read64(&model->memory, ROM_BASE + ROM_MAP_ENTRIES + 20);
        entries++;
    } while (cpu->gpr[RBX] && entries < 20);
    ck_assert_uint_eq(end, BOARD_RAM);
    ck_assert_uint_eq(entries, 5);
    set(RBX, 5);
    set(RDX, 0x534d4150);
    set(RCX, 20);
    ck_assert(service(0x15, 0xe820));                           /* past the end */
    set(RBX, 0);
    set(RCX, 19);
    ck_assert(service(0x15, 0xe820));
    set(RCX, 20);
    set(RDX, 0);
    ck_assert(service(0x15, 0xe820));
}
END_TEST

START_TEST(a20_and_configuration)
{
    ck_assert(!service(0x15, 0x2401));
    ck_assert(!service(0x15, 0x2402));
    ck_assert_uint_eq(ax(), 1);
    ck_assert(!service(0x15, 0x2403));
    ck_assert_uint_eq((uint16_t)cpu->gpr[RBX], 3);
    ck_assert(!service(0x15, 0xc000));
    ck_assert_uint_eq(cpu->seg[SEG_ES].base, ROM_BASE);
    ck_assert_uint_eq(board_ram[ROM_BASE + (uint16_t)cpu->gpr[RBX] + 2], 0xfc);
}
END_TEST

/* 20,000 sectors: 19 cylinders of 16 heads of 63. */
START_TEST(disk_by_cylinder)
{
    set(RDX, 0x80);
    ck_assert(!service(0x13, 0x0800));
    ck_assert_uint_eq((uint16_t)cpu->gpr[RCX], 18 << 8 | 63);
    ck_assert_uint_eq((uint16_t)cpu->gpr[RDX], 15 << 8 | 1);
    cpu->seg[SEG_ES].base = BUFFER;
    set(RBX, 0x10);
    set(RCX, 3 << 8 | 2);                                       /* cylinder 3, sector 2 */
    set(RDX, 4 << 8 | 0x80);
    unsigned sector = (3 * 16 + 4) * 63 + 1;
    ck_assert(!service(0x13, 0x0208));
    ck_assert_uint_eq(ax() >> 8, 0);
    for (unsigned i = sector; i < sector + 8; i++)
        ck_assert_uint_eq(memory_read32(&model->memory, BUFFER + 0x10 + (i - sector) * 512), i % 7 ? 0 : i);
    memory_write32(&model->memory, BUFFER + 0x10, 0x12345678);
    ck_assert(!service(0x13, 0x0301));
    memory_write32(&model->memory, BUFFER + 0x10, 0);
    ck_assert(!service(0x13, 0x0201));
    ck_assert_uint_eq(memory_read32(&model->memory, BUFFER + 0x10), 0x12345678);
    ck_assert(!service(0x13, 0x0401));
    set(RCX, 0);                                                /* there is no sector 0 */
    ck_assert(service(0x13, 0x0201));
    ck_assert_uint_eq(ax() >> 8, 4);
    ck_assert(service(0x13, 0x0100));
    ck_assert_uint_eq(ax() >> 8, 4);
    set(RCX, 19 << 8 | 0xc0 | 63);                              /* beyond the end */
    ck_assert(service(0x13, 0x0201));
    set(RCX, 1);
    set(RDX, 16 << 8 | 0x80);
    ck_assert(service(0x13, 0x0201));
    set(RDX, 0x80);
    ck_assert(service(0x13, 0x0200));                           /* none */
    cpu->seg[SEG_ES].base = BOARD_RAM;
    ck_assert(service(0x13, 0x0201));
    ck_assert_uint_eq(ax() >> 8, 9);
    ck_assert(service(0x13, 0x0500));
    ck_assert_uint_eq(ax() >> 8, 1);
    set(RDX, 0x81);
    ck_assert(service(0x13, 0x0201));
    ck_assert(service(0x13, 0x0800));
    set(RDX, 0);
    ck_assert(service(0x13, 0x0000));
}
END_TEST

static void packet(uint8_t size, uint16_t blocks, uint16_t segment, uint16_t offset, uint64_t sector, uint64_t flat)
{
    uint8_t bytes[24] = { size };

    memcpy(bytes + 2, &blocks, 2);
    memcpy(bytes + 4, &offset, 2);
    memcpy(bytes + 6, &segment, 2);
    memcpy(bytes + 8, &sector, 8);
    memcpy(bytes + 16, &flat, 8);
    memory_write(&model->memory, PACKET, bytes, sizeof bytes);
    cpu->seg[SEG_DS].base = PACKET;
    set(RSI, 0);
    set(RDX, 0x80);
}

START_TEST(disk_by_block)
{
    set(RDX, 0x80);
    set(RBX, 0x55aa);
    ck_assert(!service(0x13, 0x4100));
    ck_assert_uint_eq((uint16_t)cpu->gpr[RBX], 0xaa55);
    ck_assert_uint_eq(cpu->gpr[RCX] & 1, 1);
    packet(16, 2, BUFFER >> 4, 8, 7000, 0);
    ck_assert(!service(0x13, 0x4200));
    ck_assert_uint_eq(memory_read32(&model->memory, BUFFER + 8), 7000);
    packet(24, 1, 0xffff, 0xffff, 14000, 0x200000);
    ck_assert(!service(0x13, 0x4200));
    ck_assert_uint_eq(memory_read32(&model->memory, 0x200000), 14000);
    packet(16, 1, BUFFER >> 4, 8, 1, 0);
    ck_assert(!service(0x13, 0x4300));
    packet(15, 1, BUFFER >> 4, 8, 1, 0);
    ck_assert(service(0x13, 0x4200));
    packet(16, 1, BUFFER >> 4, 8, SECTORS, 0);
    ck_assert(service(0x13, 0x4200));
    packet(16, 2, BUFFER >> 4, 8, ~0ull, 0);
    ck_assert(service(0x13, 0x4200));
    packet(24, 0xffff, 0xffff, 0xffff, 0, ~0ull);
    ck_assert(service(0x13, 0x4200));
    memory_write(&model->memory, PACKET, &(uint16_t){ 26 }, 2);
    ck_assert(!service(0x13, 0x4800));
    ck_assert_uint_eq(memory_read64(&model->memory, PACKET + 16), SECTORS);
    ck_assert_uint_eq(memory_read32(&model->memory, PACKET + 4), 19);
    memory_write(&model->memory, PACKET, &(uint16_t){ 25 }, 2);
    ck_assert(service(0x13, 0x4800));
    ck_assert(!service(0x13, 0x1500));
    ck_assert_uint_eq((uint16_t)cpu->gpr[RDX], SECTORS);
}
END_TEST

/* The UART's input: looked at, waited for, taken. */
START_TEST(keys)
{
    service(0x16, 0x0100);
    ck_assert(memory_read32(&model->memory, STACK + 6) & RFLAGS_ZF);
    cpu->rflags = RFLAGS_FIXED;
    service(0x16, 0x0000);
    ck_assert(cpu->rflags & RFLAGS_CF);                         /* the ROM waits */
    memcpy(board->uart[0].received, "q\n", 2);
    board->uart[0].count = 2;
    service(0x16, 0x1100);
    ck_assert(!(memory_read32(&model->memory, STACK + 6) & RFLAGS_ZF));
    ck_assert_uint_eq(ax(), 0x1071);
    service(0x16, 0x0000);
    ck_assert(!(cpu->rflags & RFLAGS_CF));
    ck_assert_uint_eq(ax(), 0x1071);
    service(0x16, 0x1000);
    ck_assert_uint_eq(ax(), 0x1c0d);
    ck_assert(!service(0x16, 0x0200));
    ck_assert_uint_eq(ax() & 0xff, 0);
}
END_TEST

START_TEST(time_of_day)
{
    memory_write32(&model->memory, BDA_TICKS, 0x123456);
    ck_assert(!service(0x1a, 0x0000));
    ck_assert_uint_eq(cpu->gpr[RCX], 0x12);
    ck_assert_uint_eq(cpu->gpr[RDX], 0x3456);
    set(RCX, 1);
    set(RDX, 2);
    ck_assert(!service(0x1a, 0x0100));
    ck_assert_uint_eq(memory_read32(&model->memory, BDA_TICKS), 0x10002);
    pass(3723ull * 1000000000);
    out(0x70, 1, 0x0f);
    ck_assert(!service(0x1a, 0x0200));
    ck_assert_uint_eq(cpu->gpr[RCX], 0x0102);
    ck_assert_uint_eq(cpu->gpr[RDX] >> 8, 0x03);
    ck_assert(!service(0x1a, 0x0400));
    ck_assert_uint_eq(cpu->gpr[RCX], 0x2024);
    ck_assert_uint_eq(cpu->gpr[RDX], 0x0101);
    ck_assert_uint_eq(board->cmos.index, 0x0f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("firmware_service");
    TCase *tcase = tcase_create("services");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, left_behind);
    tcase_add_test(tcase, from_elsewhere);
    tcase_add_test(tcase, not_there);
    tcase_add_loop_test(tcase, boot_again, 0, 2);
    tcase_add_test(tcase, vectors_that_nobody_has_set);
    tcase_add_loop_test(tcase, faults_that_nobody_handles, 0, 6);
    tcase_add_test(tcase, teletype);
    tcase_add_test(tcase, memory_sizes);
    tcase_add_test(tcase, a20_and_configuration);
    tcase_add_test(tcase, disk_by_cylinder);
    tcase_add_test(tcase, disk_by_block);
    tcase_add_test(tcase, keys);
    tcase_add_test(tcase, time_of_day);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
