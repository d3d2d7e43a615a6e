/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader says: Multiboot 0.6.96, 3.3, and Multiboot2 2.0, 3.6. It lies in memory that will be L1's, so all
 * that matters is copied.
 */
#include "hv/x86/x86.h"

enum { MAGIC_1 = 0x2badb002, MAGIC_2 = 0x36d76289 };
enum { INFO_COMMAND_LINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_MAP = 1 << 6 };
enum { TAG_END = 0, TAG_COMMAND_LINE = 1, TAG_MODULE = 3, TAG_MAP = 6 };

struct information_1 {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct module_1 { uint32_t start, end, string, reserved; };
struct __attribute__((packed)) entry_1 { uint32_t size; uint64_t base, length; uint32_t type; };
struct tag { uint32_t type, size; };
struct tag_module { struct tag tag; uint32_t start, end; char string[]; };
struct entry_2 { uint64_t base, length; uint32_t type, reserved; };
struct tag_map { struct tag tag; uint32_t entry_size, entry_version; struct entry_2 entry[]; };

struct boot boot;

static bool add_module(uint32_t start, uint32_t end, const char *text)
{
    if (boot.modules == MODULES_MAX || end < start)
        return false;
    struct module *module = &boot.module[boot.modules++];
    *module = (struct module){ .base = start, .size = end - start };
    text_copy(module->text, text);
    return true;
}

static bool add_range(uint64_t base, uint64_t length, uint32_t type)
{
    if (boot.ranges == RANGES_MAX || base + length < base)
        return false;
    boot.range[boot.ranges++] = (struct memory_range){ base, base + length, type };
    return true;
}

static const char *read_1(const struct information_1 *info)
{
    const struct module_1 *module = at(info->mods_addr);

    if (info->flags & INFO_COMMAND_LINE)
        text_copy(boot.text, at(info->cmdline));
    for (uint32_t i = 0; info->flags & INFO_MODULES && i < info->mods_count; i++)
        if (!add_module(module[i].start, module[i].end, module[i].string ? at(module[i].string) : ""))
            return "the boot loader gives more modules than the image keeps";
    if (!(info->flags & INFO_MAP))
        return "the boot loader gives no memory map";
    for (uint64_t place = info->mmap_addr; place < (uint64_t)info->mmap_addr + info->mmap_length;) {
        const struct entry_1 *entry = at(place);
        if (!add_range(entry->base, entry->length, entry->type))
            return "the memory map has more entries than the image keeps";
        place += entry->size + sizeof entry->size;
    }
    return NULL;
}

static const char *read_2(uint64_t information)
{
    for (const struct tag *tag = at(information + 8); tag->type != TAG_END;
         tag = at(((uint64_t)tag + tag->size + 7) & ~7ull)) {
        if (tag->type == TAG_COMMAND_LINE)
            text_copy(boot.text, (const char *)(tag + 1));
        if (tag->type == TAG_MODULE) {
            const struct tag_module *module = (const struct tag_module *)tag;
            if (!add_module(module->start, module->end, module->string))
                return "the boot loader gives more modules than the image keeps";
        }
        for (uint64_t place = 16; tag->type == TAG_MAP && place < tag->size;
             place += ((const struct tag_map *)tag)->entry_size) {
            const struct entry_2 *entry = at((uint64_t)tag + place);
            if (!add_range(entry->base, entry->length, entry->type))
                return "the memory map has more entries than the image keeps";
        }
    }
    return boot.ranges ? NULL : "the boot loader gives no memory map";
}

const char *boot_read(uint32_t magic, uint64_t information)
{
    if (magic == MAGIC_1)
        return read_1(at(information));
    if (magic == MAGIC_2)
        return read_2(information);
    return "the image was not started by a multiboot loader";
}
