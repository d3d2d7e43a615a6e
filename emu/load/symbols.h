/* SPDX-License-Identifier: MIT */
/* Names of addresses, from the symbol table of an image's ELF file. For messages only: nothing depends on them. */
#ifndef SESQUI_EMU_LOAD_SYMBOLS_H
#define SESQUI_EMU_LOAD_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct file;

struct symbol {
    uint64_t address, size;     /* size 0: unknown, as of labels in assembly */
    uint64_t end;               /* of what it names, as far as that is known */
    uint32_t name;              /* offset in names */
};
struct symbols {
    struct symbol *symbol;      /* by address */
    size_t count;
    char *names;                /* ends with a 0 byte */
    struct lines *lines;        /* source lines; NULL: none */
};

/* Reads the functions and labels of an ELF32 or ELF64 file. A file without them, or with a table that does not make sense,
 * gives an empty set. */
void symbols_read(struct symbols *symbols, const struct file *file);
void symbols_free(struct symbols *symbols);

enum { SYMBOL_TEXT_MAX = 250 };
/* " <main+0x12 kernel/main.c:33>", without the line where the image tells none; "" where no symbol covers the address. `symbols`
 * may be NULL. Returns `to`. */
const char *symbols_text(const struct symbols *symbols, uint64_t address, char to[SYMBOL_TEXT_MAX]);
/* As symbols_text() of a return address: names the function and line of the call before it, which may be the last thing of its function. */
const char *symbols_call(const struct symbols *symbols, uint64_t address, char to[SYMBOL_TEXT_MAX]);
/* How far the address is from the beginning of what the symbol names; 0 if no symbol covers it. */
uint64_t symbols_offset(const struct symbols *symbols, uint64_t address);
/* As symbols_text() without the line: for traces. */
const char *symbols_name(const struct symbols *symbols, uint64_t address, char to[SYMBOL_TEXT_MAX]);

#endif
