/* SPDX-License-Identifier: MIT */
/* Section headers of ELF files as boot loaders hand them over: System V ABI, chapter 4, "Sections". */
#include "emu/load/parts.h"

enum { CLASS_64 = 2, SECTION_SYMBOLS = 2, SECTION_STRINGS = 3, SECTIONS_MAX = 4096 };

/* Offsets that differ between the classes. */
struct layout {
    unsigned table, entry_size, entries, names;     /* in the file header */
    unsigned section_size, address, offset, size;   /* in a section header */
};
static const struct layout layouts[] = { { 32, 46, 48, 50, 40, 12, 16, 20 }, { 40, 58, 60, 62, 64, 16, 24, 32 } };

static uint64_t word(const struct file *file, const struct layout *layout, size_t at)
{
    return layout == &layouts[1] ? file_64(file, at) : file_32(file, at);
}

void elf_sections_place(struct model *model, const struct file *file, uint64_t at, uint64_t end, struct elf_sections *sections)
{
    struct memory *memory = &model->memory;

    *sections = (struct elf_sections){ 0 };
    if (!elf_bits(file))
        return;
    const struct layout *layout = &layouts[file->bytes[4] == CLASS_64];
    uint64_t table = word(file, layout, layout->table), count = file_16(file, layout->entries), size = file_16(file, layout->entry_size);
    if (!count || count > SECTIONS_MAX || size != layout->section_size || table > file->size || count * size > file->size - table ||
        count * size > end - at)
        return;
    *sections = (struct elf_sections){ (uint32_t)count, (uint32_t)size, (uint32_t)at, file_16(file, layout->names) };
    memory_write(memory, at, file->bytes + table, count * size);
    at += count * size;
    for (uint64_t i = 0; i < count; i++) {
        size_t header = (size_t)(table + i * size);
        uint32_t type = file_32(file, header + 4);
        uint64_t offset = word(file, layout, header + layout->offset), length = word(file, layout, header + layout->size);

        at = (at + 15) & ~15ull;
        if ((type != SECTION_SYMBOLS && type != SECTION_STRINGS) || word(file, layout, header + layout->address) ||
            offset > file->size || length > file->size - offset || at > end || length > end - at)
            continue;
        memory_write(memory, at, file->bytes + offset, length);
        memory_write32(memory, sections->address + i * size + layout->address, (uint32_t)at);
        at += length;
    }
}
