/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 2 ("Multiboot2 Specification version 2.0"). The header, 8-byte aligned in the first 32 KB of the file (3.1):
 *
 *   0 magic 0xe85250d6 | 4 architecture 0 | 8 length | 12 checksum | tags of type, flags, size, 8-byte aligned, up to type 0
 */
#include <stdio.h>
#include <string.h>

#include "emu/firmware/acpi.h"
#include "emu/load/parts.h"

#define HEADER_MAGIC 0xe85250d6u
enum { SEARCH_SIZE = 32768, HEADER_SIZE = 16, TAG_SIZE = 8, TAG_OPTIONAL = 1, ARCHITECTURE_I386 = 0 };

/* Tags of the header (Multiboot 2, 3.1.4-3.1.12), with their sizes, and what is done about those that are no address. */
enum { TAG_END, TAG_REQUEST, TAG_ADDRESS, TAG_ENTRY, TAG_CONSOLE, TAG_FRAMEBUFFER, TAG_ALIGN, TAG_EFI_SERVICES, TAG_EFI_ENTRY_32,
       TAG_EFI_ENTRY_64, TAG_RELOCATABLE };
enum { REQUEST_SIZE = 8, ADDRESS_SIZE = 24, ENTRY_SIZE = 12 };
/* Tags of the information (Multiboot 2, 3.6). */
enum { INFO_COMMAND_LINE = 1, INFO_LOADER = 2, INFO_MODULE = 3, INFO_MEMORY = 4, INFO_MAP = 6, INFO_FRAMEBUFFER = 8, INFO_SECTIONS = 9, INFO_RSDP = 15 /* of ACPI 2.0 and later */, INFO_IMAGE_BASE = 21 };
enum { MAP_ENTRY = 24, INFO_SECTIONS_MAX = 0x8000, FRAMEBUFFER_SIZE = 24 };

/* Where the header is, or SIZE_MAX. */
static size_t find(const struct file *file)
{
    for (size_t at = 0; at + HEADER_SIZE <= file->size && at + HEADER_SIZE <= SEARCH_SIZE; at += 8)
        if (file_32(file, at) == HEADER_MAGIC &&
            HEADER_MAGIC + file_32(file, at + 4) + file_32(file, at + 8) + file_32(file, at + 12) == 0)
            return at;
    return SIZE_MAX;
}

bool multiboot2_is(const struct file *file)
{
    return find(file) != SIZE_MAX;
}

/* A walk over the tags of the header. */
struct tag { size_t at, end; unsigned type, flags; uint32_t size; };

/* The next tag; false at the last one. *fault: NULL, or what is wrong. */
static bool next(const struct file *file, struct tag *tag, const char **fault)
{
    if (tag->end - tag->at < TAG_SIZE) {
        *fault = "the tags of the multiboot 2 header do not end with one of type 0";
        return false;
    }
    tag->type = file_16(file, tag->at);
    tag->flags = file_16(file, tag->at + 2);
    tag->size = file_32(file, tag->at + 4);
    if (tag->size < TAG_SIZE || tag->size > tag->end - tag->at)
        *fault = "a tag of the multiboot 2 header is smaller than a tag, or longer than the header";
    else if ((tag->type == TAG_ADDRESS && tag->size < ADDRESS_SIZE) || (tag->type == TAG_ENTRY && tag->size < ENTRY_SIZE))
        *fault = "an address tag of the multiboot 2 header is cut short";
    return !*fault && tag->type != TAG_END;
}

static void advance(struct tag *tag)
{
    size_t step = ((size_t)tag->size + 7) & ~(size_t)7;

    tag->at = step < tag->end - tag->at ? tag->at + step : tag->end;
}

/* What information an image may insist on: all that is given here. */
static bool given(uint32_t type)
{
    return type == INFO_COMMAND_LINE || type == INFO_LOADER || type == INFO_MODULE || type == INFO_MEMORY || type == INFO_MAP ||
           type == INFO_FRAMEBUFFER || type == INFO_SECTIONS || type == INFO_RSDP || type == INFO_IMAGE_BASE;
}

/* Tags that ask for what the machine cannot do and are not optional. */
static bool can_meet(const struct file *file, const struct tag *tag, char *text, size_t size)
{
    if (tag->flags & TAG_OPTIONAL)
        return true;
    switch (tag->type) {
    case TAG_REQUEST:
        for (uint32_t i = REQUEST_SIZE; i + 4 <= tag->size; i += 4) {
            if (given(file_32(file, tag->at + i)))
                continue;
            snprintf(text, size, "the image requires multiboot 2 information of type %u, which there is none of here (mark the request as "
                     "optional: flags bit 0)", file_32(file, tag->at + i));
            return false;
        }
        return true;
    default:
        if (tag->type <= TAG_RELOCATABLE)
            return true;
        snprintf(text, size, "the image requires multiboot 2 feature %u, which is not known here", tag->type);
        return false;
    }
}

bool multiboot2_layout(const struct file *file, struct image *image, char *error, size_t error_size)
{
    size_t header = find(file), length = file_32(file, header + 8);
    struct tag tag = { .at = header + HEADER_SIZE, .end = header + length };
    struct multiboot_addresses addresses;
    bool placed = false, entered = false;
    uint64_t entry = 0;
    const char *fault = NULL;
    char text[200] = "";

    if (file_32(file, header + 4) != ARCHITECTURE_I386)
        fault = "the multiboot 2 header is not for i386 (its architecture must be 0)";
    else if (length < HEADER_SIZE || length > file->size - header)
        fault = "the multiboot 2 header is longer than the file";
    for (; !fault && next(file, &tag, &fault); advance(&tag)) {
        if (!can_meet(file, &tag, text, sizeof text))
            fault = text;
        if (tag.type == TAG_ADDRESS) {
            addresses = (struct multiboot_addresses){ file_32(file, tag.at + 8), file_32(file, tag.at + 12), file_32(file, tag.at + 16),
                                                      file_32(file, tag.at + 20) };
            placed = true;
        }
        if (tag.type == TAG_ENTRY) {
            entry = file_32(file, tag.at + 8);
            entered = true;
        }
    }
    if (!fault && placed && !entered)
        fault = "the multiboot 2 header has an address tag and no entry tag";
    if (!fault && !placed && !elf_is(file))
        fault = "the multiboot 2 header has no address tag and the file is not ELF: nothing says where to load it";
    if (fault) {
        snprintf(error, error_size, "%s: %s", file->path, fault);
        return false;
    }
    image->header = header;
    image->entry = entry;
    if (placed)
        return multiboot_address_layout(file, header, &addresses, image, error, error_size);
    return entered ? elf_pieces(file, image, error, error_size) : elf_layout(file, image, error, error_size);
}

/* ---- the information ---- */

/* Begins a tag at *at with `size` bytes of content, moves *at behind it, and returns where the content goes. */
static uint64_t begin(struct model *model, uint64_t *at, uint32_t type, uint32_t size)
{
    uint64_t content = *at + TAG_SIZE;

    memory_write32(&model->memory, *at, type);
    memory_write32(&model->memory, *at + 4, TAG_SIZE + size);
    *at = (content + size + 7) & ~7ull;
    return content;
}

static void text_tag(struct model *model, uint64_t *at, uint32_t type, const char *text)
{
    uint32_t size = (uint32_t)strlen(text) + 1;
    uint64_t content = begin(model, at, type, size);

    memory_write(&model->memory, content, text, size);
}

static void map_tag(struct model *model, uint64_t *at, const struct load_request *request)
{
    struct memory_range range[MEMORY_RANGES_MAX];
    unsigned count = memory_map(model, request, range);
    uint64_t content = begin(model, at, INFO_MAP, 8 + MAP_ENTRY * count);

    memory_write32(&model->memory, content, MAP_ENTRY);
    for (unsigned i = 0; i < count; i++) {
        uint64_t entry = content + 8 + MAP_ENTRY * i;

        memory_write64(&model->memory, entry, range[i].base);
        memory_write64(&model->memory, entry + 8, range[i].end - range[i].base);
        memory_write32(&model->memory, entry + 16, range[i].type);
    }
}

static void module_tag(struct model *model, uint64_t *at, struct load_range module, const char *text)
{
    char line[MODULE_TEXT_MAX + 1];

    snprintf(line, sizeof line, "%s", text);
    uint32_t length = (uint32_t)strlen(line);
    uint64_t content = begin(model, at, INFO_MODULE, 8 + length + 1);
    memory_write32(&model->memory, content, (uint32_t)module.base);
    memory_write32(&model->memory, content + 4, (uint32_t)(module.base + module.size));
    memory_write(&model->memory, content + 8, line, length + 1);
}

/* Multiboot 2, 3.6.7: number, entry size, index of the names; then the headers themselves. */
static void sections_tag(const struct loaded *loaded, uint64_t *at)
{
    const struct elf_sections *sections = &loaded->sections;

    uint32_t size = sections->count * sections->entry_size;
    if (!size || size > INFO_SECTIONS_MAX)
        return;
    uint64_t content = begin(loaded->model, at, INFO_SECTIONS, 12 + size);
    memory_write32(&loaded->model->memory, content, sections->count);
    memory_write32(&loaded->model->memory, content + 4, sections->entry_size);
    memory_write32(&loaded->model->memory, content + 8, sections->names);
    for (uint32_t i = 0; i < size; i += 4)
        memory_write32(&loaded->model->memory, content + 12 + i, memory_read32(&loaded->model->memory, sections->address + i));
}

/* Multiboot 2, 3.6.15 "ACPI new RSDP": a copy of it. */
static void rsdp_tag(struct model *model, uint64_t *at)
{
    uint64_t content = begin(model, at, INFO_RSDP, ACPI_RSDP_SIZE);

    for (unsigned i = 0; i < ACPI_RSDP_SIZE; i += 4)
        memory_write32(&model->memory, content + i, memory_read32(&model->memory, ACPI_RSDP + i));
}

/* Does the image insist on knowing a framebuffer? The layout has found the tags good. */
static bool wants_framebuffer(const struct file *file, size_t header)
{
    struct tag tag = { .at = header + HEADER_SIZE, .end = header + file_32(file, header + 8) };
    const char *fault = NULL;
    bool wanted = false;

    for (; next(file, &tag, &fault); advance(&tag)) {
        bool named = tag.type == TAG_FRAMEBUFFER;

        for (uint32_t i = REQUEST_SIZE; tag.type == TAG_REQUEST && i + 4 <= tag.size; i += 4)
            named |= file_32(file, tag.at + i) == INFO_FRAMEBUFFER;
        wanted |= named && !(tag.flags & TAG_OPTIONAL);
    }
    return wanted;
}

/* Multiboot 2, 3.3 "I386 machine state": EAX, EBX; the rest is as for the first version. */
static void hand_over(struct loaded *loaded)
{
    struct model *model = loaded->model;
    const struct load_request *request = loaded->request;
    struct cpu *cpu = &model->cpu[0];
    uint64_t end = request->reserved_size ? request->reserved_base : memory_low_end(model), at = INFO_BASE + 8, content;
    char line[COMMAND_LINE_MAX + 1];

    command_line(request, line);
    text_tag(model, &at, INFO_COMMAND_LINE, line);
    text_tag(model, &at, INFO_LOADER, "sesqui");
    content = begin(model, &at, INFO_MEMORY, 8);
    memory_write32(&model->memory, content, BASE_MEMORY_END / 1024);
    memory_write32(&model->memory, content + 4, end > HIGH_START ? (uint32_t)((end - HIGH_START) / 1024) : 0);
    map_tag(model, &at, request);
    for (unsigned i = 0; i < request->modules; i++)
        module_tag(model, &at, loaded->module[i], request->module[i].text);
    sections_tag(loaded, &at);
    rsdp_tag(model, &at);
    if (wants_framebuffer(loaded->file, loaded->image->header))
        multiboot_text_mode(&model->memory, begin(model, &at, INFO_FRAMEBUFFER, FRAMEBUFFER_SIZE));
    content = begin(model, &at, INFO_IMAGE_BASE, 4);
    memory_write32(&model->memory, content, (uint32_t)loaded->image->piece[0].pa);
    begin(model, &at, 0, 0);
    memory_write32(&model->memory, INFO_BASE, (uint32_t)(at - INFO_BASE));
    enter_protected(cpu, loaded->image->entry);
    cpu->gpr[RAX] = 0x36d76289;
    cpu->gpr[RBX] = INFO_BASE;
}

const struct protocol multiboot2_protocol = { .name = "multiboot 2", .entry_max = UINT32_MAX, .info_end = INFO_END_LONG, .sections = true,
                                            .hand_over = hand_over };
