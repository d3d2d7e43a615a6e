/* SPDX-License-Identifier: MIT */
/*
 * Loads an image for `sesqui boot` as a PC's boot loader would. What boot protocols there are: protocols in formats.c, one file each.
 * Images are not trusted: every size and offset is checked against the file and against RAM.
 */
#ifndef SESQUI_EMU_LOAD_H
#define SESQUI_EMU_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/load/symbols.h"
#include "model/model.h"

enum { COMMAND_LINE_MAX = 8191, MODULES_MAX = 8, MODULE_TEXT_MAX = 511 };
/* Where the loader puts what it tells the image; an image may not be loaded over it. */
enum { INFO_BASE = 0x90000, INFO_END = 0x95000, INFO_END_LONG = 0x9f000 /* multiboot 2 */ };

struct load_module {
    char path[1024];
    const char *text;               /* what the image is told of it; cut after MODULE_TEXT_MAX bytes */
    bool initrd;                    /* --initrd: for kernels that take one */
};

struct load_request {
    const char *image;              /* path */
    struct load_module module[MODULES_MAX];
    unsigned modules;
    const char *arguments;          /* follows the image's name on its command line; NULL: none */
    uint64_t reserved_base, reserved_size;  /* L0's pool: neither used nor shown in the memory map */
    bool feature_control_told;      /* IA32_FEATURE_CONTROL stays as the machine has it, whatever the boot protocol would leave */
    uint64_t late_entry;            /* late load: shown to the image as a module (arch/late_load.h); 0: not */
    struct symbols *symbols;        /* receives the image's symbols; NULL: not wanted */
    struct fw_cfg *fw_cfg;          /* receives the memory map; NULL: not wanted */
    bool *plain;                    /* receives whether the image is an ELF file with no header of any boot protocol; NULL: not wanted */
};

/*
 * Adds a module "FILE ARGUMENTS". The image is told `text`, or, if that is NULL, the line without FILE's folders. `line`
 * outlives the request. False: `error` is one line.
 */
bool load_add_module(struct load_request *request, const char *line, const char *text, char *error, size_t error_size);

/*
 * Loads into the model's memory, which is fresh (all zero), and sets processor 0 to the state in which the image's boot protocol
 * enters it. False: `error` is one line: file, fault, remedy.
 */
bool load_image(struct model *model, const struct load_request *request, char *error, size_t error_size);

#endif
