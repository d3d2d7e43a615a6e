/* SPDX-License-Identifier: MIT */
/* What the parts of the loader share with each other. */
#ifndef SESQUI_EMU_LOAD_PARTS_H
#define SESQUI_EMU_LOAD_PARTS_H

#include "emu/load/file.h"
#include "emu/load/load.h"

struct load_range { uint64_t base, size; };

enum { IMAGE_PIECES = 64 };
/* A run of bytes to be placed: `file_size` of them come from the file, the rest of `size` is zero. */
struct piece {
    uint64_t pa, offset, file_size, size;
};
struct image {
    struct piece piece[IMAGE_PIECES];
    unsigned count;
    uint64_t entry;                 /* physical */
    const struct protocol *protocol;
    uint64_t header;                /* of the protocol, in the file */
};
/* The section headers of an ELF file as a boot loader hands them over; `names`: the index of the section with their names. */
struct elf_sections { uint32_t count, entry_size, address, names; };
/* All that the loader knows when it hands over. */
struct loaded {
    struct model *model;
    const struct load_request *request;
    const struct file *file;
    const struct image *image;
    struct load_range module[MODULES_MAX];
    struct elf_sections sections;
};

/* How an image is told what it finds, and entered. */
struct protocol {
    const char *name;
    uint64_t entry_max;             /* the highest entry that it can reach */
    uint32_t info_end;              /* it uses INFO_BASE up to here */
    bool tables;                    /* it uses LOADER_TABLES */
    bool setup;                     /* it uses LOADER_SETUP */
    bool late;                      /* it can tell the image of late load */
    bool sections;                  /* it hands over the section headers of ELF files */
    /* NULL: any number of modules, above the image. Else there is at most one, the initrd, and it ends at this address at the latest. */
    uint64_t (*initrd_end)(const struct file *file, const struct image *image);
    /* The most characters that --append may have; NULL: COMMAND_LINE_MAX with the image's name. */
    size_t (*command_line_max)(const struct file *file, const struct image *image);
    /* Cannot fail: layout and checks were before. */
    void (*hand_over)(struct loaded *loaded);
};
extern const struct protocol multiboot_protocol, multiboot2_protocol, linux_protocol, linux_real_mode_protocol, pvh_protocol,
    plain_protocol;

/* ---- formats ---- */

/* Recognises a file, whatever it is, and collects its pieces. False: `error` says what it is, and what to do. */
bool format_layout(const struct file *file, struct image *image, char *error, size_t error_size);

/* ELF. */
bool elf_is(const struct file *file);
/* Its class: 64 or 32; 0: neither. */
unsigned elf_bits(const struct file *file);
/* What is wrong with the header; NULL: nothing. */
const char *elf_fault(const struct file *file);
/* Has it something to load; does it ask for a dynamic linker? */
bool elf_loads(const struct file *file);
bool elf_interpreted(const struct file *file);
/* Of the loadable segment that holds this byte of the file: where it begins in the file, and its alignment. False: there is none. */
bool elf_segment_of(const struct file *file, uint64_t offset, uint64_t *start, uint64_t *alignment);
/* Collects the loadable segments; and finds the entry in them. */
bool elf_pieces(const struct file *file, struct image *image, char *error, size_t error_size);
bool elf_layout(const struct file *file, struct image *image, char *error, size_t error_size);
/* Finds a note of the program headers by name and type. False: there is none. `at`, `size`: of its descriptor in the file. */
bool elf_note(const struct file *file, const char *name, uint32_t type, uint64_t *at, uint64_t *size);
/* Copies section headers, and the symbol and string tables, which are in no segment, to memory from `at` on, as far as they fit below
 * `end`; no ELF file, no sections. */
void elf_sections_place(struct model *model, const struct file *file, uint64_t at, uint64_t end, struct elf_sections *sections);

/* Multiboot 1. */
struct multiboot {
    size_t offset;                  /* of the header in the file */
    uint32_t flags;
};
/* Looks for a valid header; false: there is none. */
bool multiboot_find(const struct file *file, struct multiboot *header);
/* What is almost a header: the mistakes that its author can mend. */
struct multiboot_slip {
    enum { MULTIBOOT_TOO_FAR, MULTIBOOT_UNALIGNED, MULTIBOOT_CHECKSUM, MULTIBOOT_CUT_SHORT, MULTIBOOT_2_CHECKSUM, MULTIBOOT_MAGIC } kind;
    size_t offset;
    uint32_t flags, checksum, wanted;   /* of the second version: `flags` is its length */
};
bool multiboot_slip(const struct file *file, struct multiboot_slip *slip);
/* Refuses requirements that the machine cannot meet; collects the pieces. */
bool multiboot_layout(const struct file *file, struct image *image, char *error, size_t error_size);
/* The four addresses of a header of either version. */
struct multiboot_addresses { uint64_t header, load, load_end, bss_end; };
bool multiboot_address_layout(const struct file *file, size_t header, const struct multiboot_addresses *addresses, struct image *image,
                              char *error, size_t error_size);
/* What an image that asks for a video mode is told, in both versions' order: base, pitch, width, height, bits, type. It is text mode, which nobody
 * sees. */
void multiboot_text_mode(struct memory *memory, uint64_t at);

/* Multiboot 2. */
bool multiboot2_is(const struct file *file);
bool multiboot2_layout(const struct file *file, struct image *image, char *error, size_t error_size);

/* Linux. */
bool linux_is(const struct file *file);
bool linux_layout(const struct file *file, struct image *image, char *error, size_t error_size);

/* PVH and ELF files without any protocol. */
bool pvh_is(const struct file *file);
bool pvh_layout(const struct file *file, struct image *image, char *error, size_t error_size);
bool plain_is(const struct file *file);
bool plain_layout(const struct file *file, struct image *image, char *error, size_t error_size);

/* ---- what images find ---- */

enum { BASE_MEMORY_END = 0x9fc00 };     /* where a PC's extended BIOS data begins */
enum { VIDEO_BASE = 0xa0000, HIGH_START = 0x100000 };
/* Memory and devices as a PC's firmware leaves them. */
void firmware_leave(struct model *model, const struct load_request *request);

/* The memory map: ranges without overlap by address, in the types of ACPI's E820 map. */
enum range_type { RANGE_RAM = 1, RANGE_RESERVED = 2 };
struct memory_range { uint64_t base, end; enum range_type type; };
enum { MEMORY_RANGES_MAX = 8 };
unsigned memory_map(const struct model *model, const struct load_request *request, struct memory_range range[MEMORY_RANGES_MAX]);
/* Where RAM below the device hole ends. */
uint64_t memory_low_end(const struct model *model);

/* The image's own name, without folders, and --append: what a guest sees does not depend on where its file lies. */
void command_line(const struct load_request *request, char line[COMMAND_LINE_MAX + 1]);

/* Entry states of processor 0; registers are zero but RSP, interrupts off. */
enum { LOADER_STACK = 0x7ff00,          /* as GRUB leaves it: below 512 KB, where RAM is and nothing else */
       LOADER_SETUP = 0x10000, LOADER_SETUP_END = 0x20000 /* the real-mode part of a Linux image, with its heap, stack and command line */,
       LOADER_TABLES = 0x80000, LOADER_TABLES_END = 0x87000 /* page tables that map the first 4 GB to themselves, and a GDT */ };
/* 32-bit protected mode, flat; the selectors are as if from a GDT of null, code, data. */
void enter_protected(struct cpu *cpu, uint64_t entry);
/* The same with a GDT in LOADER_TABLES, of null, null, code (10H), data (18H): what Linux wants. */
void enter_linux_32(struct model *model, uint64_t entry);
/* 64-bit mode with that GDT and page tables. */
void enter_long(struct model *model, uint64_t entry);
/* Real mode. */
void enter_real(struct cpu *cpu, uint16_t code, uint16_t data, uint16_t ip, uint16_t sp);

#endif
