/* SPDX-License-Identifier: MIT */
/* The 16550 UART. */
#include "emu/device/uart.h"

enum { THR = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
enum { IER_THRE = 2, IIR_NONE = 1, IIR_THRE = 2, IIR_FIFO = 0xc0, LCR_DLAB = 0x80, MCR_OUT2 = 8, MCR_LOOP = 16,
       LSR_THRE = 0x20, LSR_TEMT = 0x40, MSR_CONNECTED = 0xb0 /* CTS, DSR, DCD */ };

bool uart_interrupt(const struct uart *uart)
{
    /* On a PC, OUT2 gates the line. */
    return uart->transmitter_empty_pending && (uart->interrupt_enable & IER_THRE) && (uart->modem_control & MCR_OUT2);
}

static uint8_t identify(struct uart *uart)
{
    uint8_t fifo = uart->fifo ? IIR_FIFO : 0;

    if (!uart->transmitter_empty_pending || !(uart->interrupt_enable & IER_THRE))
        return fifo | IIR_NONE;
    uart->transmitter_empty_pending = false;
    return fifo | IIR_THRE;
}

uint8_t uart_read(struct uart *uart, unsigned offset)
{
    bool divisor = uart->line_control & LCR_DLAB;

    switch (offset) {
    case THR:
        return divisor ? uart->divisor[0] : 0;
    case IER:
        return divisor ? uart->divisor[1] : uart->interrupt_enable;
    case IIR_FCR:
        return identify(uart);
    case LCR:
        return uart->line_control;
    case MCR:
        return uart->modem_control;
    case LSR:
        return LSR_THRE | LSR_TEMT;
    case MSR:
        /* Looped back, the outputs DTR, RTS, OUT1, OUT2 appear as DSR, CTS, RI, DCD. */
        if (uart->modem_control & MCR_LOOP)
            return (uart->modem_control & 1) << 5 | (uart->modem_control & 2) << 3 | (uart->modem_control & 0xc) << 4;
        return MSR_CONNECTED;
    case SCR:
        return uart->scratch;
    }
    return 0xff;
}

void uart_write(struct uart *uart, unsigned offset, uint8_t value)
{
    bool divisor = uart->line_control & LCR_DLAB;

    switch (offset) {
    case THR:
        if (divisor) {
            uart->divisor[0] = value;
            break;
        }
        if (uart->console && !(uart->modem_control & MCR_LOOP))
            putc(value, uart->console);
        uart->transmitter_empty_pending = true;
        break;
    case IER:
        if (divisor) {
            uart->divisor[1] = value;
            break;
        }
        /* Enabling it while the register is empty raises the interrupt at once. */
        if ((value & IER_THRE) && !(uart->interrupt_enable & IER_THRE))
            uart->transmitter_empty_pending = true;
        uart->interrupt_enable = value & 0xf;
        break;
    case IIR_FCR:
        uart->fifo = value & 1;
        break;
    case LCR:
        uart->line_control = value;
        break;
    case MCR:
        uart->modem_control = value & 0x1f;
        break;
    case SCR:
        uart->scratch = value;
        break;
    }
}
