/* SPDX-License-Identifier: MIT */
/* The file that becomes L1, and what L1 is told: hv/x86/guest.c, elf.c. Files are hostile. */
#define guest_load image_guest_load             /* the model has one, too */
#define ALSO "hv/x86/guest.c"
#define ALSO_2 "hv/x86/elf.c"
#include "tests/hv/image.h"

uint64_t late_table_entry(void) { return 0x1234; }
bool hal_rdmsr(uint32_t index, uint64_t *value) { *value = index == MSR_ia32_pat ? 0x0007040600070406 : 0; return true; }

enum { FILE_AT = 0x800000, FILE_SIZE = 0x3000, FILE_HEADER = 64 };

static struct header *multiboot_header(uint32_t flags)
{
    struct header *header = (void *)(uint64_t)(FILE_AT + FILE_HEADER);

    *header = (struct header){ HEADER_MAGIC, flags, 0u - HEADER_MAGIC - flags, 0x400000 + FILE_HEADER, 0x400000, 0x402000, 0x405000, 0x400123 };
    return header;
}

/* An L1 with address fields, and what else the boot loader said. */
static void usual_guest(void)
{
    reset();
    info_base = scratch = 0;
    usual_memory();
    for (unsigned i = 0; i < FILE_SIZE; i++)
        ((uint8_t *)FILE_AT)[i] = (uint8_t)(i * 7);
    multiboot_header(0x10003);
    module(FILE_AT, FILE_SIZE, "guest words");
    ck_assert_ptr_null(pool_reserve(1));
}

START_TEST(a_guest_by_its_address_fields)
{
    struct hal_capture c;

    usual_guest();
    memset((void *)0x402000, 1, 0x4000);
    memset((void *)0x3ff000, 1, 0x1000);
    ck_assert_ptr_null(guest_load(&c));
    ck_assert(!memcmp((void *)(0x400000 + FILE_HEADER + 32), (void *)(FILE_AT + FILE_HEADER + 32), 0x2000 - FILE_HEADER - 32));
    for (uint64_t at = 0x402000; at < 0x405000; at += 8)
        ck_assert_uint_eq(*(uint64_t *)at, 0);
    ck_assert_uint_ne(*(uint64_t *)0x405000, 0);
    ck_assert_uint_ne(*(uint64_t *)0x3ffff8, 0);

    ck_assert(c.rip == 0x400123 && c.rsp == 0x7ff00 && c.rflags == 2 && c.cr0 == 0x11 && c.dr7 == 0x400 && c.activity == 0);
    ck_assert(c.gdtr.limit == 0xffff && c.idtr.limit == 0xffff && c.pat == 0x0007040600070406);
    ck_assert(c.registers.gpr[RAX] == 0x2badb002 && c.registers.gpr[RBX] == 0x90000);
    ck_assert(c.segment[SEG_CS].selector == 8 && c.segment[SEG_CS].access_rights == 0xc09b && c.segment[SEG_CS].limit == 0xffffffff);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        ck_assert(i == SEG_CS || (c.segment[i].selector == 0x10 && c.segment[i].access_rights == 0xc093 && c.segment[i].limit == 0xffffffff));
    ck_assert(c.segment[SEG_LDTR].access_rights == 0x82 && c.segment[SEG_TR].access_rights == 0x8b && c.segment[SEG_TR].limit == 0xffff);
}
END_TEST

/* What it is told: text, memory without the pool, modules behind the image. */
START_TEST(a_guest_is_told_what_a_boot_loader_tells)
{
    struct hal_capture c;

    usual_guest();
    const uint64_t pool = hal_pool().base.value, pool_end = pool + hal_pool().size;
    strcpy((char *)0x404800, "first");          /* where L1 itself shall be */
    strcpy((char *)0xb00000, "second");
    module(0x404800, 0x1800, "one");
    module(0xb00000, 16, "two");
    options.late = true;
    ck_assert_ptr_null(guest_load(&c));

    const struct information *info = (void *)0x90000;
    ck_assert_uint_eq(info->flags, 0x24d);
    ck_assert_uint_eq(info->mem_lower, 0x9fc00 / 1024);
    ck_assert_uint_eq(info->mem_upper, (pool - MB) / 1024);
    ck_assert_str_eq((char *)(uint64_t)info->cmdline, "guest words");
    ck_assert_str_eq((char *)(uint64_t)info->loader, "sesqui");
    ck_assert_uint_eq(info->mods_count, 3);
    const struct module_entry *m = (void *)(uint64_t)info->mods_addr;
    ck_assert(m[0].start == 0x405000 && m[0].end == 0x406800 && !strcmp((char *)(uint64_t)m[0].string, "one"));
    ck_assert(m[1].start == 0x407000 && m[1].end == 0x407010 && !strcmp((char *)(uint64_t)m[1].string, "two"));
    ck_assert(!strcmp((char *)0x405000, "first") && !strcmp((char *)0x407000, "second"));
    ck_assert(!strcmp((char *)(uint64_t)m[2].string, LATE_MODULE) && m[2].end - m[2].start == 16);
    ck_assert_uint_eq(*(uint64_t *)(uint64_t)m[2].start, LATE_SIGNATURE);
    ck_assert_uint_eq(*(uint64_t *)(uint64_t)(m[2].start + 8), 0x1234);

    const struct map_entry *map = (void *)(uint64_t)info->mmap_addr;
    const struct { uint64_t base, end; uint32_t type; } wanted[] = {
        { 0, 0x9fc00, 1 }, { 0x9fc00, 0xa0000, 2 }, { MB, pool, 1 }, { pool, pool_end, 2 }, { pool_end, TOP, 1 }, { 0xfffc0000, 0x100000000, 2 } };
    const unsigned count = pool_end == TOP ? 5 : 6;
    ck_assert_uint_eq(info->mmap_length, count * sizeof *map);
    for (unsigned i = 0, j = 0; i < count; i++, j++) {
        j += wanted[j].base == wanted[j].end;
        ck_assert(map[i].size == 20 && map[i].base == wanted[j].base && map[i].length == wanted[j].end - wanted[j].base && map[i].type == wanted[j].type);
    }

    usual_guest();                              /* without late load there is no such module; the firmware's data push the block down */
    boot.range[0].end = 0x8f000;
    memory_describe();
    ck_assert_ptr_null(guest_load(&c));
    info = (void *)c.registers.gpr[RBX];
    ck_assert_uint_eq(c.registers.gpr[RBX], 0x8f000 - INFO_SIZE);
    ck_assert_uint_eq(info->mods_count, 0);
    ck_assert_uint_eq(*(uint64_t *)(uint64_t)info->mods_addr, 0);

    reset();                                    /* a map in another order */
    range(16 * MB, TOP, MEMORY_AVAILABLE);
    range(4 * MB, 8 * MB, MEMORY_RESERVED);
    range(MB, 4 * MB, MEMORY_AVAILABLE);
    range(0x90000, 0x9fc00, MEMORY_AVAILABLE);
    memory_describe();
    ck_assert_ptr_null(pool_reserve(1));
    ck_assert_uint_eq(contiguous(HIGH_MEMORY), 3 * 1024);
    ck_assert_uint_eq(contiguous(0), 0);
    ck_assert_uint_eq(contiguous(5 * MB), 0);
    ck_assert_uint_eq(contiguous(16 * MB), (hal_pool().base.value - 16 * MB) / 1024);
}
END_TEST

static const char *load(void)
{
    struct hal_capture c;
    const char *why = guest_load(&c);

    return why ? why : "";
}

START_TEST(files_that_are_no_guest)
{
    struct header *h;

    usual_guest();
    boot.modules = 0;
    ck_assert_str_eq(load(), "no module: give the image that shall be L1 as the first module");
    usual_guest();
    multiboot_header(0x10003)->checksum++;
    ck_assert_str_eq(load(), "module 0 is no multiboot image and no ELF file");
    usual_guest();
    multiboot_header(0x10003)->magic++;
    ck_assert_str_eq(load(), "module 0 is no multiboot image and no ELF file");
    usual_guest();                              /* it is looked for in the first 8 KB, and in the file */
    multiboot_header(0)->magic = 0;
    *(struct header *)(uint64_t)(FILE_AT + HEADER_SEARCH - 12) = (struct header){ HEADER_MAGIC, 4, 0u - HEADER_MAGIC - 4, 0, 0, 0, 0, 0 };
    ck_assert_str_eq(load(), "module 0 requires a multiboot feature that is not known here");
    usual_guest();
    multiboot_header(0)->magic = 0;
    *(struct header *)(uint64_t)(FILE_AT + HEADER_SEARCH - 8) = (struct header){ HEADER_MAGIC, 4, 0u - HEADER_MAGIC - 4, 0, 0, 0, 0, 0 };
    ck_assert_str_eq(load(), "module 0 is no multiboot image and no ELF file");
    usual_guest();
    boot.module[0].size = FILE_HEADER + 8;
    ck_assert_str_eq(load(), "module 0 is no multiboot image and no ELF file");
    usual_guest();
    multiboot_header(3);
    ck_assert_str_eq(load(), "module 0: neither multiboot address fields nor an ELF file: nothing says where to load it");

    /* Address fields: the header's own place must fit, and what they name must be in the file. */
    const char *wrong = "module 0: the multiboot address fields are wrong", *beyond = "module 0: the multiboot address fields name bytes that the file does not have";
    usual_guest();
    boot.module[0].size = FILE_HEADER + 28;
    ck_assert_str_eq(load(), wrong);
    usual_guest();
    h = multiboot_header(0x10003);
    h->load = h->header_address + 1;
    ck_assert_str_eq(load(), wrong);
    usual_guest();                              /* a difference that wraps around */
    h = multiboot_header(0x10003);
    h->header_address = FILE_HEADER / 2;
    h->load = 0u - FILE_HEADER / 2;
    ck_assert_str_eq(load(), wrong);
    usual_guest();
    h = multiboot_header(0x10003);
    h->load = h->header_address - FILE_HEADER - 4;
    ck_assert_str_eq(load(), wrong);
    usual_guest();
    h = multiboot_header(0x10003);
    h->load_end = h->load - 1;
    ck_assert_str_eq(load(), beyond);
    usual_guest();
    h = multiboot_header(0x10003);
    h->load_end = h->load + FILE_SIZE + 1;
    ck_assert_str_eq(load(), beyond);
    usual_guest();
    h = multiboot_header(0x10003);
    h->bss_end = h->load_end - 1;
    ck_assert_str_eq(load(), beyond);
    usual_guest();                              /* 0: to the end of the file, and nothing behind it */
    h = multiboot_header(0x10003);
    h->load += 32;                              /* the file's first bytes are not loaded */
    h->load_end = h->bss_end = 0;
    memset((void *)0x403000, 1, 16);
    ck_assert_str_eq(load(), "");
    ck_assert(!memcmp((void *)0x400100, (void *)(FILE_AT + 0x100), FILE_SIZE - 0x100) && *(uint8_t *)0x403000 == 1);

    /* Where it wants to be. */
    const char *taken = "module 0 wants memory that is not there, or taken (too little memory?)";
    const uint64_t at[] = { TOP, hal_pool().base.value, hal_pool().base.value - 0x3000, 0x90000, 0x8e000, TRAMPOLINE, TRAMPOLINE - 0x4000, 0x9f000 };
    for (unsigned i = 0; i < sizeof at / sizeof *at; i++) {
        usual_guest();
        h = multiboot_header(0x10003);
        *h = (struct header){ h->magic, h->flags, h->checksum, (uint32_t)at[i] + FILE_HEADER, (uint32_t)at[i], (uint32_t)at[i] + 0x2000, (uint32_t)at[i] + 0x5000, 0 };
        ck_assert_msg(!strcmp(load(), taken), "at %llx", (unsigned long long)at[i]);
    }

    usual_guest();
    boot.range[0].type = MEMORY_RESERVED;
    memory_describe();
    ck_assert_str_eq(load(), "too little memory below 640 KB");
    usual_guest();
    module(MB, hal_pool().base.value, "");      /* larger than all memory below the pool */
    ck_assert_str_eq(load(), "too little memory: the modules do not fit below L0's pool");
    usual_guest();
    module(hal_pool().base.value - 0x2000, 0x1000, "");
    ck_assert_str_eq(load(), "too little memory: the modules lie just below L0's pool");
    usual_guest();                              /* behind an image at the top there is no room for another module */
    h = multiboot_header(0x10003);
    const uint32_t top = (uint32_t)hal_pool().base.value - 0x6000 - 0x1000 - 0x5000;
    *h = (struct header){ h->magic, h->flags, h->checksum, top + FILE_HEADER, top, top + 0x2000, top + 0x5000, 0 };
    module(0xa00000, 0x2001, "");
    ck_assert_str_eq(load(), "too little memory: L1's modules do not fit above its image");
}
END_TEST

/* ---- ELF ---- */

struct elf_64 {
    uint8_t ident[16]; uint16_t type, machine; uint32_t version; uint64_t entry, phoff, shoff; uint32_t flags;
    uint16_t ehsize, phentsize, phnum, rest[3];
    struct segment_64 { uint32_t type, flags; uint64_t offset, virtual, physical, file_size, memory_size, align; } segment[20];
};
struct elf_32 {
    uint8_t ident[16]; uint16_t type, machine; uint32_t version, entry, phoff, shoff, flags; uint16_t ehsize, phentsize, phnum, rest[3];
    struct segment_32 { uint32_t type, offset, virtual, physical, file_size, memory_size, flags, align; } segment[20];
};

static struct elf_64 usual_64(void)
{
    return (struct elf_64){ .ident = { 0x7f, 'E', 'L', 'F', CLASS_64 }, .type = EXECUTABLE, .machine = MACHINE_X86_64, .entry = 0xffff800000001234,
        .phoff = 64, .phentsize = 56, .phnum = 3,
        .segment = { { 7, 0, 0, 0, 0, 1, 1, 0 }, { 1, 0, 0x1000, 0xffff800000001000, 0x401000, 0x800, 0x1800, 0 },
                     { 1, 0, 0x2000, 0xffff800000001200, 0x900000, 0x100, 0x100, 0 } } };
}

START_TEST(elf_files)
{
    struct { struct elf_64 elf; uint8_t rest[0x2000]; } f = { .elf = usual_64() };
    const uint8_t *file = (const uint8_t *)&f;
    const uint64_t size = 0x2100;
    struct image image;
    const char *outside = "module 0: the ELF program headers lie outside the file", *kind = "module 0: no static executable for this processor",
               *bytes = "module 0: an ELF segment needs bytes that the file does not have",
               *nothing = "module 0: neither multiboot address fields nor an ELF file: nothing says where to load it";

    ck_assert(elf_is(file, 4) && !elf_is(file, 3) && !elf_is((const uint8_t *)"\177ELG", 4));
    ck_assert_ptr_null(elf_layout(file, size, &image));
    ck_assert(image.count == 2 && image.entry == 0x401234);     /* the first segment that holds it says where */
    ck_assert(image.piece[0].address == 0x401000 && image.piece[0].offset == 0x1000 && image.piece[0].file_size == 0x800 && image.piece[0].size == 0x1800);
    ck_assert(image.piece[1].address == 0x900000 && image.piece[1].offset == 0x2000);
#define WITH(change, why) do { f.elf = usual_64(); f.elf.change; ck_assert_str_eq(elf_layout(file, size, &image), why); } while (0)
    WITH(ident[0] = 1, nothing);
    WITH(ident[4] = 3, nothing);
    WITH(type = 3, kind);
    WITH(machine = MACHINE_386, kind);
    WITH(phentsize = 55, outside);
    WITH(phoff = size + 1, outside);
    WITH(phoff = size - 3 * 56 + 1, outside);
    WITH(segment[1].offset = size + 1, bytes);
    WITH(segment[1].offset = size - 0x7ff, bytes);
    WITH(segment[1].file_size = 0x1801, bytes);
    WITH(segment[1].file_size = UINT64_MAX, bytes);
    WITH(entry = 0xffff800000000fff, "module 0: the ELF entry lies in no loadable segment");
    WITH(entry = 0xffff800000002800, "module 0: the ELF entry lies in no loadable segment");
    f.elf = usual_64();
    ck_assert_str_eq(elf_layout(file, 20, &image), nothing);
    ck_assert_str_eq(elf_layout(file, 63, &image), nothing);
    f.elf.phnum = 20;                           /* empty segments do not count, others do */
    for (unsigned i = 3; i < 20; i++)
        f.elf.segment[i] = (struct segment_64){ 1, 0, 0, 0, 0, 0, 0, 0 };
    ck_assert_ptr_null(elf_layout(file, size, &image));
    ck_assert_uint_eq(image.count, 2);
    for (unsigned i = 3; i < 20; i++)
        f.elf.segment[i] = (struct segment_64){ 1, 0, 0, 0, 0, 0, 1, 0 };
    ck_assert_str_eq(elf_layout(file, size, &image), "module 0: too many ELF segments");

    struct elf_32 g = { .ident = { 0x7f, 'E', 'L', 'F', CLASS_32 }, .type = EXECUTABLE, .machine = MACHINE_386, .entry = 0x8010, .phoff = 52,
                        .phentsize = 32, .phnum = 1, .segment = { { 1, 0x20, 0x8000, 0x500000, 0x40, 0x80, 0, 0 } } };
    ck_assert_ptr_null(elf_layout((const uint8_t *)&g, sizeof g, &image));
    ck_assert(image.count == 1 && image.entry == 0x500010 && image.piece[0].address == 0x500000 && image.piece[0].offset == 0x20);
    g.machine = MACHINE_X86_64;
    ck_assert_str_eq(elf_layout((const uint8_t *)&g, sizeof g, &image), kind);
}
END_TEST

/* An L1 that is an ELF file with a multiboot header. */
START_TEST(a_guest_by_its_program_headers)
{
    struct elf_64 *f = (void *)FILE_AT;
    struct hal_capture c;

    usual_guest();
    *f = usual_64();
    *(struct header *)(uint64_t)(FILE_AT + 0x1000) = (struct header){ HEADER_MAGIC, 3, 0u - HEADER_MAGIC - 3, 0, 0, 0, 0, 0 };
    ck_assert_ptr_null(guest_load(&c));
    ck_assert_uint_eq(c.rip, 0x401234);
    ck_assert(!memcmp((void *)0x401000, (void *)(FILE_AT + 0x1000), 0x800) && !*(uint64_t *)0x401800 && !memcmp((void *)0x900000, (void *)(FILE_AT + 0x2000), 0x100));
    usual_guest();
    *f = usual_64();
    f->segment[1] = f->segment[2];              /* in the other order: other modules go behind the highest */
    f->segment[2] = usual_64().segment[1];
    *(struct header *)(uint64_t)(FILE_AT + 0x1000) = (struct header){ HEADER_MAGIC, 3, 0u - HEADER_MAGIC - 3, 0, 0, 0, 0, 0 };
    module(0xa00000, 16, "");
    ck_assert_ptr_null(guest_load(&c));
    ck_assert_uint_eq(((const struct module_entry *)(uint64_t)((const struct information *)0x90000)->mods_addr)->start, 0x901000);
    usual_guest();
    *f = usual_64();
    f->segment[1].physical = 0x100000000 + MB;
    f->segment[1].type = 1;
    *(struct header *)(uint64_t)(FILE_AT + 0x1000) = (struct header){ HEADER_MAGIC, 3, 0u - HEADER_MAGIC - 3, 0, 0, 0, 0, 0 };
    range(0x100000000, 0x200000000, MEMORY_AVAILABLE);
    memory_describe();
    ck_assert_str_eq(load(), "module 0: the entry lies above 4 GB");
    usual_guest();
    *f = usual_64();
    ck_assert_str_eq(load(), "module 0 is an ELF file without a multiboot header");
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, a_guest_by_its_address_fields);
    tcase_add_test(tcase, a_guest_is_told_what_a_boot_loader_tells);
    tcase_add_test(tcase, files_that_are_no_guest);
    tcase_add_test(tcase, elf_files);
    tcase_add_test(tcase, a_guest_by_its_program_headers);
}

int main(void)
{
    return image_tests("hv image guest", add);
}
