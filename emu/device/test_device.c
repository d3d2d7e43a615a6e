/* SPDX-License-Identifier: MIT */
/* What test images ask for: memory and ports that keep their values, interrupt lines, and ways to end the run (docs/exit-status.md). */
#include <string.h>

#include "emu/device/ports.h"

enum { DEBUG_EXISTS = 0xe9, TEST_DATA = 0xe0, TEST_IRQ = 0x2000 };
#define TEST_MEMORY 0xff000000ull

uint32_t test_data_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)cpu, (void)size;
    return board->test_data[port - TEST_DATA];
}

void test_data_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)size;
    board->test_data[port - TEST_DATA] = (uint8_t)value;
}

/* 24 ports: a write sets the level of that IOAPIC pin and PIC line. */
uint32_t test_irq_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)board, (void)cpu, (void)port, (void)size;
    return ~0u;
}

void test_irq_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)size;
    board_hold(board, LINE_TEST, port - TEST_IRQ, value);
}

uint64_t test_memory_load(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size)
{
    uint64_t value = ~0ull;

    (void)cpu;
    if (pa - TEST_MEMORY <= BOARD_TEST_MEMORY_SIZE - size)
        memcpy(&value, board->test_memory + (pa - TEST_MEMORY), size);
    return value;
}

void test_memory_store(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    (void)cpu;
    if (pa - TEST_MEMORY <= BOARD_TEST_MEMORY_SIZE - size)
        memcpy(board->test_memory + (pa - TEST_MEMORY), &value, size);
}

/* A byte for the console; the port reads as its number where it exists. */
uint32_t debug_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)board, (void)cpu, (void)port, (void)size;
    return DEBUG_EXISTS;
}

void debug_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)port, (void)size;
    if (board->uart[0].console)
        putc((int)value, board->uart[0].console);
}

uint32_t test_exit_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)board, (void)cpu, (void)port, (void)size;
    return ~0u;
}

void test_exit_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)size;
    if (port == 0xf4)
        board_end(board, BOARD_EXIT, value);
}

uint32_t shutdown_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)board, (void)cpu, (void)port, (void)size;
    return ~0u;
}

/* "Shutdown", character by character. */
void shutdown_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    static const char word[] = "Shutdown";

    (void)cpu, (void)port, (void)size;
    if (value == (uint8_t)word[board->shutdown_progress])
        board->shutdown_progress++;
    else
        board->shutdown_progress = value == (uint8_t)word[0];
    if (board->shutdown_progress == sizeof(word) - 1)
        board_end(board, BOARD_SHUTDOWN, 0);
    board->shutdown_progress %= sizeof(word) - 1;
}

uint32_t late_load_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)board, (void)cpu, (void)port, (void)size;
    return ~0u;
}

void late_load_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)port, (void)size, (void)value;
    board->load_requested = true;
}
