/* SPDX-License-Identifier: MIT */
/* What the image believes of a boot loader: its information, its command line, its memory; and the pool that it makes of it. */
#include "tests/hv/image.h"

/* ---- texts and options ---- */

START_TEST(texts)
{
    char text[TEXT_MAX + 8], longer[TEXT_MAX + 100];
    uint8_t bytes[16] = { 0, 1, 2, 3, 4, 5, 6, 7 };

    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = 0;
    memset(text, '!', sizeof text);
    text_copy(text, longer);
    ck_assert_uint_eq(strlen(text), TEXT_MAX - 1);
    ck_assert_int_eq(text[TEXT_MAX], '!');
    text_copy(text, "ab");
    ck_assert_str_eq(text, "ab");
    ck_assert(text_is("hv=flip", 7, "hv=flip") && !text_is("hv=flip", 6, "hv=flip") && !text_is("hv=flop", 7, "hv=flip"));
    image_memmove(bytes + 2, bytes, 6);
    ck_assert(!memcmp(bytes, "\0\1\0\1\2\3\4\5", 8));
    image_memmove(bytes, bytes + 2, 6);
    ck_assert(!memcmp(bytes, "\0\1\2\3\4\5\4\5", 8));
    ck_assert_ptr_eq(image_memmove(bytes + 8, bytes, 8), bytes + 8);
    ck_assert(!memcmp(bytes + 8, "\0\1\2\3\4\5\4\5", 8));
    ck_assert_ptr_eq(image_memcpy(bytes, bytes + 8, 3), bytes);
    ck_assert_ptr_eq(image_memset(bytes, 7, 2), bytes);
    ck_assert(!memcmp(bytes, "\7\7\2", 3));
    ck_assert(image_memcmp("a", "b", 1) < 0 && image_memcmp("b", "a", 1) > 0 && !image_memcmp("ab", "ab", 2) && image_memcmp("aa", "ab", 2) < 0);
}
END_TEST

START_TEST(words_of_the_command_line)
{
    static const struct { const char *text; struct options options; unsigned port; const char *unknown; } row[] = {
        { "", { HV_FLIP, 0, 0, 0 }, 0x3f8, NULL },
        { "hv=trap", { HV_TRAP, 0, 0, 0 }, 0x3f8, NULL },
        { "hv=copy late", { HV_COPY, true, 0, 0 }, 0x3f8, NULL },
        { "hv=trap  hv=flip ", { HV_FLIP, 0, 0, 0 }, 0x3f8, NULL },
        { "/sesqui.elf trace", { HV_FLIP, 0, true, 0 }, 0x3f8, NULL },
        { "/sesqui.elf trace=exits log=com1", { HV_FLIP, 0, true, 0 }, 0x3f8, NULL },
        { "log=com2 trace=fields", { HV_FLIP, 0, true, true }, 0x2f8, NULL },
        { "log=e9", { HV_FLIP, 0, 0, 0 }, 0xe9, NULL },
        { "log=memory", { HV_FLIP, 0, 0, 0 }, 0, NULL },
        { "hv=trap hv=flop", { HV_TRAP, 0, 0, 0 }, 0x3f8, "hv=flop" },
        { "/sesqui.elf sesqui.elf late", { HV_FLIP, 0, 0, 0 }, 0x3f8, "sesqui.elf late" },
    };

    port_of_log = 0x3f8;
    reset();
    const char *unknown = options_read(row[_i].text);
    ck_assert_str_eq(unknown ? unknown : "-", row[_i].unknown ? row[_i].unknown : "-");
    ck_assert_uint_eq(options.strategy, row[_i].options.strategy);
    ck_assert_uint_eq(options.late, row[_i].options.late);
    ck_assert_uint_eq(options.trace, row[_i].options.trace);
    ck_assert_uint_eq(options.trace_fields, row[_i].options.trace_fields);
    ck_assert_uint_eq(port_of_log, row[_i].port);
}
END_TEST

START_TEST(a_strategy_falls_back_to_what_the_processor_has)
{
    reset();
    lacks = "flip";
    options_choose_strategy();
    ck_assert_uint_eq(options.strategy, HV_COPY);
    reset();
    lacks = "copy";
    options_choose_strategy();
    ck_assert_uint_eq(options.strategy, HV_TRAP);
    ck_assert_ptr_nonnull(strstr(said, "falls back"));
    ck_assert_str_eq(strategy_name(HV_TRAP), "trap");
    ck_assert_str_eq(strategy_name(HV_COPY), "copy");
    ck_assert_str_eq(strategy_name(HV_FLIP), "flip");
}
END_TEST

/* ---- what the boot loader says ---- */

enum { INFO = 0x20000, MODULES = 0x21000, MAP = 0x22000, TEXTS = 0x23000 };

static void loader_1(unsigned modules, unsigned ranges, uint32_t flags)
{
    struct information_1 *info = (void *)INFO;
    struct module_1 *module = (void *)MODULES;
    struct entry_1 *entry = (void *)MAP;

    *info = (struct information_1){ .flags = flags, .cmdline = TEXTS, .mods_count = modules, .mods_addr = MODULES,
                                    .mmap_length = ranges * (uint32_t)sizeof *entry, .mmap_addr = MAP };
    strcpy((char *)TEXTS, "hv=copy");
    strcpy((char *)TEXTS + 64, "turnstile words");
    for (unsigned i = 0; i < modules; i++)
        module[i] = (struct module_1){ 0x300000 + i * 0x1000, 0x300800 + i * 0x1000, i ? TEXTS + 64 : 0, 0 };
    for (unsigned i = 0; i < ranges; i++)
        entry[i] = (struct entry_1){ 20, i * MB, MB / 2, i & 1 ? MEMORY_RESERVED : MEMORY_AVAILABLE };
}

START_TEST(multiboot_1)
{
    enum { ALL = INFO_COMMAND_LINE | INFO_MODULES | INFO_MAP };

    reset();
    loader_1(2, 3, ALL);
    ck_assert_ptr_null(boot_read(MAGIC_1, INFO));
    ck_assert_str_eq(boot.text, "hv=copy");
    ck_assert_uint_eq(boot.modules, 2);
    ck_assert_uint_eq(boot.module[1].base, 0x301000);
    ck_assert_uint_eq(boot.module[1].size, 0x800);
    ck_assert_str_eq(boot.module[0].text, "");
    ck_assert_str_eq(boot.module[1].text, "turnstile words");
    ck_assert_uint_eq(boot.ranges, 3);
    ck_assert_uint_eq(boot.range[1].base, MB);
    ck_assert_uint_eq(boot.range[1].end, MB + MB / 2);
    ck_assert_uint_eq(boot.range[1].type, MEMORY_RESERVED);

    reset();
    loader_1(2, 3, INFO_MAP);                   /* neither text nor modules, whatever the fields hold */
    ck_assert_ptr_null(boot_read(MAGIC_1, INFO));
    ck_assert_str_eq(boot.text, "");
    ck_assert_uint_eq(boot.modules, 0);
    reset();
    loader_1(2, 3, INFO_MODULES);
    ck_assert_str_eq(boot_read(MAGIC_1, INFO), "the boot loader gives no memory map");
    reset();
    loader_1(MODULES_MAX + 1, 3, ALL);
    ck_assert_str_eq(boot_read(MAGIC_1, INFO), "the boot loader gives more modules than the image keeps");
    reset();
    loader_1(1, 3, ALL);
    ((struct module_1 *)MODULES)->end = 0;
    ck_assert_str_eq(boot_read(MAGIC_1, INFO), "the boot loader gives more modules than the image keeps");
    reset();
    loader_1(1, RANGES_MAX + 1, ALL);
    ck_assert_str_eq(boot_read(MAGIC_1, INFO), "the memory map has more entries than the image keeps");
    reset();
    loader_1(1, 3, ALL);
    ((struct entry_1 *)MAP)->length = UINT64_MAX;
    ((struct entry_1 *)MAP)->base = 1;
    ck_assert_str_eq(boot_read(MAGIC_1, INFO), "the memory map has more entries than the image keeps");
    reset();
    ck_assert_str_eq(boot_read(1, INFO), "the image was not started by a multiboot loader");
}
END_TEST

/* Tags of `modules` modules and `ranges` ranges. */
static void loader_2(unsigned modules, unsigned ranges)
{
    uint8_t *at = (uint8_t *)INFO + 8;

    *(struct tag *)at = (struct tag){ TAG_COMMAND_LINE, 8 + 8 };
    strcpy((char *)at + 8, "hv=copy");
    at += 16;
    for (unsigned i = 0; i < modules; i++, at += 24) {
        struct tag_module *module = (struct tag_module *)at;
        *module = (struct tag_module){ { TAG_MODULE, 16 + 3 }, 0x300000 + i * 0x1000, 0x300800 + i * 0x1000 };
        strcpy(module->string, "mo");
    }
    struct tag_map *map = (struct tag_map *)at;
    *map = (struct tag_map){ { TAG_MAP, 16 + ranges * 24 }, 24, 0 };
    for (unsigned i = 0; i < ranges; i++)
        map->entry[i] = (struct entry_2){ i * MB, MB / 2, i & 1 ? MEMORY_RESERVED : MEMORY_AVAILABLE, 0 };
    *(struct tag *)(at + (ranges ? 16 + ranges * 24 : 0)) = (struct tag){ TAG_END, 8 };
}

START_TEST(multiboot_2)
{
    reset();
    loader_2(2, 3);
    ck_assert_ptr_null(boot_read(MAGIC_2, INFO));
    ck_assert_str_eq(boot.text, "hv=copy");
    ck_assert_uint_eq(boot.modules, 2);
    ck_assert_uint_eq(boot.module[1].base, 0x301000);
    ck_assert_uint_eq(boot.module[1].size, 0x800);
    ck_assert_str_eq(boot.module[1].text, "mo");
    ck_assert_uint_eq(boot.ranges, 3);
    ck_assert_uint_eq(boot.range[1].base, MB);
    ck_assert_uint_eq(boot.range[1].end, MB + MB / 2);
    ck_assert_uint_eq(boot.range[1].type, MEMORY_RESERVED);
    reset();
    loader_2(1, 0);
    ck_assert_str_eq(boot_read(MAGIC_2, INFO), "the boot loader gives no memory map");
    reset();
    loader_2(MODULES_MAX + 1, 1);
    ck_assert_str_eq(boot_read(MAGIC_2, INFO), "the boot loader gives more modules than the image keeps");
    reset();
    loader_2(1, RANGES_MAX + 1);
    ck_assert_str_eq(boot_read(MAGIC_2, INFO), "the memory map has more entries than the image keeps");
}
END_TEST

/* ---- memory ---- */

START_TEST(ram_is_what_the_map_says_in_whole_pages)
{
    struct hal_range found;
    uint64_t value = 7;
    uint32_t word32 = 7;
    uint8_t bytes[80];

    reset();
    range(0x10000, 0x9fc00, MEMORY_AVAILABLE);
    range(0x100800, 0x1ff800, MEMORY_AVAILABLE);
    range(0x200000, 0x300000, MEMORY_RESERVED);
    range(0x400800, 0x401800, MEMORY_AVAILABLE);        /* no whole page */
    range(0x500000, 0x502000, MEMORY_AVAILABLE);
    memory_describe();
    memory_describe();
    ck_assert(hal_ram(0, &found) && found.base.value == 0x101000 && found.size == 0xfe000);     /* the largest */
    ck_assert(hal_ram(1, &found) && found.base.value == 0x10000 && found.size == 0x8f000);
    ck_assert(hal_ram(2, &found) && found.base.value == 0x500000 && found.size == 0x2000);
    ck_assert(!hal_ram(3, &found));
    ck_assert(is_ram(0x10000, 0x8f000) && !is_ram(0x10000, 0x8f001) && !is_ram(0xffff, 2) && !is_ram(0x9efff, 2) && is_ram(0x9efff, 1));
    ck_assert(!is_ram(0x100800, 8) && !is_ram(0x200000, 8) && !is_ram(0x1ff000, 1));

    *(uint64_t *)0x20000 = 0x1122334455667788;
    ck_assert(hal_pm_read64(PA(0x20000), &value) && value == 0x1122334455667788);
    ck_assert(!hal_pm_read64(PA(0x200000), &value) && value == 0x1122334455667788);
    ck_assert(hal_pm_read(PA(0x20000), bytes, 8) && !memcmp(bytes, (void *)0x20000, 8));
    memset((void *)0x21000, 0x5a, 80);
    ck_assert(hal_pm_read(PA(0x21000), bytes, 80) && bytes[79] == 0x5a);
    ck_assert(!hal_pm_read(PA(0x200000), bytes, 8) && !hal_pm_read(PA(0x200000), bytes, 80));
    ck_assert(hal_pm_write(PA(0x22000), "abc", 4) && !strcmp((char *)0x22000, "abc") && !hal_pm_write(PA(0x200000), "abc", 4));
    ck_assert(hal_pm_write64(PA(0x23000), 9) && *(uint64_t *)0x23000 == 9 && !hal_pm_write64(PA(0x200000), 9));
    ck_assert(hal_pm_write32(PA(0x23000), 5) && *(uint64_t *)0x23000 == 5 && !hal_pm_write32(PA(0x200000), 9));
    ck_assert_uint_eq(*(uint64_t *)0x200000, 0);
    value = 4;
    ck_assert(!hal_pm_compare_exchange64(PA(0x23000), &value, 6) && value == 5 && *(uint64_t *)0x23000 == 5);
    ck_assert(hal_pm_compare_exchange64(PA(0x23000), &value, 6) && *(uint64_t *)0x23000 == 6);
    value = 0;
    ck_assert(!hal_pm_compare_exchange64(PA(0x200000), &value, 6) && !*(uint64_t *)0x200000);
    memset((void *)0x24000, 1, 2 * PAGE_SIZE);
    ck_assert(hal_pm_zero_page(PA(0x24000)) && !*(uint64_t *)0x24ff8 && *(uint64_t *)0x25000);
    memset((void *)0x200000, 1, PAGE_SIZE);
    ck_assert(!hal_pm_zero_page(PA(0x200000)) && *(uint64_t *)0x200000);

    /* Registers of devices are where no RAM is. */
    *(uint32_t *)0x3000000 = 77;
    ck_assert(hal_mmio_read32(PA(0x3000000), &word32) && word32 == 77);
    ck_assert(hal_mmio_write32(PA(0x3000000), 78) && *(uint32_t *)0x3000000 == 78);
    ck_assert(!hal_mmio_read32(PA(0x20000), &word32) && !hal_mmio_write32(PA(0x20000), 0));
    ck_assert(!hal_mmio_read32(PA(0x100000000), &word32) && !hal_mmio_write32(PA(0x100000000), 0));
    ck_assert_uint_eq(*(uint64_t *)0x20000, 0x1122334455667788);
}
END_TEST

#define POOL_BYTES (100 * PAGE_SIZE + IMAGE_BYTES)

START_TEST(the_pool_is_on_top_of_ram_clear_of_what_is_there)
{
    const uint64_t highest = (TOP - POOL_BYTES) & ~(PROCESSOR_SIZE - 1ull);
    struct hal_range found;

    reset();
    usual_memory();
    memset((void *)(highest + IMAGE_BYTES), 1, PAGE_SIZE);
    ck_assert_ptr_null(pool_reserve(1));
    ck_assert_uint_eq(pool_base, highest);
    found = hal_pool();
    ck_assert(found.base.value == highest && found.size == POOL_BYTES && image_size() == IMAGE_BYTES);
    ck_assert_ptr_eq(in_pool(highest), (void *)highest);

    reset();                                    /* a module there, and another just below it */
    usual_memory();
    module(TOP - MB, 4096, "");
    module(TOP - MB - 0x2000, 4096, "");
    ck_assert_ptr_null(pool_reserve(1));
    ck_assert_uint_eq(pool_base, (TOP - MB - 0x2000 - POOL_BYTES) & ~(PROCESSOR_SIZE - 1ull));
    reset();                                    /* in the other order */
    usual_memory();
    module(TOP - MB - 0x2000, 4096, "");
    module(TOP - MB, 4096, "");
    ck_assert_ptr_null(pool_reserve(1));
    ck_assert_uint_eq(pool_base, (TOP - MB - 0x2000 - POOL_BYTES) & ~(PROCESSOR_SIZE - 1ull));

    reset();                                    /* the higher one of two that will do, whichever comes first; above 4 GB is too high */
    range(32 * MB, 60 * MB, MEMORY_AVAILABLE);
    range(8 * MB, 30 * MB, MEMORY_AVAILABLE);
    range(61 * MB, 64 * MB, MEMORY_RESERVED);
    range(8192 * MB, 16384 * MB, MEMORY_AVAILABLE);
    memory_describe();
    pages = 92;                                 /* and 8 for 8 GB of RAM */
    ck_assert_ptr_null(pool_reserve(1));
    ck_assert_uint_eq(pool_base, (60 * MB - POOL_BYTES) & ~(PROCESSOR_SIZE - 1ull));

    reset();                                    /* the image itself is in the way: no room but below 1 MB, which is too low */
    range(0, IMAGE + IMAGE_BYTES + MB, MEMORY_AVAILABLE);
    memory_describe();
    ck_assert_str_eq(pool_reserve(1), "too little memory: no 10 MB of RAM below 4 GB are free for L0's pool");
    reset();
    usual_memory();
    pages = 1000;
    ck_assert_str_eq(pool_reserve(32), "too little memory: no RAM below 4 GB is free for L0's pool, 1.2 MB for each processor");

    reset();                                    /* places for the other processors, zeroed */
    usual_memory();
    memset((void *)(TOP - 8 * MB), 1, 8 * MB);
    ck_assert_ptr_null(pool_reserve(3));
    ck_assert_uint_eq(image_size(), IMAGE_BYTES + 2 * PROCESSOR_SIZE);
    ck_assert_uint_eq(hal_pool().size, 300 * PAGE_SIZE + image_size());
    for (uint64_t at = IMAGE_BYTES; at < image_size(); at += 8)
        ck_assert_uint_eq(*(uint64_t *)(pool_base + at), 0);
    ck_assert_uint_ne(*(uint64_t *)(pool_base + IMAGE_BYTES - 8), 0);
    ck_assert_uint_ne(*(uint64_t *)(pool_base + image_size()), 0);
    reset();
    usual_memory();
    pages = 1000;
    ck_assert_ptr_nonnull(pool_reserve(PROCESSORS + 100));
    ck_assert_uint_eq(image_size(), IMAGE_BYTES + (PROCESSORS - 1) * (uint64_t)PROCESSOR_SIZE);
}
END_TEST

START_TEST(pages_of_the_pool)
{
    reset();
    usual_memory();
    pages = 3;
    memset((void *)(TOP - 4 * MB), 1, 4 * MB);
    ck_assert_ptr_null(pool_reserve(1));
    const uint64_t first = pool_base + IMAGE_BYTES;
    ck_assert_uint_eq(hal_page_allocate().value, first);
    ck_assert_uint_eq(*(uint64_t *)first, 0);
    ck_assert_uint_eq(hal_page_allocate().value, first + PAGE_SIZE);
    hal_page_free(PA(first));                   /* the search goes on behind the page taken last */
    ck_assert_uint_eq(hal_page_allocate().value, first + 2 * PAGE_SIZE);
    ck_assert_uint_eq(hal_page_allocate().value, first);
    ck_assert_uint_eq(hal_page_allocate().value, 0);
    ck_assert_uint_eq(*(uint64_t *)(first + 2 * PAGE_SIZE), 0);
    ck_assert_uint_eq(locked, 0);
    hal_page_free(PA(first + PAGE_SIZE));
    ck_assert_uint_eq(hal_page_allocate().value, first + PAGE_SIZE);
}
END_TEST

START_TEST(freeing_what_was_not_taken_stops_l0)
{
    static const int64_t wrong[] = { 8, (int64_t)PAGE_SIZE, 3 * (int64_t)PAGE_SIZE, -(int64_t)PAGE_SIZE };

    reset();
    usual_memory();
    pages = 3;
    ck_assert_ptr_null(pool_reserve(1));
    const uint64_t page = hal_page_allocate().value;
    if (!setjmp(stops)) {
        hal_page_free(PA(page + (uint64_t)wrong[_i]));
        ck_abort_msg("L0 goes on");
    }
    ck_assert_str_eq(said, "L0 freed a page that it had not allocated");
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, texts);
    tcase_add_loop_test(tcase, words_of_the_command_line, 0, 11);
    tcase_add_test(tcase, a_strategy_falls_back_to_what_the_processor_has);
    tcase_add_test(tcase, multiboot_1);
    tcase_add_test(tcase, multiboot_2);
    tcase_add_test(tcase, ram_is_what_the_map_says_in_whole_pages);
    tcase_add_test(tcase, the_pool_is_on_top_of_ram_clear_of_what_is_there);
    tcase_add_test(tcase, pages_of_the_pool);
    tcase_add_loop_test(tcase, freeing_what_was_not_taken_stops_l0, 0, 4);
}

int main(void)
{
    return image_tests("hv image boot", add);
}
