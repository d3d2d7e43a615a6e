/* SPDX-License-Identifier: MIT */
/* Console and end of program: see console.h. */
#include "scenarios/guests/lib/console.h"

#include <stdarg.h>
#include <stdint.h>

#include "scenarios/guests/lib/processor.h"

enum { UART = 0x3f8, UART_INTERRUPTS = UART + 1, UART_LINE_CONTROL = UART + 3, UART_LINE_STATUS = UART + 5 };
enum { UART_DIVISOR_ACCESS = 1 << 7, UART_8_BITS = 3, UART_EMPTY = 1 << 5, UART_IDLE = 1 << 6,
       TEST_EXIT = 0xf4, SHUTDOWN = 0x8900 };

void console_open(void)
{
    outb(UART_LINE_CONTROL, UART_DIVISOR_ACCESS | UART_8_BITS);
    outb(UART, 1);                  /* 115,200 baud */
    outb(UART_INTERRUPTS, 0);       /* the divisor's high byte */
    outb(UART_LINE_CONTROL, UART_8_BITS);
    outb(UART_INTERRUPTS, 0);
}

static void put(char c)
{
    while (!(inb(UART_LINE_STATUS) & UART_EMPTY))
        ;
    outb(UART, (uint8_t)c);
}

static void put_decimal(unsigned value)
{
    char digits[10];
    unsigned n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        put(digits[--n]);
}

static void put_hexadecimal(uint64_t value)
{
    unsigned shift = 0;

    while (shift < 60 && value >> shift >> 4)
        shift += 4;
    put('0'), put('x');
    for (;; shift -= 4) {
        put("0123456789abcdef"[value >> shift & 15]);
        if (!shift)
            return;
    }
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            for (const char *s = va_arg(arguments, const char *); *s; s++)
                put(*s);
            break;
        case 'c':
            put((char)va_arg(arguments, int));
            break;
        case 'u':
            put_decimal(va_arg(arguments, unsigned));
            break;
        case 'l':                   /* %lx: 64 bits, with prefix */
            format++;
            put_hexadecimal(va_arg(arguments, uint64_t));
            break;
        default:
            put(*format);
        }
    }
    va_end(arguments);
}

void quit(unsigned status)
{
    while (!(inb(UART_LINE_STATUS) & UART_IDLE))
        ;                           /* the last character is still on the line */
    outl(TEST_EXIT, status);
    for (const char *c = "Shutdown"; *c; c++)
        outb(SHUTDOWN, (uint8_t)*c);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void *memcpy(void *to, const void *from, size_t length)
{
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
    return result;
}

void *memset(void *to, int byte, size_t length)
{
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(byte) : "memory");
    return result;
}
