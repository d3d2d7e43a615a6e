/* SPDX-License-Identifier: MIT */
/* The EPT walk: sizes, rights, misconfigurations, qualifications, accessed and dirty flags. SDM Vol. 3, 29.3, 28.2.1. */
#include "model/ept/ept.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

/* Our own tree: root, 512-GByte entry 0; below it 4-KByte, 2-MByte and 1-GByte pages. */
enum { ROOT = 0x50000, PDPT = 0x51000, PD = 0x52000, PT = 0x53000 };
#define EPTP (ROOT | 3 << 3 | MEMORY_WB)
#define TABLE(pa) ((uint64_t)(pa) | EPT_RIGHTS)
#define LEAF(pa) ((uint64_t)(pa) | MEMORY_WB << 3 | EPT_RIGHTS)
#define GPA_4K 0x3123ull
#define GPA_2M (0x200000 + 0x12345ull)
#define GPA_1G (0x40000000 + 0x1234567ull)
enum { PT_SLOT = PT + 3 * 8, PD_SLOT = PD + 8, PDPT_SLOT = PDPT + 8 };

static struct vmx_fixture f;

static void setup(void)
{
    fixture_open_bare(&f, 1);
    fixture_store64(&f, ROOT, TABLE(PDPT));
    fixture_store64(&f, PDPT, TABLE(PD));
    fixture_store64(&f, PDPT_SLOT, LEAF(0x80000000) | EPT_LARGE);
    fixture_store64(&f, PD, TABLE(PT));
    fixture_store64(&f, PD_SLOT, LEAF(0x600000) | EPT_LARGE);
    fixture_store64(&f, PT_SLOT, LEAF(0x77000));
}

static void teardown(void)
{
    fixture_close(&f);
}

static struct ept_translation walk(uint64_t eptp, uint64_t gpa, enum access_kind kind)
{
    return ept_walk(f.cpu, eptp, gpa, (struct ept_access){ .kind = kind, .linear_valid = true });
}

static struct ept_translation structure_walk(uint64_t eptp, uint64_t gpa, enum access_kind kind)
{
    return ept_walk(f.cpu, eptp, gpa,
                    (struct ept_access){ .kind = kind, .linear_valid = true, .paging_structure = true });
}

static uint64_t entry(uint64_t pa)
{
    return memory_read64(&f.model->memory, pa);
}

START_TEST(page_sizes)
{
    struct ept_translation t = walk(EPTP, GPA_4K, ACCESS_READ);

    ck_assert_int_eq(t.result, TRANSLATION_OK);
    ck_assert_uint_eq(t.pa, 0x77123);
    ck_assert_uint_eq(t.page_size, 0x1000);
    ck_assert_uint_eq(t.rights, EPT_RIGHTS);
    ck_assert_uint_eq(t.memory_type, MEMORY_WB);
    ck_assert(t.dirty);
    t = walk(EPTP, GPA_2M, ACCESS_WRITE);
    ck_assert_int_eq(t.result, TRANSLATION_OK);
    ck_assert_uint_eq(t.pa, 0x600000 + 0x12345);
    ck_assert_uint_eq(t.page_size, 2 << 20);
    t = walk(EPTP, GPA_1G, ACCESS_FETCH);
    ck_assert_int_eq(t.result, TRANSLATION_OK);
    ck_assert_uint_eq(t.pa, 0x80000000ull + 0x1234567);
    ck_assert_uint_eq(t.page_size, 1 << 30);
}
END_TEST

/* What a leaf entry (or, where named, a table entry) must not be. */
static const struct {
    uint64_t slot, gpa, set, clear;
} misconfigurations[] = {
    { PT_SLOT, GPA_4K, 0, EPT_READ },                           /* W without R, with X */
    { PT_SLOT, GPA_4K, 0, EPT_READ | EPT_EXECUTE },             /* W without R */
    { PT_SLOT, GPA_4K, 2 << 3, 7 << 3 },                        /* memory types */
    { PT_SLOT, GPA_4K, 3 << 3, 7 << 3 },
    { PT_SLOT, GPA_4K, 7 << 3, 0 },
    { PD_SLOT, GPA_2M, 7 << 3, 0 },
    { PDPT_SLOT, GPA_1G, 2 << 3, 7 << 3 },
    { PT_SLOT, GPA_4K, 1ull << 40, 0 },                         /* beyond MAXPHYADDR */
    { PT_SLOT, GPA_4K, 1ull << 51, 0 },
    { PD_SLOT, GPA_2M, 1ull << 40, 0 },
    { ROOT, GPA_4K, 1ull << 45, 0 },
    { PD_SLOT, GPA_2M, 1ull << 12, 0 },                         /* address bits within the page */
    { PD_SLOT, GPA_2M, 1ull << 20, 0 },
    { PDPT_SLOT, GPA_1G, 1ull << 12, 0 },
    { PDPT_SLOT, GPA_1G, 1ull << 29, 0 },
    { ROOT, GPA_4K, 1 << 7, 0 },                                /* no 512-GByte pages */
    { ROOT, GPA_4K, 1 << 3, 0 },                                /* bits 6:3 of a table entry */
    { PDPT, GPA_4K, 1 << 6, 0 },
    { PD, GPA_4K, 1 << 5, 0 },
    { ROOT, GPA_4K, 0, EPT_READ },
};

START_TEST(misconfigured)
{
    uint64_t slot = misconfigurations[_i].slot;

    ck_assert_int_eq(walk(EPTP, misconfigurations[_i].gpa, ACCESS_READ).result, TRANSLATION_OK);
    fixture_store64(&f, slot, (entry(slot) & ~misconfigurations[_i].clear) | misconfigurations[_i].set);
    ck_assert_int_eq(walk(EPTP, misconfigurations[_i].gpa, ACCESS_READ).result, TRANSLATION_EPT_MISCONFIGURATION);
    /* Not by an access that an upper entry already ends. */
    if (slot != ROOT) {
        fixture_store64(&f, ROOT, 0);
        ck_assert_int_eq(walk(EPTP, misconfigurations[_i].gpa, ACCESS_READ).result, TRANSLATION_EPT_VIOLATION);
    }
}
END_TEST

/* 29.3.3.1: each flaw of an entry that has no other; and of two the one that stands first in flaws.def. */
START_TEST(which_misconfiguration)
{
    enum { LEAF_4K, LEAF_2M, LEAF_1G, IS_TABLE, TOP };
    static const struct { enum ept_flaw flaw; unsigned where; uint64_t entry; bool lacking; } flaws[] = {
        { EPT_FLAW_write_only, LEAF_4K, 0x77032 }, { EPT_FLAW_write_only, LEAF_4K, 0x77036 }, { EPT_FLAW_execute_only, LEAF_4K, 0x77034, true },
        { EPT_SOUND, LEAF_4K, 0x77034 }, { EPT_SOUND, LEAF_4K, 0x77031 }, { EPT_SOUND, LEAF_4K, 0x77033 }, { EPT_SOUND, LEAF_4K, 0x77035 },
        { EPT_FLAW_write_only, LEAF_4K, 0x77032, true }, { EPT_FLAW_write_only, LEAF_4K, 0x77036, true },
        { EPT_FLAW_address_width, LEAF_4K, 1ull << 40 | 0x37 }, { EPT_FLAW_address_width, LEAF_4K, 1ull << 51 | 0x37 }, { EPT_SOUND, LEAF_4K, 1ull << 39 | 0x37 },
        { EPT_SOUND, LEAF_4K, 1ull << 52 | 0x37 }, { EPT_FLAW_write_only, LEAF_4K, 1ull << 40 | 0x32 }, { EPT_FLAW_execute_only, LEAF_4K, 1ull << 40 | 0x34, true },
        { EPT_FLAW_table_reserved, IS_TABLE, 0x5300f }, { EPT_FLAW_table_reserved, IS_TABLE, 0x53017 }, { EPT_FLAW_table_reserved, IS_TABLE, 0x53027 },
        { EPT_FLAW_table_reserved, IS_TABLE, 0x53047 }, { EPT_SOUND, IS_TABLE, 0x53007 }, { EPT_SOUND, IS_TABLE, 0x53f07 },
        { EPT_FLAW_address_width, IS_TABLE, 1ull << 40 | 0x4f }, { EPT_FLAW_large_at_top, TOP, 0x51087 }, { EPT_FLAW_table_reserved, TOP, 0x5108f },
        { EPT_FLAW_large_unaligned, LEAF_2M, 0x6010b7 }, { EPT_FLAW_large_unaligned, LEAF_2M, 0x7000b7 }, { EPT_SOUND, LEAF_2M, 0x6000b7 },
        { EPT_FLAW_large_unaligned, LEAF_1G, 0x802000b7 }, { EPT_FLAW_large_unaligned, LEAF_1G, 0xa00010b7 }, { EPT_SOUND, LEAF_1G, 0x800000b7 },
        { EPT_FLAW_no_2m, LEAF_2M, 0x6000b7, true }, { EPT_FLAW_no_1g, LEAF_1G, 0x800000b7, true }, { EPT_FLAW_large_unaligned, LEAF_2M, 0x6010b7, true },
        { EPT_FLAW_no_2m, LEAF_2M, 0x60009f, true }, { EPT_FLAW_no_1g, LEAF_1G, 0x8000009f, true }, { EPT_FLAW_memory_type, LEAF_2M, 0x60009f },
        { EPT_FLAW_memory_type, LEAF_4K, 0x77017 }, { EPT_FLAW_memory_type, LEAF_4K, 0x7701f }, { EPT_FLAW_memory_type, LEAF_4K, 0x7703f },
        { EPT_SOUND, LEAF_4K, 0x77007 }, { EPT_SOUND, LEAF_4K, 0x7700f }, { EPT_SOUND, LEAF_4K, 0x77027 }, { EPT_SOUND, LEAF_4K, 0x7702f },
        { EPT_FLAW_address_width, LEAF_4K, 1ull << 40 | 0x1f }, { EPT_FLAW_large_unaligned, LEAF_2M, 0x60109f },
    };
    static const uint8_t level[] = { 1, 2, 3, 2, 4 };

    f.model->physical_address_width = 40;
    for (unsigned i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
        capability_init(&f.model->capability, NULL);
        if (flaws[i].lacking)                   /* execute-only, 2-MByte and 1-GByte pages: A.10 */
            f.model->capability.ept_vpid &= ~(1ull << 0 | 1ull << 16 | 1ull << 17);
        ck_assert_msg(ept_entry_flaw(f.model, flaws[i].entry, level[flaws[i].where], flaws[i].where <= LEAF_1G) == flaws[i].flaw, "%u", i);
    }
}
END_TEST

START_TEST(not_misconfigured)
{
    static const uint64_t harmless[] = { 1 << 7, 1 << 6, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1ull << 52, 1ull << 63, 1ull << 39 };

    for (unsigned i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        fixture_store64(&f, PT_SLOT, LEAF(0x77000) | harmless[i]);
        ck_assert_int_eq(walk(EPTP, GPA_4K, ACCESS_READ).result, TRANSLATION_OK);
    }
    fixture_store64(&f, PD_SLOT, (LEAF(0x600000) & ~(7ull << 3)) | MEMORY_WT << 3 | EPT_LARGE);
    ck_assert_int_eq(walk(EPTP, GPA_2M, ACCESS_READ).result, TRANSLATION_OK);
    /* An entry that is not present may hold anything. */
    fixture_store64(&f, PT_SLOT, ~EPT_RIGHTS);
    ck_assert_int_eq(walk(EPTP, GPA_4K, ACCESS_READ).result, TRANSLATION_EPT_VIOLATION);
}
END_TEST

START_TEST(what_the_capability_does_not_offer)
{
    uint64_t all = f.model->capability.ept_vpid;

    fixture_store64(&f, PT_SLOT, (LEAF(0x77000) & ~EPT_RIGHTS) | EPT_EXECUTE);
    ck_assert_int_eq(walk(EPTP, GPA_4K, ACCESS_FETCH).result, TRANSLATION_OK);
    f.model->capability.ept_vpid = all & ~1ull;
    ck_assert_int_eq(walk(EPTP, GPA_4K, ACCESS_FETCH).result, TRANSLATION_EPT_MISCONFIGURATION);
    f.model->capability.ept_vpid = all & ~(1ull << 16);
    ck_assert_int_eq(walk(EPTP, GPA_2M, ACCESS_READ).result, TRANSLATION_EPT_MISCONFIGURATION);
    ck_assert_int_eq(walk(EPTP, GPA_1G, ACCESS_READ).result, TRANSLATION_OK);
    f.model->capability.ept_vpid = all & ~(1ull << 17);
    ck_assert_int_eq(walk(EPTP, GPA_1G, ACCESS_READ).result, TRANSLATION_EPT_MISCONFIGURATION);
    ck_assert_int_eq(walk(EPTP, GPA_2M, ACCESS_READ).result, TRANSLATION_OK);
}
END_TEST

/* Table 28-7: bits 2:0 the access, 5:3 the rights, 7 linear address valid, 8 the translation itself. */
static const struct {
    enum access_kind kind;
    uint64_t rights, qualification;     /* ~0: permitted */
} violations[] = {
    { ACCESS_READ, 0, 0x181 },  { ACCESS_WRITE, 0, 0x182 },  { ACCESS_FETCH, 0, 0x184 },
    { ACCESS_READ, 1, ~0ull },  { ACCESS_WRITE, 1, 0x18a },  { ACCESS_FETCH, 1, 0x18c },
    { ACCESS_READ, 3, ~0ull },  { ACCESS_WRITE, 3, ~0ull },  { ACCESS_FETCH, 3, 0x19c },
    { ACCESS_READ, 4, 0x1a1 },  { ACCESS_WRITE, 4, 0x1a2 },  { ACCESS_FETCH, 4, ~0ull },
    { ACCESS_READ, 5, ~0ull },  { ACCESS_WRITE, 5, 0x1aa },  { ACCESS_FETCH, 5, ~0ull },
};

START_TEST(violation_qualifications)
{
    static const uint64_t slots[] = { ROOT, PDPT, PD, PT_SLOT };

    /* Rights are ANDed over the levels: whichever entry lacks them, the answer is the same. */
    for (unsigned i = 0; i < 4; i++) {
        uint64_t before = entry(slots[i]);
        struct ept_translation t;

        fixture_store64(&f, slots[i], (before & ~EPT_RIGHTS) | violations[_i].rights);
        t = walk(EPTP, GPA_4K, violations[_i].kind);
        if (violations[_i].qualification == ~0ull) {
            ck_assert_int_eq(t.result, TRANSLATION_OK);
            ck_assert_uint_eq(t.rights, violations[_i].rights);
        } else {
            ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
            ck_assert_uint_eq(t.qualification, violations[_i].qualification);
        }
        fixture_store64(&f, slots[i], before);
    }
}
END_TEST

START_TEST(rights_are_the_and_of_all_levels)
{
    struct ept_translation t;

    fixture_store64(&f, ROOT, (TABLE(PDPT) & ~EPT_RIGHTS) | EPT_READ | EPT_WRITE);
    fixture_store64(&f, PT_SLOT, (LEAF(0x77000) & ~EPT_RIGHTS) | EPT_READ | EPT_EXECUTE);
    t = walk(EPTP, GPA_4K, ACCESS_WRITE);
    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    ck_assert_uint_eq(t.qualification, 0x18a);
}
END_TEST

START_TEST(paging_structure_qualifications)
{
    struct ept_translation t;

    fixture_store64(&f, PT_SLOT, 0);
    t = structure_walk(EPTP, GPA_4K, ACCESS_READ);
    ck_assert_uint_eq(t.qualification, 0x81);
    t = structure_walk(EPTP | EPTP_ACCESSED_DIRTY, GPA_4K, ACCESS_READ);
    ck_assert_uint_eq(t.qualification, 0x83);
    fixture_store64(&f, PT_SLOT, (LEAF(0x77000) & ~EPT_RIGHTS) | EPT_READ);
    ck_assert_int_eq(structure_walk(EPTP, GPA_4K, ACCESS_READ).result, TRANSLATION_OK);
    t = structure_walk(EPTP, GPA_4K, ACCESS_WRITE);         /* an update of accessed or dirty flags */
    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    ck_assert_uint_eq(t.qualification, 0x8b);
    t = structure_walk(EPTP | EPTP_ACCESSED_DIRTY, GPA_4K, ACCESS_READ);
    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    ck_assert_uint_eq(t.qualification, 0x8b);
    /* A PDPTE load has no linear address. */
    t = ept_walk(f.cpu, EPTP, 0x9000, (struct ept_access){ .kind = ACCESS_READ, .paging_structure = true });
    ck_assert_uint_eq(t.qualification, 0x01);
}
END_TEST

START_TEST(addresses_that_four_levels_do_not_reach)
{
    struct ept_translation t = walk(EPTP, 1ull << 48 | GPA_4K, ACCESS_READ);

    ck_assert_int_eq(t.result, TRANSLATION_EPT_VIOLATION);
    ck_assert_uint_eq(t.qualification, 0x181);
}
END_TEST

START_TEST(tables_outside_ram)
{
    fixture_store64(&f, PD, TABLE(0xd0000000));     /* reads as ones: reserved bits */
    ck_assert_int_eq(walk(EPTP, GPA_4K, ACCESS_READ).result, TRANSLATION_EPT_MISCONFIGURATION);
    ck_assert_int_eq(walk(0xe0000000 | 3 << 3, GPA_4K, ACCESS_READ).result, TRANSLATION_EPT_MISCONFIGURATION);
}
END_TEST

START_TEST(accessed_and_dirty_flags)
{
    const uint64_t eptp = EPTP | EPTP_ACCESSED_DIRTY;
    struct ept_translation t;

    walk(EPTP, GPA_4K, ACCESS_WRITE);               /* flags are off */
    ck_assert_uint_eq(entry(PT_SLOT), LEAF(0x77000));
    ck_assert_uint_eq(entry(ROOT), TABLE(PDPT));

    ept_walk(f.cpu, eptp, GPA_4K, (struct ept_access){ .kind = ACCESS_WRITE, .probe = true });
    ck_assert_uint_eq(entry(PT_SLOT), LEAF(0x77000));

    t = walk(eptp, GPA_4K, ACCESS_READ);
    ck_assert(!t.dirty);
    ck_assert_uint_eq(entry(ROOT), TABLE(PDPT) | EPT_ACCESSED);
    ck_assert_uint_eq(entry(PDPT), TABLE(PD) | EPT_ACCESSED);
    ck_assert_uint_eq(entry(PD), TABLE(PT) | EPT_ACCESSED);
    ck_assert_uint_eq(entry(PT_SLOT), LEAF(0x77000) | EPT_ACCESSED);

    t = walk(eptp, GPA_4K, ACCESS_WRITE);
    ck_assert(t.dirty);
    ck_assert_uint_eq(entry(PT_SLOT), LEAF(0x77000) | EPT_ACCESSED | EPT_DIRTY);
    ck_assert_uint_eq(entry(PD), TABLE(PT) | EPT_ACCESSED);
    ck_assert(walk(eptp, GPA_4K, ACCESS_READ).dirty);

    t = structure_walk(eptp, GPA_2M, ACCESS_READ);  /* counts as a write */
    ck_assert(t.dirty);
    ck_assert_uint_eq(entry(PD_SLOT), LEAF(0x600000) | EPT_LARGE | EPT_ACCESSED | EPT_DIRTY);

    fixture_store64(&f, PT_SLOT, (LEAF(0x77000) & ~EPT_RIGHTS) | EPT_READ);
    walk(eptp, GPA_4K, ACCESS_WRITE);               /* a violation sets none */
    ck_assert_uint_eq(entry(PT_SLOT), (LEAF(0x77000) & ~EPT_RIGHTS) | EPT_READ);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("ept");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, page_sizes);
    tcase_add_loop_test(tcase, misconfigured, 0, ROWS(misconfigurations));
    tcase_add_test(tcase, which_misconfiguration);
    tcase_add_test(tcase, not_misconfigured);
    tcase_add_test(tcase, what_the_capability_does_not_offer);
    tcase_add_loop_test(tcase, violation_qualifications, 0, ROWS(violations));
    tcase_add_test(tcase, rights_are_the_and_of_all_levels);
    tcase_add_test(tcase, paging_structure_qualifications);
    tcase_add_test(tcase, addresses_that_four_levels_do_not_reach);
    tcase_add_test(tcase, tables_outside_ram);
    tcase_add_test(tcase, accessed_and_dirty_flags);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
