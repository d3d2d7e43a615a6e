/* SPDX-License-Identifier: MIT */
/* A disk in memory whose sector n is full of n + 1. The file that includes this defines _GNU_SOURCE first: memfd_create(). */
#ifndef SESQUI_TESTS_DISK_FIXTURE_H
#define SESQUI_TESTS_DISK_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/disk/disk.h"

enum { SECTORS = 64 };
static struct disk *disk;
static int image;

/* `mode`: as an option has it, ",ro". */
static inline void disk_setup(const char *mode)
{
    char option[60], text[300];
    uint8_t sector[DISK_SECTOR];

    image = memfd_create("disk", 0);
    for (unsigned i = 0; i < SECTORS; i++) {
        memset(sector, (int)i + 1, sizeof sector);
        ck_assert_int_eq(pwrite(image, sector, sizeof sector, i * DISK_SECTOR), DISK_SECTOR);
    }
    snprintf(option, sizeof option, "/proc/self/fd/%d%s", image, mode);
    disk = disk_open(option, text, sizeof text);
    ck_assert_msg(disk, "%s", text);
}

static inline void disk_teardown(void)
{
    disk_close(disk);
    close(image);
}

#endif
