/* SPDX-License-Identifier: MIT */
/* The 16550 UARTs at 0x3f8 and 0x2f8: output only, every byte is sent at once. TI TL16C550, "Register descriptions". */
#ifndef SESQUI_EMU_DEVICE_UART_H
#define SESQUI_EMU_DEVICE_UART_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { UARTS = 2, UART_PORTS = 8 };

struct uart {
    FILE *console;              /* NULL: bytes vanish */
    uint8_t interrupt_enable, line_control, modem_control, scratch, divisor[2];
    bool fifo;
    bool transmitter_empty_pending;     /* the THRE interrupt has come up and was not yet read from IIR */
};

uint8_t uart_read(struct uart *uart, unsigned offset);
void uart_write(struct uart *uart, unsigned offset, uint8_t value);
/* The level of its interrupt line. */
bool uart_interrupt(const struct uart *uart);

#endif
