/* SPDX-License-Identifier: MIT */
/* Loading an image: where its pieces go, and the state of the processor at its entry. */
#include "emu/load/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/load/lines.h"

enum { VIDEO_BASE = 0xa0000, VIDEO_END = 0x100000 };

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a_size && b_size && a < b + b_size && b < a + a_size;
}

/* What is at [pa, pa + size) that an image must not overwrite; NULL if nothing. The range is known to be RAM. */
static const char *occupant(const struct load_request *request, uint64_t pa, uint64_t size)
{
    if (overlap(pa, size, INFO_BASE, INFO_END - INFO_BASE))
        return "the boot information at 0x90000-0x94fff";
    if (overlap(pa, size, VIDEO_BASE, VIDEO_END - VIDEO_BASE))
        return "the PC's video and ROM area at 0xa0000-0xfffff";
    if (overlap(pa, size, request->reserved_base, request->reserved_size))
        return "the memory reserved for L0";
    return NULL;
}

static bool check_pieces(const struct model *model, const struct load_request *request, const struct file *file,
                         const struct image *image, char *error, size_t error_size)
{
    for (unsigned i = 0; i < image->count; i++) {
        const struct piece *piece = &image->piece[i];
        if (piece->size > model->memory.size || !memory_is_ram(&model->memory, piece->pa, piece->size)) {
            snprintf(error, error_size, "%s: 0x%llx bytes at 0x%llx are not all RAM (give more memory with --memory, or link "
                     "the image elsewhere)", file->path, (unsigned long long)piece->size,
                     (unsigned long long)piece->pa);
            return false;
        }
        const char *occupied = occupant(request, piece->pa, piece->size);
        if (occupied) {
            snprintf(error, error_size, "%s: the piece at 0x%llx would overwrite %s (link the image elsewhere)",
                     file->path, (unsigned long long)piece->pa, occupied);
            return false;
        }
        for (unsigned j = 0; j < i; j++) {
            if (!overlap(piece->pa, piece->size, image->piece[j].pa, image->piece[j].size))
                continue;
            snprintf(error, error_size, "%s: the pieces at 0x%llx and 0x%llx overlap", file->path,
                     (unsigned long long)image->piece[j].pa, (unsigned long long)piece->pa);
            return false;
        }
    }
    if (image->entry > UINT32_MAX) {
        snprintf(error, error_size, "%s: the entry 0x%llx lies above 4 GB, which 32-bit protected mode cannot reach",
                 file->path, (unsigned long long)image->entry);
        return false;
    }
    return true;
}

/* Memory is fresh: what the file does not fill is zero already. */
static void place(struct model *model, const struct file *file, const struct image *image)
{
    for (unsigned i = 0; i < image->count; i++)
        memory_write(&model->memory, image->piece[i].pa, file->bytes + image->piece[i].offset, image->piece[i].file_size);
}

/* Reads a module and places it on the first page from *at on. */
static bool place_module(struct model *model, const struct load_request *request, const char *path, uint64_t *at,
                         struct load_range *module, char *error, size_t error_size)
{
    uint64_t low = model->memory.size < MEMORY_HOLE ? model->memory.size : MEMORY_HOLE;
    struct file file;
    bool done = file_read(&file, path, model->memory.size, error, error_size);

    if (done) {
        *at = (*at + PAGE_SIZE - 1) & PAGE_MASK;
        if (*at > low || file.size > low - *at || occupant(request, *at, file.size)) {
            snprintf(error, error_size, "%s: %zu bytes do not fit above the image (give more memory with --memory)",
                     file.path, file.size);
            done = false;
        } else {
            memory_write(&model->memory, *at, file.bytes, file.size);
            *module = (struct load_range){ *at, file.size };
            *at += file.size;
        }
    }
    free(file.bytes);
    return done;
}

/* Modules go to the first pages above the image and above 1 MB. */
static bool place_modules(struct model *model, const struct load_request *request, const struct image *image,
                          struct load_range module[MODULES_MAX], char *error, size_t error_size)
{
    uint64_t at = VIDEO_END;

    for (unsigned i = 0; i < image->count; i++) {
        uint64_t end = image->piece[i].pa + image->piece[i].size;
        if (image->piece[i].pa < MEMORY_HOLE && end > at)
            at = end;
    }
    for (unsigned i = 0; i < request->modules; i++)
        if (!place_module(model, request, request->module[i].path, &at, &module[i], error, error_size))
            return false;
    return true;
}

/* As GRUB leaves it: below 512 KB, where RAM is and nothing else. */
enum { LOADER_STACK = 0x7ff00 };

/* Specification, 3.2 "Machine state"; selectors as if from a GDT of null, code, data. */
static void enter(struct cpu *cpu, uint64_t entry)
{
    const struct segment code = { 0x08, 0xb | AR_S | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };
    const struct segment data = { 0x10, 0x3 | AR_S | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };

    for (enum segment_register i = SEG_ES; i <= SEG_GS; i++)
        cpu->seg[i] = i == SEG_CS ? code : data;
    cpu->cr0 = CR0_PE | CR0_ET;
    cpu->rflags = RFLAGS_FIXED;
    cpu->rip = entry;
    for (unsigned i = 0; i < GPR_COUNT; i++)
        cpu->gpr[i] = 0;
    cpu->gpr[RAX] = 0x2badb002;
    cpu->gpr[RBX] = INFO_BASE;
    cpu->gpr[RSP] = LOADER_STACK;     /* undefined by the specification; usable from every loader that there is */
    cpu->activity = ACTIVITY_ACTIVE;
}

static void read_symbols(const struct load_request *request, const struct file *file)
{
    symbols_read(request->symbols, file);
    if (request->symbols->count)
        request->symbols->lines = lines_of(request->image);
}

static bool load_file(struct model *model, const struct load_request *request, const struct file *file, char *error,
                      size_t error_size)
{
    struct image image;
    struct load_range module[MODULES_MAX] = { 0 };

    if (!format_layout(file, &image, error, error_size) || !check_pieces(model, request, file, &image, error, error_size) ||
        !place_modules(model, request, &image, module, error, error_size))
        return false;
    firmware_leave(model);
    place(model, file, &image);
    multiboot_information(model, request, module);
    enter(&model->cpu[0], image.entry);
    if (request->symbols)
        read_symbols(request, file);
    return true;
}

bool load_add_module(struct load_request *request, const char *line, const char *text, char *error, size_t error_size)
{
    struct load_module *module = &request->module[request->modules % MODULES_MAX];
    size_t length = text ? strlen(line) : strcspn(line, " ");
    const char *name = line;

    if (request->modules == MODULES_MAX) {
        snprintf(error, error_size, "%.100s: more than %d modules", line, MODULES_MAX);
        return false;
    }
    if (length == 0 || length >= sizeof module->path) {
        snprintf(error, error_size, "\"%.100s\" does not begin with a module's file name of up to %zu characters", line,
                 sizeof module->path - 1);
        return false;
    }
    memcpy(module->path, line, length);
    module->path[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if (line[i] == '/')
            name = line + i + 1;
    module->text = text ? text : name;
    request->modules++;
    return true;
}

bool load_image(struct model *model, const struct load_request *request, char *error, size_t error_size)
{
    struct file file;

    if (request->arguments && strlen(request->arguments) + strlen(request->image) + 1 > COMMAND_LINE_MAX) {
        snprintf(error, error_size, "--append: a command line is at most %d bytes long", COMMAND_LINE_MAX);
        return false;
    }
    bool done = file_read(&file, request->image, model->memory.size, error, error_size) &&
                load_file(model, request, &file, error, error_size);
    free(file.bytes);
    return done;
}
