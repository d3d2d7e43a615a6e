/* SPDX-License-Identifier: MIT */
/* The 16550 UART. */
#include "emu/device/uart.h"

#include <string.h>

#include "emu/device/dialogue.h"
#include "emu/device/trigger.h"

enum { DATA = 0, IER = 1, IIR_FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };
enum { IER_DATA = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8, IIR_MODEM = 0, IIR_NONE = 1, IIR_THRE = 2, IIR_DATA = 4, IIR_LINE = 6,
       IIR_TIMEOUT = 0xc, IIR_FIFO = 0xc0, FCR_ON = 1, FCR_CLEAR_RECEIVER = 2, LCR_DLAB = 0x80, MCR_OUT2 = 8, MCR_LOOP = 16, LSR_DATA = 1,
       LSR_OVERRUN = 2, LSR_THRE = 0x20, LSR_TEMT = 0x40, MSR_CONNECTED = 0xb0 /* CTS, DSR, DCD */ };

static bool fifos(const struct uart *uart) { return uart->fifo_control & FCR_ON; }

/* Bytes in the FIFO at which it asks for service: bits 7:6 of FCR. */
static unsigned trigger(const struct uart *uart)
{
    static const uint8_t level[] = { 1, 4, 8, 14 };

    return fifos(uart) ? level[uart->fifo_control >> 6] : 1;
}

/* The interrupt that counts now, by priority. Fewer bytes than the trigger level ask after a time without another one: here at once, for
 * bytes come one by one and the guest is faster. */
static uint8_t cause(const struct uart *uart)
{
    if ((uart->interrupt_enable & IER_LINE) && uart->line_errors)
        return IIR_LINE;
    if ((uart->interrupt_enable & IER_DATA) && uart->count)
        return uart->count >= trigger(uart) ? IIR_DATA : IIR_TIMEOUT;
    if ((uart->interrupt_enable & IER_THRE) && uart->transmitter_empty_pending)
        return IIR_THRE;
    if ((uart->interrupt_enable & IER_MODEM) && uart->modem_changes)
        return IIR_MODEM;
    return IIR_NONE;
}

bool uart_interrupt(const struct uart *uart)
{
    return cause(uart) != IIR_NONE && (uart->modem_control & MCR_OUT2);     /* on a PC, OUT2 gates the line */
}

static uint8_t identify(struct uart *uart)
{
    uint8_t value = cause(uart);

    if (value == IIR_THRE)
        uart->transmitter_empty_pending = false;
    return (uint8_t)((fifos(uart) ? IIR_FIFO : 0) | value);
}

static void receive(struct uart *uart, uint8_t value)
{
    if (uart->count == (fifos(uart) ? UART_FIFO : 1)) {
        uart->line_errors |= LSR_OVERRUN;
        return;
    }
    uart->received[uart->count++] = value;
}

static uint8_t read_data(struct uart *uart)
{
    uint8_t value = uart->received[0];

    if (!uart->count)
        return 0;
    uart->heard = true;
    uart->count--;
    memmove(uart->received, uart->received + 1, uart->count);
    return value;
}

/* A line that nobody empties keeps its sender waiting: nothing that is typed is lost. */
uint64_t uart_next(const struct uart *uart)
{
    bool room = uart->count < (fifos(uart) ? UART_FIFO : 1), loop = uart->modem_control & MCR_LOOP;

    return room && !loop && ((uart->dialogue && dialogue_sends(uart->dialogue)) || uart->typed_count) ? uart->arrival : UINT64_MAX;
}

bool uart_room(const struct uart *uart) { return uart->typed_count < UART_TYPED; }

void uart_type(struct uart *uart, uint8_t value, uint64_t now)
{
    if (!uart->typed_count && uart->arrival < now)
        uart->arrival = now;
    uart->typed[uart->typed_count++] = value;
}

static uint8_t take_typed(struct uart *uart)
{
    uint8_t value = uart->typed[0];

    uart->typed_count--;
    memmove(uart->typed, uart->typed + 1, uart->typed_count);
    return value;
}

void uart_advance(struct uart *uart, uint64_t now)
{
    while (uart_next(uart) <= now) {
        receive(uart, uart->typed_count ? take_typed(uart) : (uint8_t)dialogue_take(uart->dialogue, now));
        uart->arrival = now + UART_BYTE_TIME;
    }
}

/* Looped back, the outputs DTR, RTS, OUT1, OUT2 appear as DSR, CTS, RI, DCD. */
static uint8_t modem_status(const struct uart *uart)
{
    uint8_t control = uart->modem_control;

    return (uint8_t)(control & MCR_LOOP ? (control & 1) << 5 | (control & 2) << 3 | (control & 0xc) << 4 : MSR_CONNECTED);
}

uint8_t uart_read(struct uart *uart, unsigned offset)
{
    bool divisor = uart->line_control & LCR_DLAB;
    uint8_t value;

    switch (offset) {
    case DATA:
        return divisor ? uart->divisor[0] : read_data(uart);
    case IER:
        return divisor ? uart->divisor[1] : uart->interrupt_enable;
    case IIR_FCR:
        return identify(uart);
    case LCR:
        return uart->line_control;
    case MCR:
        return uart->modem_control;
    case LSR:
        value = (uint8_t)(LSR_THRE | LSR_TEMT | (uart->count ? LSR_DATA : 0) | uart->line_errors);
        uart->line_errors = 0;
        return value;
    case MSR:
        value = modem_status(uart) | uart->modem_changes;
        uart->modem_changes = 0;
        return value;
    case SCR:
        return uart->scratch;
    }
    return 0xff;
}

static void send(struct uart *uart, uint8_t value, uint64_t now)
{
    uart->transmitter_empty_pending = true;
    if (uart->modem_control & MCR_LOOP) {
        receive(uart, value);
        return;
    }
    if (uart->console)
        putc(value, uart->console);
    if (uart->trigger)
        trigger_console(uart->trigger, (char)value);
    if (uart->dialogue) {
        dialogue_output(uart->dialogue, (char)value, now);
        if (uart->arrival < now + UART_BYTE_TIME)
            uart->arrival = now + UART_BYTE_TIME;       /* who types has read first */
    }
}

/* MSR's low four bits: which inputs have changed. */
static void write_modem_control(struct uart *uart, uint8_t value)
{
    uint8_t before = modem_status(uart);

    uart->modem_control = value & 0x1f;
    uart->modem_changes |= (before ^ modem_status(uart)) >> 4;
}

void uart_write(struct uart *uart, unsigned offset, uint8_t value, uint64_t now)
{
    bool divisor = uart->line_control & LCR_DLAB;

    switch (offset) {
    case DATA:
        if (divisor)
            uart->divisor[0] = value;
        else
            send(uart, value, now);
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
        if ((value & FCR_CLEAR_RECEIVER) || (value & FCR_ON) != (uart->fifo_control & FCR_ON))
            uart->count = 0;
        uart->fifo_control = value & (FCR_ON | 0xc0);
        break;
    case LCR:
        uart->line_control = value;
        break;
    case MCR:
        write_modem_control(uart, value);
        break;
    case SCR:
        uart->scratch = value;
        break;
    }
}
