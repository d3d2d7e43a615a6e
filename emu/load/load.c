/* SPDX-License-Identifier: MIT */
/* Loading an image: where its pieces go, and the state of the processor at its entry. */
#include "emu/load/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/load/lines.h"
#include "emu/load/parts.h"

/* Modules keep this clear of the image: early code uses what lies behind its own end without asking. */
enum { MODULE_ALIGNMENT = 16 << 20 };

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a_size && b_size && a < b + b_size && b < a + a_size;
}

/* What is at [pa, pa + size) that an image must not overwrite; NULL if nothing. The range is known to be RAM. */
static const char *occupant(const struct load_request *request, const struct protocol *protocol, uint64_t pa, uint64_t size)
{
    if (protocol->info_end && overlap(pa, size, INFO_BASE, protocol->info_end - INFO_BASE))
        return protocol->info_end == INFO_END ? "the boot information at 0x90000-0x94fff" : "the boot information at 0x90000-0x9efff";
    if (protocol->tables && overlap(pa, size, LOADER_TABLES, LOADER_TABLES_END - LOADER_TABLES))
        return "the loader's page tables at 0x80000-0x86fff";
    if (protocol->setup && overlap(pa, size, LOADER_SETUP, LOADER_SETUP_END - LOADER_SETUP))
        return "the image's own real-mode part at 0x10000-0x1ffff";
    if (overlap(pa, size, VIDEO_BASE, HIGH_START - VIDEO_BASE))
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
        const char *occupied = occupant(request, image->protocol, piece->pa, piece->size);
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
    if (image->entry > image->protocol->entry_max) {
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

/* A module is unpacked, as GRUB's commands of that name do; an initrd stays as it is, as with GRUB's. */
static bool read_module(const struct loaded *loaded, unsigned i, struct file *file, char *error, size_t error_size)
{
    const struct load_module *module = &loaded->request->module[i];
    uint64_t most = loaded->model->memory.size;

    return file_read(file, module->path, most, error, error_size) && (module->initrd || file_unpack(file, most, error, error_size));
}

static bool fits(const struct loaded *loaded, uint64_t at, uint64_t size)
{
    uint64_t low = memory_low_end(loaded->model);

    return at <= low && size <= low - at && !occupant(loaded->request, loaded->image->protocol, at, size);
}

static bool no_room(const struct file *file, const char *where, char *error, size_t error_size)
{
    snprintf(error, error_size, "%s: %zu bytes do not fit %s (give more memory with --memory)", file->path, file->size, where);
    return false;
}

static void put(struct loaded *loaded, unsigned i, const struct file *file, uint64_t at)
{
    memory_write(&loaded->model->memory, at, file->bytes, file->size);
    loaded->module[i] = (struct load_range){ at, file->size };
}

/* Where memory behind the image, below the device hole and above 1 MB, begins. */
static uint64_t image_end(const struct image *image)
{
    uint64_t at = HIGH_START;

    for (unsigned i = 0; i < image->count; i++) {
        uint64_t end = image->piece[i].pa + image->piece[i].size;
        if (image->piece[i].pa < MEMORY_HOLE && end > at)
            at = end;
    }
    return (at + PAGE_SIZE - 1) & PAGE_MASK;
}

/* Module 0 on the first page from `clear` on where it fits, else from *at on; the others behind it. */
static bool place_module(struct loaded *loaded, unsigned i, uint64_t *at, uint64_t clear, char *error, size_t error_size)
{
    struct file file;
    bool done = read_module(loaded, i, &file, error, error_size);

    if (done) {
        if (fits(loaded, clear, file.size))
            *at = clear;
        done = fits(loaded, *at, file.size) || no_room(&file, "above the image", error, error_size);
    }
    if (done) {
        put(loaded, i, &file, *at);
        *at = (*at + file.size + PAGE_SIZE - 1) & PAGE_MASK;
    }
    free(file.bytes);
    return done;
}

/* As high as it may lie, below L0's pool. */
static bool place_initrd(struct loaded *loaded, char *error, size_t error_size)
{
    const struct load_request *request = loaded->request;
    uint64_t end = loaded->image->protocol->initrd_end(loaded->file, loaded->image), low = memory_low_end(loaded->model);
    struct file file;
    bool done = read_module(loaded, 0, &file, error, error_size);

    end = end < low ? end : low;
    if (request->reserved_size && request->reserved_base < end)
        end = request->reserved_base;
    if (done) {
        uint64_t at = file.size <= end ? (end - file.size) & PAGE_MASK : 0;
        done = at >= image_end(loaded->image) || no_room(&file, "as initrd above the kernel", error, error_size);
        if (done)
            put(loaded, 0, &file, at);
    }
    free(file.bytes);
    return done;
}

static bool place_modules(struct loaded *loaded, char *error, size_t error_size)
{
    const struct load_request *request = loaded->request;
    uint64_t at = image_end(loaded->image), clear = (at + MODULE_ALIGNMENT - 1) & ~(uint64_t)(MODULE_ALIGNMENT - 1);

    if (loaded->image->protocol->initrd_end)
        return !request->modules || place_initrd(loaded, error, error_size);
    for (unsigned i = 0; i < request->modules; i++)
        if (!place_module(loaded, i, &at, i ? at : clear, error, error_size))
            return false;
    if (loaded->image->protocol->sections)
        elf_sections_place(loaded->model, loaded->file, at,
                           request->reserved_size ? request->reserved_base : memory_low_end(loaded->model), &loaded->sections);
    return true;
}

static void read_symbols(const struct load_request *request, const struct file *file)
{
    symbols_read(request->symbols, file);
    if (request->symbols->count)
        request->symbols->lines = lines_of(request->image);
}

/* What the boot protocol cannot carry. */
static bool check_request(const struct load_request *request, const struct file *file, const struct image *image, char *error,
                          size_t error_size)
{
    const struct protocol *protocol = image->protocol;
    size_t length = request->arguments ? strlen(request->arguments) : 0;
    size_t most = protocol->command_line_max ? protocol->command_line_max(file, image) : COMMAND_LINE_MAX;

    if (length > most)
        snprintf(error, error_size, "--append: this image takes a command line of at most %zu characters", most);
    else if (protocol->initrd_end && request->modules > 1)
        snprintf(error, error_size, "%s: a Linux kernel takes one --initrd (several archives may be joined into one file)", file->path);
    else if (protocol->initrd_end && request->modules && !request->module[0].initrd)
        snprintf(error, error_size, "%s: a Linux kernel takes no --module, but an --initrd", file->path);
    else if (request->late_entry && !protocol->late)
        snprintf(error, error_size, "%s: --late needs a multiboot image, which is told where to ask for the core; this is one of %s", file->path,
                 protocol->name);
    else
        return true;
    return false;
}

/* As firmware leaves IA32_FEATURE_CONTROL on a machine with VMX, unless another value was asked for (SDM Vol. 3, 24.7). */
static void turn_vmx_on(struct model *model)
{
    for (unsigned i = 0; i < model->cpu_count; i++)
        CPU_MSR(&model->cpu[i], ia32_feature_control) = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
}

static bool load_file(struct model *model, const struct load_request *request, const struct file *file, char *error,
                      size_t error_size)
{
    struct image image;
    struct loaded loaded = { .model = model, .request = request, .file = file, .image = &image };

    if (!format_layout(file, &image, error, error_size) || !check_request(request, file, &image, error, error_size) ||
        !check_pieces(model, request, file, &image, error, error_size) || !place_modules(&loaded, error, error_size))
        return false;
    firmware_leave(model, request);
    if (!request->feature_control_told && capability_vmx(&model->capability))
        turn_vmx_on(model);
    place(model, file, &image);
    image.protocol->hand_over(&loaded);
    if (request->plain)
        *request->plain = image.protocol == &plain_protocol;
    if (request->symbols)
        read_symbols(request, file);
    return true;
}

void command_line(const struct load_request *request, char line[COMMAND_LINE_MAX + 1])
{
    const char *slash = strrchr(request->image, '/'), *name = slash ? slash + 1 : request->image;

    snprintf(line, COMMAND_LINE_MAX + 1, "%s%s%s", name, request->arguments ? " " : "", request->arguments ? request->arguments : "");
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
    module->initrd = text;
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
                file_unpack(&file, model->memory.size, error, error_size) && load_file(model, request, &file, error, error_size);
    free(file.bytes);
    return done;
}
