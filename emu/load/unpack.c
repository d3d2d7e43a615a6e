/* SPDX-License-Identifier: MIT */
/* Packed images: gzip, by zlib. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "emu/load/file.h"

enum { FIRST_SIZE = 1 << 20, GZIP_WINDOW = 15 + 16 };

static bool is_packed(const struct file *file)
{
    return file->size > 2 && file->bytes[0] == 0x1f && file->bytes[1] == 0x8b;
}

/* Up to one byte more than `limit`. Returns what is wrong, or NULL. */
static const char *inflate_all(z_stream *stream, struct file *to, uint64_t limit)
{
    size_t capacity = 0;
    int answer = Z_OK;

    while (answer == Z_OK && to->size <= limit) {
        if (to->size == capacity) {
            capacity = capacity ? 2 * capacity : FIRST_SIZE;
            uint8_t *grown = realloc(to->bytes, capacity);
            if (!grown)
                return "the host has no memory for it";
            to->bytes = grown;
        }
        stream->next_out = to->bytes + to->size;
        stream->avail_out = (uInt)(capacity - to->size);
        answer = inflate(stream, Z_NO_FLUSH);
        to->size = capacity - stream->avail_out;
        if (answer == Z_STREAM_END && stream->avail_in && stream->next_in[0] == 0x1f)   /* another member follows */
            answer = inflateReset(stream);
    }
    if (to->size > limit)
        return "unpacked, it does not fit into memory (give more with --memory)";
    return answer == Z_STREAM_END ? NULL : answer == Z_BUF_ERROR || answer == Z_OK ? "the gzip file is cut short" : "the gzip file is damaged";
}

bool file_unpack(struct file *file, uint64_t limit, char *error, size_t error_size)
{
    struct file to = { .path = file->path };
    z_stream stream = { .next_in = file->bytes, .avail_in = (uInt)file->size };

    if (!is_packed(file))
        return true;
    const char *fault = inflateInit2(&stream, GZIP_WINDOW) == Z_OK ? inflate_all(&stream, &to, limit) : "the host has no memory for it";
    inflateEnd(&stream);
    if (fault) {
        snprintf(error, error_size, "%s: %s", file->path, fault);
        free(to.bytes);
        return false;
    }
    free(file->bytes);
    *file = to;
    return true;
}
