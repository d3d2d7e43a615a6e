/* SPDX-License-Identifier: MIT */
/*
 * Loads an image for `sesqui boot` as a PC's boot loader would: multiboot v1 ("Multiboot Specification version 0.6.96"),
 * placed by the program headers of its ELF32 or ELF64 file or by the address fields of its header. Images are not trusted:
 * every size and offset is checked against the file and against RAM.
 */
#ifndef SESQUI_EMU_LOAD_H
#define SESQUI_EMU_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/load/symbols.h"
#include "model/model.h"

/* Where the loader puts what it tells the image; an image may not be loaded over it. */
enum { INFO_BASE = 0x90000, INFO_END = 0x95000, COMMAND_LINE_MAX = 8191, MODULES_MAX = 8, MODULE_TEXT_MAX = 511 };

struct load_module {
    char path[1024];
    const char *text;               /* what the image is told of it; cut after MODULE_TEXT_MAX bytes */
};

struct load_request {
    const char *image;              /* path */
    struct load_module module[MODULES_MAX];
    unsigned modules;
    const char *arguments;          /* follows the image's name on its command line; NULL: none */
    uint64_t reserved_base, reserved_size;  /* L0's pool: neither used nor shown in the memory map */
    uint64_t late_entry;            /* late load: shown to the image as a module (arch/late_load.h); 0: not */
    struct symbols *symbols;        /* receives the image's symbols; NULL: not wanted */
};

/*
 * Adds a module "FILE ARGUMENTS". The image is told `text`, or, if that is NULL, the line without FILE's folders. `line`
 * outlives the request. False: `error` is one line.
 */
bool load_add_module(struct load_request *request, const char *line, const char *text, char *error, size_t error_size);

/*
 * Loads into the model's memory, which is fresh (all zero), and sets processor 0 to the entry state: 32-bit protected mode,
 * flat segments, interrupts off, EAX = 0x2badb002, EBX = information. False: `error` is one line: file, fault, remedy.
 */
bool load_image(struct model *model, const struct load_request *request, char *error, size_t error_size);

/* ---- what the parts of the loader share ---- */

struct file {
    const char *path;               /* as messages name it: of a long one the end */
    uint8_t *bytes;
    size_t size;
};
/* Reads a whole file of at most `limit` bytes; "-" is standard input, and pipes are files. The caller frees file->bytes, also after a
 * failure. */
bool file_read(struct file *file, const char *path, uint64_t limit, char *error, size_t error_size);
/* Little-endian numbers in a file; the caller has checked the offset. */
uint16_t file_16(const struct file *file, size_t offset);
uint32_t file_32(const struct file *file, size_t offset);
uint64_t file_64(const struct file *file, size_t offset);

enum { IMAGE_PIECES = 64 };
/* A run of bytes to be placed: `file_size` of them come from the file, the rest of `size` is zero. */
struct piece {
    uint64_t pa, offset, file_size, size;
};
struct image {
    struct piece piece[IMAGE_PIECES];
    unsigned count;
    uint64_t entry;                 /* physical */
};

bool elf_is(const struct file *file);
/* Of the loadable segment that holds this byte of the file: where it begins in the file, and its alignment. False: there is none. */
bool elf_segment_of(const struct file *file, uint64_t offset, uint64_t *segment, uint64_t *alignment);
/* Collects the loadable segments. */
bool elf_layout(const struct file *file, struct image *image, char *error, size_t error_size);

struct multiboot {
    size_t offset;                  /* of the header in the file */
    uint32_t flags;
};
/* Looks for a valid header; false: there is none. */
bool multiboot_find(const struct file *file, struct multiboot *header);
/* What is almost a header: the mistakes that its author can mend. */
struct multiboot_slip {
    enum { MULTIBOOT_TOO_FAR, MULTIBOOT_UNALIGNED, MULTIBOOT_CHECKSUM, MULTIBOOT_CUT_SHORT, MULTIBOOT_2 } kind;
    size_t offset;
    uint32_t flags, checksum, wanted;
};
bool multiboot_slip(const struct file *file, struct multiboot_slip *slip);
/* Refuses requirements that the machine cannot meet; collects the pieces. */
bool multiboot_layout(const struct file *file, const struct multiboot *header, struct image *image, char *error,
                      size_t error_size);
/* Writes the information block; `module` says where the request's modules are. */
struct load_range { uint64_t base, size; };
void multiboot_information(struct model *model, const struct load_request *request,
                           const struct load_range module[MODULES_MAX]);

/* Recognises a file, whatever it is, and collects its pieces. False: `error` says what it is, and what to do. */
bool format_layout(const struct file *file, struct image *image, char *error, size_t error_size);

enum { BASE_MEMORY_END = 0x9fc00 };     /* where a PC's extended BIOS data begins */
/* Memory and devices as a PC's firmware leaves them. */
void firmware_leave(struct model *model);

#endif
