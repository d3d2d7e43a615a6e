/* SPDX-License-Identifier: MIT */
/*
 * What a boot loader leaves in memory, as files, for a machine that starts with tests/metal/firmware.S. The loader is the
 * one of `sesqui boot`, so an image is told the same on both machines.
 *
 *   memory_image MEGABYTES DIRECTORY IMAGE ARGUMENTS [MODULE...]
 *
 * Writes DIRECTORY/information (memory from INFO_BASE to INFO_END), DIRECTORY/image (memory from 1 MB to the last word that
 * is not zero) and DIRECTORY/start: entry point, address of the information, number of 32-bit words of the image, their sum.
 * Exit status 2: standard error says in one line why not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/load/load.h"
#include "emu/machine/machine.h"

#define MEGABYTE (1ull << 20)
enum { WORD = 4, ARGUMENTS = 5 };

static bool write_file(const char *directory, const char *name, const void *bytes, size_t size)
{
    char path[4096];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path) {
        fprintf(stderr, "memory_image: %s: the name is too long\n", directory);
        return false;
    }
    FILE *file = fopen(path, "wb");
    bool done = file && fwrite(bytes, 1, size, file) == size;

    if (file)
        done &= fclose(file) == 0;
    if (!done)
        fprintf(stderr, "memory_image: %s: %s\n", path, strerror(errno));
    return done;
}

static bool write_memory(const struct model *model, const char *directory)
{
    const struct memory *memory = &model->memory;
    uint64_t end = memory->size < MEMORY_HOLE ? memory->size : MEMORY_HOLE;
    uint32_t start[4] = { (uint32_t)model->cpu[0].rip, (uint32_t)model->cpu[0].gpr[RBX] };

    while (end > MEGABYTE && !memory_read32(memory, end - WORD))
        end -= WORD;
    start[2] = (uint32_t)((end - MEGABYTE) / WORD);
    for (uint64_t pa = MEGABYTE; pa < end; pa += WORD)
        start[3] += memory_read32(memory, pa);
    return write_file(directory, "start", start, sizeof start) &&
           write_file(directory, "information", memory->ram + INFO_BASE, INFO_END - INFO_BASE) &&
           write_file(directory, "image", memory->ram + MEGABYTE, end - MEGABYTE);
}

int main(int argc, char **argv)
{
    char error[MACHINE_MESSAGE_MAX];
    int status = EXIT_STATUS_USAGE;

    if (argc < ARGUMENTS) {
        fprintf(stderr, "usage: memory_image MEGABYTES DIRECTORY IMAGE ARGUMENTS [MODULE...]\n");
        return status;
    }
    const struct machine_options options = { .memory_size = strtoull(argv[1], NULL, 10) * MEGABYTE, .cpus = 1 };
    struct load_request request = { .image = argv[3], .arguments = argv[4][0] ? argv[4] : NULL };
    bool done = true;
    struct machine *machine = machine_open(&options, error, sizeof error);

    for (int i = ARGUMENTS; machine && done && i < argc; i++)
        done = load_add_module(&request, argv[i], NULL, error, sizeof error);
    if (!machine || !done || !load_image(machine_model(machine), &request, error, sizeof error))
        fprintf(stderr, "memory_image: %s\n", error);
    else if (write_memory(machine_model(machine), argv[2]))
        status = 0;
    machine_close(machine);
    return status;
}
