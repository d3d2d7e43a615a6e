/* SPDX-License-Identifier: MIT */
/* Files as the loaders read them. */
#ifndef SESQUI_EMU_LOAD_FILE_H
#define SESQUI_EMU_LOAD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file {
    const char *path;               /* as messages name it: of a long one the end */
    uint8_t *bytes;
    size_t size;
};
/* Reads a whole file of at most `limit` bytes; "-" is standard input, and pipes are files. The caller frees file->bytes, also after a
 * failure. */
bool file_read(struct file *file, const char *path, uint64_t limit, char *error, size_t error_size);
/* Unpacks a gzip file (RFC 1952) in place; any other stays as it is. `limit`: as above, of the unpacked bytes. */
bool file_unpack(struct file *file, uint64_t limit, char *error, size_t error_size);
/* Little-endian numbers in a file; the caller has checked the offset. */
uint16_t file_16(const struct file *file, size_t offset);
uint32_t file_32(const struct file *file, size_t offset);
uint64_t file_64(const struct file *file, size_t offset);

#endif
