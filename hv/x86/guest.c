/* SPDX-License-Identifier: MIT */
/*
 * The image that becomes L1: module 0, started as a multiboot v1 loader would start it, with the other modules and a
 * memory map without L0's pool. Files are not trusted: every size and offset is checked.
 */
#include "hv/x86/x86.h"

#include "arch/late_load.h"
#include "hv/x86/elf.h"

/* Multiboot 0.6.96, 3.1. */
enum { HEADER_MAGIC = 0x1badb002, HEADER_SEARCH = 8192, HEADER_ADDRESSES = 1 << 16, HEADER_KNOWN = 0x10003 };
struct header { uint32_t magic, flags, checksum, header_address, load, load_end, bss_end, entry; };

/* The information block, and places in it. */
enum { INFO_SIZE = 0x4000, INFO_TOP = 0x94000, MAP_AT = 0x100, MODULES_AT = 0x900, LOADER_AT = 0xa80, LATE_AT = 0xac0, TEXT_AT = 0x1000 };
enum { INFO_FLAGS = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9, LOW_MEMORY_END = 0xa0000, HIGH_MEMORY = 0x100000 };
struct information {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr,
        drives[2], config, loader;
};
struct __attribute__((packed)) map_entry { uint32_t size; uint64_t base, length; uint32_t type; };
struct module_entry { uint32_t start, end, string, reserved; };

static uint64_t info_base;                      /* of the block */
static uint64_t scratch;                        /* module files wait here, below the pool, while L1 is placed */

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a_size && b_size && a < b + b_size && b < a + a_size;
}

static uint64_t pages_up(uint64_t bytes) { return (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1); }

/* L1 may be placed anywhere, so no module stays where the boot loader put it. */
static const char *move_modules(void)
{
    uint64_t size = 0;

    for (unsigned i = 0; i < boot.modules; i++)
        size += pages_up(boot.module[i].size);
    scratch = hal_pool().base.value - size;
    if (size > hal_pool().base.value || !is_ram(scratch, size ? size : 1))
        return "too little memory: the modules do not fit below L0's pool";
    for (unsigned i = 0; i < boot.modules; i++)
        if (overlap(scratch, size, boot.module[i].base, boot.module[i].size))
            return "too little memory: the modules lie just below L0's pool";
    uint64_t to = scratch;
    for (unsigned i = 0; i < boot.modules; i++) {
        memcpy(at(to), at(boot.module[i].base), boot.module[i].size);
        boot.module[i].base = to;
        to += pages_up(boot.module[i].size);
    }
    return NULL;
}

static const struct header *find_header(const uint8_t *file, uint64_t size)
{
    for (uint64_t i = 0; i + 12 <= size && i + 12 <= HEADER_SEARCH; i += 4) {
        const struct header *header = (const struct header *)(file + i);
        if (header->magic == HEADER_MAGIC && header->magic + header->flags + header->checksum == 0)
            return header;
    }
    return NULL;
}

static const char *address_layout(const uint8_t *file, uint64_t size, const struct header *header, struct image *image)
{
    const uint64_t place = (uint64_t)((const uint8_t *)header - file);
    uint64_t load_end = header->load_end, bss_end = header->bss_end;

    if (size - place < sizeof *header || header->load > header->header_address ||
        header->header_address - header->load > place)
        return "module 0: the multiboot address fields are wrong";
    const uint64_t offset = place - (header->header_address - header->load);
    if (!load_end)
        load_end = header->load + (size - offset);
    if (!bss_end)
        bss_end = load_end;
    if (load_end < header->load || load_end - header->load > size - offset || bss_end < load_end)
        return "module 0: the multiboot address fields name bytes that the file does not have";
    *image = (struct image){ .piece = { { header->load, offset, load_end - header->load, bss_end - header->load } },
                             .count = 1, .entry = header->entry };
    return NULL;
}

static const char *layout(const struct module *module, struct image *image)
{
    const uint8_t *file = at(module->base);
    const struct header *header = find_header(file, module->size);

    if (!header)
        return elf_is(file, module->size) ? "module 0 is an ELF file without a multiboot header"
                                          : "module 0 is no multiboot image and no ELF file";
    if (header->flags & 0xffff & ~HEADER_KNOWN)
        return "module 0 requires a multiboot feature that is not known here";
    return header->flags & HEADER_ADDRESSES ? address_layout(file, module->size, header, image)
                                            : elf_layout(file, module->size, image);
}

static const char *place(const struct module *module, const struct image *image)
{
    for (unsigned i = 0; i < image->count; i++) {
        const struct piece *p = &image->piece[i];
        if (!is_ram(p->address, p->size) || overlap(p->address, p->size, scratch, hal_pool().base.value - scratch) ||
            overlap(p->address, p->size, hal_pool().base.value, hal_pool().size) ||
            overlap(p->address, p->size, info_base, INFO_SIZE) || overlap(p->address, p->size, TRAMPOLINE, PAGE_SIZE))
            return "module 0 wants memory that is not there, or taken (too little memory?)";
    }
    if (image->entry >> 32)
        return "module 0: the entry lies above 4 GB";
    for (unsigned i = 0; i < image->count; i++) {
        const struct piece *p = &image->piece[i];
        memcpy(at(p->address), at(module->base + p->offset), p->file_size);
        memset(at(p->address + p->file_size), 0, p->size - p->file_size);
    }
    return NULL;
}

/* Module 1 and those behind it go to the first page above the image and above 1 MB, as module 0 and on of L1. */
static const char *place_modules(const struct image *image)
{
    uint64_t to = HIGH_MEMORY;

    for (unsigned i = 0; i < image->count; i++)
        if (image->piece[i].address < scratch && image->piece[i].address + image->piece[i].size > to)
            to = image->piece[i].address + image->piece[i].size;
    for (unsigned i = 1; i < boot.modules; i++) {
        struct module *module = &boot.module[i];
        to = pages_up(to);
        if (to + module->size > scratch || (module->size && !is_ram(to, module->size)))
            return "too little memory: L1's modules do not fit above its image";
        memcpy(at(to), at(module->base), module->size);
        module->base = to;
        to += module->size;
    }
    return NULL;
}

static void map_add(uint32_t *length, uint64_t base, uint64_t end, uint32_t type)
{
    if (end <= base)
        return;
    *(struct map_entry *)at(info_base + MAP_AT + *length) = (struct map_entry){ 20, base, end - base, type };
    *length += sizeof(struct map_entry);
}

/* The boot loader's map, with the pool cut out. */
static uint32_t write_map(void)
{
    const uint64_t pool = hal_pool().base.value, pool_end = pool + hal_pool().size;
    uint32_t length = 0;

    for (unsigned i = 0; i < boot.ranges; i++) {
        const struct memory_range *r = &boot.range[i];
        const bool cut = r->type == MEMORY_AVAILABLE && r->base <= pool && pool_end <= r->end;
        map_add(&length, r->base, cut ? pool : r->end, r->type);
        if (cut) {
            map_add(&length, pool, pool_end, MEMORY_RESERVED);
            map_add(&length, pool_end, r->end, r->type);
        }
    }
    return length;
}

/* RAM without a hole from `base` on, in KB. */
static uint32_t contiguous(uint64_t base)
{
    const uint64_t pool = hal_pool().base.value;

    for (unsigned i = 0; i < boot.ranges; i++) {
        const struct memory_range *r = &boot.range[i];
        uint64_t end = r->base <= pool && pool < r->end ? pool : r->end;
        if (r->type == MEMORY_AVAILABLE && r->base <= base && base < end)
            return (uint32_t)((end - base) / 1024);
    }
    return 0;
}

static void write_information(void)
{
    struct information *info = at(info_base);
    struct module_entry *entry = at(info_base + MODULES_AT);

    memset(info, 0, INFO_SIZE);
    memcpy(at(info_base + LOADER_AT), "sesqui", 7);
    text_copy(at(info_base + TEXT_AT), boot.module[0].text);
    for (unsigned i = 1; i < boot.modules; i++) {
        const uint64_t text = info_base + TEXT_AT + i * TEXT_MAX;
        text_copy(at(text), boot.module[i].text);
        entry[i - 1] = (struct module_entry){ (uint32_t)boot.module[i].base,
                                              (uint32_t)(boot.module[i].base + boot.module[i].size), (uint32_t)text, 0 };
    }
    if (options.late) {
        const uint64_t text = info_base + TEXT_AT + boot.modules * TEXT_MAX;
        text_copy(at(text), LATE_MODULE);
        *(uint64_t *)at(info_base + LATE_AT) = LATE_SIGNATURE;
        *(uint64_t *)at(info_base + LATE_AT + 8) = late_table_entry();
        entry[boot.modules - 1] = (struct module_entry){ (uint32_t)(info_base + LATE_AT), (uint32_t)(info_base + LATE_AT + 16),
                                                         (uint32_t)text, 0 };
    }
    *info = (struct information){
        .flags = INFO_FLAGS, .mem_lower = contiguous(0), .mem_upper = contiguous(HIGH_MEMORY),
        .cmdline = (uint32_t)(info_base + TEXT_AT), .mods_count = boot.modules - !options.late,
        .mods_addr = (uint32_t)(info_base + MODULES_AT), .mmap_length = write_map(),
        .mmap_addr = (uint32_t)(info_base + MAP_AT), .loader = (uint32_t)(info_base + LOADER_AT),
    };
}

/* Where boot loaders leave their stack: the specification leaves ESP open, and programs push before they set it. */
#define LOADER_STACK 0x7ff00

/* Multiboot 0.6.96, 3.2 "Machine state"; selectors as if from a GDT of null, code, data. */
static void machine_state(struct hal_capture *capture, uint64_t entry)
{
    const struct hal_guest_segment code = { 0x08, 0xb | AR_S | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };
    const struct hal_guest_segment data = { 0x10, 0x3 | AR_S | AR_PRESENT | AR_DB | AR_G, 0xffffffff, 0 };

    *capture = (struct hal_capture){
        .rip = entry, .rsp = LOADER_STACK, .rflags = RFLAGS_FIXED, .cr0 = CR0_PE | CR0_ET, .dr7 = 0x400, .activity = ACTIVITY_ACTIVE,
        .gdtr.limit = 0xffff, .idtr.limit = 0xffff,
        .registers.gpr = { [RAX] = 0x2badb002, [RBX] = info_base },
    };
    hal_rdmsr(MSR_ia32_pat, &capture->pat);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        capture->segment[i] = i == SEG_CS ? code : data;
    capture->segment[SEG_LDTR] = (struct hal_guest_segment){ 0, 2 | AR_PRESENT, 0xffff, 0 };
    capture->segment[SEG_TR] = (struct hal_guest_segment){ 0, 0xb | AR_PRESENT, 0xffff, 0 };
}

/* The block's place: below INFO_TOP, lower where the firmware keeps data there. */
static bool choose_information(void)
{
    for (info_base = INFO_TOP - INFO_SIZE; info_base >= TRAMPOLINE + PAGE_SIZE; info_base -= PAGE_SIZE)
        if (is_ram(info_base, INFO_SIZE))
            return true;
    return false;
}

const char *guest_load(struct hal_capture *capture)
{
    struct image image;
    const char *why = NULL;

    _Static_assert(TEXT_AT + (MODULES_MAX + 1) * TEXT_MAX <= INFO_SIZE, "the texts fit the block");
    _Static_assert(MAP_AT + (RANGES_MAX + 2) * sizeof(struct map_entry) <= MODULES_AT, "the map fits its place");
    if (!boot.modules)
        return "no module: give the image that shall be L1 as the first module";
    if (!choose_information())
        return "too little memory below 640 KB";
    if ((why = move_modules()) || (why = layout(&boot.module[0], &image)) || (why = place(&boot.module[0], &image)) ||
        (why = place_modules(&image)))
        return why;
    write_information();
    machine_state(capture, image.entry);
    return NULL;
}
