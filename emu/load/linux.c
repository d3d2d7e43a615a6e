/* SPDX-License-Identifier: MIT */
/*
 * Linux bzImage: Documentation/x86/boot.rst of Linux, "The Linux/x86 Boot Protocol", from version 2.06 on. The kernel is entered in
 * 64-bit mode where it says that it can be (xloadflags), else in 32-bit protected mode; in real mode where it has no other entry
 * (code32_start 0, as iPXE's images).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu/firmware/acpi.h"
#include "emu/load/parts.h"

/* The setup header, by its offset in the file, which is that in the boot parameters as well. */
enum { SETUP_SECTS = 0x1f1, SYSSIZE = 0x1f4, VID_MODE = 0x1fa, JUMP = 0x201, MAGIC = 0x202, VERSION = 0x206, TYPE_OF_LOADER = 0x210,
       LOADFLAGS = 0x211, CODE32_START = 0x214, RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c, HEAP_END_PTR = 0x224, CMD_LINE_PTR = 0x228,
       INITRD_ADDR_MAX = 0x22c, KERNEL_ALIGNMENT = 0x230, RELOCATABLE = 0x234, XLOADFLAGS = 0x236, CMDLINE_SIZE = 0x238,
       PREF_ADDRESS = 0x258, INIT_SIZE = 0x260, HEADER_END = 0x268, SECTOR = 512 };
/* The other boot parameters ("zero page"). */
enum { EXT_MEM_K = 0x002, ACPI_RSDP_ADDR = 0x070, ALT_MEM_K = 0x1e0, E820_ENTRIES = 0x1e8, E820_TABLE = 0x2d0, E820_ENTRY = 20, PARAMETERS_SIZE = 4096 };
enum { LOADED_HIGH = 1, CAN_USE_HEAP = 0x80, XLF_KERNEL_64 = 1, LOADER_UNDEFINED = 0xff, VIDEO_NORMAL = 0xffff };
enum { VERSION_OLDEST = 0x206, VERSION_ALIGNMENT = 0x205, VERSION_INIT_SIZE = 0x20a, VERSION_XLOADFLAGS = 0x20c };
enum { ENTRY_64 = 0x200, INITRD_TOP = 0x37ffffff };
/* Where things go: the command line behind the parameters, and in the real-mode segment. */
enum { COMMAND_LINE_AT = INFO_BASE + PARAMETERS_SIZE, SETUP_STACK = 0xe000, SETUP_COMMAND_LINE = LOADER_SETUP + SETUP_STACK,
       SETUP_LINE_MAX = LOADER_SETUP_END - SETUP_COMMAND_LINE - 1 };

bool linux_is(const struct file *file)
{
    return file->size >= VERSION + 2 && memcmp(file->bytes + MAGIC, "HdrS", 4) == 0;
}

static unsigned version(const struct file *file) { return file_16(file, VERSION); }
static uint64_t setup_size(const struct file *file)
{
    unsigned sectors = file->bytes[SETUP_SECTS];

    return (sectors ? sectors + 1 : 5) * (uint64_t)SECTOR;
}

static bool real_mode_only(const struct file *file) { return file_32(file, CODE32_START) == 0; }

/* What is wrong with the header, or NULL. */
static const char *check(const struct file *file)
{
    uint64_t alignment = file_32(file, KERNEL_ALIGNMENT);

    if (version(file) < VERSION_OLDEST)
        return "a Linux kernel of a boot protocol older than 2.06 (Linux 2.6.22): not booted here";
    if (file->size < HEADER_END || file->size <= setup_size(file))
        return "a Linux kernel (bzImage) that is cut short: it ends within its setup part";
    if (file_32(file, SYSSIZE) * 16ull > file->size - setup_size(file) + 15)
        return "a Linux kernel (bzImage) that is cut short: its header says that there is more (syssize)";
    if (!(file->bytes[LOADFLAGS] & LOADED_HIGH))
        return "a Linux zImage, which is loaded below 640 KB: build a bzImage";
    if (real_mode_only(file) && setup_size(file) > SETUP_STACK)
        return "a Linux image whose real-mode part is longer than the boot protocol allows";
    if (file->bytes[RELOCATABLE] && (alignment == 0 || alignment & (alignment - 1)))
        return "a Linux kernel whose kernel_alignment is no power of 2";
    return NULL;
}

/* Where a kernel that may lie anywhere wants to lie; the others lie where their entry is. */
static uint64_t load_address(const struct file *file)
{
    uint64_t start = file_32(file, CODE32_START), alignment = file_32(file, KERNEL_ALIGNMENT);

    if (real_mode_only(file))
        return HIGH_START;
    if (version(file) < VERSION_INIT_SIZE || !file->bytes[RELOCATABLE])
        return start;
    return (file_64(file, PREF_ADDRESS) + alignment - 1) & ~(alignment - 1);
}

bool linux_layout(const struct file *file, struct image *image, char *error, size_t error_size)
{
    const char *fault = check(file);
    uint64_t setup = setup_size(file), size, at;
    bool long_mode;

    if (fault) {
        snprintf(error, error_size, "%s: %s", file->path, fault);
        return false;
    }
    at = load_address(file);
    size = file->size - setup;
    long_mode = version(file) >= VERSION_XLOADFLAGS && (file_16(file, XLOADFLAGS) & XLF_KERNEL_64);
    if (version(file) >= VERSION_INIT_SIZE && file_32(file, INIT_SIZE) > size)
        size = file_32(file, INIT_SIZE);
    image->piece[image->count++] = (struct piece){ at, setup, file->size - setup, size };
    image->entry = at + (long_mode ? ENTRY_64 : 0);
    if (real_mode_only(file))
        image->protocol = &linux_real_mode_protocol;
    return true;
}

static uint64_t initrd_end(const struct file *file, const struct image *image)
{
    uint64_t most = file_32(file, INITRD_ADDR_MAX);

    (void)image;
    return (most ? most : INITRD_TOP) + 1;
}

static size_t command_line_max(const struct file *file, const struct image *image)
{
    size_t most = file_32(file, CMDLINE_SIZE), room = image->protocol == &linux_real_mode_protocol ? SETUP_LINE_MAX : COMMAND_LINE_MAX;

    return most && most < room ? most : most ? room : 255;
}

/* Writes what both copies of the header get, at `base`. */
static void write_header(const struct loaded *loaded, uint64_t base, uint32_t command_line_at)
{
    struct memory *memory = &loaded->model->memory;
    const char *line = loaded->request->arguments ? loaded->request->arguments : "";

    memory_write(memory, command_line_at, line, strlen(line) + 1);
    memory_write(memory, base + VID_MODE, &(uint16_t){ VIDEO_NORMAL }, 2);
    memory_write(memory, base + TYPE_OF_LOADER, &(uint8_t){ LOADER_UNDEFINED }, 1);
    memory_write32(memory, base + CMD_LINE_PTR, command_line_at);
    if (loaded->request->modules) {
        memory_write32(memory, base + RAMDISK_IMAGE, (uint32_t)loaded->module[0].base);
        memory_write32(memory, base + RAMDISK_SIZE, (uint32_t)loaded->module[0].size);
    }
}

static void write_map(const struct loaded *loaded)
{
    struct memory_range range[MEMORY_RANGES_MAX];
    unsigned count = memory_map(loaded->model, loaded->request, range);
    struct memory *memory = &loaded->model->memory;
    uint64_t extended = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t at = INFO_BASE + E820_TABLE + E820_ENTRY * i;

        memory_write64(memory, at, range[i].base);
        memory_write64(memory, at + 8, range[i].end - range[i].base);
        memory_write32(memory, at + 16, range[i].type);
        if (range[i].base == HIGH_START)
            extended = (range[i].end - HIGH_START) / 1024;
    }
    memory_write(memory, INFO_BASE + E820_ENTRIES, &(uint8_t){ (uint8_t)count }, 1);
    memory_write32(memory, INFO_BASE + ALT_MEM_K, (uint32_t)extended);
    memory_write(memory, INFO_BASE + EXT_MEM_K, &(uint16_t){ (uint16_t)(extended < 0xfc00 ? extended : 0xfc00) }, 2);
}

/* "32-bit Boot Protocol", "64-bit Boot Protocol": ESI or RSI is the address of the parameters. */
static void hand_over(struct loaded *loaded)
{
    const struct file *file = loaded->file;
    struct model *model = loaded->model;
    unsigned header_end = MAGIC + file->bytes[JUMP];
    bool long_mode = loaded->image->entry != loaded->image->piece[0].pa;

    memory_write(&model->memory, INFO_BASE + SETUP_SECTS, file->bytes + SETUP_SECTS, header_end - SETUP_SECTS);
    write_header(loaded, INFO_BASE, COMMAND_LINE_AT);
    memory_write32(&model->memory, INFO_BASE + CODE32_START, (uint32_t)loaded->image->piece[0].pa);
    write_map(loaded);
    memory_write64(&model->memory, INFO_BASE + ACPI_RSDP_ADDR, ACPI_RSDP);
    if (long_mode)
        enter_long(model, loaded->image->entry);
    else
        enter_linux_32(model, loaded->image->entry);
    model->cpu[0].gpr[RSI] = INFO_BASE;
}

/* "Running the Kernel": CS is 20H paragraphs above the other segments. */
static void hand_over_real_mode(struct loaded *loaded)
{
    struct model *model = loaded->model;

    memory_write(&model->memory, LOADER_SETUP, loaded->file->bytes, setup_size(loaded->file));
    write_header(loaded, LOADER_SETUP, SETUP_COMMAND_LINE);
    memory_write(&model->memory, LOADER_SETUP + LOADFLAGS, &(uint8_t){ loaded->file->bytes[LOADFLAGS] | CAN_USE_HEAP }, 1);
    memory_write(&model->memory, LOADER_SETUP + HEAP_END_PTR, &(uint16_t){ SETUP_STACK - SECTOR }, 2);
    enter_real(&model->cpu[0], (LOADER_SETUP >> 4) + 0x20, LOADER_SETUP >> 4, 0, SETUP_STACK);
}

const struct protocol linux_protocol = {
    .name = "Linux", .entry_max = UINT32_MAX, .info_end = INFO_END, .tables = true, .initrd_end = initrd_end,
    .command_line_max = command_line_max, .hand_over = hand_over,
};
const struct protocol linux_real_mode_protocol = {
    .name = "Linux", .entry_max = UINT32_MAX, .setup = true, .initrd_end = initrd_end, .command_line_max = command_line_max,
    .hand_over = hand_over_real_mode,
};
