/* SPDX-License-Identifier: MIT */
/*
 * The loader on hostile files of the other boot protocols: Linux bzImage, ELF with a PVH note, multiboot 2, and each of them packed by gzip, with
 * damage in the packing, too; with an initrd or module. What must hold: no crash; a refusal is one line; what was loaded is entered in RAM.
 */
#define _GNU_SOURCE                     /* memfd_create() */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "emu/load/file.h"
#include "emu/load/load.h"
#include "tests/fuzz/words.h"

enum { RAM_SIZE = 8 << 20, IMAGE_SIZE = 0x1000 };

static struct model *model;
static uint8_t *ram, *watch;
static char path[40], module_path[40];
static int image = -1, module_file = -1;

static void open_once(void)
{
    if (model)
        return;
    model = calloc(1, sizeof *model);
    ram = calloc(1, RAM_SIZE);
    watch = calloc(1, RAM_SIZE / PAGE_SIZE);
    image = memfd_create("image", 0);
    module_file = memfd_create("module", 0);
    FUZZ_ASSERT(model && ram && watch && image >= 0 && module_file >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", image);
    snprintf(module_path, sizeof module_path, "/proc/self/fd/%d", module_file);
    FUZZ_ASSERT(pwrite(module_file, "module", 6, 0) == 6);
    memory_init(&model->memory, ram, RAM_SIZE, watch);
    model->cpu_count = 1;
    model->cpu[0].model = model;
    capability_init(&model->capability, NULL);
}

/* The last byte says what the image is given. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct symbols symbols = { 0 };
    struct load_request request = { .image = path, .arguments = "a b", .reserved_base = 7 << 20, .reserved_size = 1 << 20, .symbols = &symbols };
    char error[400] = "", text[SYMBOL_TEXT_MAX];
    uint8_t given = size ? data[--size] : 0;

    open_once();
    FUZZ_ASSERT(ftruncate(image, 0) == 0 && pwrite(image, data, size, 0) == (ssize_t)size);
    if (given & 1)
        FUZZ_ASSERT(load_add_module(&request, module_path, given & 2 ? "initrd" : NULL, error, sizeof error));
    if (load_image(model, &request, error, sizeof error)) {
        FUZZ_ASSERT(error[0] == '\0');
        FUZZ_ASSERT(symbols_text(&symbols, model->cpu[0].rip, text));
    } else {
        FUZZ_ASSERT(error[0] && !strchr(error, '\n'));
    }
    symbols_free(&symbols);
    return 0;
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* One sector of set-up, code behind it; version 2.15, which may be entered in 64-bit mode. */
static void make_linux(uint8_t *to)
{
    put(to + 0x1f1, 1, 1);
    put(to + 0x1f4, (IMAGE_SIZE - 0x400) / 16, 4);
    put(to + 0x1fe, 0xaa55, 2);
    put(to + 0x200, 0x66eb, 2);
    memcpy(to + 0x202, "HdrS", 4);
    put(to + 0x206, 0x20f, 2);
    put(to + 0x211, 1, 1);
    put(to + 0x214, 0x100000, 4);
    put(to + 0x22c, 0x7fffffff, 4);
    put(to + 0x230, 0x200000, 4);
    put(to + 0x234, 1, 1);
    put(to + 0x236, 3, 2);
    put(to + 0x238, 255, 4);
    put(to + 0x258, 0x200000, 8);
    put(to + 0x260, 0x10000, 4);
}

/* ELF64: a segment, and a note of Xen's with the 32-bit entry (type 18). */
static void make_pvh(uint8_t *to)
{
    memcpy(to, "\177ELF\2\1\1", 7);
    put(to + 16, 2, 2);
    put(to + 18, 62, 2);
    put(to + 24, 0x100000, 8);
    put(to + 32, 64, 8);
    put(to + 54, 56, 2);
    put(to + 56, 2, 2);
    put(to + 64, 1, 4);
    put(to + 72, 0x200, 8);
    put(to + 80, 0x100000, 8);
    put(to + 88, 0x100000, 8);
    put(to + 96, 0x100, 8);
    put(to + 104, 0x2000, 8);
    put(to + 120, 4, 4);
    put(to + 128, 0x180, 8);
    put(to + 152, 24, 8);
    put(to + 160, 24, 8);
    put(to + 0x180, 4, 4);
    put(to + 0x184, 8, 4);
    put(to + 0x188, 18, 4);
    memcpy(to + 0x18c, "Xen", 4);
    put(to + 0x190, 0x100010, 8);
}

/* Header, address and entry tags. */
static void make_multiboot2(uint8_t *to)
{
    put(to + 0x40, 0xe85250d6, 4);
    put(to + 0x48, 64, 4);
    put(to + 0x4c, -(0xe85250d6u + 64), 4);
    put(to + 0x50, 2, 2);
    put(to + 0x54, 24, 4);
    put(to + 0x58, 0x100040, 4);
    put(to + 0x5c, 0x100000, 4);
    put(to + 0x60, 0x101000, 4);
    put(to + 0x64, 0x102000, 4);
    put(to + 0x68, 3, 2);
    put(to + 0x6c, 12, 4);
    put(to + 0x70, 0x100080, 4);
    put(to + 0x78, 0, 2);
    put(to + 0x7c, 8, 4);
}

static size_t pack(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX], size_t size)
{
    static uint8_t plain[FUZZ_INPUT_MAX];
    z_stream z = { 0 };

    memcpy(plain, to, size);
    FUZZ_ASSERT(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = plain;
    z.avail_in = (unsigned)size;
    z.next_out = to;
    z.avail_out = FUZZ_INPUT_MAX - 8;
    FUZZ_ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END);
    size = z.total_out;
    deflateEnd(&z);
    return fuzz_below(random, 3) ? size : fuzz_damage(random, to, size - fuzz_below(random, 8));
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    static const uint64_t values[] = { 0, 1, 2, 3, 7, 8, 12, 16, 0x40, 0xff, 0x1ff, 0x206, 0x20a, 0x3ff, 0x400, 0xfff, 0x1000, 0xffff, 0x90000, 0xa0000,
                                       0x100000, 0x6fffff, 0x700000, 0x7fffff, 0x800000, 0x7fffffff, 0xffffffff, 0x100000000, 0x7fffffffffffffff,
                                       ~0ull };
    static void (*const make[])(uint8_t *) = { make_linux, make_pvh, make_multiboot2 };
    static const struct { unsigned first, size; } interest[] = { { 0x1f0, 0x80 }, { 0, 0x1a0 }, { 0x40, 0x40 } };
    unsigned kind = fuzz_below(random, 3);
    size_t size = IMAGE_SIZE;

    memset(to, 0, size + 1);
    make[kind](to);
    for (unsigned i = fuzz_below(random, 4); i; i--)
        put(to + interest[kind].first + fuzz_below(random, interest[kind].size), values[fuzz_below(random, sizeof values / sizeof values[0])],
            1u << fuzz_below(random, 4));
    if (kind == 2 && fuzz_below(random, 4))
        put(to + 0x4c, -(0xe85250d6u + (uint32_t)(to[0x44] | to[0x45] << 8) + (uint32_t)(to[0x48] | to[0x49] << 8)), 4);
    if (!fuzz_below(random, 4))
        size = fuzz_damage(random, to, fuzz_next(random) % size);
    if (!fuzz_below(random, 4))
        size = pack(random, to, size);
    to[size] = (uint8_t)fuzz_next(random);
    return size + 1;
}
