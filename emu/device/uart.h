/* SPDX-License-Identifier: MIT */
/* The 16550 UARTs at 0x3f8 and 0x2f8. TI TL16C550, "Register descriptions". A byte written is sent at once; one comes in each UART_BYTE_TIME. */
#ifndef SESQUI_EMU_DEVICE_UART_H
#define SESQUI_EMU_DEVICE_UART_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { UARTS = 2, UART_PORTS = 8, UART_FIFO = 16, UART_TYPED = 64, UART_BYTE_TIME = 86806 /* ns: ten bits at 115,200 baud */ };

struct dialogue;

struct uart {
    FILE *console;              /* NULL: bytes vanish */
    struct trigger *trigger;    /* what may wait for a text; NULL: nothing */
    struct dialogue *dialogue;  /* who types, and reads what is written; NULL: nobody */
    uint8_t interrupt_enable, line_control, modem_control, scratch, divisor[2], fifo_control;
    uint8_t received[UART_FIFO], count;     /* bytes that came in, the oldest first */
    uint8_t line_errors, modem_changes;     /* bits of LSR and MSR that a read clears */
    uint8_t typed[UART_TYPED], typed_count; /* bytes that a person has typed, on their way */
    bool heard;                 /* the guest has read one of them */
    uint64_t arrival;           /* when the next byte can come in */
    bool transmitter_empty_pending;     /* the THRE interrupt has come up and was not yet read from IIR */
};

uint8_t uart_read(struct uart *uart, unsigned offset);
void uart_write(struct uart *uart, unsigned offset, uint8_t value, uint64_t now);
/* The level of its interrupt line. */
bool uart_interrupt(const struct uart *uart);
/* When the next byte comes in; ~0 if none does. And: takes what came in up to `now`. */
uint64_t uart_next(const struct uart *uart);
void uart_advance(struct uart *uart, uint64_t now);
/* A person has typed a byte. There must be room for it. */
bool uart_room(const struct uart *uart);
void uart_type(struct uart *uart, uint8_t value, uint64_t now);

#endif
