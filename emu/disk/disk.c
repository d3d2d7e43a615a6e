/* SPDX-License-Identifier: MIT */
/* A disk of the machine: a file of the host, and what the guest has written. */
#define _GNU_SOURCE                     /* pread(), flock(), O_CLOEXEC */
#include "emu/disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_SIZE = 512 };
#define SIZE_MOST (1ull << 43)          /* 8 TB: what a process can reserve beside the machine's memory */

static const struct { const char *name; enum disk_mode mode; } modes[] = {
    { "snapshot", DISK_SNAPSHOT }, { "ro", DISK_READ_ONLY }, { "rw", DISK_READ_WRITE },
};

/* A name may have commas, too: only a mode that is known is one, and not where a file has the whole name. */
bool disk_path(const char *option, char *path, size_t size, enum disk_mode *mode)
{
    const char *comma = strrchr(option, ',');
    size_t length = strlen(option);

    *mode = DISK_SNAPSHOT;
    for (unsigned i = 0; comma && access(option, F_OK) != 0 && i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(comma + 1, modes[i].name) == 0) {
            *mode = modes[i].mode;
            length = (size_t)(comma - option);
        }
    if (length >= size)
        return false;
    memcpy(path, option, length);
    path[length] = '\0';
    return true;
}

/* ---- opening ---- */

static const char *kind_fault(mode_t mode)
{
    return S_ISDIR(mode) ? "is a directory, not the image of a disk"
         : S_ISBLK(mode) ? "is a disk of this host: copy it to a file first (dd), so that nothing of the host's is touched"
         : S_ISFIFO(mode) || S_ISSOCK(mode) ? "is a pipe; a disk is read at any place: write it to a file first"
         : !S_ISREG(mode) ? "is a device, not the image of a disk" : NULL;
}

/* Opens the file and looks at it. -1: `why`. */
static int open_file(const char *path, enum disk_mode mode, uint64_t *size, char *why, size_t why_size)
{
    struct stat status;
    const char *fault;
    int file = -1;

    /* Looked at before it is opened: opening a pipe waits. */
    if (stat(path, &status) != 0)
        fault = strerror(errno);
    else if (!(fault = kind_fault(status.st_mode)) && (file = open(path, (mode == DISK_READ_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK)) < 0)
        fault = strerror(errno);
    else if (!fault && (fstat(file, &status) != 0 || (fault = kind_fault(status.st_mode))))
        fault = fault ? fault : strerror(errno);
    else if (!fault && flock(file, (mode == DISK_READ_WRITE ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        fault = mode == DISK_READ_WRITE ? "is in use by another machine: with rw a disk is for one alone" : "is in use by a machine that writes it (rw)";
    if (!fault) {
        *size = (uint64_t)status.st_size;
        return file;
    }
    snprintf(why, why_size, "%s", fault);
    if (file >= 0)
        close(file);
    return -1;
}

static const char *size_fault(const struct disk *disk)
{
    return !disk->file_size ? "is empty: a disk has one sector at least (truncate -s 1G FILE makes one of 1 GB)"
         : disk->file_size > SIZE_MOST ? "is larger than 8 TB"
         : disk->mode == DISK_READ_WRITE && disk->file_size % DISK_SECTOR ? "is no whole number of sectors of 512 bytes: with rw it would grow" : NULL;
}

static void *reserve(uint64_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static uint64_t clusters(const struct disk *disk) { return (disk->sectors * DISK_SECTOR + DISK_CLUSTER - 1) / DISK_CLUSTER; }

/* An image in another format becomes the file that it is converted into. */
static bool understand(struct disk *disk, const char *path, char *why, size_t why_size)
{
    uint8_t head[HEAD_SIZE] = { 0 };
    struct stat status;
    ssize_t got = pread(disk->file, head, sizeof head, 0);

    switch (qcow2_check(head, got > 0 ? (size_t)got : 0, why, why_size)) {
    case QCOW2_NOT:
        return true;
    case QCOW2_REFUSED:
        return false;
    case QCOW2_GOOD:
        break;
    }
    if (disk->mode == DISK_READ_WRITE) {
        snprintf(why, why_size, "is a qcow2 image: rw is for raw ones (qemu-img convert -O raw makes one)");
        return false;
    }
    int converted = qcow2_convert(path, why, why_size);
    if (converted < 0)
        return false;
    close(disk->file);
    disk->file = converted;
    if (fstat(converted, &status) == 0)
        disk->file_size = (uint64_t)status.st_size;
    return true;
}

static bool prepare(struct disk *disk, const char *path, char *why, size_t why_size)
{
    const char *fault;

    disk->file = open_file(path, disk->mode, &disk->file_size, why, why_size);
    if (disk->file < 0 || !understand(disk, path, why, why_size))
        return false;
    if ((fault = size_fault(disk))) {
        snprintf(why, why_size, "%s", fault);
        return false;
    }
    disk->sectors = (disk->file_size + DISK_SECTOR - 1) / DISK_SECTOR;
    if (disk->mode != DISK_SNAPSHOT)
        return true;
    disk->kept = reserve(clusters(disk) * DISK_CLUSTER);
    disk->is_kept = reserve(clusters(disk));
    if (!disk->kept || !disk->is_kept)
        snprintf(why, why_size, "the host has no address space for what the guest writes (ro or rw needs none)");
    return disk->kept && disk->is_kept;
}

/* Of a long name the end. */
static void set_name(struct disk *disk, const char *name)
{
    size_t length = strlen(name), most = sizeof disk->name - 1;

    if (length > most) {
        name += length - most;
        length = most;
    }
    memcpy(disk->name, name, length);
    disk->name[length] = '\0';
}

struct disk *disk_open(const char *option, char *error, size_t error_size)
{
    struct disk *disk = calloc(1, sizeof *disk);
    char path[4096], why[300] = "the host has no memory left";
    bool good = false;

    if (disk) {
        disk->file = -1;
        good = disk_path(option, path, sizeof path, &disk->mode);
        set_name(disk, good ? path : option);
        if (!good)
            snprintf(why, sizeof why, "its name is too long");
        good = good && prepare(disk, path, why, sizeof why);
    }
    if (good)
        return disk;
    snprintf(error, error_size, "%s: %s", disk ? disk->name : option, why);
    disk_close(disk);
    return NULL;
}

void disk_close(struct disk *disk)
{
    if (!disk)
        return;
    if (disk->kept)
        munmap(disk->kept, clusters(disk) * DISK_CLUSTER);
    if (disk->is_kept)
        munmap(disk->is_kept, clusters(disk));
    if (disk->file >= 0)
        close(disk->file);
    free(disk);
}

/* ---- accesses ---- */

static bool failure(struct disk *disk, const char *fault)
{
    if (!disk->failed)
        disk->fault = fault;
    disk->failed = true;
    return false;
}

/* A file that ends within its last sector goes on with zeros. One that ends before was cut after it was opened. */
static bool file_read(struct disk *disk, uint64_t at, uint8_t *to, size_t length)
{
    while (length) {
        ssize_t got = at < disk->file_size ? pread(disk->file, to, length, (off_t)at) : 0;

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return failure(disk, strerror(errno));
        if (got == 0 && at < disk->file_size)
            return failure(disk, "the file was cut while the machine runs");
        if (got == 0) {
            memset(to, 0, length);
            return true;
        }
        at += (uint64_t)got;
        to += got;
        length -= (size_t)got;
    }
    return true;
}

static bool file_write(struct disk *disk, uint64_t at, const uint8_t *from, size_t length)
{
    struct stat status;

    /* A file that was cut is not made whole again: what is gone would read as zeros. */
    if (fstat(disk->file, &status) != 0 || (uint64_t)status.st_size < disk->file_size)
        return failure(disk, "the file was cut while the machine runs");
    while (length) {
        ssize_t got = pwrite(disk->file, from, length, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return failure(disk, got < 0 ? strerror(errno) : "no room left");
        at += (uint64_t)got;
        from += got;
        length -= (size_t)got;
    }
    return true;
}

/* How many of `length` bytes from `at` on are in clusters that are all kept, or all not. */
static size_t run_length(const struct disk *disk, uint64_t at, size_t length)
{
    bool kept = disk->is_kept[at / DISK_CLUSTER];
    uint64_t end = at / DISK_CLUSTER + 1;

    while (end * DISK_CLUSTER < at + length && disk->is_kept[end] == kept)
        end++;
    return end * DISK_CLUSTER < at + length ? (size_t)(end * DISK_CLUSTER - at) : length;
}

bool disk_read(struct disk *disk, uint64_t at, void *to, size_t length)
{
    uint8_t *out = to;

    if (disk->mode != DISK_SNAPSHOT)
        return file_read(disk, at, out, length);
    while (length) {
        size_t piece = run_length(disk, at, length);

        if (disk->is_kept[at / DISK_CLUSTER])
            memcpy(out, disk->kept + at, piece);
        else if (!file_read(disk, at, out, piece))
            return false;
        at += piece;
        out += piece;
        length -= piece;
    }
    return true;
}

/* The rest of a cluster of which a part is written comes from the file first. */
static bool keep(struct disk *disk, uint64_t cluster, bool whole)
{
    uint64_t at = cluster * DISK_CLUSTER;

    if (disk->is_kept[cluster])
        return true;
    if (!whole && !file_read(disk, at, disk->kept + at, DISK_CLUSTER))
        return false;
    disk->is_kept[cluster] = 1;
    return true;
}

bool disk_write(struct disk *disk, uint64_t at, const void *from, size_t length)
{
    const uint8_t *in = from;

    if (disk->mode == DISK_READ_ONLY)
        return false;
    if (disk->mode == DISK_READ_WRITE)
        return file_write(disk, at, in, length);
    while (length) {
        size_t room = DISK_CLUSTER - (size_t)(at % DISK_CLUSTER), piece = length < room ? length : room;

        if (!keep(disk, at / DISK_CLUSTER, piece == DISK_CLUSTER))
            return false;
        memcpy(disk->kept + at, in, piece);
        at += piece;
        in += piece;
        length -= piece;
    }
    return true;
}

bool disk_flush(struct disk *disk)
{
    if (disk->mode != DISK_READ_WRITE || fdatasync(disk->file) == 0)
        return true;
    return failure(disk, strerror(errno));
}

bool disk_next_kept(const struct disk *disk, uint64_t *cluster, const uint8_t **bytes)
{
    const uint8_t *next = disk->mode == DISK_SNAPSHOT && *cluster < clusters(disk)
                              ? memchr(disk->is_kept + *cluster, 1, (size_t)(clusters(disk) - *cluster)) : NULL;

    if (!next)
        return false;
    *cluster = (uint64_t)(next - disk->is_kept);
    *bytes = disk->kept + *cluster * DISK_CLUSTER;
    return true;
}
