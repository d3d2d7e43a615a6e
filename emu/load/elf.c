/* SPDX-License-Identifier: MIT */
/* ELF32 and ELF64 files for x86: System V ABI, chapters 4 and 5. Only program headers matter. */
#include <stdio.h>
#include <string.h>

#include "emu/load/load.h"

enum { CLASS_32 = 1, CLASS_64 = 2, LITTLE_ENDIAN_DATA = 1, MACHINE_386 = 3, MACHINE_X86_64 = 62, TYPE_EXECUTABLE = 2,
       SEGMENT_LOAD = 1 };

/* Offsets that differ between the classes. */
struct layout {
    unsigned header_size, entry, table, entry_size, entries;            /* in the file header */
    unsigned program_size, offset, virtual, physical, file_size, memory_size, alignment;    /* in a program header */
};
static const struct layout layouts[] = {
    [CLASS_32] = { 52, 24, 28, 42, 44, 32, 4, 8, 12, 16, 20, 28 },
    [CLASS_64] = { 64, 24, 32, 54, 56, 56, 8, 16, 24, 32, 40, 48 },
};

struct program_header {
    uint32_t type;
    uint64_t offset, virtual, physical, file_size, memory_size, alignment;
};

bool elf_is(const struct file *file)
{
    return file->size >= 4 && memcmp(file->bytes, "\177ELF", 4) == 0;
}

static uint64_t word(const struct file *file, unsigned class, size_t offset)
{
    return class == CLASS_64 ? file_64(file, offset) : file_32(file, offset);
}

static struct program_header program_header(const struct file *file, unsigned class, size_t at)
{
    const struct layout *layout = &layouts[class];

    return (struct program_header){
        .type = file_32(file, at),
        .offset = word(file, class, at + layout->offset),
        .virtual = word(file, class, at + layout->virtual),
        .physical = word(file, class, at + layout->physical),
        .file_size = word(file, class, at + layout->file_size),
        .memory_size = word(file, class, at + layout->memory_size),
        .alignment = word(file, class, at + layout->alignment),
    };
}

/* The file header; sets *class. Returns what is wrong, or NULL. */
static const char *check_header(const struct file *file, unsigned *class)
{
    if (file->size < 20)
        return "the ELF header is cut short";
    *class = file->bytes[4];
    if (*class != CLASS_32 && *class != CLASS_64)
        return "the ELF class is neither 32-bit nor 64-bit";
    if (file->bytes[5] != LITTLE_ENDIAN_DATA)
        return "the ELF file is not little-endian, so not for x86";
    if (file->size < layouts[*class].header_size)
        return "the ELF header is cut short";
    if (file_16(file, 18) != (*class == CLASS_64 ? MACHINE_X86_64 : MACHINE_386))
        return "the ELF file is not for this machine (i386 or x86-64)";
    if (file_16(file, 16) != TYPE_EXECUTABLE)
        return "the ELF file is no static executable (link it at fixed addresses: type ET_EXEC)";
    if (file_16(file, layouts[*class].entry_size) < layouts[*class].program_size)
        return "the ELF program headers are smaller than the format says";
    return NULL;
}

bool elf_segment_of(const struct file *file, uint64_t offset, uint64_t *segment, uint64_t *alignment)
{
    unsigned class;

    if (check_header(file, &class))
        return false;
    const struct layout *layout = &layouts[class];
    uint64_t table = word(file, class, layout->table), size = file_16(file, layout->entry_size), entries = file_16(file, layout->entries);
    if (table > file->size || entries * size > file->size - table)
        return false;
    for (uint64_t i = 0; i < entries; i++) {
        struct program_header header = program_header(file, class, (size_t)(table + i * size));
        if (header.type != SEGMENT_LOAD || offset < header.offset || offset - header.offset >= header.file_size)
            continue;
        *segment = header.offset;
        *alignment = header.alignment;
        return true;
    }
    return false;
}

bool elf_layout(const struct file *file, struct image *image, char *error, size_t error_size)
{
    unsigned class;
    const char *fault = check_header(file, &class);
    bool entry_found = false;

    if (fault) {
        snprintf(error, error_size, "%s: %s", file->path, fault);
        return false;
    }
    const struct layout *layout = &layouts[class];
    uint64_t entry = word(file, class, layout->entry), table = word(file, class, layout->table);
    uint64_t size = file_16(file, layout->entry_size), entries = file_16(file, layout->entries);
    if (table > file->size || entries * size > file->size - table) {
        snprintf(error, error_size, "%s: the ELF program headers lie outside the file (is it cut short?)", file->path);
        return false;
    }
    *image = (struct image){ 0 };
    for (uint64_t i = 0; i < entries; i++) {
        struct program_header header = program_header(file, class, (size_t)(table + i * size));
        if (header.type != SEGMENT_LOAD || header.memory_size == 0)
            continue;
        if (header.offset > file->size || header.file_size > file->size - header.offset ||
            header.file_size > header.memory_size) {
            snprintf(error, error_size, "%s: ELF segment %llu needs bytes that the file does not have (is it cut short?)",
                     file->path, (unsigned long long)i);
            return false;
        }
        if (image->count == IMAGE_PIECES) {
            snprintf(error, error_size, "%s: more than %d loadable ELF segments", file->path, IMAGE_PIECES);
            return false;
        }
        image->piece[image->count++] = (struct piece){ header.physical, header.offset, header.file_size,
                                                       header.memory_size };
        /* The entry is a virtual address, and paging is off when the image starts. */
        if (!entry_found && entry >= header.virtual && entry - header.virtual < header.memory_size) {
            image->entry = header.physical + (entry - header.virtual);
            entry_found = true;
        }
    }
    if (!image->count) {
        snprintf(error, error_size, "%s: the ELF file has nothing to load (no PT_LOAD segment)", file->path);
        return false;
    }
    if (!entry_found) {
        snprintf(error, error_size, "%s: the ELF entry 0x%llx lies in no loadable segment", file->path,
                 (unsigned long long)entry);
        return false;
    }
    return true;
}
