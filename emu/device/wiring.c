/* SPDX-License-Identifier: MIT */
/* Chips that know nothing of the board, wired to its ports, interrupt lines and clock. */
#include <string.h>

#include "emu/device/dialogue.h"
#include "emu/device/ports.h"

/* ---- interrupt controllers ---- */

uint32_t pic_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)cpu, (void)size;
    board_catch_up(board);
    return pic_read(&board->pic, port);
}

void pic_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)size;
    board_catch_up(board);
    pic_write(&board->pic, port, (uint8_t)value);
}

uint32_t elcr_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)cpu, (void)size;
    return board->pic.chip[port & 1].level;
}

void elcr_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)size;
    pic_set_level(&board->pic, port & 1, (uint8_t)value);
}

/* The index register is a byte, whatever the width of the access (ICH9, 13.5.2); the others are 4 bytes wide, and what else is done to them
 * undefined (82093AA, 3.0), here nothing. */
uint64_t ioapic_load(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size)
{
    (void)cpu, (void)size;
    return (uint64_t)ioapic_read(&board->ioapic, (unsigned)(pa - IOAPIC_BASE) & ~3u) >> 8 * (pa & 3);
}

void ioapic_store(struct board *board, const struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value)
{
    (void)cpu;
    if ((size < 4 && pa != IOAPIC_BASE) || (pa & 3))
        return;
    board_catch_up(board);
    ioapic_write(&board->ioapic, (unsigned)(pa - IOAPIC_BASE), (uint32_t)value);
    board_kick(board);
}

/* ---- timers ---- */

uint32_t pit_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)cpu, (void)size;
    return pit_read(&board->pit, port, board_time(board));
}

void pit_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)size;
    pit_write(&board->pit, port, (uint8_t)value, board_time(board));
}

uint32_t gate_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)cpu, (void)port, (void)size;
    return pit_gate_read(&board->pit, board_time(board));
}

void gate_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)port, (void)size;
    pit_gate_write(&board->pit, (uint8_t)value, board_time(board));
}

uint32_t cmos_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)cpu, (void)size;
    uint8_t value = cmos_read(&board->cmos, port, board_time(board));
    board_irq(board, IRQ_RTC, cmos_interrupt(&board->cmos));
    return value;
}

void cmos_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)size;
    cmos_write(&board->cmos, port, (uint8_t)value, board_time(board));
    board_irq(board, IRQ_RTC, cmos_interrupt(&board->cmos));
    board_kick(board);
}

/* ---- serial lines and keyboard ---- */

static const struct { uint16_t base; unsigned irq; } uarts[UARTS] = { { 0x3f8, 4 }, { 0x2f8, 3 } };

static unsigned uart_of(uint16_t port)
{
    return port >= uarts[0].base ? 0 : 1;
}

uint32_t uart_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    unsigned i = uart_of(port);

    (void)cpu, (void)size;
    uart_advance(&board->uart[i], board_time(board));
    uint8_t value = uart_read(&board->uart[i], port - uarts[i].base);
    board_irq(board, uarts[i].irq, uart_interrupt(&board->uart[i]));
    return value;
}

void uart_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    unsigned i = uart_of(port);

    (void)cpu, (void)size;
    uart_write(&board->uart[i], port - uarts[i].base, (uint8_t)value, board_time(board));
    board_irq(board, uarts[i].irq, uart_interrupt(&board->uart[i]));
    if (board->uart[i].dialogue)
        board_kick(board);
}

void uarts_catch_up(struct board *board)
{
    for (unsigned i = 0; i < UARTS; i++) {
        if (!board->uart[i].dialogue && !board->uart[i].typed_count)
            continue;
        uart_advance(&board->uart[i], board_time(board));
        board_irq(board, uarts[i].irq, uart_interrupt(&board->uart[i]));
        if (board->uart[i].dialogue && dialogue_deadline(board->uart[i].dialogue) <= board_time(board))
            board_end(board, BOARD_UNMATCHED, 0);
    }
}

uint32_t keyboard_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)cpu, (void)size;
    uint8_t value = keyboard_read(&board->keyboard, port);
    board_irq(board, IRQ_KEYBOARD, keyboard_interrupt(&board->keyboard));
    return value;
}

void keyboard_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)size;
    if (keyboard_write(&board->keyboard, port, (uint8_t)value))
        board_end(board, BOARD_RESET, 0);
    board_irq(board, IRQ_KEYBOARD, keyboard_interrupt(&board->keyboard));
}

/* ---- firmware's ---- */

uint32_t fw_cfg_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    uint32_t value = 0;

    (void)cpu;
    for (unsigned i = 0; i < size; i++) {
        uint32_t byte = port + i == FW_CFG_DATA ? fw_cfg_next(&board->fw_cfg)
                        : port + i >= FW_CFG_DMA && port + i <= FW_CFG_END ? fw_cfg_dma_read((uint16_t)(port + i)) : 0xff;
        value |= byte << 8 * i;
    }
    return value;
}

/* Requests by DMA are written as two halves of 4 bytes. */
void fw_cfg_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu;
    if (port == FW_CFG_SELECTOR && size == 2)
        fw_cfg_select(&board->fw_cfg, (uint16_t)value);
    if ((port == FW_CFG_DMA || port == FW_CFG_DMA_LOW) && size == 4)
        fw_cfg_dma_write(&board->fw_cfg, port, value, &board->model->memory);
}

/* Bit 0: reset; bit 1: A20, always on. */
uint32_t control_a_in(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size)
{
    (void)board, (void)cpu, (void)port, (void)size;
    return 2;
}

void control_a_out(struct board *board, const struct cpu *cpu, uint16_t port, unsigned size, uint32_t value)
{
    (void)cpu, (void)port, (void)size;
    if (value & 1)
        board_end(board, BOARD_RESET, 0);
}
