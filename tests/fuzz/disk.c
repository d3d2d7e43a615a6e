/* SPDX-License-Identifier: MIT */
/*
 * Options of disks and heads of their files: --disk's text, and what a file begins with, qcow2 headers among them. What must hold: no crash; a
 * refusal is one line; what is accepted is a raw disk that can be read to its end. Conversion is not tried: no header here is a good one.
 */
#define _GNU_SOURCE                     /* memfd_create() */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/disk/disk.h"
#include "tests/fuzz/fuzz.h"

enum { TEXT_MAX = 64, HEAD = 104 };

/* A file of these bytes; of qcow2 images that would be converted only the header is looked at. */
static void as_file(const uint8_t *data, size_t size)
{
    char option[60], error[300] = "", why[300] = "";
    uint8_t sector[DISK_SECTOR];

    enum qcow2 kind = qcow2_check(data, size < 512 ? size : 512, why, sizeof why);
    FUZZ_ASSERT((kind == QCOW2_REFUSED) == (why[0] != '\0') && !strchr(why, '\n'));
    if (kind == QCOW2_GOOD)
        return;
    int image = memfd_create("disk", 0);
    FUZZ_ASSERT(image >= 0 && write(image, data, size) == (ssize_t)size);
    snprintf(option, sizeof option, "/proc/self/fd/%d%s", image, size % 3 == 0 ? ",ro" : size % 3 == 1 ? ",rw" : "");
    struct disk *disk = disk_open(option, error, sizeof error);
    FUZZ_ASSERT((disk == NULL) == (error[0] != '\0') && !strchr(error, '\n'));
    if (disk) {
        FUZZ_ASSERT(kind == QCOW2_NOT && disk->sectors == (size + DISK_SECTOR - 1) / DISK_SECTOR);
        FUZZ_ASSERT(disk_read(disk, (disk->sectors - 1) * DISK_SECTOR, sector, sizeof sector));
        FUZZ_ASSERT(disk_write(disk, 0, sector, sizeof sector) == (disk->mode != DISK_READ_ONLY));
    }
    disk_close(disk);
    close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1] = "", path[TEXT_MAX + 1];
    size_t length = size < TEXT_MAX ? size : TEXT_MAX;
    enum disk_mode mode;

    memcpy(text, data, length);
    if (disk_path(text, path, sizeof path, &mode))
        FUZZ_ASSERT(strlen(path) <= strlen(text) && mode <= DISK_READ_WRITE);
    FUZZ_ASSERT(!disk_path(text, path, strlen(text) / 2, &mode) || strchr(text, ','));
    as_file(data, size);
    return 0;
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    static const char *const texts[] = { "a,ro", ",rw", "a,b,snapshot", ",,,", "x,rw,ro", "/", "", "disk,r" };
    static const uint8_t places[] = { 4, 7, 8, 15, 16, 20, 23, 24, 28, 29, 31, 32, 35, 36, 40, 72, 79, 99, 103 };

    if (fuzz_below(random, 4) == 0) {
        const char *text = texts[fuzz_below(random, sizeof texts / sizeof texts[0])];
        memcpy(to, text, strlen(text));
        return strlen(text);
    }
    memset(to, 0, 1024);
    memcpy(to, "QFI\373\0\0\0\3", 8);
    to[7] = (uint8_t)(2 + fuzz_below(random, 2));
    to[23] = (uint8_t)(9 + fuzz_below(random, 13));
    to[29] = (uint8_t)(1 + fuzz_below(random, 255));
    to[103] = HEAD;
    for (unsigned i = fuzz_below(random, 4); i; i--)
        to[places[fuzz_below(random, sizeof places)]] = (uint8_t)fuzz_next(random);
    if (fuzz_below(random, 8) == 0)
        to[fuzz_below(random, 4)] ^= 1;
    return fuzz_below(random, 2) ? 1024 : fuzz_below(random, 600);
}
