/* SPDX-License-Identifier: MIT */
/* ELF executables: System V ABI, chapters 4 and 5. Only program headers matter. */
#ifndef SESQUI_HV_X86_ELF_H
#define SESQUI_HV_X86_ELF_H

#include "hv/hal.h"

enum { PIECES_MAX = 16 };
/* `file_size` bytes at `offset` of the file go to `address`; the rest of `size` is zero. */
struct piece { uint64_t address, offset, file_size, size; };
struct image {
    struct piece piece[PIECES_MAX];
    unsigned count;
    uint64_t entry;                 /* physical */
};

bool elf_is(const uint8_t *file, uint64_t size);
/* The loadable segments. NULL, or what is wrong. */
const char *elf_layout(const uint8_t *file, uint64_t size, struct image *image);

#endif
