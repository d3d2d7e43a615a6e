/* SPDX-License-Identifier: MIT */
/* Loading images: good ones end up where they belong, bad ones are refused with the reason. */
#define LOAD_RAM (16u << 20)
#include <zlib.h>

#include "tests/emu/load_fixture.h"
#include "tests/suite.h"

static bool load(const void *bytes, size_t size, const char *arguments, const char *initrd)
{
    struct load_request request = {
        .image = path, .arguments = arguments, .reserved_base = 12 * MEGABYTE, .reserved_size = 4 * MEGABYTE,
    };
    ck_assert(!initrd || load_add_module(&request, initrd, "initrd", error, sizeof error));
    write_to(path, bytes, size);
    error[0] = '\0';
    bool done = load_image(model, &request, error, sizeof error);
    ck_assert(done == (error[0] == '\0'));
    ck_assert_ptr_null(strchr(error, '\n'));
    if (!done)
        ck_assert_msg(strstr(error, path) || strstr(error, module_path) || strstr(error, "--append"), "%s", error);
    return done;
}

static void refused(const void *bytes, size_t size, const char *because)
{
    ck_assert(!load(bytes, size, NULL, NULL));
    ck_assert_msg(strstr(error, because), "expected \"%s\", got: %s", because, error);
}

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* An ELF32 image with one segment: multiboot header at 0x80, 16 bytes of 0xab at 0x100 that go to 2 MB. */
static void make_elf32(uint8_t elf[512])
{
    memset(elf, 0, 512);
    memcpy(elf, "\177ELF\1\1\1", 7);
    put(elf + 16, 2, 2);
    put(elf + 18, 3, 2);
    put(elf + 24, 0x200004, 4);
    put(elf + 28, 52, 4);
    put(elf + 42, 32, 2);
    put(elf + 44, 1, 2);
    put(elf + 52, 1, 4);            /* PT_LOAD */
    put(elf + 56, 0x100, 4);
    put(elf + 60, 0x200000, 4);
    put(elf + 64, 0x200000, 4);
    put(elf + 68, 16, 4);
    put(elf + 72, 0x2000, 4);
    put(elf + 0x80, 0x1badb002, 4);
    put(elf + 0x88, -0x1badb002u, 4);
    memset(elf + 0x100, 0xab, 16);
}

static void make_elf64(uint8_t elf[512])
{
    make_elf32(elf);
    memset(elf, 0, 0x80);
    memcpy(elf, "\177ELF\2\1\1", 7);
    put(elf + 16, 2, 2);
    put(elf + 18, 62, 2);
    put(elf + 24, 0xffffffff80200008, 8);
    put(elf + 32, 64, 8);
    put(elf + 54, 56, 2);
    put(elf + 56, 1, 2);
    put(elf + 64, 1, 4);            /* PT_LOAD; it ends at 0x78 */
    put(elf + 72, 0x100, 8);
    put(elf + 80, 0xffffffff80200000, 8);
    put(elf + 88, 0x200000, 8);
    put(elf + 96, 16, 8);
    put(elf + 104, 0x2000, 8);
}

static void set_flags(uint8_t *header, uint32_t flags)
{
    put(header + 4, flags, 4);
    put(header + 8, -(0x1badb002u + flags), 4);
}

START_TEST(elf32_state)
{
    uint8_t elf[512];
    make_elf32(elf);
    ck_assert_msg(load(elf, sizeof elf, "one two", NULL), "%s", error);
    const struct cpu *cpu = &model->cpu[0];
    ck_assert_uint_eq(cpu->rip, 0x200004);
    ck_assert_uint_eq(cpu->gpr[RAX], 0x2badb002);
    ck_assert_uint_eq(cpu->cr0 & (CR0_PE | CR0_PG), CR0_PE);
    ck_assert_uint_eq(cpu->rflags & RFLAGS_IF, 0);
    ck_assert_uint_eq(cpu->seg[SEG_CS].base, 0);
    ck_assert_uint_eq(cpu->seg[SEG_SS].limit, 0xffffffff);
    ck_assert_uint_eq(ram[0x200000], 0xab);
    ck_assert_uint_eq(ram[0x200010], 0);

    uint32_t info = (uint32_t)cpu->gpr[RBX];
    ck_assert_uint_eq(memory_read32(&model->memory, info + 4), 639);
    ck_assert_uint_eq(memory_read32(&model->memory, info + 8), 11 * 1024);      /* up to L0's pool */
    const char *line = (const char *)ram + memory_read32(&model->memory, info + 16);
    ck_assert_str_eq(line + strlen(strrchr(path, '/') + 1), " one two");
    ck_assert_uint_eq(memory_read32(&model->memory, info + 20), 0);
    /* Every available range is RAM outside the pool. */
    uint32_t map = memory_read32(&model->memory, info + 48), end = map + memory_read32(&model->memory, info + 44);
    uint64_t available = 0;
    for (; map < end; map += memory_read32(&model->memory, map) + 4) {
        uint64_t base = memory_read64(&model->memory, map + 4), length = memory_read64(&model->memory, map + 12);
        ck_assert(memory_is_ram(&model->memory, base, length));
        if (memory_read32(&model->memory, map + 20) != 1)
            continue;
        ck_assert_uint_le(base + length, 12 * MEGABYTE);
        available += length;
    }
    ck_assert_uint_eq(available, 11 * MEGABYTE + 639 * 1024);
}
END_TEST

START_TEST(elf64_enters_physically)
{
    uint8_t elf[512];
    make_elf64(elf);
    ck_assert_msg(load(elf, sizeof elf, NULL, NULL), "%s", error);
    ck_assert_uint_eq(model->cpu[0].rip, 0x200008);
}
END_TEST

START_TEST(address_fields)
{
    uint8_t flat[512] = { 0 };
    put(flat + 0x20, 0x1badb002, 4);
    set_flags(flat + 0x20, 1 << 16);
    put(flat + 0x20 + 12, 0x300020, 4);
    put(flat + 0x20 + 16, 0x300000, 4);
    put(flat + 0x20 + 20, 0x300100, 4);
    put(flat + 0x20 + 24, 0x301000, 4);
    put(flat + 0x20 + 28, 0x300080, 4);
    flat[0x80] = 0xcd;
    flat[0x180] = 0xee;
    ck_assert_msg(load(flat, sizeof flat, NULL, NULL), "%s", error);
    ck_assert_uint_eq(model->cpu[0].rip, 0x300080);
    ck_assert_uint_eq(ram[0x300080], 0xcd);
    ck_assert_uint_eq(ram[0x300180], 0);
    put(flat + 0x20 + 28, 0x302000, 4);
    refused(flat, sizeof flat, "entry");
    put(flat + 0x20 + 16, 0x200000, 4);
    refused(flat, sizeof flat, "before the file's start");
    put(flat + 0x20 + 16, 0x300000, 4);
    put(flat + 0x20 + 20, 0x310000, 4);
    refused(flat, sizeof flat, "does not have");
    put(flat + 0x20 + 20, 0x100, 4);
    refused(flat, sizeof flat, "does not have");
    refused(flat, 0x20 + 20, "cut short");
}
END_TEST

START_TEST(module)
{
    uint8_t elf[512];
    make_elf32(elf);
    write_to(module_path, "KEY=VALUE\n", 10);
    ck_assert_msg(load(elf, sizeof elf, NULL, module_path), "%s", error);
    uint32_t info = (uint32_t)model->cpu[0].gpr[RBX], list = memory_read32(&model->memory, info + 24);
    ck_assert_uint_eq(memory_read32(&model->memory, info + 20), 1);
    ck_assert_uint_eq(memory_read32(&model->memory, list), 0x202000);
    ck_assert_uint_eq(memory_read32(&model->memory, list + 4), 0x20200a);
    ck_assert_int_eq(memcmp(ram + 0x202000, "KEY=VALUE\n", 10), 0);
    char *large = calloc(1, 11 * MEGABYTE);
    write_to(module_path, large, 11 * MEGABYTE);
    free(large);
    ck_assert(!load(elf, sizeof elf, NULL, module_path));
    ck_assert_ptr_nonnull(strstr(error, "--memory"));
}
END_TEST

/* Packed by gzip: a module is unpacked, an initrd is not; damage is named. */
START_TEST(packed_modules)
{
    struct load_request request = { .image = path };
    uint8_t elf[512], packed[64];

    make_elf32(elf);
    gzFile file = gzopen(module_path, "wb");
    ck_assert_int_eq(gzwrite(file, "KEY=VALUE\n", 10), 10);
    gzclose(file);
    ck_assert_msg(load(elf, sizeof elf, NULL, module_path), "%s", error);       /* as initrd */
    uint32_t list = memory_read32(&model->memory, model->cpu[0].gpr[RBX] + 24), start = memory_read32(&model->memory, list);
    ck_assert_uint_eq(ram[start], 0x1f);
    ck_assert(load_add_module(&request, module_path, NULL, error, sizeof error));
    ck_assert_msg(load_image(model, &request, error, sizeof error), "%s", error);
    start = memory_read32(&model->memory, list);
    ck_assert_uint_eq(memory_read32(&model->memory, list + 4) - start, 10);
    ck_assert_int_eq(memcmp(ram + start, "KEY=VALUE\n", 10), 0);
    FILE *raw = fopen(module_path, "rb");
    size_t size = fread(packed, 1, sizeof packed, raw);
    fclose(raw);
    write_to(module_path, packed, size - 4);
    ck_assert(!load_image(model, &request, error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, "cut short"));
}
END_TEST

START_TEST(required_features)
{
    uint8_t elf[512];
    make_elf32(elf);
    set_flags(elf + 0x80, 3);
    ck_assert_msg(load(elf, sizeof elf, NULL, NULL), "%s", error);
    ck_assert(!(memory_read32(&model->memory, model->cpu[0].gpr[RBX]) & 1 << 12));
    set_flags(elf + 0x80, 1 << 2);      /* a video mode: text, 80 columns and 25 lines at 0xb8000 */
    ck_assert_msg(load(elf, sizeof elf, NULL, NULL), "%s", error);
    const uint64_t info = model->cpu[0].gpr[RBX];
    ck_assert(memory_read32(&model->memory, info) & 1 << 12);
    ck_assert_uint_eq(memory_read64(&model->memory, info + 88), 0xb8000);
    ck_assert_uint_eq(memory_read32(&model->memory, info + 96), 160);
    ck_assert_uint_eq(memory_read32(&model->memory, info + 100), 80);
    ck_assert_uint_eq(memory_read32(&model->memory, info + 104), 25);
    ck_assert_uint_eq(memory_read32(&model->memory, info + 108), 2 << 8 | 16);
    set_flags(elf + 0x80, 1 << 9);
    refused(elf, sizeof elf, "feature 9");
}
END_TEST

START_TEST(not_images)
{
    uint8_t elf[512], zero[1024] = { 0 };
    make_elf32(elf);
    refused("", 0, "empty");
    refused("hello", 5, "not a bootable image");
    refused(elf, 0x60, "does not have");
    memcpy(zero + 0x202, "HdrS", 4);
    refused(zero, sizeof zero, "older than 2.06");
    make_elf32(elf);
    memcpy(elf, "\177XYZ", 4);
    refused(elf, sizeof elf, "address fields");
}
END_TEST

/* Each row spoils one field of the good image. */
static const struct {
    unsigned offset, size;
    uint64_t value;
    const char *because;
} spoilt32[] = {
    { 4, 1, 9, "class" }, { 5, 1, 2, "little-endian" }, { 18, 2, 8, "not for this machine" }, { 16, 2, 4, "no program" },
    { 42, 2, 31, "smaller" }, { 28, 4, 0xfffffff0, "outside the file" }, { 44, 2, 0xffff, "outside the file" },
    { 52, 4, 2, "nothing to load" }, { 24, 4, 0x100, "entry" }, { 24, 4, 0x202000, "entry" },
    { 56, 4, 0xffffffff, "does not have" }, { 56, 4, 0x1f8, "does not have" }, { 68, 4, 0x2001, "does not have" },
    { 68, 4, 0xffffffff, "does not have" }, { 64, 4, 0xfff000, "not all RAM" }, { 64, 4, 0xffffffff, "not all RAM" },
    { 72, 4, 0xffffffff, "not all RAM" }, { 64, 4, 0x90000, "boot information" }, { 64, 4, 0x9f000, "video" },
    { 64, 4, 0xc00000, "reserved for L0" }, { 64, 4, 0xbfffff, "reserved for L0" },
};

START_TEST(spoilt_elf32)
{
    uint8_t elf[512];
    make_elf32(elf);
    put(elf + spoilt32[_i].offset, spoilt32[_i].value, spoilt32[_i].size);
    refused(elf, sizeof elf, spoilt32[_i].because);
}
END_TEST

static const struct {
    unsigned offset;
    uint64_t value;
    const char *because;
} spoilt64[] = {
    { 32, ~0ull, "outside the file" }, { 72, ~0ull, "does not have" }, { 72, ~0ull - 15, "does not have" },
    { 96, ~0ull, "does not have" }, { 104, ~0ull, "not all RAM" }, { 88, ~0ull - 0xfff, "not all RAM" },
    { 104, ~0ull - 0x200000 + 1, "not all RAM" }, { 24, 0x202008, "entry" },
};

START_TEST(spoilt_elf64)
{
    uint8_t elf[512];
    make_elf64(elf);
    put(elf + spoilt64[_i].offset, spoilt64[_i].value, 8);
    refused(elf, sizeof elf, spoilt64[_i].because);
}
END_TEST

START_TEST(overlapping_segments)
{
    uint8_t elf[512];
    make_elf32(elf);
    memmove(elf + 0xc0, elf + 52, 32);
    memmove(elf + 0xe0, elf + 52, 32);
    put(elf + 28, 0xc0, 4);
    put(elf + 44, 2, 2);
    put(elf + 0xe0 + 12, 0x201fff, 4);
    refused(elf, sizeof elf, "overlap");
    put(elf + 0xe0 + 12, 0x202000, 4);
    ck_assert_msg(load(elf, sizeof elf, NULL, NULL), "%s", error);
}
END_TEST

START_TEST(long_command_line)
{
    uint8_t elf[512];
    char *line = malloc(COMMAND_LINE_MAX + 2);
    make_elf32(elf);
    memset(line, 'x', COMMAND_LINE_MAX + 1);
    line[COMMAND_LINE_MAX + 1] = '\0';
    ck_assert(!load(elf, sizeof elf, line, NULL));
    ck_assert_ptr_nonnull(strstr(error, "--append"));
    free(line);
}
END_TEST

START_TEST(every_truncation)
{
    uint8_t elf[512];
    make_elf64(elf);
    for (size_t size = 0; size < 0x110; size++)
        ck_assert_msg(!load(elf, size, NULL, NULL), "%zu bytes", size);
    ck_assert_msg(load(elf, 0x110, NULL, NULL), "%s", error);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("load_image");
    TCase *tcase = tcase_create("load");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, elf32_state);
    tcase_add_test(tcase, elf64_enters_physically);
    tcase_add_test(tcase, address_fields);
    tcase_add_test(tcase, module);
    tcase_add_test(tcase, packed_modules);
    tcase_add_test(tcase, required_features);
    tcase_add_test(tcase, not_images);
    tcase_add_loop_test(tcase, spoilt_elf32, 0, sizeof spoilt32 / sizeof spoilt32[0]);
    tcase_add_loop_test(tcase, spoilt_elf64, 0, sizeof spoilt64 / sizeof spoilt64[0]);
    tcase_add_test(tcase, overlapping_segments);
    tcase_add_test(tcase, long_command_line);
    tcase_add_test(tcase, every_truncation);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
