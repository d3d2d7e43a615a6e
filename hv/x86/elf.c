/* SPDX-License-Identifier: MIT */
/* ELF32 and ELF64 program headers: see elf.h. */
#include "hv/x86/elf.h"

#include "hv/x86/x86.h"

enum { CLASS_32 = 1, CLASS_64 = 2, EXECUTABLE = 2, MACHINE_386 = 3, MACHINE_X86_64 = 62, SEGMENT_LOAD = 1 };

/* Offsets that differ between the classes; a word has 4 or 8 bytes. */
struct layout {
    unsigned word, header_size, entry, table, entry_size, entries;
    unsigned program_size, offset, virtual, physical, file_size, memory_size;
};
static const struct layout layouts[] = {
    [CLASS_32] = { 4, 52, 24, 28, 42, 44, 32, 4, 8, 12, 16, 20 },
    [CLASS_64] = { 8, 64, 24, 32, 54, 56, 56, 8, 16, 24, 32, 40 },
};

static uint64_t number(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, from, bytes);
    return value;
}

bool elf_is(const uint8_t *file, uint64_t size)
{
    return size >= 4 && !memcmp(file, "\177ELF", 4);
}

const char *elf_layout(const uint8_t *file, uint64_t size, struct image *image)
{
    const unsigned class = size > 20 ? file[4] : 0;
    bool entry_found = false;

    *image = (struct image){ 0 };
    if (!elf_is(file, size) || (class != CLASS_32 && class != CLASS_64) || size < layouts[class].header_size)
        return "module 0: neither multiboot address fields nor an ELF file: nothing says where to load it";
    const struct layout *l = &layouts[class];
    if (number(file + 16, 2) != EXECUTABLE || number(file + 18, 2) != (class == CLASS_64 ? MACHINE_X86_64 : MACHINE_386))
        return "module 0: no static executable for this processor";
    const uint64_t entry = number(file + l->entry, l->word), table = number(file + l->table, l->word);
    const uint64_t stride = number(file + l->entry_size, 2), entries = number(file + l->entries, 2);
    if (stride < l->program_size || table > size || entries * stride > size - table)
        return "module 0: the ELF program headers lie outside the file";
    for (uint64_t i = 0; i < entries; i++) {
        const uint8_t *header = file + table + i * stride;
        const uint64_t virtual = number(header + l->virtual, l->word);
        const struct piece piece = { number(header + l->physical, l->word), number(header + l->offset, l->word),
                                     number(header + l->file_size, l->word), number(header + l->memory_size, l->word) };
        if (number(header, 4) != SEGMENT_LOAD || !piece.size)
            continue;
        if (piece.offset > size || piece.file_size > size - piece.offset || piece.file_size > piece.size)
            return "module 0: an ELF segment needs bytes that the file does not have";
        if (image->count == PIECES_MAX)
            return "module 0: too many ELF segments";
        image->piece[image->count++] = piece;
        /* The entry is a virtual address, and paging is off when the image starts. */
        if (!entry_found && entry >= virtual && entry - virtual < piece.size) {
            image->entry = piece.address + (entry - virtual);
            entry_found = true;
        }
    }
    return entry_found ? NULL : "module 0: the ELF entry lies in no loadable segment";
}
