/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices under hostile drivers, and PCI configuration space: writes to configuration space, BARs and guest memory, as operations of 16
 * bytes. Each device is there; the queues lie where an input can write. What must hold: no crash; a run of operations ends, memory that is not
 * RAM is never reached, and the disk's file stays as it is.
 */
#define _GNU_SOURCE                     /* memfd_create() */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/device/board.h"
#include "emu/device/bus.h"
#include "emu/disk/disk.h"
#include "tests/fuzz/fuzz.h"

enum { RAM_SIZE = 1 << 20, SECTORS = 512, DEVICES = 4, OPERATION = 16, QUEUE = 0x1000, QUEUE_SIZE = 16 };
#define DEVICE_AT 0xf0000000ull
enum { STEP = 0x10000, COMMON = 0x4000, NOTIFY = 0x5000 };

static struct model *model;
static struct board *board;
static uint8_t *ram, *watch;
static struct disk *disk;
static int image;
static FILE *nowhere;

static void open_once(void)
{
    char option[60], error[200];

    if (model)
        return;
    model = calloc(1, sizeof *model);
    board = calloc(1, sizeof *board);
    ram = calloc(1, RAM_SIZE);
    watch = calloc(1, RAM_SIZE / PAGE_SIZE);
    image = memfd_create("disk", 0);
    nowhere = fopen("/dev/null", "wb");
    FUZZ_ASSERT(model && board && ram && watch && image >= 0 && nowhere && ftruncate(image, SECTORS * DISK_SECTOR) == 0);
    snprintf(option, sizeof option, "/proc/self/fd/%d", image);
    FUZZ_ASSERT((disk = disk_open(option, error, sizeof error)));
    memory_init(&model->memory, ram, RAM_SIZE, watch);
    model->cpu_count = 1;
    model->physical_address_width = 40;
    model->cpu[0].model = model;
}

static void plug(void)
{
    board_init(board, model, NULL);
    virtio_plug(board, VIRTIO_block)->host.disk = disk;
    virtio_plug(board, VIRTIO_net)->host = (struct virtio_host){ .out = nowhere, .loopback = true };
    virtio_plug(board, VIRTIO_console)->host.out = nowhere;
    virtio_plug(board, VIRTIO_rng);
}

/* As a driver of version 1 begins; queue q of a device at QUEUE * (1 + 4 * device + 2 * q). */
static void begin(unsigned device)
{
    uint64_t at = DEVICE_AT + device * STEP + COMMON;

    virtio_bar_write(board, false, at + 20, 1, 3);
    virtio_bar_write(board, false, at + 8, 4, 0);
    virtio_bar_write(board, false, at + 12, 4, FEATURE_INDIRECT | (device & 1 ? FEATURE_EVENT_INDEX : 0));
    virtio_bar_write(board, false, at + 8, 4, 1);
    virtio_bar_write(board, false, at + 12, 4, 1);
    virtio_bar_write(board, false, at + 20, 1, 11);
    for (unsigned q = 0; q < VIRTIO_QUEUES; q++) {
        uint64_t queue = QUEUE * (1ull + 4 * device + 2 * q);

        virtio_bar_write(board, false, at + 22, 2, q);
        virtio_bar_write(board, false, at + 24, 2, QUEUE_SIZE);
        virtio_bar_write(board, false, at + 32, 8, queue);
        virtio_bar_write(board, false, at + 40, 8, queue + 16 * QUEUE_SIZE);
        virtio_bar_write(board, false, at + 48, 8, queue + 0x800);
        virtio_bar_write(board, false, at + 28, 2, 1);
    }
    virtio_bar_write(board, false, at + 20, 1, 15);
}

/* Bytes: what, device, size, -, an offset of 4, a value of 8. */
static void operate(const uint8_t *data)
{
    unsigned what = data[0] % 8, device = data[1] % DEVICES, size = 1u << data[2] % 4;
    uint32_t offset;
    uint64_t value, read;

    memcpy(&offset, data + 4, 4);
    memcpy(&value, data + 8, 8);
    switch (what) {
    case 0:
    case 1:                             /* memory: queues lie in its first 64 KB */
        memory_write(&model->memory, offset % (RAM_SIZE - 8), &value, 8);
        break;
    case 2:
        virtio_bar_write(board, false, DEVICE_AT + device * STEP + NOTIFY + 4 * (value & 1), 2, value & 1);
        break;
    case 3:
        virtio_bar_write(board, false, DEVICE_AT + device * STEP + offset % 0x8000, size, value);
        break;
    case 4:
        virtio_bar_read(board, false, DEVICE_AT + device * STEP + offset % 0x8000, size, &read);
        break;
    case 5:
        bus_port_out(board, &model->cpu[0], (uint16_t)(0xc000 + device * 0x80 + offset % 0x80), size & 7 ? size : 4, (uint32_t)value);
        break;
    case 6:
        bus_memory_write(board, &model->cpu[0], ECAM_BASE + ((device + 1) << 15) + offset % 256 / 4 * 4, 4, value);
        break;
    case 7:
        bus_memory_read(board, &model->cpu[0], ECAM_BASE + ((device + 1) << 15) + offset % 256 / 4 * 4, 4);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t sector[DISK_SECTOR], byte = 0;

    open_once();
    memset(ram, 0, RAM_SIZE);
    plug();
    for (unsigned device = 0; device < DEVICES; device++)
        begin(device);
    for (size_t at = 0; at + OPERATION <= size; at += OPERATION)
        operate(data + at);
    FUZZ_ASSERT(disk_read(disk, 0, sector, sizeof sector));
    FUZZ_ASSERT(pread(image, &byte, 1, (off_t)(size * 131 % (SECTORS * DISK_SECTOR))) == 1 && byte == 0);
    for (unsigned i = 0; i < DEVICES; i++)
        FUZZ_ASSERT(board->virtio[i].queue[0].size <= VIRTQUEUE_SIZE && board->virtio[i].queue[0].size);
    return 0;
}

/* ---- inputs ---- */

static void put(uint8_t *to, unsigned what, unsigned device, unsigned size, uint32_t offset, uint64_t value)
{
    const uint8_t head[4] = { (uint8_t)what, (uint8_t)device, (uint8_t)size, 0 };

    memcpy(to, head, 4);
    memcpy(to + 4, &offset, 4);
    memcpy(to + 8, &value, 8);
}

static uint64_t address(struct fuzz_random *random)
{
    static const uint64_t edge[] = { 0, RAM_SIZE - 1, RAM_SIZE - 16, RAM_SIZE, 0xf0004000, ~0ull, ~0ull - 15, 1ull << 40 };

    return fuzz_below(random, 6) ? fuzz_below(random, RAM_SIZE) & ~15u : edge[fuzz_below(random, 8)];
}

/* A chain in queue q of a device, made available and notified; some of its words are wrong. */
static size_t make_chain(struct fuzz_random *random, uint8_t *to)
{
    static const uint32_t lengths[] = { 0, 1, 12, 16, 512, 513, 1526, 4096, 65536, RAM_SIZE, 0x80000000, 0xffffffff };
    unsigned device = fuzz_below(random, DEVICES), q = fuzz_below(random, 2), count = 1 + fuzz_below(random, 4);
    uint32_t queue = QUEUE * (1 + 4 * device + 2 * q), header = 0x40000 + fuzz_below(random, 16) * 16;
    size_t size = 0;

    put(to + size, 0, 0, 0, header, fuzz_below(random, 10));
    put(to + (size += OPERATION), 0, 0, 0, header + 8, fuzz_below(random, 4) ? fuzz_below(random, SECTORS) : fuzz_next(random));
    size += OPERATION;
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = i == 0 && fuzz_below(random, 4) ? header : address(random);
        uint32_t length = i == 0 && fuzz_below(random, 4) ? 16 : i + 1 == count && fuzz_below(random, 2) ? 1 : lengths[fuzz_below(random, 12)];
        uint64_t flags = (i + 1 < count) | (i && device == 0 ? 2 : fuzz_below(random, 2) * 2) | (fuzz_below(random, 12) ? 0 : 4);
        uint64_t next = fuzz_below(random, 10) ? i + 1 : fuzz_below(random, 4) ? fuzz_below(random, count) : fuzz_next(random);

        put(to + size, 0, 0, 0, queue + 16 * i, at);
        put(to + (size += OPERATION), 0, 0, 0, queue + 16 * i + 8, length | flags << 32 | next << 48);
        size += OPERATION;
    }
    put(to + size, 0, 0, 0, queue + 16 * QUEUE_SIZE, (fuzz_below(random, 20) ? 1 + fuzz_below(random, 3) : fuzz_next(random)) << 16);
    put(to + (size += OPERATION), 2, device, 0, 0, q);
    return size + OPERATION;
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    unsigned steps = 1 + fuzz_below(random, 12);
    size_t size = 0;

    while (steps--) {
        if (fuzz_below(random, 3)) {
            size += make_chain(random, to + size);
            continue;
        }
        put(to + size, 3 + fuzz_below(random, 5), fuzz_below(random, DEVICES), fuzz_below(random, 4),
            fuzz_below(random, 2) ? fuzz_below(random, 256) : fuzz_below(random, 2) ? COMMON + fuzz_below(random, 64) : (uint32_t)fuzz_next(random),
            fuzz_below(random, 2) ? fuzz_below(random, 16) : fuzz_next(random));
        size += OPERATION;
    }
    return size;
}
