/* SPDX-License-Identifier: MIT */
/* Symbol tables of ELF files: names for addresses, and files that lie. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emu/load/file.h"
#include "emu/load/symbols.h"
#include "tests/suite.h"

enum { SIZE = 0x400, NAMES = 0x380, SYMBOLS = 0x300, SECTIONS = 0x200, CODE = 4 };

static uint8_t elf[SIZE];
static struct symbols symbols;
static char text[SYMBOL_TEXT_MAX];

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static void symbol(unsigned number, uint32_t name, uint64_t value, uint64_t size, uint8_t type, uint16_t section)
{
    uint8_t *at = elf + SYMBOLS + number * 24;

    put(at, name, 4);
    at[4] = type;
    put(at + 6, section, 2);
    put(at + 8, value, 8);
    put(at + 16, size, 8);
}

/* An ELF64 file: main is a function of 16 bytes, entry a label before it, and names that do not count. */
static void make(void)
{
    memset(elf, 0, SIZE);
    memcpy(elf, "\177ELF\2\1\1", 7);
    put(elf + 40, SECTIONS, 8);
    put(elf + 58, 64, 2);
    put(elf + 60, 3, 2);
    put(elf + SECTIONS + 64 + 8, CODE, 8);          /* the symbols' own section: 0x400f88 to 0x401000 */
    put(elf + SECTIONS + 64 + 16, 0x401000 - 5 * 24, 8);
    put(elf + SECTIONS + 64 + 4, 2, 4);
    put(elf + SECTIONS + 64 + 24, SYMBOLS, 8);
    put(elf + SECTIONS + 64 + 32, 5 * 24, 8);
    put(elf + SECTIONS + 64 + 40, 2, 4);
    put(elf + SECTIONS + 128 + 24, NAMES, 8);
    put(elf + SECTIONS + 128 + 32, 32, 8);
    memcpy(elf + NAMES, "\0main\0entry\0gone\0o\33", 20);
    symbol(0, 1, 0x401000, 16, 2, 1);
    symbol(1, 6, 0x400ff0, 0, 0, 1);
    symbol(2, 12, 0x401004, 4, 2, 0);               /* undefined: elsewhere */
    symbol(3, 6, 0x401000, 0, 0, 1);                /* another name for main */
    symbol(4, 17, 0x402000, 16, 2, 1);
}

static const char *name(uint64_t address)
{
    const struct file file = { .path = "test", .bytes = elf, .size = SIZE };

    symbols_read(&symbols, &file);
    symbols_text(&symbols, address, text);
    symbols_free(&symbols);
    return text;
}

START_TEST(addresses_have_names)
{
    make();
    ck_assert_str_eq(name(0x401000), " <main+0x0>");
    ck_assert_str_eq(name(0x40100f), " <main+0xf>");
    ck_assert_str_eq(name(0x401010), "");
    ck_assert_str_eq(name(0x400ff8), " <entry+0x8>");
    ck_assert_str_eq(name(0x400fef), "");
    ck_assert_str_eq(name(0x402001), " <o?+0x1>");
    ck_assert_str_eq(symbols_text(NULL, 0x401000, text), "");
}
END_TEST

/* What is behind a call that does not return may be another function, or none. */
START_TEST(return_addresses_name_their_call)
{
    const struct file file = { .path = "test", .bytes = elf, .size = SIZE };

    make();
    symbol(2, 12, 0x401010, 16, 2, 1);
    symbols_read(&symbols, &file);
    ck_assert_str_eq(symbols_text(&symbols, 0x401010, text), " <gone+0x0>");
    ck_assert_str_eq(symbols_call(&symbols, 0x401010, text), " <main+0x10>");
    ck_assert_str_eq(symbols_call(&symbols, 0x401008, text), " <main+0x8>");
    ck_assert_str_eq(symbols_call(&symbols, 0x401020, text), " <gone+0x10>");
    symbols_free(&symbols);
}
END_TEST

/* Labels name code as far as their section goes; labels of data name none. */
START_TEST(labels_are_of_code)
{
    make();
    put(elf + SECTIONS + 64 + 16, 0x400ffc - 5 * 24, 8);
    ck_assert_str_eq(name(0x400ffb), " <entry+0xb>");
    ck_assert_str_eq(name(0x400ffc), "");
    put(elf + SECTIONS + 64 + 8, 3, 8);             /* writable, in memory */
    ck_assert_str_eq(name(0x400ff0), "");
    ck_assert_str_eq(name(0x40100f), " <main+0xf>");
    put(elf + SECTIONS + 64 + 8, CODE, 8);
    symbol(1, 6, 0x400ff0, 0, 0, 77);               /* of a section that is not there */
    ck_assert_str_eq(name(0x400ff0), "");
}
END_TEST

START_TEST(tables_that_lie_give_no_names)
{
    static const struct { unsigned at, size; uint64_t value; } lies[] = {
        { 0, 4, 0x464c4500 }, { 40, 8, SIZE }, { 40, 8, ~0ull }, { 58, 2, 8 }, { 60, 2, 0xffff },
        { SECTIONS + 64 + 24, 8, SIZE }, { SECTIONS + 64 + 24, 8, ~0ull }, { SECTIONS + 64 + 32, 8, ~0ull },
        { SECTIONS + 64 + 40, 4, 9 }, { SECTIONS + 128 + 24, 8, ~0ull }, { SECTIONS + 128 + 32, 8, 0 },
        { SYMBOLS, 4, 32 }, { SYMBOLS, 4, ~0ull }, { SECTIONS + 64 + 4, 4, 11 },
    };

    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        make();
        symbol(3, 0, 0, 0, 0, 0);
        put(elf + lies[i].at, lies[i].value, lies[i].size);
        ck_assert_msg(strstr(name(0x401000), "main") == NULL, "lie %u", i);
    }
}
END_TEST

/* Names end where their table ends, whatever the bytes behind it are. */
START_TEST(the_last_name_is_cut)
{
    make();
    put(elf + SECTIONS + 128 + 32, 3, 8);
    memset(elf + NAMES + 3, 'x', SIZE - NAMES - 3);
    ck_assert_str_eq(name(0x401000), " <ma+0x0>");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("symbols of images");
    TCase *c = tcase_create("symbols");

    tcase_add_test(c, addresses_have_names);
    tcase_add_test(c, return_addresses_name_their_call);
    tcase_add_test(c, labels_are_of_code);
    tcase_add_test(c, tables_that_lie_give_no_names);
    tcase_add_test(c, the_last_name_is_cut);
    suite_add_tcase(suite, c);
    return suite_run(suite);
}
