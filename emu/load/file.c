/* SPDX-License-Identifier: MIT */
/* Files as the loaders read them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "emu/load/file.h"

enum { FIRST_READ = 1 << 16, PATH_SHOWN_MAX = 120 };

/* What can be read to its end: a file, a pipe, a socket. */
static const char *not_a_file(FILE *from)
{
    struct stat status;

    if (fstat(fileno(from), &status) != 0)
        return strerror(errno);
    return S_ISDIR(status.st_mode) ? "is a directory, not a file"
         : S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode) ? "is a device, not a file" : NULL;
}

/* main() puts something in the place of a closed one that can only be written. */
static bool is_closed(FILE *from)
{
    int mode = fcntl(fileno(from), F_GETFL);

    return mode < 0 || (mode & O_ACCMODE) == O_WRONLY;
}

/* To the end, or one byte further than `limit`. The size is not asked for: of a pipe nobody knows it. */
static const char *read_all(struct file *file, FILE *from, uint64_t limit)
{
    size_t capacity = 0, got = 1;

    errno = 0;
    while (got && file->size <= limit) {
        if (file->size == capacity) {
            capacity = capacity ? 2 * capacity : FIRST_READ;
            uint8_t *grown = realloc(file->bytes, capacity);
            if (!grown)
                return "the host has no memory for it";
            file->bytes = grown;
        }
        got = fread(file->bytes + file->size, 1, capacity - file->size, from);
        file->size += got;
    }
    return ferror(from) ? strerror(errno) : NULL;
}

bool file_read(struct file *file, const char *path, uint64_t limit, char *error, size_t error_size)
{
    const bool standard_input = strcmp(path, "-") == 0;
    size_t length = strlen(path);

    *file = (struct file){ .path = length > PATH_SHOWN_MAX ? path + length - PATH_SHOWN_MAX : path };
    FILE *from = standard_input ? stdin : fopen(path, "rb");
    const char *fault = from ? not_a_file(from) : strerror(errno);
    if (!fault)
        fault = read_all(file, from, limit);
    if (from && !standard_input)
        fclose(from);
    if (fault)
        snprintf(error, error_size, "%s: %s", standard_input ? "standard input" : file->path, standard_input && is_closed(from) ? "is closed" : fault);
    else if (file->size > limit)
        snprintf(error, error_size, "%s: its bytes do not fit into %llu MB of memory (give more with --memory)", file->path,
                 (unsigned long long)limit >> 20);
    return !fault && file->size <= limit;
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
