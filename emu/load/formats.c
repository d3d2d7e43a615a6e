/* SPDX-License-Identifier: MIT */
/*
 * What a file is that `sesqui boot` was given. The first row of the table that knows it decides: it loads the file, or says why it
 * cannot be booted and what to do about that. A boot protocol more is a row more.
 */
#define _GNU_SOURCE                     /* memmem() */
#include <stdio.h>
#include <string.h>

#include "emu/load/parts.h"

enum { PE_OFFSET_AT = 0x3c, PE_SUBSYSTEM_AT = 24 + 68, ELF_TYPE_AT = 16, ELF_MACHINE_AT = 18 };

struct format {
    /* The file begins thus at `at`; or, with `magic` NULL, `is` says so. */
    size_t at;
    const char *magic;
    size_t length;
    bool (*is)(const struct file *file);
    /* One of these: how it is loaded, or why not. */
    const struct protocol *protocol;
    bool (*layout)(const struct file *file, struct image *image, char *error, size_t error_size);
    void (*refuse)(const struct file *file, char *text, size_t size);
    const char *refusal;
};

static bool is_empty(const struct file *file) { return file->size == 0; }
static bool is_any(const struct file *file) { return file->size != 0; }

/* ---- multiboot ---- */

static bool is_multiboot(const struct file *file)
{
    struct multiboot header;

    return multiboot_find(file, &header);
}

static bool is_nearly_multiboot(const struct file *file)
{
    struct multiboot_slip slip;

    return multiboot_slip(file, &slip);
}

static void refuse_multiboot(const struct file *file, char *text, size_t size)
{
    struct multiboot_slip slip;
    uint64_t segment, alignment;

    if (!multiboot_slip(file, &slip))
        return;
    switch (slip.kind) {
    case MULTIBOOT_TOO_FAR:
        if (elf_is(file) && elf_segment_of(file, slip.offset, &segment, &alignment) && alignment > PAGE_SIZE &&
            slip.offset - segment < PAGE_SIZE)
            snprintf(text, size, "the multiboot header lies at 0x%zx of the file, beyond the first 8 KB: the linker aligned its segment "
                     "to 0x%llx in the file; link with -z max-page-size=4096, or with -n", slip.offset, (unsigned long long)alignment);
        else
            snprintf(text, size, "the multiboot header lies at 0x%zx of the file, beyond the first 8 KB: put its section before all "
                     "others in the linker script, KEEP(*(.multiboot)), and link with -z max-page-size=4096, or with -n", slip.offset);
        break;
    case MULTIBOOT_UNALIGNED:
        snprintf(text, size, "the multiboot header lies at 0x%zx of the file, which is not a multiple of 4: .balign 4 before it",
                 slip.offset);
        break;
    case MULTIBOOT_CHECKSUM:
        snprintf(text, size, "the multiboot header at 0x%zx has the wrong checksum 0x%x: with flags 0x%x it must be 0x%x, so that magic, "
                 "flags and checksum add up to 0", slip.offset, slip.checksum, slip.flags, slip.wanted);
        break;
    case MULTIBOOT_CUT_SHORT:
        snprintf(text, size, "the file ends within its multiboot header, at 0x%zx", slip.offset);
        break;
    case MULTIBOOT_MAGIC:
        snprintf(text, size, "what looks like the multiboot header, at 0x%zx, begins with 0x%x instead of the magic 0x%x%s", slip.offset, slip.checksum, slip.wanted,
                 __builtin_bswap32(slip.checksum) == slip.wanted ? ": its bytes stand in the wrong order, as a big-endian tool writes them (02 b0 ad 1b in the file)" : "");
        break;
    case MULTIBOOT_2_CHECKSUM:
        snprintf(text, size, "the multiboot 2 header at 0x%zx has the wrong checksum 0x%x: with length %u it must be 0x%x, so that magic, "
                 "architecture, length and checksum add up to 0", slip.offset, slip.checksum, slip.flags, slip.wanted);
        break;
    }
}

/* ---- ELF ---- */

static void refuse_elf(const struct file *file, char *text, size_t size)
{
    enum { RELOCATABLE = 1, CORE = 4, MACHINE_386 = 3, MACHINE_X86_64 = 62 };
    const char *answer = "an ELF file with nothing to load (no PT_LOAD segment)";
    uint64_t at, note_size;
    unsigned type = file->size >= 20 ? file_16(file, ELF_TYPE_AT) : 0, machine = file->size >= 20 ? file_16(file, ELF_MACHINE_AT) : 0;

    if (machine && machine != MACHINE_386 && machine != MACHINE_X86_64) {
        snprintf(text, size, "an ELF file for another processor (machine %u): build it for i386 or x86-64", machine);
        return;
    }
    if (type == RELOCATABLE)
        answer = "an ELF object file, not linked yet: link it with ld -T SCRIPT -z max-page-size=4096";
    else if (type == CORE)
        answer = "an ELF core dump, not a program";
    else if (elf_fault(file))
        answer = elf_fault(file);
    else if (elf_note(file, "GNU", 1, &at, &note_size))
        answer = "a program for an operating system (its note says so): this machine boots kernels and hypervisors, which need none";
    else if (elf_interpreted(file))
        answer = "a program that asks for a dynamic linker (PT_INTERP): link it statically, with -nostdlib -static and no -pie";
    snprintf(text, size, "%s", answer);
}

/* ---- PE ---- */

static void refuse_pe(const struct file *file, char *text, size_t size)
{
    enum { EFI_FIRST = 10, EFI_LAST = 13 };
    size_t at = file->size >= PE_OFFSET_AT + 4 ? file_32(file, PE_OFFSET_AT) : SIZE_MAX;
    bool pe = at < file->size && file->size - at >= PE_SUBSYSTEM_AT + 2 && memcmp(file->bytes + at, "PE\0", 4) == 0;
    unsigned subsystem = pe ? file_16(file, at + PE_SUBSYSTEM_AT) : 0;

    if (!pe)
        snprintf(text, size, "a DOS program (MZ): this machine boots kernels and hypervisors (docs/machine.md)");
    else if (subsystem >= EFI_FIRST && subsystem <= EFI_LAST)
        snprintf(text, size, "an EFI application (PE): there is no UEFI firmware here; link the hypervisor as an ELF file with a multiboot "
                 "header instead");
    else
        snprintf(text, size, "a Windows program or driver (PE, subsystem %u): there is no Windows here; link the hypervisor as an ELF file "
                 "with a multiboot header instead", subsystem);
}

/* ---- others ---- */

/* Nothing but ASCII text in its first 4 KB. */
static bool is_text(const struct file *file)
{
    for (size_t i = 0; i < file->size && i < 4096; i++)
        if ((file->bytes[i] < ' ' && !strchr("\t\n\r\f\033", file->bytes[i])) || !file->bytes[i] || file->bytes[i] >= 0x7f)
            return false;
    return file->size != 0;
}

static bool is_boot_sector(const struct file *file)
{
    return file->size >= 512 && file->bytes[510] == 0x55 && file->bytes[511] == 0xaa;
}

#define MAGIC(offset, text) .at = offset, .magic = text, .length = sizeof text - 1
#define PACKED(how) "compressed (" how "): unpack it first"
#define MACH_O "a Mach-O file, as macOS builds them: build for ELF (clang -target x86_64-elf, or x86_64-elf-gcc) with a multiboot header"

static const struct format formats[] = {
    { .is = is_empty, .refusal = "the file is empty" },
    /* First: what it holds is not compressed, and may have a multiboot header. */
    { MAGIC(257, "ustar"), .refusal = "an archive (tar): unpack it first" },
    { .is = is_multiboot, .protocol = &multiboot_protocol, .layout = multiboot_layout },
    { .is = multiboot2_is, .protocol = &multiboot2_protocol, .layout = multiboot2_layout },
    { .is = linux_is, .protocol = &linux_protocol, .layout = linux_layout },
    { .is = pvh_is, .protocol = &pvh_protocol, .layout = pvh_layout },
    { .is = is_nearly_multiboot, .refuse = refuse_multiboot },
    { .is = plain_is, .protocol = &plain_protocol, .layout = plain_layout },
    { MAGIC(0, "\177ELF"), .refuse = refuse_elf },
    { MAGIC(0, "MZ"), .refuse = refuse_pe },
    { MAGIC(0, "\317\372\355\376"), .refusal = MACH_O },
    { MAGIC(0, "\316\372\355\376"), .refusal = MACH_O },
    { MAGIC(0, "\312\376\272\276"), .refusal = MACH_O },
    { MAGIC(0, "\3757zXZ"), .refusal = PACKED("xz") ", as in: sesqui boot <(xzcat FILE)" },
    { MAGIC(0, "\50\265\57\375"), .refusal = PACKED("zstd") ", as in: sesqui boot <(zstdcat FILE)" },
    { MAGIC(0, "BZh"), .refusal = PACKED("bzip2") ", as in: sesqui boot <(bzcat FILE)" },
    { MAGIC(0, "\4\"M\30"), .refusal = PACKED("lz4") ", as in: sesqui boot <(lz4cat FILE)" },
    { MAGIC(0, "PK\3\4"), .refusal = "an archive (zip): unpack it first" },
    { MAGIC(0, "!<arch>\n"), .refusal = "a library of object files (ar): link it into a program with a multiboot header" },
    { MAGIC(0, "BC\300\336"), .refusal = "LLVM bitcode: compile and link it into a program with a multiboot header" },
    { MAGIC(0, "\47\5\31\126"), .refusal = "an image for U-Boot (uImage): boot what it was made from" },
    { MAGIC(0, "QFI\373"), .refusal = "a disk image (qcow2): there is no BIOS here to start it; boot a kernel or the hypervisor's own multiboot file, and give it the disk "
                               "with --disk" },
    { MAGIC(0x8001, "CD001"), .refusal = "a CD image (ISO 9660): there is no drive and no BIOS here; boot the multiboot file within it" },
    { .is = is_boot_sector, .refusal = "a boot sector or the image of a disk: there is no BIOS here to start it; boot a kernel or the "
                                       "hypervisor's own multiboot file, and give it the disk with --disk" },
    { .is = is_text, .refusal = "a text, no multiboot header and not a bootable image (scenarios: sesqui run FILE)" },
    { .is = is_any, .refusal = "no multiboot header, not an ELF file and no Linux kernel: not a bootable image (a flat binary needs a "
                               "multiboot header with address fields, flag 16)" },
};

static bool known_by(const struct format *format, const struct file *file)
{
    if (!format->magic)
        return format->is(file);
    return file->size >= format->at + format->length && memcmp(file->bytes + format->at, format->magic, format->length) == 0;
}

bool format_layout(const struct file *file, struct image *image, char *error, size_t error_size)
{
    const struct format *format = formats;
    char text[320] = "";

    while (!known_by(format, file))
        format++;
    *image = (struct image){ .protocol = format->protocol };
    if (format->layout)
        return format->layout(file, image, error, error_size);
    if (format->refuse)
        format->refuse(file, text, sizeof text);
    snprintf(error, error_size, "%s: %s", file->path, format->refuse ? text : format->refusal);
    return false;
}
