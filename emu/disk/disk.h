/* SPDX-License-Identifier: MIT */
/*
 * What is behind a disk of the machine: a file of the host, and what the guest has written. The file is written only with DISK_READ_WRITE; else
 * writes are kept in memory and gone at the end. A file that others change while the machine runs is their fault, but no harm: what cannot be read
 * is an error to the guest.
 */
#ifndef SESQUI_EMU_DISK_H
#define SESQUI_EMU_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_SECTOR = 512, DISK_CLUSTER = 4096 /* what is kept of a write, at least */ };
enum disk_mode { DISK_SNAPSHOT, DISK_READ_ONLY, DISK_READ_WRITE };

struct disk {
    char name[128];                 /* as messages name it: of a long path the end */
    int file;
    enum disk_mode mode;
    uint64_t sectors, file_size;
    uint8_t *kept, *is_kept;        /* DISK_SNAPSHOT: the disk as written, and for each cluster whether it is there */
    bool failed;                    /* an access to the file has failed: said once */
    const char *fault;              /* why the latest one failed, until it was told; NULL */
};

/* `option` is FILE[,snapshot|,ro|,rw]; snapshot unless told. qcow2 files are converted, by qemu-img, into a temporary. NULL: `error` says why
 * in one line. */
struct disk *disk_open(const char *option, char *error, size_t error_size);
void disk_close(struct disk *disk);
/* The FILE of an option, for who wants to know which file is read; false: longer than `size`. */
bool disk_path(const char *option, char *path, size_t size, enum disk_mode *mode);

/* Bytes from `at` on, which with `length` is within the disk. False: an error of the host's, or the disk is read-only. */
bool disk_read(struct disk *disk, uint64_t at, void *to, size_t length);
bool disk_write(struct disk *disk, uint64_t at, const void *from, size_t length);
bool disk_flush(struct disk *disk);
/* The first cluster from `*cluster` on that was written and is kept in memory (DISK_SNAPSHOT), and its bytes. False: there is none. */
bool disk_next_kept(const struct disk *disk, uint64_t *cluster, const uint8_t **bytes);

/* ---- formats ---- */

/* Is it a qcow2 image, and may it be converted? `why`: what speaks against it. */
enum qcow2 { QCOW2_NOT, QCOW2_GOOD, QCOW2_REFUSED };
enum qcow2 qcow2_check(const uint8_t *head, size_t size, char *why, size_t why_size);
/* Converts it into a file without a name; its descriptor, or -1. */
int qcow2_convert(const char *path, char *why, size_t why_size);

#endif
