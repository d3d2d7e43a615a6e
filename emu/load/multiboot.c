/* SPDX-License-Identifier: MIT */
/*
 * Multiboot v1. The header, 4-byte aligned in the first 8 KB of the file (specification, 3.1):
 *
 *   0 magic 0x1badb002 | 4 flags | 8 checksum | with flag 16: 12 header_addr 16 load_addr 20 load_end_addr 24 bss_end_addr
 *   28 entry_addr
 */
#include <stdio.h>
#include <string.h>

#include "arch/late_load.h"
#include "emu/load/load.h"

#define HEADER_MAGIC 0x1badb002u
#define HEADER_MAGIC_2 0xe85250d6u
enum { SEARCH_SIZE = 8192, SEARCH_SIZE_2 = 32768, HEADER_SIZE = 12, ADDRESSES_SIZE = 32 };
enum { FLAG_ALIGN = 1 << 0, FLAG_MEMORY = 1 << 1, FLAG_VIDEO = 1 << 2, FLAG_ADDRESSES = 1 << 16 };

/* Bits of the information's flags (Multiboot, 3.3). */
enum { INFO_MEMORY = 1 << 0, INFO_COMMAND_LINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_MAP = 1 << 6, INFO_LOADER = 1 << 9 };
/* Places within the information block. */
enum { MAP_AT = 0x100, MODULE_AT = 0x400, LOADER_AT = 0x4a0, LATE_AT = 0x4c0, COMMAND_LINE_AT = 0x1000, MODULE_TEXT_AT = 0x3000 };
enum { MODULE_SIZE = 16 };
enum { MAP_AVAILABLE = 1, MAP_RESERVED = 2 };
enum { HIGH_START = 0x100000 };

bool multiboot_find(const struct file *file, struct multiboot *header)
{
    for (size_t at = 0; at + HEADER_SIZE <= file->size && at + HEADER_SIZE <= SEARCH_SIZE; at += 4) {
        if (file_32(file, at) != HEADER_MAGIC || HEADER_MAGIC + file_32(file, at + 4) + file_32(file, at + 8) != 0)
            continue;
        *header = (struct multiboot){ at, file_32(file, at + 4) };
        return true;
    }
    return false;
}

static bool valid_at(const struct file *file, size_t at)
{
    return HEADER_MAGIC + file_32(file, at + 4) + file_32(file, at + 8) == 0;
}

/* Multiboot 2 specification, 3.1: 8-byte aligned in the first 32 KB; magic, architecture, length, checksum. */
static bool find_multiboot2(const struct file *file, size_t *at)
{
    for (*at = 0; *at + 16 <= file->size && *at + 16 <= SEARCH_SIZE_2; *at += 8)
        if (file_32(file, *at) == HEADER_MAGIC_2 &&
            HEADER_MAGIC_2 + file_32(file, *at + 4) + file_32(file, *at + 8) + file_32(file, *at + 12) == 0)
            return true;
    return false;
}

/* A valid header in the wrong place comes before an invalid one: it is no coincidence. */
bool multiboot_slip(const struct file *file, struct multiboot_slip *slip)
{
    bool found = false;
    size_t at;

    for (at = 0; at + 4 <= file->size; at++) {
        if (file_32(file, at) != HEADER_MAGIC)
            continue;
        if (at + HEADER_SIZE <= file->size && valid_at(file, at)) {
            *slip = (struct multiboot_slip){ at % 4 ? MULTIBOOT_UNALIGNED : MULTIBOOT_TOO_FAR, at, 0, 0, 0 };
            return true;
        }
        if (found || at % 4 || at >= SEARCH_SIZE)
            continue;
        found = true;
        *slip = (struct multiboot_slip){ .kind = MULTIBOOT_CUT_SHORT, .offset = at };
        if (at + HEADER_SIZE <= file->size)
            *slip = (struct multiboot_slip){ MULTIBOOT_CHECKSUM, at, file_32(file, at + 4), file_32(file, at + 8),
                                             -(HEADER_MAGIC + file_32(file, at + 4)) };
    }
    if (!found && (found = find_multiboot2(file, &at)))
        *slip = (struct multiboot_slip){ .kind = MULTIBOOT_2, .offset = at };
    return found;
}

static bool address_layout(const struct file *file, const struct multiboot *header, struct image *image, char *error,
                           size_t error_size)
{
    size_t at = header->offset;

    if (file->size - at < ADDRESSES_SIZE) {
        snprintf(error, error_size, "%s: the multiboot header's address fields are cut short", file->path);
        return false;
    }
    uint64_t header_address = file_32(file, at + 12), load = file_32(file, at + 16), load_end = file_32(file, at + 20);
    uint64_t bss_end = file_32(file, at + 24), entry = file_32(file, at + 28);
    if (load > header_address || header_address - load > at) {
        snprintf(error, error_size, "%s: the multiboot address fields place the load address before the file's start",
                 file->path);
        return false;
    }
    uint64_t offset = at - (header_address - load), available = file->size - offset;
    if (load_end == 0)
        load_end = load + available;
    if (bss_end == 0)
        bss_end = load_end;
    if (load_end < load || load_end - load > available || bss_end < load_end) {
        snprintf(error, error_size, "%s: the multiboot address fields name bytes that the file does not have", file->path);
        return false;
    }
    if (entry < load || entry >= bss_end) {
        snprintf(error, error_size, "%s: the multiboot entry 0x%llx lies outside the loaded bytes", file->path,
                 (unsigned long long)entry);
        return false;
    }
    *image = (struct image){ .piece = { { load, offset, load_end - load, bss_end - load } }, .count = 1, .entry = entry };
    return true;
}

bool multiboot_layout(const struct file *file, const struct multiboot *header, struct image *image, char *error,
                      size_t error_size)
{
    uint32_t unknown = header->flags & 0xffff & ~(uint32_t)(FLAG_ALIGN | FLAG_MEMORY | FLAG_VIDEO);

    if (header->flags & FLAG_VIDEO) {
        snprintf(error, error_size, "%s: the image requires a video mode (multiboot flag 2); the machine has no display",
                 file->path);
        return false;
    }
    if (unknown) {
        snprintf(error, error_size, "%s: the image requires multiboot feature %d, which is not known here", file->path,
                 __builtin_ctz(unknown));
        return false;
    }
    if (header->flags & FLAG_ADDRESSES)
        return address_layout(file, header, image, error, error_size);
    if (!elf_is(file)) {
        snprintf(error, error_size,
                 "%s: the multiboot header has no address fields (flag 16) and the file is not ELF: nothing says where to "
                 "load it", file->path);
        return false;
    }
    return elf_layout(file, image, error, error_size);
}

/* Appends an entry of the memory map: size, base, length, type. */
static uint32_t map_entry(struct model *model, uint32_t at, uint64_t base, uint64_t end, uint32_t type)
{
    if (end <= base)
        return at;
    memory_write32(&model->memory, INFO_BASE + at, 20);
    memory_write64(&model->memory, INFO_BASE + at + 4, base);
    memory_write64(&model->memory, INFO_BASE + at + 12, end - base);
    memory_write32(&model->memory, INFO_BASE + at + 20, type);
    return at + 24;
}

/* The PC's map: base memory, the hole for video and ROM, extended memory around the reserved range, memory above 4 GB. */
static uint32_t write_map(struct model *model, const struct load_request *request)
{
    uint64_t size = model->memory.size, low = size < MEMORY_HOLE ? size : MEMORY_HOLE;
    uint64_t reserved = request->reserved_size ? request->reserved_base : low;
    uint64_t reserved_end = reserved + request->reserved_size;
    uint32_t at = MAP_AT;

    at = map_entry(model, at, 0, BASE_MEMORY_END, MAP_AVAILABLE);
    at = map_entry(model, at, BASE_MEMORY_END, HIGH_START, MAP_RESERVED);
    at = map_entry(model, at, HIGH_START, reserved, MAP_AVAILABLE);
    at = map_entry(model, at, reserved, reserved_end, MAP_RESERVED);
    at = map_entry(model, at, reserved_end, low, MAP_AVAILABLE);
    return map_entry(model, at, MEMORY_HIGH, MEMORY_HIGH + (size - low), MAP_AVAILABLE);
}

static void write_text(struct model *model, uint32_t at, const char *text)
{
    memory_write(&model->memory, INFO_BASE + at, text, strlen(text) + 1);
}

/* The image's own name, without folders: what a guest sees does not depend on where its file lies. */
static void write_command_line(struct model *model, const struct load_request *request)
{
    const char *slash = strrchr(request->image, '/'), *name = slash ? slash + 1 : request->image;
    char line[COMMAND_LINE_MAX + 1];

    snprintf(line, sizeof line, "%s%s%s", name, request->arguments ? " " : "", request->arguments ? request->arguments : "");
    write_text(model, COMMAND_LINE_AT, line);
}

/* Specification, 3.3 "mods_addr": start, end, string, reserved. */
static void write_module(struct model *model, unsigned index, struct load_range module, const char *text)
{
    uint32_t at = MODULE_AT + MODULE_SIZE * index, text_at = MODULE_TEXT_AT + (MODULE_TEXT_MAX + 1) * index;
    char line[MODULE_TEXT_MAX + 1];

    snprintf(line, sizeof line, "%s", text);
    write_text(model, text_at, line);
    memory_write32(&model->memory, INFO_BASE + at, (uint32_t)module.base);
    memory_write32(&model->memory, INFO_BASE + at + 4, (uint32_t)(module.base + module.size));
    memory_write32(&model->memory, INFO_BASE + at + 8, INFO_BASE + text_at);
}

void multiboot_information(struct model *model, const struct load_request *request,
                           const struct load_range module[MODULES_MAX])
{
    struct memory *memory = &model->memory;
    uint64_t low = memory->size < MEMORY_HOLE ? memory->size : MEMORY_HOLE;
    uint64_t end = request->reserved_size ? request->reserved_base : low;
    uint32_t map_end = write_map(model, request);

    write_text(model, LOADER_AT, "sesqui");
    write_command_line(model, request);
    memory_write32(memory, INFO_BASE + 0, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MAP | INFO_LOADER);
    memory_write32(memory, INFO_BASE + 4, BASE_MEMORY_END / 1024);
    memory_write32(memory, INFO_BASE + 8, end > HIGH_START ? (uint32_t)((end - HIGH_START) / 1024) : 0);
    memory_write32(memory, INFO_BASE + 16, INFO_BASE + COMMAND_LINE_AT);
    for (unsigned i = 0; i < request->modules; i++)
        write_module(model, i, module[i], request->module[i].text);
    if (request->late_entry) {
        memory_write64(memory, INFO_BASE + LATE_AT, LATE_SIGNATURE);
        memory_write64(memory, INFO_BASE + LATE_AT + 8, request->late_entry);
        write_module(model, request->modules, (struct load_range){ INFO_BASE + LATE_AT, 16 }, LATE_MODULE);
    }
    memory_write32(memory, INFO_BASE + 20, request->modules + (request->late_entry != 0));
    memory_write32(memory, INFO_BASE + 24, INFO_BASE + MODULE_AT);
    memory_write32(memory, INFO_BASE + 44, map_end - MAP_AT);
    memory_write32(memory, INFO_BASE + 48, INFO_BASE + MAP_AT);
    memory_write32(memory, INFO_BASE + 64, INFO_BASE + LOADER_AT);
}
