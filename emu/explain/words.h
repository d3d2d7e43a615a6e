/* SPDX-License-Identifier: MIT */
/* Words for what processors keep as numbers: events, error codes, modes; and sentences with places for numbers. */
#ifndef SESQUI_EMU_WORDS_H
#define SESQUI_EMU_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "model/cpu/cpu.h"

enum { WORDS_MAX = 240 };

/* "#GP"; NULL for vectors that are no exception. */
const char *exception_mnemonic(unsigned vector);
/* "IDT entry 6, met while an event was delivered"; "write by supervisor code to a page that is not present". */
void error_code_words(char *to, size_t size, unsigned vector, uint32_t error_code);
/* "#GP, error code 0x32 (IDT entry 6)", "#PF at address 0x10, error code ...", "interrupt 08H", "NMI", "INT 80H". */
void event_words(char *to, size_t size, const struct event *event);
/* The same in one word: "#GP", "interrupt 08H". */
void event_word(char *to, size_t size, const struct event *event);
/* "64-bit mode", "32-bit protected mode with paging off" ... */
const char *mode_words(const struct cpu *cpu);
/* What a VMX-abort indicator means: SDM Vol. 3, 28.7. */
const char *abort_words(uint64_t indicator);
/* What an access of the given kind does: "read", "write", "instruction fetch". */
const char *access_words(unsigned kind);

/* A sentence with its values: {0} in hexadecimal with 0x, {0d} in decimal, {0v} as a vector (08H). */
void sentence_fill(char *to, size_t size, const char *sentence, const uint64_t *value);

#endif
