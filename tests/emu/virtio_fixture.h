/* SPDX-License-Identifier: MIT */
/* A driver of a virtio device in ten lines: its queue in guest memory, its registers by the addresses where firmware puts them. */
#ifndef SESQUI_TESTS_VIRTIO_FIXTURE_H
#define SESQUI_TESTS_VIRTIO_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "tests/emu/board_fixture.h"

enum { DEVICE = 1, PORTS = 0xc000 };       /* the first device */
#define TABLE_AT 0xf0000000ull
#define COMMON_AT 0xf0004000ull
#define NOTIFY_AT 0xf0005000ull
#define ISR_AT 0xf0006000ull
#define CONFIG_AT 0xf0007000ull
/* In guest memory. */
enum { DESCRIPTORS = 0x10000, AVAILABLE = 0x11000, USED = 0x12000, HEADER = 0x13000, STATUS = 0x13100, DATA = 0x14000, INDIRECT = 0x18000, SIZE = 16 };
enum { NEXT = 1, WRITE = 2, IN_TABLE = 4 };

static char warned[300];
static unsigned warnings;

static inline void warn(void *context, const char *text)
{
    (void)context;
    snprintf(warned, sizeof warned, "%s", text);
    warnings++;
}

static inline uint32_t config(unsigned offset, unsigned size)
{
    return (uint32_t)load(ECAM_BASE + (DEVICE << 15) + offset, size);
}

static inline void set_config(unsigned offset, unsigned size, uint32_t value)
{
    store(ECAM_BASE + (DEVICE << 15) + offset, size, value);
}

static inline uint16_t half(uint64_t at) { return (uint16_t)memory_read32(&model->memory, at); }
static inline void set_half(uint64_t at, uint16_t value) { memory_write(&model->memory, at, &value, 2); }

static inline void describe_at(uint64_t table, unsigned i, uint64_t at, uint32_t length, uint16_t flags, uint16_t next)
{
    memory_write64(&model->memory, table + 16 * i, at);
    memory_write32(&model->memory, table + 16 * i + 8, length);
    memory_write32(&model->memory, table + 16 * i + 12, flags | (uint32_t)next << 16);
}

static inline void describe(unsigned i, uint64_t at, uint32_t length, uint16_t flags, uint16_t next)
{
    describe_at(DESCRIPTORS, i, at, length, flags, next);
}

static inline void offer(uint16_t head)
{
    uint16_t index = half(AVAILABLE + 2);

    set_half(AVAILABLE + 4 + 2 * (index % SIZE), head);
    set_half(AVAILABLE + 2, (uint16_t)(index + 1));
}

static inline void notify(void) { store(NOTIFY_AT, 2, 0); }

/* Queue number `queue`, whose parts the device sees `beyond` where the first one's are here. */
static inline void enable_queue(unsigned queue, uint64_t beyond)
{
    store(COMMON_AT + 22, 2, queue);
    store(COMMON_AT + 24, 2, SIZE);
    store(COMMON_AT + 32, 4, DESCRIPTORS + beyond);
    store(COMMON_AT + 40, 8, AVAILABLE + beyond);
    store(COMMON_AT + 48, 4, USED + beyond);
    store(COMMON_AT + 28, 2, 1);
}

/* As a driver of version 1 begins (VirtIO 3.1.1), with queue 0 `beyond` where it is here. */
static inline void begin_beyond(uint64_t features, uint64_t beyond)
{
    store(COMMON_AT + 20, 1, 0);
    store(COMMON_AT + 20, 1, 3);
    for (unsigned i = 0; i < 2; i++) {
        store(COMMON_AT + 8, 4, i);
        store(COMMON_AT + 12, 4, (uint32_t)((features | FEATURE_VERSION_1) >> 32 * i));
    }
    store(COMMON_AT + 20, 1, 11);
    ck_assert_uint_eq(load(COMMON_AT + 20, 1), 11);
    enable_queue(0, beyond);
    store(COMMON_AT + 20, 1, 15);
}

static inline void begin(uint64_t features) { begin_beyond(features, 0); }

#endif
