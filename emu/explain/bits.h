/* SPDX-License-Identifier: MIT */
/* Bits of registers by name. */
#ifndef SESQUI_EMU_BITS_H
#define SESQUI_EMU_BITS_H

#include <stddef.h>
#include <stdint.h>

enum bits_register { BITS_CR0, BITS_CR4, BITS_EFER, BITS_XCR0 };

/* The bits that are 1 in `bits`: "CR0.PE and CR0.NE", "bit 41 of CR4"; "no bit" if there is none. Returns `to`. */
const char *bits_text(enum bits_register which, uint64_t bits, char *to, size_t size);

#endif
