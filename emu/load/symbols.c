/* SPDX-License-Identifier: MIT */
/* The symbol table of an ELF file: System V ABI, chapter 4, "Sections", "Symbol Table". Files are not trusted. */
#include "emu/load/symbols.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/load/lines.h"
#include "emu/load/parts.h"

enum { CLASS_64 = 2, SECTION_SYMBOLS = 2, SYMBOL_LABEL = 0, SYMBOL_FUNCTION = 2, SECTION_UNDEFINED = 0,
       SECTION_RESERVED = 0xff00, SECTION_CODE = 4 /* flag SHF_EXECINSTR */, SYMBOLS_MAX = 1 << 20, LABEL_REACH = 1 << 16, NAME_MAX_SHOWN = 48 };

/* Offsets that differ between the classes. */
struct layout {
    unsigned header_size, table, entry_size, entries;                   /* section headers, from the file header */
    unsigned section_size, flags, address, offset, size, link;          /* in a section header */
    unsigned symbol_size, value, length, info, section;                 /* in a symbol; its name is at 0 */
};
static const struct layout layouts[] = {
    { 52, 32, 46, 48, 40, 8, 12, 16, 20, 24, 16, 4, 8, 12, 14 },
    { 64, 40, 58, 60, 64, 8, 16, 24, 32, 40, 24, 8, 16, 4, 6 },
};

struct elf {
    const struct file *file;
    const struct layout *layout;
    uint64_t table, entries, entry_size;        /* section headers: they lie within the file */
};
struct range { uint64_t offset, size; };

static uint64_t word(const struct elf *elf, uint64_t offset)
{
    return elf->layout == &layouts[1] ? file_64(elf->file, (size_t)offset) : file_32(elf->file, (size_t)offset);
}

static bool open_elf(struct elf *elf, const struct file *file)
{
    if (!elf_is(file) || file->size < 64)
        return false;
    const struct layout *layout = &layouts[file->bytes[4] == CLASS_64];
    *elf = (struct elf){ .file = file, .layout = layout };
    elf->table = word(elf, layout->table);
    elf->entry_size = file_16(file, layout->entry_size);
    elf->entries = file_16(file, layout->entries);
    return elf->entry_size >= layout->section_size && elf->table <= file->size &&
           elf->entries * elf->entry_size <= file->size - elf->table;
}

static bool section(const struct elf *elf, uint64_t number, struct range *range)
{
    uint64_t at = elf->table + number * elf->entry_size;

    if (number >= elf->entries)
        return false;
    *range = (struct range){ word(elf, at + elf->layout->offset), word(elf, at + elf->layout->size) };
    return range->offset <= elf->file->size && range->size <= elf->file->size - range->offset;
}

/* The first symbol table and the strings that belong to it. */
static bool find(const struct elf *elf, struct range *table, struct range *names)
{
    for (uint64_t i = 0; i < elf->entries; i++) {
        uint64_t at = elf->table + i * elf->entry_size;

        if (file_32(elf->file, (size_t)at + 4) == SECTION_SYMBOLS)
            return section(elf, i, table) && section(elf, file_32(elf->file, (size_t)at + elf->layout->link), names) &&
                   names->size;
    }
    return false;
}

static int by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    /* Of several names for one place the one with a size, then the first in the file. */
    if (!x->size != !y->size)
        return x->size ? 1 : -1;
    return x->name > y->name ? -1 : x->name < y->name;
}

/* Where code that a label of that section names ends at the latest; 0: there is no code in it. */
static uint64_t code_end(const struct elf *elf, unsigned number)
{
    uint64_t at = elf->table + number * elf->entry_size;

    if (number >= elf->entries || !(word(elf, at + elf->layout->flags) & SECTION_CODE))
        return 0;
    return word(elf, at + elf->layout->address) + word(elf, at + elf->layout->size);
}

/* The first address behind what a symbol names. */
static uint64_t end_of(const struct elf *elf, unsigned type, unsigned place, uint64_t address, uint64_t size)
{
    uint64_t end = code_end(elf, place);

    if (size)
        return address + size;
    if (!end)                           /* data have labels, too; a function is code wherever it stands */
        return type == SYMBOL_FUNCTION ? address + LABEL_REACH : 0;
    return end - address < LABEL_REACH ? end : address + LABEL_REACH;
}

static void collect(struct symbols *symbols, const struct elf *elf, struct range table, uint64_t names_size)
{
    const struct layout *layout = elf->layout;
    uint64_t count = table.size / layout->symbol_size;

    for (uint64_t i = 0; i < count && i < SYMBOLS_MAX; i++) {
        uint64_t at = table.offset + i * layout->symbol_size;
        unsigned type = elf->file->bytes[at + layout->info] & 15, place = file_16(elf->file, (size_t)at + layout->section);
        uint32_t name = file_32(elf->file, (size_t)at);
        uint64_t address = word(elf, at + layout->value), size = word(elf, at + layout->length);

        if ((type != SYMBOL_FUNCTION && type != SYMBOL_LABEL) || place == SECTION_UNDEFINED || place >= SECTION_RESERVED ||
            name >= names_size || !symbols->names[name] || !end_of(elf, type, place, address, size))
            continue;
        symbols->symbol[symbols->count++] = (struct symbol){ address, size, end_of(elf, type, place, address, size), name };
    }
    qsort(symbols->symbol, symbols->count, sizeof *symbols->symbol, by_address);
}

void symbols_read(struct symbols *symbols, const struct file *file)
{
    struct elf elf;
    struct range table, names;

    *symbols = (struct symbols){ 0 };
    if (!open_elf(&elf, file) || !find(&elf, &table, &names))
        return;
    symbols->symbol = calloc((size_t)(table.size / elf.layout->symbol_size) + 1, sizeof *symbols->symbol);
    symbols->names = malloc((size_t)names.size + 1);
    if (!symbols->symbol || !symbols->names) {
        symbols_free(symbols);
        return;
    }
    memcpy(symbols->names, file->bytes + names.offset, (size_t)names.size);
    symbols->names[names.size] = '\0';
    collect(symbols, &elf, table, names.size);
}

void symbols_free(struct symbols *symbols)
{
    free(symbols->symbol);
    free(symbols->names);
    lines_close(symbols->lines);
    *symbols = (struct symbols){ 0 };
}

/* The last symbol at or below the address. */
static const struct symbol *below(const struct symbols *symbols, uint64_t address)
{
    size_t low = 0, high = symbols->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->symbol[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &symbols->symbol[low - 1] : NULL;
}

/* `inside`: an address that is certainly in what is to be named; most often the same one. */
static const char *text_of(const struct symbols *symbols, uint64_t address, uint64_t inside, bool with_line, char to[SYMBOL_TEXT_MAX])
{
    const struct symbol *symbol = symbols && symbols->count ? below(symbols, inside) : NULL;
    char name[NAME_MAX_SHOWN + 1];
    char line[LINE_TEXT_MAX] = "";
    size_t length = 0;

    to[0] = '\0';
    if (!symbol || inside - symbol->address >= symbol->end - symbol->address)
        return to;
    /* What is no printable ASCII would do things to a terminal. */
    for (const char *c = symbols->names + symbol->name; *c && length < NAME_MAX_SHOWN; c++)
        name[length++] = *c > ' ' && *c <= '~' ? *c : '?';
    name[length] = '\0';
    if (with_line)
        lines_text(symbols->lines, inside, line);
    snprintf(to, SYMBOL_TEXT_MAX, " <%s+0x%" PRIx64 "%s%s>", name, address - symbol->address, line[0] ? " " : "", line);
    return to;
}

const char *symbols_text(const struct symbols *symbols, uint64_t address, char to[SYMBOL_TEXT_MAX])
{
    return text_of(symbols, address, address, true, to);
}

uint64_t symbols_offset(const struct symbols *symbols, uint64_t address)
{
    const struct symbol *symbol = symbols && symbols->count ? below(symbols, address) : NULL;

    return symbol && address < symbol->end ? address - symbol->address : 0;
}

const char *symbols_name(const struct symbols *symbols, uint64_t address, char to[SYMBOL_TEXT_MAX])
{
    return text_of(symbols, address, address, false, to);
}

const char *symbols_call(const struct symbols *symbols, uint64_t address, char to[SYMBOL_TEXT_MAX])
{
    return text_of(symbols, address, address - 1, true, to);
}
