/* SPDX-License-Identifier: MIT */
/* A board with one processor and 64 MB of RAM, for tests of devices. */
#ifndef SESQUI_TESTS_BOARD_FIXTURE_H
#define SESQUI_TESTS_BOARD_FIXTURE_H

#include <check.h>
#include <stdlib.h>

#include "emu/device/board.h"

enum { BOARD_RAM = 64 << 20 };
static struct model *model;
static struct board *board;
static uint8_t *board_ram, *board_watch;

static inline void board_setup(void)
{
    model = calloc(1, sizeof *model);
    board = calloc(1, sizeof *board);
    board_ram = calloc(1, BOARD_RAM);
    board_watch = calloc(1, BOARD_RAM / PAGE_SIZE);
    memory_init(&model->memory, board_ram, BOARD_RAM, board_watch);
    model->cpu_count = 1;
    model->physical_address_width = 40;
    model->cpu[0].model = model;
    board_init(board, model, NULL);
}

static inline void board_teardown(void)
{
    free(model);
    free(board);
    free(board_ram);
    free(board_watch);
}

static inline uint32_t in(uint16_t port, unsigned size)
{
    return model->bus.port_in(model->bus.context, &model->cpu[0], port, size);
}

static inline void out(uint16_t port, unsigned size, uint32_t value)
{
    model->bus.port_out(model->bus.context, &model->cpu[0], port, size, value);
}

static inline uint64_t load(uint64_t pa, unsigned size)
{
    return model->bus.mmio_read(model->bus.context, &model->cpu[0], pa, size);
}

static inline void store(uint64_t pa, unsigned size, uint64_t value)
{
    model->bus.mmio_write(model->bus.context, &model->cpu[0], pa, size, value);
}

/* Lets the time go on to `now`, in nanoseconds. */
static inline void pass(uint64_t now)
{
    model->cpu[0].clock = now;
    board_advance(board, &model->cpu[0]);
}

static inline uint64_t next_event(void) { return board_next_event(board, &model->cpu[0]); }
static inline bool line_up(unsigned pin) { return board->ioapic.line[pin]; }

#endif
