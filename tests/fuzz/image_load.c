/* SPDX-License-Identifier: MIT */
/*
 * The loader on hostile images: ELF32, ELF64 and flat multiboot files with fields at the edge. What must hold: no crash; a
 * refusal is one line; symbols of whatever was loaded can be looked up.
 */
#define _GNU_SOURCE                     /* memfd_create() */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/load/file.h"
#include "emu/load/load.h"
#include "tests/fuzz/words.h"

enum { RAM_SIZE = 4 << 20 };

static struct model *model;
static uint8_t *ram, *watch;
static char path[40];
static int image = -1;

static void open_once(void)
{
    if (model)
        return;
    model = calloc(1, sizeof *model);
    ram = calloc(1, RAM_SIZE);
    watch = calloc(1, RAM_SIZE / PAGE_SIZE);
    image = memfd_create("image", 0);
    FUZZ_ASSERT(model && ram && watch && image >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", image);
    memory_init(&model->memory, ram, RAM_SIZE, watch);
    model->cpu_count = 1;
    model->cpu[0].model = model;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct symbols symbols = { 0 };
    struct load_request request = { .image = path, .arguments = "a b", .reserved_base = 3 << 20, .reserved_size = 1 << 20,
                                    .symbols = &symbols };
    char error[400] = "", text[SYMBOL_TEXT_MAX];

    open_once();
    FUZZ_ASSERT(ftruncate(image, 0) == 0 && pwrite(image, data, size, 0) == (ssize_t)size);
    if (load_image(model, &request, error, sizeof error)) {
        FUZZ_ASSERT(error[0] == '\0' && model->cpu[0].rip <= UINT32_MAX);
        for (unsigned i = 0; i < 64; i++)
            symbols_text(&symbols, model->cpu[0].rip + (uint64_t)i * i * i - 64, text);
        for (size_t i = 0; i < symbols.count; i++)
            FUZZ_ASSERT(strlen(symbols_text(&symbols, symbols.symbol[i].address, text)) < SYMBOL_TEXT_MAX);
    } else {
        FUZZ_ASSERT(error[0] && !strchr(error, '\n'));
    }
    symbols_free(&symbols);
    /* The symbols of a file that the loader refuses must be readable, too. */
    struct file file = { .path = path, .bytes = (uint8_t *)(uintptr_t)data, .size = size };
    symbols_read(&symbols, &file);
    symbols_text(&symbols, 0x100004, text);
    symbols_free(&symbols);
    return 0;
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* One loadable segment of 16 bytes, a symbol table of four symbols, a multiboot header: all in 1 KB. */
static void make_elf(uint8_t *elf, bool wide)
{
    const unsigned word = wide ? 8 : 4, symbol = wide ? 24 : 16, section = wide ? 64 : 40;
    uint8_t *sections = elf + 0x200, *segment = elf + (wide ? 64 : 52);

    memcpy(elf, "\177ELF\1\1\1", 7);
    elf[4] = wide ? 2 : 1;
    put(elf + 16, 2, 2);
    put(elf + 18, wide ? 62 : 3, 2);
    put(elf + 24, 0x100004, word);
    put(elf + (wide ? 32 : 28), wide ? 64 : 52, word);
    put(elf + (wide ? 40 : 32), 0x200, word);
    put(elf + (wide ? 54 : 42), wide ? 56 : 32, 2);
    put(elf + (wide ? 56 : 44), 1, 2);
    put(elf + (wide ? 58 : 46), section, 2);
    put(elf + (wide ? 60 : 48), 3, 2);
    put(segment, 1, 4);
    put(segment + (wide ? 8 : 4), 0x100, word);
    put(segment + (wide ? 16 : 8), 0x100000, word);
    put(segment + (wide ? 24 : 12), 0x100000, word);
    put(segment + (wide ? 32 : 16), 16, word);
    put(segment + (wide ? 40 : 20), 0x2000, word);
    put(sections + section + 4, 2, 4);                              /* SHT_SYMTAB, its strings in section 2 */
    put(sections + section + (wide ? 24 : 16), 0x300, word);
    put(sections + section + (wide ? 32 : 20), 4 * symbol, word);
    put(sections + section + (wide ? 40 : 24), 2, 4);
    put(sections + 2 * section + 4, 3, 4);
    put(sections + 2 * section + (wide ? 24 : 16), 0x380, word);
    put(sections + 2 * section + (wide ? 32 : 20), 16, word);
    memcpy(elf + 0x380, "\0start\0main\0end", 16);
    for (unsigned i = 1; i < 4; i++) {
        uint8_t *at = elf + 0x300 + i * symbol;

        put(at, i == 1 ? 1 : i == 2 ? 7 : 12, 4);
        put(at + (wide ? 8 : 4), 0x100000 + 4 * i, word);
        put(at + (wide ? 16 : 8), 4, word);
        at[wide ? 4 : 12] = 2;
        put(at + (wide ? 6 : 14), 1, 2);
    }
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    static const uint64_t values[] = { 0, 1, 3, 16, 0x34, 0x40, 0xff, 0x3ff, 0x400, 0xffff, 0x90000, 0x9fff0, 0xa0000, 0x100000,
                                       0x2fffff, 0x300000, 0x3fffff, 0x400000, 0x7fffffff, 0xffffffff, 0x100000000,
                                       0x7fffffffffffffff, ~0ull };
    unsigned kind = fuzz_below(random, 3), header = kind == 0 ? 0x180 : 0x180;
    size_t size = 0x400;

    memset(to, 0, size);
    if (kind)
        make_elf(to, kind == 2);
    uint32_t flags = kind == 0 ? 0x10000 : fuzz_below(random, 8) ? 0 : (uint32_t)fuzz_next(random);
    put(to + header, 0x1badb002, 4);
    put(to + header + 4, flags, 4);
    put(to + header + 8, -(0x1badb002u + flags), 4);
    put(to + header + 12, 0x100000 + header, 4);
    put(to + header + 16, 0x100000, 4);
    put(to + header + 28, 0x100004, 4);
    for (unsigned i = fuzz_below(random, 4); i; i--) {
        unsigned at = fuzz_below(random, 2) ? fuzz_below(random, 0x400 - 8) : fuzz_below(random, 0x80 / 4) * 4;

        put(to + at, values[fuzz_below(random, sizeof values / sizeof values[0])], 1u << fuzz_below(random, 4));
    }
    return fuzz_below(random, 4) ? size : fuzz_damage(random, to, fuzz_next(random) % size);
}
