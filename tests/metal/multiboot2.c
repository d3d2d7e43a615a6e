/* SPDX-License-Identifier: MIT */
/*
 * A boot loader for Multiboot2 (specification 2.0, 3.1, 3.6) that is itself a multiboot v1 image: module 0 is the image to boot,
 * with its text as command line, the others are its modules. So `sesqui boot` can start an image by its Multiboot2 header.
 */
#include <stdint.h>

enum { MAGIC = 0xe85250d6, HEADER_SEARCH = 32768, TAG_ADDRESSES = 2, TAG_ENTRY = 3 };
enum { INFO_COMMAND_LINE = 1, INFO_MODULE = 3, INFO_MAP = 6, INFO_END = 0, TEST_EXIT = 0xf4, NO_HEADER = 90 };

struct information_1 { uint32_t flags, memory[2], boot_device, cmdline, mods_count, mods, syms[4], map_length, map; };
struct module_1 { uint32_t start, end, text, reserved; };
struct __attribute__((packed)) entry_1 { uint32_t size; uint64_t base, length; uint32_t type; };
struct tag { uint16_t type, flags; uint32_t size, value[4]; };

void load(const struct information_1 *information);

__asm__(".section .multiboot, \"a\"\n .balign 4\n .long 0x1badb002, 0, -0x1badb002\n"
        ".text\n .globl start\n start:\n movl $stack + 4096, %esp\n pushl %ebx\n call load\n"
        ".bss\n stack: .skip 4096\n .text");

static uint32_t out[4096] __attribute__((aligned(8)));
static uint32_t used = 2;                       /* words: total size, reserved */

static void copy(void *to, const void *from, uint32_t length)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

/* Appends a tag of `words` words, then bytes; tags are 8-byte aligned. */
static void add(uint32_t type, const uint32_t *words, uint32_t count, const void *bytes, uint32_t length)
{
    out[used] = type;
    out[used + 1] = 8 + 4 * count + length;
    copy(&out[used + 2], words, 4 * count);
    copy(&out[used + 2 + count], bytes, length);
    used += (out[used + 1] + 7) / 8 * 2;
}

static uint32_t length_of(const char *text)
{
    uint32_t length = 1;

    while (text[length - 1])
        length++;
    return length;
}

static void add_map(const struct information_1 *info)
{
    static uint32_t entries[6 * 64];
    const uint32_t head[2] = { 24, 0 };
    uint32_t n = 0;

    for (uint32_t at = info->map; at < info->map + info->map_length; n += 6) {
        const struct entry_1 *e = (const struct entry_1 *)at;
        copy(&entries[n], &e->base, 16);
        entries[n + 4] = e->type;
        at += e->size + 4;
    }
    add(INFO_MAP, head, 2, entries, 4 * n);
}

/* Places the image by the address tag of its header; returns its entry. */
static uint32_t place(const struct module_1 *image)
{
    const uint32_t *header = (const uint32_t *)image->start;
    uint32_t entry = 0, offset = 0;

    while (offset < HEADER_SEARCH && (header[0] != MAGIC || header[0] + header[1] + header[2] + header[3]))
        header += 2, offset += 8;
    if (offset >= HEADER_SEARCH)
        __asm__ volatile("outl %0, %w1" : : "a"(NO_HEADER), "d"(TEST_EXIT));
    for (const struct tag *t = (const struct tag *)(header + 4); t->type; t = (const struct tag *)((uint32_t)t + (t->size + 7) / 8 * 8)) {
        if (t->type == TAG_ADDRESSES) {
            const uint32_t from = image->start + offset - (t->value[0] - t->value[1]);
            copy((void *)t->value[1], (const void *)from, t->value[2] - t->value[1]);
            for (uint8_t *p = (uint8_t *)t->value[2]; p < (uint8_t *)t->value[3]; p++)
                *p = 0;
        } else if (t->type == TAG_ENTRY) {
            entry = t->value[0];
        }
    }
    return entry;
}

void load(const struct information_1 *info)
{
    const struct module_1 *module = (const struct module_1 *)info->mods;
    const uint32_t entry = place(&module[0]);

    add(INFO_COMMAND_LINE, 0, 0, (const char *)module[0].text, length_of((const char *)module[0].text));
    for (uint32_t i = 1; i < info->mods_count; i++)
        add(INFO_MODULE, &module[i].start, 2, (const char *)module[i].text, length_of((const char *)module[i].text));
    add_map(info);
    add(INFO_END, 0, 0, 0, 0);
    out[0] = 4 * used;
    __asm__ volatile("jmp *%0" : : "r"(entry), "a"(0x36d76289), "b"(out));
}
