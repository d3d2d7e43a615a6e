/* SPDX-License-Identifier: MIT */
/* Interrupt remapping and posting: what comes out, each reason for which nothing does, and what is remembered. VT-d, 5.1, 5.2. */
#include "tests/model/iommu_fixture.h"

#define IRTE(n) (INTERRUPTS + 16ull * (n))
#define REMAPPED(vector, destination) ((uint64_t)(destination) << 32 | (uint64_t)(vector) << 16 | VTD_PRESENT)
#define SVT(n) ((uint64_t)(n) << 18)
#define SQ(n) ((uint64_t)(n) << 16)
#define HANDLE(n) (VTD_INTERRUPT_BASE | VTD_MESSAGE_REMAPPABLE | (uint64_t)((n) & 0x7fff) << 5 | ((uint64_t)(n) >> 15) << 2)

static struct iommu_world w;

/* A table of 256 entries, in x2APIC form if `eime`. */
static void open_with(enum iommu_profile_id profile, bool eime)
{
    world_open(&w, profile);
    set_register(&w, VTD_irta, 8, INTERRUPTS | (eime ? VTD_IRTA_EIME : 0) | 7);
    world_command(&w, VTD_SIRTP);
    world_command(&w, VTD_IRE);
}

static void set_entry(unsigned n, uint64_t low, uint64_t high)
{
    store(&w, IRTE(n), low);
    store(&w, IRTE(n) + 8, high);
}

static bool interrupt(uint64_t address, uint32_t data, struct iommu_message *out)
{
    return iommu_interrupt(&w.iommu, DEVICE, (struct iommu_message){ address, data }, out);
}

START_TEST(an_entry_makes_the_message)
{
    struct iommu_message out;

    open_with(IOMMU_PROFILE_legacy, true);
    set_entry(2, REMAPPED(0xee, 0x12345678), 0);
    ck_assert(interrupt(HANDLE(2), 0, &out));
    ck_assert_uint_eq(out.address, 0x1234560000000000 | VTD_INTERRUPT_BASE | 0x78 << 12);
    ck_assert_uint_eq(out.data, 0x40ee);
    set_entry(3, REMAPPED(0x31, 1) | VTD_IRTE_REDIRECTION_HINT | VTD_IRTE_DESTINATION_MODE | VTD_IRTE_TRIGGER | 1 << 5, 0);
    ck_assert(interrupt(HANDLE(1) | VTD_MESSAGE_SHV, 2, &out));        /* the handle and the subhandle */
    ck_assert_uint_eq(out.address, VTD_INTERRUPT_BASE | 1 << 12 | 0xc);
    ck_assert_uint_eq(out.data, 0xc131);
    world_close(&w);
    open_with(IOMMU_PROFILE_legacy, false);
    set_entry(2, REMAPPED(0xee, 0x300), 0);
    ck_assert(interrupt(HANDLE(2), 0xffff0000, &out));                  /* without SHV the data say nothing */
    ck_assert_uint_eq(out.address, VTD_INTERRUPT_BASE | 3 << 12);
    ck_assert_uint_eq(w.refusals, 0);
    world_close(&w);
}
END_TEST

/* Disabled: whatever comes passes. Enabled: compatibility format passes if software lets it, and never in x2APIC form. */
START_TEST(compatibility_format)
{
    struct iommu_message out;

    world_open(&w, IOMMU_PROFILE_legacy);
    ck_assert(interrupt(0xfee01000, 0x4031, &out));
    ck_assert_uint_eq(out.address, 0xfee01000);
    ck_assert_uint_eq(out.data, 0x4031);
    world_close(&w);
    open_with(IOMMU_PROFILE_legacy, false);
    ck_assert(!interrupt(0xfee01000, 0x4031, &out));
    ck_assert_int_eq(w.refusal.reason, IOMMU_interrupt_compatible);
    world_command(&w, VTD_CFI);
    ck_assert(interrupt(0xfee01000, 0x4031, &out));
    ck_assert_uint_eq(out.data, 0x4031);
    world_close(&w);
    open_with(IOMMU_PROFILE_legacy, true);
    world_command(&w, VTD_CFI);
    ck_assert(!interrupt(0xfee01000, 0x4031, &out));
    ck_assert_int_eq(w.refusal.reason, IOMMU_interrupt_compatible);
    world_close(&w);
}
END_TEST

#define SOUND REMAPPED(0x40, 1)
static const struct {
    enum iommu_reason reason;
    bool eime, posted;
    uint64_t low, high, address;
    uint32_t data;
} cases[] = {
    { IOMMU_interrupt_request, true, false, SOUND, 0, HANDLE(2) | 1ull << 32, 0 },
    { IOMMU_interrupt_request, true, false, SOUND, 0, HANDLE(2) | VTD_MESSAGE_SHV, 0x10000 },
    { IOMMU_interrupt_index, true, false, SOUND, 0, HANDLE(256), 0 },
    { IOMMU_interrupt_index, true, false, SOUND, 0, HANDLE(0x8002), 0 },
    { IOMMU_interrupt_index, true, false, SOUND, 0, HANDLE(0xffff) | VTD_MESSAGE_SHV, 3 },
    { IOMMU_interrupt_absent, true, false, SOUND & ~1ull, 0, HANDLE(2), 0 },
    { IOMMU_interrupt_reserved, true, false, SOUND | 1 << 12, 0, HANDLE(2), 0 },
    { IOMMU_interrupt_reserved, true, false, SOUND | 1 << 24, 0, HANDLE(2), 0 },
    { IOMMU_interrupt_reserved, true, false, SOUND, 1 << 20, HANDLE(2), 0 },
    { IOMMU_interrupt_reserved, false, false, SOUND | 1ull << 32, 0, HANDLE(2), 0 },
    { IOMMU_interrupt_reserved, false, false, REMAPPED(0x40, 0x10000), 0, HANDLE(2), 0 },
    { IOMMU_interrupt_reserved, true, false, SOUND | VTD_IRTE_POSTED, 0, HANDLE(2), 0 },         /* this profile posts none */
    { IOMMU_interrupt_source, true, false, SOUND, SVT(1) | (DEVICE ^ 0x100), HANDLE(2), 0 },
    { IOMMU_interrupt_source, true, false, SOUND, SVT(1) | SQ(2) | (DEVICE ^ 1), HANDLE(2), 0 },
    { IOMMU_interrupt_source, true, false, SOUND, SVT(2) | 0x0205, HANDLE(2), 0 },
    { IOMMU_interrupt_source, true, false, SOUND, SVT(3) | DEVICE, HANDLE(2), 0 },
    { IOMMU_posted_access, true, true, (uint64_t)ABSENT_RAM << 32 | 0x40 << 16 | VTD_IRTE_POSTED | 1, 0, HANDLE(2), 0 },
    { IOMMU_posted_reserved, true, true, (uint64_t)(POSTED + 0x40) << 32 | 0x40 << 16 | VTD_IRTE_POSTED | 1, 0, HANDLE(2), 0 },
    { IOMMU_interrupt_reserved, true, true, (uint64_t)POSTED << 32 | 0x40 << 16 | VTD_IRTE_POSTED | 5, 0, HANDLE(2), 0 },
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static void refuse_case(int i, uint64_t fpd)
{
    struct iommu_message out;

    open_with(cases[i].posted ? IOMMU_PROFILE_scalable : IOMMU_PROFILE_legacy, cases[i].eime);
    set_entry(2, cases[i].low | fpd, cases[i].high);
    store(&w, POSTED + 0x40 + 40, 1);
    ck_assert(!interrupt(cases[i].address, cases[i].data, &out));
    ck_assert_msg(w.refusal.reason == cases[i].reason, "case %d: %s", i, iommu_reasons[w.refusal.reason].name);
}

START_TEST(one_change_refuses)
{
    unsigned index = (unsigned)(cases[_i].address >> 5 & 0x7fff) | (unsigned)(cases[_i].address & 4) << 13;

    refuse_case(_i, 0);
    index += cases[_i].address & VTD_MESSAGE_SHV ? cases[_i].data & 0xffff : 0;
    ck_assert(w.refusal.recorded);
    ck_assert_uint_eq(get_register(&w, VTD_RECORDS, 8), (uint64_t)index << 48);
    ck_assert_uint_eq(get_register(&w, VTD_RECORDS + 8, 8),
                      VTD_RECORD_F | (uint64_t)iommu_reasons[cases[_i].reason].legacy << VTD_RECORD_FR_SHIFT | DEVICE);
    world_close(&w);
}
END_TEST

START_TEST(fpd_keeps_the_record_empty)
{
    refuse_case(_i, VTD_FPD);
    ck_assert_int_eq(get_register(&w, VTD_fsts, 4) == 0, iommu_reasons[cases[_i].reason].suppressible);
    world_close(&w);
}
END_TEST

/* 5.1.4.1, 23H: the table is beyond RAM. */
START_TEST(table_out_of_ram)
{
    struct iommu_message out;

    world_open(&w, IOMMU_PROFILE_legacy);
    set_register(&w, VTD_irta, 8, ABSENT_RAM | 7);
    world_command(&w, VTD_SIRTP);
    world_command(&w, VTD_IRE);
    ck_assert(!interrupt(HANDLE(2), 0, &out));
    ck_assert_int_eq(w.refusal.reason, IOMMU_interrupt_access);
    world_close(&w);
}
END_TEST

START_TEST(sources_that_are_allowed)
{
    static const uint64_t highs[] = { 0, DEVICE ^ 0xff, SVT(1) | DEVICE, SVT(1) | SQ(1) | (DEVICE ^ 4), SVT(1) | SQ(2) | (DEVICE ^ 6),
                                      SVT(1) | SQ(3) | (DEVICE ^ 7), SVT(2) | 0x0001, SVT(2) | 0x0101, SVT(2) | 0x01ff };
    struct iommu_message out;

    open_with(IOMMU_PROFILE_legacy, true);
    for (unsigned i = 0; i < sizeof(highs) / sizeof(highs[0]); i++) {
        set_entry(i, SOUND, highs[i]);
        ck_assert_msg(interrupt(HANDLE(i), 0, &out), "%u", i);
    }
    set_entry(20, SOUND, SVT(1) | (DEVICE ^ 0x100));
    ck_assert(iommu_interrupt(&w.iommu, IOMMU_NO_SOURCE, (struct iommu_message){ HANDLE(20), 0 }, &out));
    world_close(&w);
}
END_TEST

/* The descriptor gets the vector; a notification goes out once, unless it is suppressed and the entry is not urgent. */
START_TEST(posted)
{
    uint64_t entry = (uint64_t)POSTED << 32 | 0x41 << 16 | VTD_IRTE_POSTED | 1;
    struct iommu_message out;

    open_with(IOMMU_PROFILE_scalable, true);
    store(&w, POSTED + 32, 0x123ull << 32 | 0xf2 << 16);
    set_entry(2, entry, 0);
    ck_assert(!interrupt(HANDLE(2), 0, &out));
    ck_assert_uint_eq(memory_read64(&w.memory, POSTED + 8), 2);
    ck_assert_uint_eq(memory_read64(&w.memory, POSTED + 32), 0x123ull << 32 | 0xf2 << 16 | 1);
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_uint_eq(w.message.address, 0x10000000000 | VTD_INTERRUPT_BASE | 0x23 << 12);
    ck_assert_uint_eq(w.message.data, 0x40f2);
    ck_assert(!interrupt(HANDLE(2), 0, &out));
    ck_assert_uint_eq(w.messages, 1);
    store(&w, POSTED + 32, 2);
    ck_assert(!interrupt(HANDLE(2), 0, &out));
    ck_assert_uint_eq(w.messages, 1);
    set_entry(3, entry | VTD_IRTE_URGENT, 0);
    ck_assert(!interrupt(HANDLE(3), 0, &out));
    ck_assert_uint_eq(w.messages, 2);
    ck_assert_uint_eq(w.refusals, 0);
    world_close(&w);
}
END_TEST

/* An entry is remembered until its index, or all, are invalidated; one that is not present never is. */
START_TEST(remembered)
{
    struct iommu_message out;

    open_with(IOMMU_PROFILE_legacy, true);
    set_register(&w, VTD_iqa, 8, QUEUE);
    world_command(&w, VTD_QIE);
    ck_assert(!interrupt(HANDLE(2), 0, &out));
    set_entry(2, REMAPPED(0x40, 1), 0);
    ck_assert(interrupt(HANDLE(2), 0, &out));
    set_entry(2, REMAPPED(0x50, 1), 0);
    ck_assert(interrupt(HANDLE(2), 0, &out));
    ck_assert_uint_eq(out.data & 0xff, 0x40);
    ck_assert_uint_eq(w.stale, 1);
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t descriptors[] = { 4 | 0x10 | 3ull << 32, 4 | 0x10 | 3ull << 32 | 1ull << 27, 4 };

        store(&w, QUEUE + 16 * i, descriptors[i]);
        set_register(&w, VTD_iqt, 8, 16 * (i + 1));
        ck_assert(interrupt(HANDLE(2), 0, &out));
        ck_assert_uint_eq(out.data & 0xff, i == 0 ? 0x40 : 0x50);       /* index 3 alone; 2 and 3; all */
    }
    w.stale = 0;                                            /* another table, and what the old one gave */
    set_register(&w, VTD_irta, 8, (INTERRUPTS + 0x8000) | VTD_IRTA_EIME | 7);
    world_command(&w, VTD_SIRTP);
    ck_assert(interrupt(HANDLE(2), 0, &out));
    ck_assert_uint_eq(w.stale, 1);
    set_register(&w, VTD_irta, 8, INTERRUPTS | VTD_IRTA_EIME | 7);
    world_command(&w, VTD_SIRTP);
    w.iommu.policy = TLB_DROP;
    set_entry(2, REMAPPED(0x60, 1), 0);
    ck_assert(interrupt(HANDLE(2), 0, &out));
    ck_assert_uint_eq(out.data & 0xff, 0x60);
    world_close(&w);
}
END_TEST

START_TEST(no_reason_without_a_case)
{
    for (unsigned reason = 1; reason < IOMMU_REASONS; reason++) {
        bool found = iommu_reasons[reason].group != IOMMU_GROUP_INTERRUPT || reason == IOMMU_interrupt_access || reason == IOMMU_interrupt_compatible;

        for (unsigned i = 0; i < CASES && !found; i++)
            found = cases[i].reason == reason;
        ck_assert_msg(found, "%s", iommu_reasons[reason].name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iommu_interrupt");
    TCase *tests = tcase_create("interrupts");

    tcase_add_test(tests, an_entry_makes_the_message);
    tcase_add_test(tests, compatibility_format);
    tcase_add_loop_test(tests, one_change_refuses, 0, CASES);
    tcase_add_loop_test(tests, fpd_keeps_the_record_empty, 0, CASES);
    tcase_add_test(tests, table_out_of_ram);
    tcase_add_test(tests, sources_that_are_allowed);
    tcase_add_test(tests, posted);
    tcase_add_test(tests, remembered);
    tcase_add_test(tests, no_reason_without_a_case);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
