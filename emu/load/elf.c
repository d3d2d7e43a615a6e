/* SPDX-License-Identifier: MIT */
/* ELF32 and ELF64 files for x86: System V ABI, chapters 4 and 5. Program headers say what is loaded, and have notes. */
#include <stdio.h>
#include <string.h>

#include "emu/load/parts.h"

enum { CLASS_32 = 1, CLASS_64 = 2, LITTLE_ENDIAN_DATA = 1, MACHINE_386 = 3, MACHINE_X86_64 = 62, TYPE_EXECUTABLE = 2,
       TYPE_SHARED = 3, SEGMENT_LOAD = 1, SEGMENT_INTERPRETER = 3, SEGMENT_NOTE = 4 };

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
    if (*class == CLASS_32 && file_16(file, 18) == MACHINE_X86_64)
        return "the ELF file says ELFCLASS32 and machine x86-64, as x32 programs do: build it with -m64, or have objcopy -O elf32-i386 rewrite it";
    if (*class == CLASS_64 && file_16(file, 18) == MACHINE_386)
        return "the ELF file says ELFCLASS64 and machine i386: i386 files are ELFCLASS32, those of 64 bits are for x86-64";
    if (file_16(file, 18) != (*class == CLASS_64 ? MACHINE_X86_64 : MACHINE_386))
        return "the ELF file is not for this machine (i386 or x86-64)";
    if (file_16(file, 16) != TYPE_EXECUTABLE && file_16(file, 16) != TYPE_SHARED)
        return "the ELF file is no program (link it at fixed addresses: type ET_EXEC)";
    if (file_16(file, layouts[*class].entry_size) < layouts[*class].program_size)
        return "the ELF program headers are smaller than the format says";
    return NULL;
}

unsigned elf_bits(const struct file *file)
{
    unsigned class;

    return check_header(file, &class) ? 0 : class == CLASS_64 ? 64 : 32;
}

const char *elf_fault(const struct file *file)
{
    unsigned class;

    return check_header(file, &class);
}

/* A walk over the program headers. */
struct segments {
    unsigned class;
    uint64_t table, size, count;
};

static bool segments_of(const struct file *file, struct segments *segments)
{
    if (check_header(file, &segments->class))
        return false;
    const struct layout *layout = &layouts[segments->class];
    segments->table = word(file, segments->class, layout->table);
    segments->size = file_16(file, layout->entry_size);
    segments->count = file_16(file, layout->entries);
    return segments->table <= file->size && segments->count * segments->size <= file->size - segments->table;
}

static struct program_header segment(const struct file *file, const struct segments *segments, uint64_t i)
{
    return program_header(file, segments->class, (size_t)(segments->table + i * segments->size));
}

bool elf_segment_of(const struct file *file, uint64_t offset, uint64_t *start, uint64_t *alignment)
{
    struct segments segments;

    for (uint64_t i = 0; segments_of(file, &segments) && i < segments.count; i++) {
        struct program_header header = segment(file, &segments, i);

        if (header.type != SEGMENT_LOAD || offset < header.offset || offset - header.offset >= header.file_size)
            continue;
        *start = header.offset;
        *alignment = header.alignment;
        return true;
    }
    return false;
}

static bool has_segment(const struct file *file, uint32_t type)
{
    struct segments segments;

    for (uint64_t i = 0; segments_of(file, &segments) && i < segments.count; i++)
        if (segment(file, &segments, i).type == type)
            return true;
    return false;
}

bool elf_loads(const struct file *file) { return has_segment(file, SEGMENT_LOAD); }
bool elf_interpreted(const struct file *file) { return has_segment(file, SEGMENT_INTERPRETER); }

/* Notes are padded to 4 bytes whatever the segment's alignment says, but for 8, which only GNU properties have. */
static bool note_in(const struct file *file, const struct program_header *header, const char *name, uint32_t type, uint64_t *at,
                    uint64_t *size)
{
    uint64_t length = strlen(name) + 1, position = header->offset, end = position + header->file_size;

    while (end - position >= 12) {
        uint64_t name_size = file_32(file, (size_t)position), value_size = file_32(file, (size_t)position + 4);
        uint64_t value = position + 12 + ((name_size + 3) & ~3ull), next = value + ((value_size + 3) & ~3ull);

        if (value > end || value_size > end - value)
            return false;
        if (name_size == length && file_32(file, (size_t)position + 8) == type &&
            memcmp(file->bytes + position + 12, name, length) == 0) {
            *at = value;
            *size = value_size;
            return true;
        }
        position = next < end ? next : end;
    }
    return false;
}

bool elf_note(const struct file *file, const char *name, uint32_t type, uint64_t *at, uint64_t *size)
{
    struct segments segments;

    for (uint64_t i = 0; segments_of(file, &segments) && i < segments.count; i++) {
        struct program_header header = segment(file, &segments, i);

        if (header.type == SEGMENT_NOTE && header.offset <= file->size && header.file_size <= file->size - header.offset &&
            note_in(file, &header, name, type, at, size))
            return true;
    }
    return false;
}

bool elf_pieces(const struct file *file, struct image *image, char *error, size_t error_size)
{
    unsigned class;
    const char *fault = check_header(file, &class);
    struct segments segments;

    if (!fault && !segments_of(file, &segments))
        fault = "the ELF program headers lie outside the file (is it cut short?)";
    if (fault) {
        snprintf(error, error_size, "%s: %s", file->path, fault);
        return false;
    }
    for (uint64_t i = 0; i < segments.count; i++) {
        struct program_header header = segment(file, &segments, i);
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
    }
    if (!image->count)
        snprintf(error, error_size, "%s: the ELF file has nothing to load (no PT_LOAD segment)", file->path);
    return image->count;
}

/* Paging is off when the image starts. The entry is a virtual address, or else a physical one, as Linux' is. */
static bool find_entry(const struct file *file, struct image *image, uint64_t *entry)
{
    struct segments segments;
    bool found = false;

    segments_of(file, &segments);
    *entry = word(file, segments.class, layouts[segments.class].entry);
    for (uint64_t i = 0; i < segments.count && !found; i++) {
        struct program_header header = segment(file, &segments, i);

        found = header.type == SEGMENT_LOAD && *entry >= header.virtual && *entry - header.virtual < header.memory_size;
        if (found)
            image->entry = header.physical + (*entry - header.virtual);
    }
    for (unsigned i = 0; i < image->count && !found; i++) {
        found = *entry >= image->piece[i].pa && *entry - image->piece[i].pa < image->piece[i].size;
        if (found)
            image->entry = *entry;
    }
    return found;
}

bool elf_layout(const struct file *file, struct image *image, char *error, size_t error_size)
{
    uint64_t entry;

    if (!elf_pieces(file, image, error, error_size))
        return false;
    bool found = find_entry(file, image, &entry);
    if (!found)
        snprintf(error, error_size, "%s: the ELF entry 0x%llx lies in no loadable segment", file->path, (unsigned long long)entry);
    return found;
}
