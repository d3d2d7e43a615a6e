/* SPDX-License-Identifier: MIT */
/* For tests of the loader: a model with LOAD_RAM bytes of RAM, which the test defines before, and files for an image and a module. */
#ifndef SESQUI_TESTS_LOAD_FIXTURE_H
#define SESQUI_TESTS_LOAD_FIXTURE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emu/load/load.h"

enum { MEGABYTE = 1 << 20 };

static struct model *model;
static uint8_t *ram, *watch;
static char path[] = "/tmp/sesqui-load-XXXXXX", module_path[] = "/tmp/sesqui-load-XXXXXX";
static char error[400];

static void setup(void)
{
    model = calloc(1, sizeof *model);
    ram = calloc(1, LOAD_RAM);
    watch = calloc(1, LOAD_RAM / PAGE_SIZE);
    memory_init(&model->memory, ram, LOAD_RAM, watch);
    model->cpu_count = 1;
    model->cpu[0].model = model;
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    memcpy(module_path + strlen(module_path) - 6, "XXXXXX", 6);
    close(mkstemp(path));
    close(mkstemp(module_path));
}

static void teardown(void)
{
    unlink(path);
    unlink(module_path);
    free(model);
    free(ram);
    free(watch);
}

static void write_to(const char *to, const void *bytes, size_t size)
{
    FILE *file = fopen(to, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

#endif
