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
#include "emu/load/parts.h"

#define HEADER_MAGIC 0x1badb002u
#define HEADER_MAGIC_2 0xe85250d6u
enum { SEARCH_SIZE = 8192, SEARCH_SIZE_2 = 32768, HEADER_SIZE = 12, ADDRESSES_SIZE = 32 };
enum { FLAG_ALIGN = 1 << 0, FLAG_MEMORY = 1 << 1, FLAG_VIDEO = 1 << 2, FLAG_ADDRESSES = 1 << 16 };

/* Bits of the information's flags (Multiboot, 3.3). */
enum { INFO_MEMORY = 1 << 0, INFO_COMMAND_LINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_SECTIONS = 1 << 5, INFO_MAP = 1 << 6,
       INFO_LOADER = 1 << 9, INFO_FRAMEBUFFER = 1 << 12 };
enum { FRAMEBUFFER_AT = 88 };
/* Places within the information block. */
enum { MAP_AT = 0x100, MODULE_AT = 0x400, LOADER_AT = 0x4a0, LATE_AT = 0x4c0, COMMAND_LINE_AT = 0x1000, MODULE_TEXT_AT = 0x3000 };
enum { MODULE_SIZE = 16 };

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

/* The first thing that looks like a header of the second version, and is none: its checksum is wrong. */
static bool nearly_multiboot2(const struct file *file, struct multiboot_slip *slip)
{
    for (size_t at = 0; at + 16 <= file->size && at + 16 <= SEARCH_SIZE_2; at += 8) {
        if (file_32(file, at) != HEADER_MAGIC_2 || file_32(file, at + 4) != 0)
            continue;
        *slip = (struct multiboot_slip){ MULTIBOOT_2_CHECKSUM, at, file_32(file, at + 8), file_32(file, at + 12),
                                         -(HEADER_MAGIC_2 + file_32(file, at + 8)) };
        return true;
    }
    return false;
}

/* Flags and checksum that fit the magic, behind a word that is another: the magic has a slip of the pen, or another byte order. */
static bool nearly_magic(const struct file *file, struct multiboot_slip *slip)
{
    enum { FLAGS_KNOWN = FLAG_ALIGN | FLAG_MEMORY | FLAG_VIDEO | FLAG_ADDRESSES };

    for (size_t at = 0; at + HEADER_SIZE <= file->size && at + HEADER_SIZE <= SEARCH_SIZE; at += 4) {
        bool fits = valid_at(file, at) && !(file_32(file, at + 4) & ~(uint32_t)FLAGS_KNOWN);

        if (!fits && __builtin_bswap32(file_32(file, at)) != HEADER_MAGIC)
            continue;
        *slip = (struct multiboot_slip){ MULTIBOOT_MAGIC, at, file_32(file, at + 4), file_32(file, at), HEADER_MAGIC };
        return true;
    }
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
    return found || nearly_multiboot2(file, slip) || nearly_magic(file, slip);
}

bool multiboot_address_layout(const struct file *file, size_t header, const struct multiboot_addresses *addresses, struct image *image,
                              char *error, size_t error_size)
{
    uint64_t load = addresses->load, load_end = addresses->load_end, bss_end = addresses->bss_end;

    if (load > addresses->header || addresses->header - load > header) {
        snprintf(error, error_size, "%s: the multiboot address fields place the load address before the file's start",
                 file->path);
        return false;
    }
    uint64_t offset = header - (addresses->header - load), available = file->size - offset;
    if (load_end == 0)
        load_end = load + available;
    if (bss_end == 0)
        bss_end = load_end;
    if (load_end < load || load_end - load > available || bss_end < load_end) {
        snprintf(error, error_size, "%s: the multiboot address fields name bytes that the file does not have", file->path);
        return false;
    }
    if (image->entry < load || image->entry >= bss_end) {
        snprintf(error, error_size, "%s: the multiboot entry 0x%llx lies outside the loaded bytes", file->path,
                 (unsigned long long)image->entry);
        return false;
    }
    image->piece[image->count++] = (struct piece){ load, offset, load_end - load, bss_end - load };
    return true;
}

static bool address_layout(const struct file *file, size_t at, struct image *image, char *error, size_t error_size)
{
    if (file->size - at < ADDRESSES_SIZE) {
        snprintf(error, error_size, "%s: the multiboot header's address fields are cut short", file->path);
        return false;
    }
    const struct multiboot_addresses addresses = { file_32(file, at + 12), file_32(file, at + 16), file_32(file, at + 20),
                                                   file_32(file, at + 24) };
    image->entry = file_32(file, at + 28);
    return multiboot_address_layout(file, at, &addresses, image, error, error_size);
}

bool multiboot_layout(const struct file *file, struct image *image, char *error, size_t error_size)
{
    struct multiboot header = { 0 };

    multiboot_find(file, &header);
    uint32_t unknown = header.flags & 0xffff & ~(uint32_t)(FLAG_ALIGN | FLAG_MEMORY | FLAG_VIDEO);
    image->header = header.offset;
    if (unknown) {
        snprintf(error, error_size, "%s: the image requires multiboot feature %d, which is not known here", file->path,
                 __builtin_ctz(unknown));
        return false;
    }
    if (header.flags & FLAG_ADDRESSES)
        return address_layout(file, header.offset, image, error, error_size);
    if (!elf_is(file)) {
        snprintf(error, error_size,
                 "%s: the multiboot header has no address fields (flag 16) and the file is not ELF: nothing says where to "
                 "load it", file->path);
        return false;
    }
    return elf_layout(file, image, error, error_size);
}

/* What the data area of firmware says: 80 columns, 25 lines of 2 bytes a character. The mode that an image asks for is a recommendation
 * (specification, "The graphics fields of Multiboot header"). */
void multiboot_text_mode(struct memory *memory, uint64_t at)
{
    enum { TEXT_AT = 0xb8000, COLUMNS = 80, LINES = 25, CHARACTER_BITS = 16, TYPE_TEXT = 2 };

    memory_write64(memory, at, TEXT_AT);
    memory_write32(memory, at + 8, COLUMNS * CHARACTER_BITS / 8);
    memory_write32(memory, at + 12, COLUMNS);
    memory_write32(memory, at + 16, LINES);
    memory_write(memory, at + 20, &(uint8_t[]){ CHARACTER_BITS, TYPE_TEXT, 0, 0 }, 4);
}

/* Specification, 3.3 "mmap_addr": size, base, length, type. Returns where it ends. */
static uint32_t write_map(struct model *model, const struct load_request *request)
{
    struct memory_range range[MEMORY_RANGES_MAX];
    unsigned count = memory_map(model, request, range);
    uint32_t at = MAP_AT;

    for (unsigned i = 0; i < count; i++, at += 24) {
        memory_write32(&model->memory, INFO_BASE + at, 20);
        memory_write64(&model->memory, INFO_BASE + at + 4, range[i].base);
        memory_write64(&model->memory, INFO_BASE + at + 12, range[i].end - range[i].base);
        memory_write32(&model->memory, INFO_BASE + at + 20, range[i].type);
    }
    return at;
}

static void write_text(struct model *model, uint32_t at, const char *text)
{
    memory_write(&model->memory, INFO_BASE + at, text, strlen(text) + 1);
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

static void write_information(const struct loaded *loaded)
{
    struct model *model = loaded->model;
    struct memory *memory = &model->memory;
    const struct load_request *request = loaded->request;
    uint64_t end = request->reserved_size ? request->reserved_base : memory_low_end(model);
    uint32_t map_end = write_map(model, request);
    bool framebuffer = file_32(loaded->file, loaded->image->header + 4) & FLAG_VIDEO;
    char line[COMMAND_LINE_MAX + 1];

    write_text(model, LOADER_AT, "sesqui");
    command_line(request, line);
    write_text(model, COMMAND_LINE_AT, line);
    memory_write32(memory, INFO_BASE + 0, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MAP | INFO_LOADER |
                                              (loaded->sections.count ? (uint32_t)INFO_SECTIONS : 0) | (framebuffer ? (uint32_t)INFO_FRAMEBUFFER : 0));
    memory_write32(memory, INFO_BASE + 4, BASE_MEMORY_END / 1024);
    memory_write32(memory, INFO_BASE + 8, end > HIGH_START ? (uint32_t)((end - HIGH_START) / 1024) : 0);
    memory_write32(memory, INFO_BASE + 16, INFO_BASE + COMMAND_LINE_AT);
    for (unsigned i = 0; i < request->modules; i++)
        write_module(model, i, loaded->module[i], request->module[i].text);
    if (request->late_entry) {
        memory_write64(memory, INFO_BASE + LATE_AT, LATE_SIGNATURE);
        memory_write64(memory, INFO_BASE + LATE_AT + 8, request->late_entry);
        write_module(model, request->modules, (struct load_range){ INFO_BASE + LATE_AT, 16 }, LATE_MODULE);
    }
    memory_write32(memory, INFO_BASE + 20, request->modules + (request->late_entry != 0));
    memory_write32(memory, INFO_BASE + 24, INFO_BASE + MODULE_AT);
    memory_write32(memory, INFO_BASE + 28, loaded->sections.count);
    memory_write32(memory, INFO_BASE + 32, loaded->sections.entry_size);
    memory_write32(memory, INFO_BASE + 36, loaded->sections.address);
    memory_write32(memory, INFO_BASE + 40, loaded->sections.names);
    memory_write32(memory, INFO_BASE + 44, map_end - MAP_AT);
    memory_write32(memory, INFO_BASE + 48, INFO_BASE + MAP_AT);
    memory_write32(memory, INFO_BASE + 64, INFO_BASE + LOADER_AT);
    if (framebuffer)
        multiboot_text_mode(memory, INFO_BASE + FRAMEBUFFER_AT);
}

/* Specification, 3.2 "Machine state". ESP is undefined by it. */
static void hand_over(struct loaded *loaded)
{
    struct cpu *cpu = &loaded->model->cpu[0];

    write_information(loaded);
    enter_protected(cpu, loaded->image->entry);
    cpu->gpr[RAX] = 0x2badb002;
    cpu->gpr[RBX] = INFO_BASE;
}

const struct protocol multiboot_protocol = { .name = "multiboot", .entry_max = UINT32_MAX, .info_end = INFO_END, .late = true,
                                             .sections = true, .hand_over = hand_over };
