/* SPDX-License-Identifier: MIT */
/* Files as the loaders read them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emu/load/load.h"

static bool read_open(struct file *file, FILE *from, uint64_t limit, char *error, size_t error_size)
{
    struct stat status;

    if (fstat(fileno(from), &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(error, error_size, "%s: not a regular file", file->path);
        return false;
    }
    if ((uint64_t)status.st_size > limit) {
        snprintf(error, error_size, "%s: %llu bytes do not fit into %llu MB of memory (give more with --memory)",
                 file->path, (unsigned long long)status.st_size, (unsigned long long)limit >> 20);
        return false;
    }
    file->size = (size_t)status.st_size;
    file->bytes = malloc(file->size ? file->size : 1);
    if (!file->bytes) {
        snprintf(error, error_size, "%s: no host memory for its %zu bytes", file->path, file->size);
        return false;
    }
    if (fread(file->bytes, 1, file->size, from) != file->size) {
        snprintf(error, error_size, "%s: cannot be read in full", file->path);
        return false;
    }
    return true;
}

bool file_read(struct file *file, const char *path, uint64_t limit, char *error, size_t error_size)
{
    *file = (struct file){ .path = path };
    FILE *from = fopen(path, "rb");
    if (!from) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return false;
    }
    bool done = read_open(file, from, limit, error, error_size);
    fclose(from);
    return done;
}

uint16_t file_16(const struct file *file, size_t offset)
{
    return (uint16_t)(file->bytes[offset] | file->bytes[offset + 1] << 8);
}

uint32_t file_32(const struct file *file, size_t offset)
{
    return file_16(file, offset) | (uint32_t)file_16(file, offset + 2) << 16;
}

uint64_t file_64(const struct file *file, size_t offset)
{
    return file_32(file, offset) | (uint64_t)file_32(file, offset + 4) << 32;
}
