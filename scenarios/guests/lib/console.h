/* SPDX-License-Identifier: MIT */
/* The console (a 16550 UART at 0x3f8), the end of the program, and the memory functions the compiler may call. */
#ifndef SESQUI_GUESTS_CONSOLE_H
#define SESQUI_GUESTS_CONSOLE_H

#include <stddef.h>

/* 8 bits at 115,200 baud, no interrupts: to be called before print(). */
void console_open(void);

/* %s, %c, %u (unsigned), %lx (64 bits, printed with its 0x). */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the machine: `status` to the test-exit port 0xf4; where there is none, Bochs's shutdown port; else it just stops. */
_Noreturn void quit(unsigned status);

void *memcpy(void *to, const void *from, size_t length);
void *memset(void *to, int byte, size_t length);

#endif
