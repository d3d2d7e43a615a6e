/* SPDX-License-Identifier: MIT */
/* Disks: modes, what is kept of writes, files that are no disks, qcow2 headers. */
#define _GNU_SOURCE                     /* memfd_create(), mkfifo() */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emu/disk/disk.h"
#include "tests/suite.h"

enum { SIZE = 3 * DISK_CLUSTER };
static char folder[] = "/tmp/sesqui-disk-XXXXXX", path[80], option[100], error[400];

static void write_file(const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void setup(void)
{
    uint8_t bytes[SIZE];

    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/disk", folder);
    memset(bytes, 0x11, sizeof bytes);
    write_file(bytes, sizeof bytes);
    error[0] = '\0';
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
}

static struct disk *open_as(const char *mode)
{
    snprintf(option, sizeof option, "%s%s", path, mode);
    return disk_open(option, error, sizeof error);
}

static void is_refused(const char *mode, const char *words)
{
    ck_assert_ptr_null(open_as(mode));
    ck_assert_msg(strstr(error, words), "%s", error);
    ck_assert_ptr_null(strchr(error, '\n'));
}

/* The byte of the file at `at`. */
static int in_file(long at)
{
    FILE *file = fopen(path, "rb");
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fclose(file);
    return byte;
}

/* A write across clusters of which it covers one in part, and one whole. */
static void writes(const char *mode, bool to_file)
{
    struct disk *disk = open_as(mode);
    uint8_t bytes[SIZE];

    ck_assert_msg(disk, "%s", error);
    ck_assert_uint_eq(disk->sectors, SIZE / DISK_SECTOR);
    memset(bytes, 0x22, sizeof bytes);
    ck_assert(disk_write(disk, DISK_CLUSTER - DISK_SECTOR, bytes, DISK_SECTOR + DISK_CLUSTER));
    ck_assert(disk_flush(disk));
    ck_assert(disk_read(disk, 0, bytes, SIZE));
    for (unsigned i = 0; i < SIZE; i++)
        ck_assert_uint_eq(bytes[i], i >= DISK_CLUSTER - DISK_SECTOR && i < 2 * DISK_CLUSTER ? 0x22 : 0x11);
    disk_close(disk);
    ck_assert_int_eq(in_file(DISK_CLUSTER), to_file ? 0x22 : 0x11);
    ck_assert_int_eq(in_file(DISK_CLUSTER - DISK_SECTOR - 1), 0x11);
}

START_TEST(modes)
{
    uint8_t byte[DISK_SECTOR] = { 0 };

    writes("", false);
    writes(",snapshot", false);
    struct disk *disk = open_as(",ro");
    ck_assert(!disk_write(disk, 0, byte, DISK_SECTOR));
    ck_assert(disk_read(disk, 0, byte, DISK_SECTOR));
    ck_assert_uint_eq(byte[0], 0x11);
    disk_close(disk);
    writes(",rw", true);
}
END_TEST

START_TEST(names_with_commas)
{
    enum disk_mode mode;
    char found[100];

    ck_assert(disk_path("a,b", found, sizeof found, &mode));
    ck_assert_str_eq(found, "a,b");
    ck_assert_int_eq(mode, DISK_SNAPSHOT);
    ck_assert(disk_path("a,b,rw", found, sizeof found, &mode));
    ck_assert_str_eq(found, "a,b");
    ck_assert_int_eq(mode, DISK_READ_WRITE);
    ck_assert(!disk_path("abc", found, 3, &mode));
    snprintf(option, sizeof option, "%s,rw", path);             /* a file of that name: that is meant */
    ck_assert_int_eq(rename(path, option), 0);
    ck_assert(disk_path(option, found, sizeof found, &mode));
    ck_assert_str_eq(found, option);
    ck_assert_int_eq(mode, DISK_SNAPSHOT);
    ck_assert_int_eq(rename(option, path), 0);
    is_refused(",readonly", "No such file");
}
END_TEST

START_TEST(odd_size)
{
    uint8_t bytes[700], sector[DISK_SECTOR];

    memset(bytes, 0x33, sizeof bytes);
    write_file(bytes, sizeof bytes);
    struct disk *disk = open_as("");
    ck_assert_uint_eq(disk->sectors, 2);
    ck_assert(disk_read(disk, DISK_SECTOR, sector, DISK_SECTOR));
    ck_assert_uint_eq(sector[700 - DISK_SECTOR - 1], 0x33);
    ck_assert_uint_eq(sector[700 - DISK_SECTOR], 0);
    ck_assert(disk_write(disk, DISK_SECTOR, bytes, DISK_SECTOR));
    disk_close(disk);
    is_refused(",rw", "whole number of sectors");
}
END_TEST

START_TEST(changes_while_it_runs)
{
    uint8_t sector[DISK_SECTOR];
    struct disk *disk = open_as(",rw");

    ck_assert_int_eq(truncate(path, 2 * SIZE), 0);              /* grown: the disk has the size that it had */
    ck_assert(disk_read(disk, SIZE - DISK_SECTOR, sector, DISK_SECTOR));
    ck_assert_int_eq(truncate(path, DISK_SECTOR), 0);           /* cut */
    ck_assert(disk_read(disk, 0, sector, DISK_SECTOR));
    ck_assert(!disk_read(disk, DISK_SECTOR, sector, DISK_SECTOR));
    ck_assert(!disk_write(disk, SIZE - DISK_SECTOR, sector, DISK_SECTOR));
    ck_assert_str_eq(disk->fault, "the file was cut while the machine runs");
    disk_close(disk);
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_size, DISK_SECTOR);
    write_file(sector, sizeof sector);
    disk = open_as("");
    ck_assert_int_eq(unlink(path), 0);                          /* gone: what is open stays */
    ck_assert(disk_read(disk, 0, sector, DISK_SECTOR));
    disk_close(disk);
}
END_TEST

START_TEST(one_writer)
{
    struct disk *reader = open_as(""), *another = open_as(",ro");

    ck_assert(reader && another);
    is_refused(",rw", "in use by another machine");
    disk_close(reader);
    disk_close(another);
    struct disk *writer = open_as(",rw");
    ck_assert_ptr_nonnull(writer);
    is_refused("", "in use by a machine that writes it");
    disk_close(writer);
}
END_TEST

START_TEST(no_disks)
{
    write_file("", 0);
    is_refused("", "is empty");
    unlink(path);
    is_refused("", "No such file");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    is_refused("", "is a pipe");
    unlink(path);
    ck_assert_ptr_null(disk_open(folder, error, sizeof error));
    ck_assert(strstr(error, "is a directory"));
    ck_assert_ptr_null(disk_open("/dev/null", error, sizeof error));
    ck_assert(strstr(error, "is a device"));
    ck_assert_ptr_null(disk_open("", error, sizeof error));
}
END_TEST

/* A header of version 3 that may be converted, big-endian. */
static void header(uint8_t to[104])
{
    memset(to, 0, 104);
    memcpy(to, "QFI\373\0\0\0\3", 8);
    to[23] = 16;
    to[29] = 1;                                                 /* 64 KB */
    to[103] = 104;
}

static const struct { unsigned at; uint8_t value; size_t size; const char *words; } headers[] = {
    { 7, 4, 104, "version other than" }, { 7, 1, 104, "version other than" }, { 7, 3, 103, "cut short" }, { 7, 2, 71, "cut short" },
    { 15, 1, 104, "backing file" }, { 8, 0x80, 104, "backing file" }, { 23, 8, 104, "cluster size" }, { 23, 22, 104, "cluster size" },
    { 35, 1, 104, "encrypted" }, { 29, 0, 104, "empty or larger" }, { 24, 0x80, 104, "empty or larger" }, { 79, 2, 104, "corrupt" },
    { 79, 4, 104, "in another file" }, { 79, 0x20, 104, "features that are not known" }, { 72, 1, 104, "features that are not known" },
};

START_TEST(hostile_headers)
{
    uint8_t bytes[104];
    char why[300] = "";

    header(bytes);
    ck_assert_int_eq(qcow2_check(bytes, sizeof bytes, why, sizeof why), QCOW2_GOOD);
    bytes[headers[_i].at] = headers[_i].value;
    ck_assert_int_eq(qcow2_check(bytes, headers[_i].size, why, sizeof why), QCOW2_REFUSED);
    ck_assert_msg(strstr(why, headers[_i].words), "%s", why);
    write_file(bytes, headers[_i].size);
    if (headers[_i].size == sizeof bytes)
        is_refused("", headers[_i].words);
    bytes[0] = 'q';
    ck_assert_int_eq(qcow2_check(bytes, sizeof bytes, why, sizeof why), QCOW2_NOT);
}
END_TEST

/* The header is good and the rest is not there: the tool, or that it is missing, is named; so is rw. */
START_TEST(conversion)
{
    uint8_t bytes[104];

    header(bytes);
    write_file(bytes, sizeof bytes);
    is_refused("", "qcow2 image");
    is_refused(",rw", "rw is for raw ones");
}
END_TEST

/* One cluster may stand for a whole disk: what an image unpacks to is bounded by its size. The tool here is one that never ends. */
START_TEST(conversion_without_end)
{
    static const char tool[] = "#!/bin/sh\nexec cat /dev/zero >\"$9\"\n";
    char name[sizeof folder + sizeof "/qemu-img"], places[200];
    uint8_t bytes[104];

    header(bytes);
    write_file(bytes, sizeof bytes);
    snprintf(name, sizeof name, "%s/qemu-img", folder);
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    fputs(tool, file);
    fclose(file);
    ck_assert_int_eq(chmod(name, 0700), 0);
    snprintf(places, sizeof places, "%s:/usr/bin:/bin", folder);
    ck_assert_int_eq(setenv("PATH", places, 1), 0);
    is_refused("", "more than 64 times as many bytes");
    unlink(name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk");
    TCase *tcase = tcase_create("disk");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, modes);
    tcase_add_test(tcase, names_with_commas);
    tcase_add_test(tcase, odd_size);
    tcase_add_test(tcase, changes_while_it_runs);
    tcase_add_test(tcase, one_writer);
    tcase_add_test(tcase, no_disks);
    tcase_add_loop_test(tcase, hostile_headers, 0, sizeof headers / sizeof headers[0]);
    tcase_add_test(tcase, conversion);
    tcase_add_test(tcase, conversion_without_end);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
