/* SPDX-License-Identifier: MIT */
/* Boot protocols: what each kind of image is told, and the state in which it is entered. */
#include <zlib.h>

#define LOAD_RAM (64u << 20)
#include "tests/emu/load_fixture.h"
#include "tests/suite.h"

enum { IMAGE_SIZE = 4096 };
static uint8_t image[IMAGE_SIZE];

static void fresh(void)
{
    setup();
    memset(image, 0, sizeof image);
}

/* `module`: "initrd", the text of a module, or NULL. Its content is "MODULE". */
static bool load_file(const char *arguments, const char *module)
{
    struct load_request request = { .image = path, .arguments = arguments };

    write_to(module_path, "MODULE", 6);
    if (module && !strcmp(module, "initrd"))
        ck_assert(load_add_module(&request, module_path, "initrd", error, sizeof error));
    else if (module)
        ck_assert(load_add_module(&request, module_path, NULL, error, sizeof error));
    error[0] = '\0';
    bool done = load_image(model, &request, error, sizeof error);
    ck_assert(done == (error[0] == '\0'));
    return done;
}

static void loaded(const char *arguments, const char *module)
{
    write_to(path, image, sizeof image);
    ck_assert_msg(load_file(arguments, module), "%s", error);
}

static void refused(const char *arguments, const char *module, const char *because)
{
    write_to(path, image, sizeof image);
    ck_assert(!load_file(arguments, module));
    ck_assert_msg(strstr(error, because), "expected \"%s\", got: %s", because, error);
}

static void put(unsigned at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        image[at + i] = (uint8_t)(value >> 8 * i);
}

static uint64_t rip(void) { return model->cpu[0].rip; }
static uint64_t gpr(unsigned i) { return model->cpu[0].gpr[i]; }
static uint32_t word(uint64_t pa) { return memory_read32(&model->memory, pa); }

static void in_long_mode(void)
{
    const struct cpu *cpu = &model->cpu[0];
    uint64_t pml4 = memory_read64(&model->memory, cpu->cr3), pdpt = memory_read64(&model->memory, pml4 & PAGE_MASK);

    ck_assert(cpu_64bit(cpu));
    ck_assert_uint_eq(cpu->cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG);
    ck_assert_uint_eq(memory_read64(&model->memory, (pdpt & PAGE_MASK) + 8), 0x200083);
    ck_assert_uint_eq(memory_read64(&model->memory, cpu->gdtr.base + cpu->seg[SEG_CS].selector), 0x00af9b000000ffff);
}

static void in_protected_mode(void)
{
    const struct cpu *cpu = &model->cpu[0];

    ck_assert_uint_eq(cpu->cr0 & (CR0_PE | CR0_PG), CR0_PE);
    ck_assert_uint_eq(cpu->rflags & RFLAGS_IF, 0);
    ck_assert_uint_eq(cpu->seg[SEG_CS].access_rights & (AR_DB | AR_L), AR_DB);
    ck_assert_uint_eq(cpu->seg[SEG_DS].limit, 0xffffffff);
}

/* ---- Linux ---- */

/* A bzImage of one setup sector more than the boot sector; 3 KB of kernel, that wants 2 MB from 16 MB on. */
static void make_linux(void)
{
    put(0x1f1, 1, 1);
    put(0x1f4, (IMAGE_SIZE - 1024) / 16, 4);
    put(0x201, 0x66, 1);
    memcpy(image + 0x202, "HdrS", 4);
    put(0x206, 0x20f, 2);
    put(0x211, 1, 1);
    put(0x214, 0x100000, 4);
    put(0x22c, 0x7fffffff, 4);
    put(0x230, 0x200000, 4);
    put(0x234, 1, 1);
    put(0x236, 1, 2);
    put(0x238, 100, 4);
    put(0x258, 16 * MEGABYTE, 8);
    put(0x260, 2 * MEGABYTE, 4);
    put(1024, 0xab, 1);
}

START_TEST(linux_64)
{
    make_linux();
    loaded("console=ttyS0", "initrd");
    in_long_mode();
    ck_assert_uint_eq(rip(), 16 * MEGABYTE + 0x200);
    ck_assert_uint_eq(ram[16 * MEGABYTE], 0xab);
    uint64_t parameters = gpr(RSI);
    ck_assert_int_eq(memcmp(ram + parameters + 0x202, "HdrS", 4), 0);
    ck_assert_uint_eq(ram[parameters + 0x210], 0xff);
    ck_assert_str_eq((char *)ram + word(parameters + 0x228), "console=ttyS0");
    ck_assert_uint_eq(word(parameters + 0x21c), 6);
    ck_assert_int_eq(memcmp(ram + word(parameters + 0x218), "MODULE", 6), 0);
    ck_assert_uint_gt(word(parameters + 0x218), 18 * MEGABYTE);
    /* e820: base memory first, and 63 MB from 1 MB on. */
    ck_assert_uint_eq(ram[parameters + 0x1e8], 3);
    ck_assert_uint_eq(word(parameters + 0x2d0 + 2 * 20), MEGABYTE);
    ck_assert_uint_eq(word(parameters + 0x2d0 + 2 * 20 + 8), 63 * MEGABYTE);
    ck_assert_uint_eq(word(parameters + 0x2d0 + 2 * 20 + 16), 1);
}
END_TEST

START_TEST(linux_32)
{
    make_linux();
    put(0x236, 0, 2);
    loaded(NULL, NULL);
    in_protected_mode();
    ck_assert_uint_eq(rip(), 16 * MEGABYTE);
    ck_assert_uint_eq(model->cpu[0].seg[SEG_CS].selector, 0x10);
    ck_assert_uint_eq(memory_read64(&model->memory, model->cpu[0].gdtr.base + 0x10), 0x00cf9b000000ffff);
    put(0x206, 0x207, 2);               /* of version 2.07: no preferred address, no size */
    loaded(NULL, NULL);
    ck_assert_uint_eq(rip(), MEGABYTE);
    ck_assert_uint_eq(ram[MEGABYTE], 0xab);
}
END_TEST

START_TEST(linux_real_mode)
{
    make_linux();
    put(0x214, 0, 4);
    put(0x206, 0x207, 2);
    loaded("a b", "initrd");
    const struct cpu *cpu = &model->cpu[0];
    uint64_t setup = cpu->seg[SEG_DS].base;
    ck_assert_uint_eq(cpu->cr0 & CR0_PE, 0);
    ck_assert_uint_eq(cpu->seg[SEG_CS].base + rip(), setup + 0x200);
    ck_assert_int_eq(memcmp(ram + setup + 0x202, "HdrS", 4), 0);
    ck_assert_uint_eq(ram[setup + 0x211], 0x81);
    ck_assert_str_eq((char *)ram + word(setup + 0x228), "a b");
    ck_assert_uint_eq(ram[MEGABYTE], 0xab);
    ck_assert_int_eq(memcmp(ram + word(setup + 0x218), "MODULE", 6), 0);
}
END_TEST

/* Each row spoils one field. */
static const struct { unsigned at, size; uint64_t value; const char *because; } spoilt[] = {
    { 0x206, 2, 0x205, "older than 2.06" }, { 0x1f1, 1, 8, "cut short" }, { 0x1f4, 4, 0x1000, "syssize" }, { 0x211, 1, 0, "zImage" },
    { 0x230, 4, 3, "power of 2" }, { 0x230, 4, 0, "power of 2" }, { 0x258, 8, ~0ull << 21, "not all RAM" }, { 0x260, 4, ~0u, "not all RAM" },
    { 0x258, 8, 63 * MEGABYTE, "not all RAM" }, { 0x22c, 4, 17 * MEGABYTE, "do not fit as initrd" },
};

START_TEST(linux_spoilt)
{
    make_linux();
    put(spoilt[_i].at, spoilt[_i].value, spoilt[_i].size);
    refused(NULL, "initrd", spoilt[_i].because);
}
END_TEST

START_TEST(linux_requests)
{
    char line[102];

    make_linux();
    refused(NULL, "module", "takes no --module");
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    refused(line, NULL, "at most 100 characters");
}
END_TEST

/* ---- ELF ---- */

/* One segment: 64 bytes from 0x800 of the file on go to 2 MB, linked at `address`; a second header, empty yet, for a note. */
static void make_elf(bool wide, uint64_t address)
{
    unsigned word_size = wide ? 8 : 4, table = wide ? 64 : 52;

    memcpy(image, "\177ELF\1\1\1", 7);
    image[4] = wide ? 2 : 1;
    put(16, 2, 2);
    put(18, wide ? 62 : 3, 2);
    put(24, address + 8, word_size);
    put(wide ? 32 : 28, table, word_size);
    put(wide ? 54 : 42, wide ? 56 : 32, 2);
    put(wide ? 56 : 44, 2, 2);
    put(table, 1, 4);
    put(table + (wide ? 8 : 4), 0x800, word_size);
    put(table + (wide ? 16 : 8), address, word_size);
    put(table + (wide ? 24 : 12), 2 * MEGABYTE, word_size);
    put(table + (wide ? 32 : 16), 64, word_size);
    put(table + (wide ? 40 : 20), 0x1000, word_size);
    put(0x800, 0xcd, 1);
}

static void add_note(bool wide, const char *name, uint32_t type, uint64_t value, unsigned size)
{
    unsigned word_size = wide ? 8 : 4, header = wide ? 64 + 56 : 52 + 32;

    put(header, 4, 4);
    put(header + (wide ? 8 : 4), 0x900, word_size);
    put(header + (wide ? 32 : 16), 12 + 4 + 8, word_size);
    put(0x900, strlen(name) + 1, 4);
    put(0x904, size, 4);
    put(0x908, type, 4);
    memcpy(image + 0x90c, name, 4);
    put(0x910, value, size);
}

START_TEST(pvh)
{
    bool wide = _i;

    make_elf(wide, wide ? 0xffffffff81000000 : 2 * MEGABYTE);
    add_note(wide, "Xen", 18, 2 * MEGABYTE + 16, _i ? 8 : 4);
    loaded("quiet", "module");
    in_protected_mode();
    ck_assert_uint_eq(rip(), 2 * MEGABYTE + 16);
    uint64_t start = gpr(RBX);
    ck_assert_uint_eq(word(start), 0x336ec578);
    ck_assert_uint_eq(word(start + 4), 1);
    ck_assert_uint_eq(word(start + 12), 1);
    ck_assert_int_eq(memcmp(ram + memory_read64(&model->memory, memory_read64(&model->memory, start + 16)), "MODULE", 6), 0);
    ck_assert_str_eq((char *)ram + memory_read64(&model->memory, start + 24), "quiet");
    uint64_t map = memory_read64(&model->memory, start + 40);
    ck_assert_uint_eq(word(start + 48), 3);
    ck_assert_uint_eq(memory_read64(&model->memory, map + 2 * 24 + 8), 63 * MEGABYTE);
}
END_TEST

START_TEST(plain_elf)
{
    bool wide = _i;

    make_elf(wide, 2 * MEGABYTE);
    put(16, _i ? 3 : 2, 2);             /* ET_DYN is loaded where it is linked */
    loaded(NULL, NULL);
    if (wide)
        in_long_mode();
    else
        in_protected_mode();
    ck_assert_uint_eq(rip(), 2 * MEGABYTE + 8);
    ck_assert_uint_eq(ram[2 * MEGABYTE], 0xcd);
    ck_assert_uint_eq(word(gpr(RBX)), 0x336ec578);
    add_note(wide, "GNU", 1, 0, 8);
    refused(NULL, NULL, "a program for an operating system");
    put(wide ? 64 + 56 : 52 + 32, 3, 4);
    refused(NULL, NULL, "dynamic linker");
}
END_TEST

/* A kernel's entry may be a physical address while its segments are linked elsewhere. */
START_TEST(physical_entry)
{
    make_elf(true, 0xffffffff81000000);
    put(24, 2 * MEGABYTE + 32, 8);
    loaded(NULL, NULL);
    ck_assert_uint_eq(rip(), 2 * MEGABYTE + 32);
}
END_TEST

/* ---- multiboot 2 ---- */

static void end_header(unsigned at, unsigned end)
{
    put(end, 0, 4);
    put(end + 4, 8, 4);
    put(at, 0xe85250d6, 4);
    put(at + 8, end + 8 - at, 4);
    put(at + 12, -(uint32_t)(0xe85250d6 + (end + 8 - at)), 4);
}

static uint64_t find_tag(uint32_t type)
{
    uint64_t info = gpr(RBX), end = info + word(info);

    for (uint64_t at = info + 8; at < end; at += (word(at + 4) + 7) & ~7u)
        if (word(at) == type)
            return at;
    return 0;
}

START_TEST(multiboot2)
{
    make_elf(true, 2 * MEGABYTE);
    put(0x200 + 16, 1, 2);              /* an information request: memory map */
    put(0x200 + 20, 12, 4);
    put(0x200 + 24, 6, 4);
    end_header(0x200, 0x200 + 32);
    loaded("one", "module");
    in_protected_mode();
    ck_assert_uint_eq(gpr(RAX), 0x36d76289);
    ck_assert_uint_eq(rip(), 2 * MEGABYTE + 8);
    ck_assert_uint_eq(gpr(RBX) & 7, 0);
    const char *line = (char *)ram + find_tag(1) + 8;
    ck_assert_str_eq(line + strlen(line) - 4, " one");
    ck_assert_int_eq(memcmp(ram + word(find_tag(3) + 8), "MODULE", 6), 0);
    ck_assert_uint_eq(word(find_tag(3) + 12) - word(find_tag(3) + 8), 6);
    ck_assert_uint_eq(word(find_tag(6) + 8), 24);
    ck_assert_uint_eq(word(find_tag(6) + 16 + 2 * 24 + 8), 63 * MEGABYTE);
    ck_assert_uint_eq(find_tag(8), 0);
    put(0x200 + 24, 8, 4);              /* a framebuffer's information: text mode */
    loaded(NULL, NULL);
    ck_assert_uint_eq(word(find_tag(8) + 4), 32);
    ck_assert_uint_eq(word(find_tag(8) + 8), 0xb8000);
    ck_assert_uint_eq(word(find_tag(8) + 16), 160);
    ck_assert_uint_eq(word(find_tag(8) + 28), 2 << 8 | 16);
    put(0x200 + 16, 5, 2);              /* a framebuffer, not as information */
    loaded(NULL, NULL);
    ck_assert_uint_eq(word(find_tag(8) + 8), 0xb8000);
    put(0x200 + 18, 1, 2);              /* one that the image can do without */
    loaded(NULL, NULL);
    ck_assert_uint_eq(find_tag(8), 0);
    put(0x200 + 16, 1, 4);
    put(0x200 + 24, 7, 4);              /* VBE's information: none here */
    refused(NULL, NULL, "information of type 7");
    put(0x200 + 18, 1, 2);
    loaded(NULL, NULL);
    put(0x200 + 12, 0, 4);
    refused(NULL, NULL, "wrong checksum");
}
END_TEST

START_TEST(multiboot2_addresses)
{
    put(0x100 + 16, 2, 2);              /* header, load, load end, bss end */
    put(0x100 + 20, 24, 4);
    put(0x100 + 24, 3 * MEGABYTE + 0x100, 4);
    put(0x100 + 28, 3 * MEGABYTE, 4);
    end_header(0x100, 0x100 + 40);
    refused(NULL, NULL, "no entry tag");
    put(0x100 + 40, 3, 2);
    put(0x100 + 44, 12, 4);
    put(0x100 + 48, 3 * MEGABYTE + 0x800, 4);
    end_header(0x100, 0x100 + 56);
    put(0x800, 0xef, 1);
    loaded(NULL, NULL);
    ck_assert_uint_eq(rip(), 3 * MEGABYTE + 0x800);
    ck_assert_uint_eq(ram[rip()], 0xef);
    put(0x100 + 20, 1000, 4);
    refused(NULL, NULL, "longer than the header");
}
END_TEST

/* ---- what all have ---- */

/* Early code uses what lies behind its own end: modules keep clear of it where there is room. */
START_TEST(modules_lie_clear)
{
    make_elf(false, 2 * MEGABYTE);
    add_note(false, "Xen", 18, 2 * MEGABYTE, 4);
    loaded(NULL, "module");
    ck_assert_uint_eq(memory_read64(&model->memory, memory_read64(&model->memory, gpr(RBX) + 16)), 16 * MEGABYTE);
    put(52 + 12, 62 * MEGABYTE, 4);     /* no room for that */
    put(0x910, 62 * MEGABYTE, 4);
    loaded(NULL, "module");
    ck_assert_uint_eq(memory_read64(&model->memory, memory_read64(&model->memory, gpr(RBX) + 16)), 62 * MEGABYTE + 0x1000);
}
END_TEST

START_TEST(packed)
{
    make_elf(true, 2 * MEGABYTE);
    gzFile file = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(file, image, sizeof image), sizeof image);
    gzclose(file);
    ck_assert_msg(load_file(NULL, NULL), "%s", error);
    ck_assert_uint_eq(rip(), 2 * MEGABYTE + 8);
    /* Cut, and damaged. */
    FILE *raw = fopen(path, "rb");
    size_t size = fread(image, 1, sizeof image, raw);
    fclose(raw);
    write_to(path, image, size / 2);
    ck_assert(!load_file(NULL, NULL));
    ck_assert_ptr_nonnull(strstr(error, "cut short"));
    image[12] ^= 0xff;
    write_to(path, image, size);
    ck_assert(!load_file(NULL, NULL));
    ck_assert_ptr_nonnull(strstr(error, "gzip"));
}
END_TEST

/* As firmware leaves it, unless told otherwise; not on a processor without VMX. */
START_TEST(feature_control)
{
    struct load_request request = { .image = path, .feature_control_told = true };

    capability_init(&model->capability, NULL);
    make_linux();
    model->cpu_count = 2;
    loaded(NULL, NULL);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(CPU_MSR(&model->cpu[i], ia32_feature_control), 5);
    for (unsigned i = 0; i < 2; i++)
        CPU_MSR(&model->cpu[i], ia32_feature_control) = 1;
    ck_assert(load_image(model, &request, error, sizeof error));
    ck_assert_uint_eq(CPU_MSR(&model->cpu[1], ia32_feature_control), 1);
    make_elf(true, 2 * MEGABYTE);
    loaded(NULL, NULL);
    ck_assert_uint_eq(CPU_MSR(&model->cpu[1], ia32_feature_control), 5);
    capability_init(&model->capability, &(struct vmx_lacks){ .vmx = true });
    CPU_MSR(&model->cpu[0], ia32_feature_control) = 0;
    loaded(NULL, NULL);
    ck_assert_uint_eq(CPU_MSR(&model->cpu[0], ia32_feature_control), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("load_protocol");
    TCase *test_case = tcase_create("load");

    tcase_add_checked_fixture(test_case, fresh, teardown);
    tcase_add_test(test_case, linux_64);
    tcase_add_test(test_case, linux_32);
    tcase_add_test(test_case, linux_real_mode);
    tcase_add_test(test_case, feature_control);
    tcase_add_loop_test(test_case, linux_spoilt, 0, sizeof spoilt / sizeof spoilt[0]);
    tcase_add_test(test_case, linux_requests);
    tcase_add_loop_test(test_case, pvh, 0, 2);
    tcase_add_loop_test(test_case, plain_elf, 0, 2);
    tcase_add_test(test_case, physical_entry);
    tcase_add_test(test_case, multiboot2);
    tcase_add_test(test_case, multiboot2_addresses);
    tcase_add_test(test_case, modules_lie_clear);
    tcase_add_test(test_case, packed);
    suite_add_tcase(suite, test_case);
    return suite_run(suite);
}
