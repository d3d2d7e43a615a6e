/* SPDX-License-Identifier: MIT */
/*
 * PVH, and ELF files without any protocol, which are told the same. "x86/HVM direct boot ABI" of Xen's docs/misc/pvh.pandoc: the
 * note XEN_ELFNOTE_PHYS32_ENTRY has the entry; EBX is the address of struct hvm_start_info (xen/include/public/arch-x86/hvm/start_info.h).
 * A plain ELF64 file is entered in 64-bit mode with the first 4 GB mapped to themselves, RBX as above.
 */
#include <stdio.h>
#include <string.h>

#include "emu/firmware/acpi.h"
#include "emu/load/parts.h"

enum { NOTE_PHYS32_ENTRY = 18, NOTE_GNU_ABI = 1 };
enum { START_MAGIC = 0x336ec578, START_VERSION = 1 };
/* struct hvm_start_info, struct hvm_modlist_entry, struct hvm_memmap_table_entry. */
enum { START_MODULES = 12, START_MODULE_LIST = 16, START_COMMAND_LINE = 24, START_RSDP = 32, START_MAP = 40, START_MAP_COUNT = 48 };
enum { MODULE_ENTRY = 32, MAP_ENTRY = 24 };
/* Places within the information block. */
enum { MAP_AT = 0x100, MODULE_AT = 0x400, COMMAND_LINE_AT = 0x1000, MODULE_TEXT_AT = 0x3000 };

static bool entry_note(const struct file *file, uint64_t *entry)
{
    uint64_t at, size;

    if (!elf_is(file) || !elf_note(file, "Xen", NOTE_PHYS32_ENTRY, &at, &size) || (size != 4 && size != 8))
        return false;
    *entry = size == 4 ? file_32(file, (size_t)at) : file_64(file, (size_t)at);
    return true;
}

bool pvh_is(const struct file *file)
{
    uint64_t entry;

    return entry_note(file, &entry);
}

bool pvh_layout(const struct file *file, struct image *image, char *error, size_t error_size)
{
    return elf_pieces(file, image, error, error_size) && entry_note(file, &image->entry);
}

/* A program for an operating system has an interpreter, or a note that names the system. */
bool plain_is(const struct file *file)
{
    uint64_t at, size;

    return elf_is(file) && elf_loads(file) && !elf_interpreted(file) && !elf_note(file, "GNU", NOTE_GNU_ABI, &at, &size);
}

bool plain_layout(const struct file *file, struct image *image, char *error, size_t error_size)
{
    return elf_layout(file, image, error, error_size);
}

static void write_text(struct memory *memory, uint32_t at, const char *text)
{
    memory_write(memory, INFO_BASE + at, text, strlen(text) + 1);
}

static void write_information(const struct loaded *loaded)
{
    struct memory *memory = &loaded->model->memory;
    const struct load_request *request = loaded->request;
    struct memory_range range[MEMORY_RANGES_MAX];
    unsigned count = memory_map(loaded->model, request, range);

    memory_write32(memory, INFO_BASE, START_MAGIC);
    memory_write32(memory, INFO_BASE + 4, START_VERSION);
    memory_write32(memory, INFO_BASE + START_MODULES, request->modules);
    memory_write64(memory, INFO_BASE + START_MODULE_LIST, request->modules ? INFO_BASE + MODULE_AT : 0);
    memory_write64(memory, INFO_BASE + START_COMMAND_LINE, INFO_BASE + COMMAND_LINE_AT);
    memory_write64(memory, INFO_BASE + START_RSDP, ACPI_RSDP);
    memory_write64(memory, INFO_BASE + START_MAP, INFO_BASE + MAP_AT);
    memory_write32(memory, INFO_BASE + START_MAP_COUNT, count);
    write_text(memory, COMMAND_LINE_AT, request->arguments ? request->arguments : "");
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = INFO_BASE + MAP_AT + MAP_ENTRY * i;

        memory_write64(memory, at, range[i].base);
        memory_write64(memory, at + 8, range[i].end - range[i].base);
        memory_write32(memory, at + 16, range[i].type);
    }
    for (unsigned i = 0; i < request->modules; i++) {
        uint64_t at = INFO_BASE + MODULE_AT + MODULE_ENTRY * i;
        uint32_t text_at = MODULE_TEXT_AT + (MODULE_TEXT_MAX + 1) * i;
        char line[MODULE_TEXT_MAX + 1];

        snprintf(line, sizeof line, "%s", request->module[i].text);
        write_text(memory, text_at, line);
        memory_write64(memory, at, loaded->module[i].base);
        memory_write64(memory, at + 8, loaded->module[i].size);
        memory_write64(memory, at + 16, INFO_BASE + text_at);
    }
}

static void hand_over_pvh(struct loaded *loaded)
{
    struct cpu *cpu = &loaded->model->cpu[0];

    write_information(loaded);
    enter_protected(cpu, loaded->image->entry);
    cpu->gpr[RBX] = INFO_BASE;
}

static void hand_over_plain(struct loaded *loaded)
{
    write_information(loaded);
    if (elf_bits(loaded->file) == 64)
        enter_long(loaded->model, loaded->image->entry);
    else
        enter_protected(&loaded->model->cpu[0], loaded->image->entry);
    loaded->model->cpu[0].gpr[RBX] = INFO_BASE;
}

const struct protocol pvh_protocol = { .name = "PVH", .entry_max = UINT32_MAX, .info_end = INFO_END,
                                       .hand_over = hand_over_pvh };
const struct protocol plain_protocol = { .name = "ELF", .entry_max = UINT32_MAX, .info_end = INFO_END, .tables = true,
                                         .hand_over = hand_over_plain };
