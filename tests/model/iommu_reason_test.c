/* SPDX-License-Identifier: MIT */
/*
 * Each reason for which a remapping unit refuses a request, both ways: sound tables grant it, and one change makes exactly that refusal, with
 * the fault that VT-d 7.1.3 and 5.1.4.1 name, recorded or not as FPD says.
 */
#include "tests/model/iommu_fixture.h"

enum mode { LEGACY, SCALABLE };

/* Of a row: what is stored where (up to two places), and the request. */
struct refusal_case {
    enum iommu_reason reason;
    enum mode mode;
    uint64_t pa, value, pa2, value2;
    struct iommu_request request;
};

#define CONTEXT_LEGACY (CONTEXT + (DEVICE & 0xff) * 16)
#define CONTEXT_SCALABLE (CONTEXT + (DEVICE & 0x7f) * 32)
#define SOUND_CONTEXT (DIRECTORY | VTD_CONTEXT_PASIDE | VTD_CONTEXT_DTE | VTD_PRESENT)
#define ROOT_ENTRY (ROOT + (DEVICE >> 8) * 16)
#define READ .request = { .source = DEVICE, .address = IOVA }
#define WRITE .request = { .source = DEVICE, .address = IOVA, .access = IOMMU_WRITE }
#define OF(n) .request = { .source = DEVICE, .address = IOVA, .has_pasid = true, .pasid = (n) }
#define SECOND_LEAF_3 (SECOND + 0x2000 + 8)     /* of three levels */
#define SECOND_LEAF_4 (SECOND + 0x3000 + 8)
#define FIRST_LEAF (FIRST + 0x3000 + 8)
#define NESTED_PD (SECOND + 0xa000)
#define ENTRY(n, type) ((n) | (type) << 6 | 2 << 2 | VTD_PRESENT)

static const struct refusal_case cases[] = {
    { IOMMU_legacy_pasid, LEGACY, 0, 0, 0, 0, OF(1) },
    { IOMMU_root_access, LEGACY, 0, 0, 0, 0, .request = { .source = 0xff00, .address = IOVA } },
    { IOMMU_root_absent, LEGACY, ROOT_ENTRY, CONTEXT, 0, 0, READ },
    { IOMMU_root_absent, SCALABLE, ROOT_ENTRY, CONTEXT, 0, 0, READ },
    { IOMMU_root_absent, SCALABLE, 0, 0, 0, 0, .request = { .source = DEVICE | 0x80, .address = IOVA } },
    { IOMMU_root_reserved, LEGACY, ROOT_ENTRY, CONTEXT | 0x801, 0, 0, READ },
    { IOMMU_root_reserved, LEGACY, ROOT_ENTRY + 8, 1, 0, 0, READ },
    { IOMMU_root_reserved, LEGACY, ROOT_ENTRY, CONTEXT | 1ull << 46 | 1, 0, 0, READ },
    { IOMMU_root_reserved, SCALABLE, ROOT_ENTRY, CONTEXT | 3, 0, 0, READ },
    { IOMMU_context_access, LEGACY, ROOT_ENTRY, ABSENT_RAM | 1, 0, 0, READ },
    { IOMMU_context_access, SCALABLE, ROOT_ENTRY, ABSENT_RAM | 1, 0, 0, READ },
    { IOMMU_context_absent, LEGACY, CONTEXT_LEGACY, SECOND, 0, 0, READ },
    { IOMMU_context_absent, SCALABLE, CONTEXT_SCALABLE, SOUND_CONTEXT & ~1ull, 0, 0, READ },
    { IOMMU_context_reserved, LEGACY, CONTEXT_LEGACY, SECOND | 0x11, 0, 0, READ },
    { IOMMU_context_reserved, LEGACY, CONTEXT_LEGACY + 8, DOMAIN_ID << 8 | 1 << 7 | 1, 0, 0, READ },
    { IOMMU_context_reserved, LEGACY, CONTEXT_LEGACY + 8, 1ull << 24 | 1, 0, 0, READ },
    { IOMMU_context_reserved, SCALABLE, CONTEXT_SCALABLE, SOUND_CONTEXT | VTD_CONTEXT_PRE, 0, 0, READ },
    { IOMMU_context_reserved, SCALABLE, CONTEXT_SCALABLE + 8, VTD_CONTEXT_RID_PRIV, 0, 0, READ },
    { IOMMU_context_reserved, SCALABLE, CONTEXT_SCALABLE + 16, 1, 0, 0, READ },
    { IOMMU_context_reserved, SCALABLE, CONTEXT_SCALABLE + 24, 1ull << 63, 0, 0, READ },
    { IOMMU_context_width, LEGACY, CONTEXT_LEGACY + 8, DOMAIN_ID << 8 | 3, 0, 0, READ },
    { IOMMU_context_type, LEGACY, CONTEXT_LEGACY, SECOND | VTD_TT_RESERVED << 2 | 1, 0, 0, READ },
    { IOMMU_context_type, LEGACY, CONTEXT_LEGACY, SECOND | VTD_TT_ALL << 2 | 1, 0, 0, READ },
    { IOMMU_context_kind, LEGACY, 0, 0, 0, 0, .request = { .source = DEVICE, .address = IOVA, .kind = IOMMU_TRANSLATED } },
    { IOMMU_context_kind, LEGACY, 0, 0, 0, 0, .request = { .source = DEVICE, .address = IOVA, .kind = IOMMU_TRANSLATION } },
    { IOMMU_context_kind, SCALABLE, CONTEXT_SCALABLE, SOUND_CONTEXT & ~VTD_CONTEXT_DTE, 0, 0,
      .request = { .source = DEVICE, .address = IOVA, .kind = IOMMU_TRANSLATED } },
    { IOMMU_context_pasid, SCALABLE, CONTEXT_SCALABLE, SOUND_CONTEXT & ~VTD_CONTEXT_PASIDE, 0, 0, OF(PASID_FIRST) },
    { IOMMU_pasid_range, SCALABLE, 0, 0, 0, 0, OF(1 << 13) },
    { IOMMU_rid_pasid_range, SCALABLE, CONTEXT_SCALABLE + 8, 1 << 13, 0, 0, READ },
    { IOMMU_directory_access, SCALABLE, CONTEXT_SCALABLE, ABSENT_RAM | VTD_CONTEXT_PASIDE | 1, 0, 0, OF(1) },
    { IOMMU_directory_absent, SCALABLE, 0, 0, 0, 0, OF(64) },
    { IOMMU_directory_reserved, SCALABLE, DIRECTORY, PASIDS | 0x800 | 1, 0, 0, OF(1) },
    { IOMMU_pasid_access, SCALABLE, DIRECTORY, ABSENT_RAM | 1, 0, 0, OF(1) },
    { IOMMU_pasid_absent, SCALABLE, 0, 0, 0, 0, OF(63) },
    { IOMMU_pasid_reserved, SCALABLE, PASIDS, ENTRY(SECOND, VTD_PGTT_SECOND) | 0x400, 0, 0, READ },
    { IOMMU_pasid_reserved, SCALABLE, PASIDS + 8, 1 << 16, 0, 0, READ },
    { IOMMU_pasid_reserved, SCALABLE, PASIDS + 16, 0x100, 0, 0, READ },
    { IOMMU_pasid_reserved, SCALABLE, PASIDS + 16, VTD_PASID_EAFE, 0, 0, READ },
    { IOMMU_pasid_reserved, SCALABLE, PASIDS + 56, 1, 0, 0, READ },
    { IOMMU_pasid_type, SCALABLE, PASIDS, ENTRY(SECOND, 5), 0, 0, READ },
    { IOMMU_pasid_type, SCALABLE, PASIDS, ENTRY(SECOND, 0), 0, 0, READ },
    { IOMMU_pasid_width, SCALABLE, PASIDS, SECOND | VTD_PGTT_SECOND << 6 | 1 << 2 | 1, 0, 0, READ },
    { IOMMU_pasid_width, SCALABLE, PASIDS + 64 * PASID_FIRST + 16, FIRST | 2 << 2, 0, 0, OF(PASID_FIRST) },
    { IOMMU_pasid_supervisor, SCALABLE, 0, 0, 0, 0,
      .request = { .source = DEVICE, .address = IOVA, .has_pasid = true, .pasid = PASID_FIRST, .supervisor = true } },
    { IOMMU_first_canonical, SCALABLE, 0, 0, 0, 0, .request = { .source = DEVICE, .address = 1ull << 47, .has_pasid = true, .pasid = PASID_FIRST } },
    { IOMMU_first_root, SCALABLE, PASIDS + 64 * PASID_FIRST + 16, ABSENT_RAM, 0, 0, OF(PASID_FIRST) },
    { IOMMU_first_access, SCALABLE, FIRST, ABSENT_RAM | FIRST_ALL, 0, 0, OF(PASID_FIRST) },
    { IOMMU_first_absent, SCALABLE, FIRST + 0x1000, 0, 0, 0, OF(PASID_FIRST) },
    { IOMMU_first_reserved, SCALABLE, FIRST, (FIRST + 0x1000) | FIRST_ALL | 0x80, 0, 0, OF(PASID_FIRST) },
    { IOMMU_first_reserved, SCALABLE, FIRST_LEAF, PAGE | 1ull << 46 | FIRST_ALL, 0, 0, OF(PASID_FIRST) },
    { IOMMU_first_user, SCALABLE, FIRST + 0x2000, (FIRST + 0x3000) | 3, 0, 0, OF(PASID_FIRST) },
    { IOMMU_first_execute, SCALABLE, FIRST + 0x1000, (FIRST + 0x2000) | FIRST_ALL | 1ull << 63, 0, 0,
      .request = { .source = DEVICE, .address = IOVA, .has_pasid = true, .pasid = PASID_FIRST, .execute = true } },
    { IOMMU_first_write, SCALABLE, FIRST + 0x1000, (FIRST + 0x2000) | 5, 0, 0,
      .request = { .source = DEVICE, .address = IOVA, .has_pasid = true, .pasid = PASID_FIRST, .access = IOMMU_WRITE } },
    { IOMMU_first_write, SCALABLE, FIRST_LEAF, (PAGE + 0x1000) | 5, 0, 0,
      .request = { .source = DEVICE, .address = IOVA, .has_pasid = true, .pasid = PASID_SUPERVISOR, .access = IOMMU_WRITE, .supervisor = true } },
    { IOMMU_first_snoop, SCALABLE, PASIDS + 64 * PASID_FIRST + 8, DOMAIN_ID + PASID_FIRST, 0, 0, OF(PASID_FIRST) },
    { IOMMU_nested_range, SCALABLE, PASIDS + 64 * PASID_NESTED + 16, FIRST, FIRST, 1ull << 48 | FIRST_ALL, OF(PASID_NESTED) },
    { IOMMU_nested_root, SCALABLE, SECOND + 0x9000, 0, 0, 0, OF(PASID_NESTED) },
    { IOMMU_nested_read, SCALABLE, FIRST, (1ull << 30) | FIRST_ALL, 0, 0, OF(PASID_NESTED) },
    { IOMMU_nested_write, SCALABLE, NESTED_PD, VTD_SECOND_LARGE | VTD_SECOND_READ, 0, 0, OF(PASID_NESTED) },
    { IOMMU_second_range, LEGACY, 0, 0, 0, 0, .request = { .source = DEVICE, .address = 1ull << 39 } },
    { IOMMU_second_range, SCALABLE, 0, 0, 0, 0, .request = { .source = DEVICE, .address = 1ull << 48 } },
    { IOMMU_pass_range, LEGACY, CONTEXT_LEGACY, VTD_TT_PASS_THROUGH << 2 | 1, 0, 0, .request = { .source = DEVICE, .address = 1ull << 46 } },
    { IOMMU_pass_range, SCALABLE, 0, 0, 0, 0, .request = { .source = DEVICE, .address = 1ull << 46, .has_pasid = true, .pasid = PASID_PASS } },
    { IOMMU_second_root, LEGACY, CONTEXT_LEGACY, ABSENT_RAM | 1, 0, 0, READ },
    { IOMMU_second_root, SCALABLE, PASIDS, ENTRY(ABSENT_RAM, VTD_PGTT_SECOND), 0, 0, READ },
    { IOMMU_second_access, LEGACY, SECOND, ABSENT_RAM | SECOND_RW, 0, 0, READ },
    { IOMMU_second_access, SCALABLE, SECOND + 0x2000, ABSENT_RAM | SECOND_RW, 0, 0, READ },
    { IOMMU_second_absent, SCALABLE, SECOND_LEAF_4, PAGE, 0, 0, READ },
    { IOMMU_second_absent, SCALABLE, SECOND, (SECOND + 0x1000) | VTD_SECOND_WRITE, SECOND_LEAF_4, PAGE | VTD_SECOND_READ, READ },
    { IOMMU_second_reserved, LEGACY, SECOND, (SECOND + 0x1000) | SECOND_RW | VTD_SECOND_SNOOP, 0, 0, READ },
    { IOMMU_second_reserved, LEGACY, SECOND + 0x1000, 0x201000 | SECOND_RW | VTD_SECOND_LARGE, 0, 0, READ },
    { IOMMU_second_reserved, LEGACY, SECOND_LEAF_3, PAGE | SECOND_RW | 1ull << 46, 0, 0, READ },
    { IOMMU_second_reserved, SCALABLE, SECOND, (SECOND + 0x1000) | SECOND_RW | VTD_SECOND_LARGE, 0, 0, READ },
    { IOMMU_second_reserved, SCALABLE, SECOND_LEAF_4, PAGE | SECOND_RW | VTD_SECOND_TRANSIENT, 0, 0, READ },
    { IOMMU_second_write, LEGACY, SECOND, (SECOND + 0x1000) | VTD_SECOND_READ, 0, 0, WRITE },
    { IOMMU_second_write, LEGACY, SECOND_LEAF_3, 0, 0, 0, WRITE },
    { IOMMU_second_write, SCALABLE, SECOND_LEAF_4, PAGE | VTD_SECOND_READ, 0, 0, WRITE },
    { IOMMU_second_write, SCALABLE, SECOND_LEAF_4, PAGE | VTD_SECOND_READ, 0, 0,
      .request = { .source = DEVICE, .address = IOVA, .access = IOMMU_ATOMIC } },
    { IOMMU_second_read, LEGACY, SECOND_LEAF_3, PAGE | VTD_SECOND_WRITE, 0, 0, READ },
    { IOMMU_second_read, LEGACY, SECOND_LEAF_3, 0, 0, 0, READ },
    { IOMMU_second_read, SCALABLE, SECOND, (SECOND + 0x1000) | VTD_SECOND_WRITE, 0, 0, READ },
    { IOMMU_second_snoop, SCALABLE, PASIDS, ENTRY(SECOND, VTD_PGTT_SECOND) | VTD_PASID_SLADE, PASIDS + 8, DOMAIN_ID, READ },
    { IOMMU_output, LEGACY, SECOND_LEAF_3, 0xfee00000 | SECOND_RW, 0, 0, READ },
    { IOMMU_output, SCALABLE, FIRST_LEAF, 0xfeeff000 | FIRST_ALL, 0, 0, OF(PASID_FIRST) },
    { IOMMU_output, SCALABLE, 0, 0, 0, 0, .request = { .source = DEVICE, .address = 0xfee00000, .has_pasid = true, .pasid = PASID_PASS } },
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static struct iommu_world w;

static void open_case(const struct refusal_case *c)
{
    if (c->mode == LEGACY)
        world_open_legacy(&w);
    else
        world_open_scalable(&w);
}

/* The tables as they are without the change grant the plain requests. */
START_TEST(sound_tables_grant)
{
    static const uint64_t leads_to[] = { PAGE, PAGE + 0x1000, PAGE, PAGE + 0x1000, IOVA };

    world_open_legacy(&w);
    for (unsigned access = IOMMU_READ; access <= IOMMU_ATOMIC; access++) {
        struct iommu_translation to = iommu_translate(&w.iommu, &(struct iommu_request){ .source = DEVICE, .address = IOVA + 8, .access = (uint8_t)access });

        ck_assert_int_eq(to.reason, IOMMU_GRANTED);
        ck_assert_uint_eq(to.pa, PAGE + 8);
        ck_assert_uint_eq(to.size, PAGE_SIZE);
        ck_assert(to.readable && to.writable && !to.interrupt && !to.stale);
    }
    world_close(&w);
    world_open_scalable(&w);
    for (uint32_t pasid = PASID_RID; pasid <= PASID_PASS; pasid++) {
        struct iommu_translation to = iommu_translate(&w.iommu, &(struct iommu_request){ .source = DEVICE, .address = IOVA, .has_pasid = pasid > 0,
                                                                                        .pasid = pasid });

        ck_assert_int_eq(to.reason, IOMMU_GRANTED);
        ck_assert_uint_eq(to.pa, leads_to[pasid]);
    }
    ck_assert_uint_eq(w.refusals, 0);
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), 0);
    world_close(&w);
}
END_TEST

START_TEST(one_change_refuses)
{
    const struct refusal_case *c = &cases[_i];
    const struct iommu_reason_row *row = &iommu_reasons[c->reason];
    struct iommu_translation to;
    uint64_t high;

    open_case(c);
    if (c->reason == IOMMU_root_access) {               /* a root table whose end is beyond RAM */
        set_register(&w, VTD_rtaddr, 8, ABSENT_RAM);
        world_command(&w, VTD_SRTP);
    }
    if (c->pa)
        store(&w, c->pa, c->value);
    if (c->pa2)
        store(&w, c->pa2, c->value2);
    to = iommu_translate(&w.iommu, &c->request);
    ck_assert_msg(to.reason == c->reason, "case %d: %s, not %s", _i, to.reason ? iommu_reasons[to.reason].name : "granted", row->name);
    ck_assert_uint_eq(w.refusals, 1);
    ck_assert(w.refusal.recorded);
    high = get_register(&w, VTD_RECORDS + 8, 8);
    ck_assert_uint_eq(high >> VTD_RECORD_FR_SHIFT & 0xff, c->mode == LEGACY ? row->legacy : row->scalable);
    ck_assert_uint_eq(high & 0xffff, c->request.source);
    ck_assert(high & VTD_RECORD_F);
    ck_assert_int_eq(!(high & VTD_RECORD_T1), c->request.access == IOMMU_WRITE);
    ck_assert_int_eq(!!(high & VTD_RECORD_T2), c->request.access == IOMMU_ATOMIC);
    ck_assert_uint_eq(high >> VTD_RECORD_AT_SHIFT & 3, c->request.kind);
    ck_assert_int_eq(!!(high & VTD_RECORD_PP), c->request.has_pasid);
    ck_assert_uint_eq(high >> VTD_RECORD_PV_SHIFT & 0xfffff, c->request.pasid);
    ck_assert_int_eq(!!(high & VTD_RECORD_PRIV), c->request.supervisor);
    ck_assert_int_eq(!!(high & VTD_RECORD_EXE), c->request.execute);
    ck_assert_uint_eq(get_register(&w, VTD_RECORDS, 8), c->request.address & PAGE_MASK);
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), VTD_FSTS_PPF);
    world_close(&w);
}
END_TEST

/* With FPD in the context entry what is qualified is refused all the same, told, and not recorded. */
START_TEST(fpd_keeps_the_record_empty)
{
    const struct refusal_case *c = &cases[_i];
    uint64_t place = c->mode == LEGACY ? CONTEXT_LEGACY : CONTEXT_SCALABLE;
    struct iommu_translation to;

    open_case(c);
    if (c->pa)
        store(&w, c->pa, c->value);
    if (c->pa2)
        store(&w, c->pa2, c->value2);
    if (c->reason == IOMMU_root_access) {
        set_register(&w, VTD_rtaddr, 8, ABSENT_RAM);
        world_command(&w, VTD_SRTP);
    } else {
        store(&w, place, memory_read64(&w.memory, place) | VTD_FPD);
    }
    to = iommu_translate(&w.iommu, &c->request);
    ck_assert_int_eq(to.reason, c->reason);
    ck_assert_int_eq(w.refusal.recorded, !iommu_reasons[c->reason].suppressible);
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), iommu_reasons[c->reason].suppressible ? 0 : VTD_FSTS_PPF);
    world_close(&w);
}
END_TEST

/* Of scalable mode the PASID directory's and table's entries may say it as well, what is remembered of them, too. */
START_TEST(fpd_of_a_pasid)
{
    for (unsigned in_table = 0; in_table < 2; in_table++) {
        const struct iommu_request write = { .source = DEVICE, .address = IOVA, .has_pasid = true, .pasid = PASID_SECOND, .access = IOMMU_WRITE };
        const uint64_t place = in_table ? pasid_entry(PASID_SECOND) : DIRECTORY;

        world_open_scalable(&w);
        store(&w, place, memory_read64(&w.memory, place) | VTD_FPD);
        store(&w, SECOND_LEAF_4, PAGE | VTD_SECOND_READ);
        for (unsigned again = 0; again < 2; again++) {
            ck_assert_int_eq(iommu_translate(&w.iommu, &write).reason, IOMMU_second_write);
            ck_assert(!w.refusal.recorded);
        }
        world_close(&w);
    }
}
END_TEST

/* A translation request that rights refuse is answered so, and is no fault. */
START_TEST(rights_are_no_fault_of_a_translation_request)
{
    world_open_scalable(&w);
    store(&w, SECOND_LEAF_4, PAGE);
    ck_assert_int_eq(iommu_translate(&w.iommu, &(struct iommu_request){ .source = DEVICE, .address = IOVA, .kind = IOMMU_TRANSLATION }).reason,
                     IOMMU_second_absent);
    ck_assert(!w.refusal.recorded);
    store(&w, SECOND, (SECOND + 0x1000) | SECOND_RW | VTD_SECOND_SNOOP);
    ck_assert_int_eq(iommu_translate(&w.iommu, &(struct iommu_request){ .source = DEVICE, .address = IOVA, .kind = IOMMU_TRANSLATION }).reason,
                     IOMMU_second_reserved);
    ck_assert(w.refusal.recorded);
    world_close(&w);
}
END_TEST

START_TEST(modes_of_the_root_table)
{
    struct iommu_request read = { .source = DEVICE, .address = IOVA };

    world_open_legacy(&w);
    set_register(&w, VTD_rtaddr, 8, ROOT | VTD_TTM_RESERVED << 10);
    ck_assert_int_eq(iommu_translate(&w.iommu, &read).reason, IOMMU_GRANTED);       /* not in force before SRTP */
    world_command(&w, VTD_SRTP);
    ck_assert_int_eq(iommu_translate(&w.iommu, &read).reason, IOMMU_mode);
    set_register(&w, VTD_rtaddr, 8, ROOT | VTD_TTM_SCALABLE << 10);
    world_command(&w, VTD_SRTP);
    ck_assert_int_eq(iommu_translate(&w.iommu, &read).reason, IOMMU_mode);          /* this profile has no scalable mode */
    ck_assert_uint_eq(w.refusal.value, 0x30);
    set_register(&w, VTD_rtaddr, 8, ROOT | VTD_TTM_ABORT << 10);
    world_command(&w, VTD_SRTP);
    ck_assert_int_eq(iommu_translate(&w.iommu, &read).reason, IOMMU_mode);
    world_close(&w);
}
END_TEST

/* PMEN blocks what is not translated, in the two regions. */
START_TEST(protected_regions)
{
    world_open(&w, IOMMU_PROFILE_legacy);
    set_register(&w, VTD_plmbase, 4, 0x200000);
    set_register(&w, VTD_plmlimit, 4, 0x200000);
    set_register(&w, VTD_phmbase, 8, ~0ull);
    ck_assert_uint_eq(get_register(&w, VTD_phmbase, 8), 0x3fffffe00000);
    set_register(&w, VTD_pmen, 4, ~0u);
    ck_assert_uint_eq(get_register(&w, VTD_pmen, 4), VTD_PMEN_EPM | VTD_PMEN_PRS);
    for (uint64_t address = 0x1ff000; address <= 0x400000; address += 0x1000) {
        bool inside = address >= 0x200000 && address < 0x400000;

        ck_assert_int_eq(iommu_translate(&w.iommu, &(struct iommu_request){ .source = DEVICE, .address = address }).reason,
                         inside ? IOMMU_protected : IOMMU_GRANTED);
    }
    ck_assert(!w.refusal.recorded);
    set_register(&w, VTD_pmen, 4, 0);
    ck_assert_uint_eq(get_register(&w, VTD_pmen, 4), 0);
    ck_assert_int_eq(iommu_translate(&w.iommu, &(struct iommu_request){ .source = DEVICE, .address = 0x200000 }).reason, IOMMU_GRANTED);
    world_close(&w);
}
END_TEST

/* Every reason for which a DMA request is refused has a row above, or a test of its own here. */
START_TEST(no_reason_without_a_case)
{
    static const enum iommu_reason others[] = { IOMMU_mode, IOMMU_abort, IOMMU_protected };

    for (unsigned reason = 1; reason < IOMMU_REASONS; reason++) {
        bool found = iommu_reasons[reason].group != IOMMU_GROUP_DMA;

        for (unsigned i = 0; i < CASES && !found; i++)
            found = cases[i].reason == reason;
        for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]) && !found; i++)
            found = others[i] == reason;
        ck_assert_msg(found, "%s", iommu_reasons[reason].name);
    }
}
END_TEST

/* The numbers by which drivers know them: fault reasons of legacy and of scalable mode, written down once more. The others are software's mistakes, or have none. */
START_TEST(fault_reasons_by_number)
{
    static const struct { enum iommu_reason reason; uint8_t legacy, scalable; } numbers[] = {
        { IOMMU_mode, 0x30, 0x30 }, { IOMMU_legacy_pasid, 0x31, 0x0 }, { IOMMU_root_access, 0x08, 0x38 },
        { IOMMU_root_absent, 0x01, 0x39 }, { IOMMU_root_reserved, 0x0a, 0x3a }, { IOMMU_context_access, 0x09, 0x40 },
        { IOMMU_context_absent, 0x02, 0x41 }, { IOMMU_context_reserved, 0x0b, 0x42 }, { IOMMU_context_width, 0x03, 0x0 },
        { IOMMU_context_type, 0x03, 0x0 }, { IOMMU_context_kind, 0x0d, 0x44 }, { IOMMU_context_pasid, 0x0, 0x45 },
        { IOMMU_pasid_range, 0x0, 0x46 }, { IOMMU_rid_pasid_range, 0x0, 0x43 }, { IOMMU_directory_access, 0x0, 0x50 },
        { IOMMU_directory_absent, 0x0, 0x51 }, { IOMMU_directory_reserved, 0x0, 0x52 }, { IOMMU_pasid_access, 0x0, 0x58 },
        { IOMMU_pasid_absent, 0x0, 0x59 }, { IOMMU_pasid_reserved, 0x0, 0x5a }, { IOMMU_pasid_type, 0x0, 0x5b },
        { IOMMU_pasid_width, 0x0, 0x5b }, { IOMMU_pasid_supervisor, 0x0, 0x5d }, { IOMMU_first_access, 0x0, 0x70 },
        { IOMMU_first_absent, 0x0, 0x71 }, { IOMMU_first_reserved, 0x0, 0x72 }, { IOMMU_first_root, 0x0, 0x73 },
        { IOMMU_nested_range, 0x0, 0x74 }, { IOMMU_nested_root, 0x0, 0x75 }, { IOMMU_nested_read, 0x0, 0x76 },
        { IOMMU_nested_write, 0x0, 0x77 }, { IOMMU_second_access, 0x07, 0x78 }, { IOMMU_second_absent, 0x0, 0x79 },
        { IOMMU_second_reserved, 0x0c, 0x7a }, { IOMMU_second_root, 0x03, 0x7b }, { IOMMU_second_snoop, 0x0, 0x7c },
        { IOMMU_first_canonical, 0x0, 0x80 }, { IOMMU_first_user, 0x0, 0x81 }, { IOMMU_first_execute, 0x0, 0x82 },
        { IOMMU_pass_range, 0x04, 0x83 }, { IOMMU_second_range, 0x04, 0x84 }, { IOMMU_first_write, 0x0, 0x85 },
        { IOMMU_second_write, 0x05, 0x85 }, { IOMMU_second_read, 0x06, 0x86 }, { IOMMU_output, 0x0e, 0x87 },
        { IOMMU_first_snoop, 0x0, 0x90 }, { IOMMU_interrupt_request, 0x20, 0x20 }, { IOMMU_interrupt_index, 0x21, 0x21 },
        { IOMMU_interrupt_absent, 0x22, 0x22 }, { IOMMU_interrupt_access, 0x23, 0x23 },
        { IOMMU_interrupt_reserved, 0x24, 0x24 }, { IOMMU_interrupt_compatible, 0x25, 0x25 },
        { IOMMU_interrupt_source, 0x26, 0x26 }, { IOMMU_posted_access, 0x27, 0x27 },
        { IOMMU_posted_reserved, 0x28, 0x28 },
    };
    unsigned with_number = 0;

    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const struct iommu_reason_row *row = &iommu_reasons[numbers[i].reason];

        ck_assert_msg(row->legacy == numbers[i].legacy && row->scalable == numbers[i].scalable, "%s: 0x%x, 0x%x", row->name, row->legacy, row->scalable);
    }
    for (unsigned reason = 1; reason < IOMMU_REASONS; reason++)
        with_number += (iommu_reasons[reason].group == IOMMU_GROUP_DMA || iommu_reasons[reason].group == IOMMU_GROUP_INTERRUPT) &&
                       (iommu_reasons[reason].legacy || iommu_reasons[reason].scalable);
    ck_assert_uint_eq(with_number, sizeof(numbers) / sizeof(numbers[0]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iommu_reason");
    TCase *refusals = tcase_create("refusals");

    tcase_add_test(refusals, sound_tables_grant);
    tcase_add_loop_test(refusals, one_change_refuses, 0, CASES);
    tcase_add_loop_test(refusals, fpd_keeps_the_record_empty, 0, CASES);
    tcase_add_test(refusals, fpd_of_a_pasid);
    tcase_add_test(refusals, rights_are_no_fault_of_a_translation_request);
    tcase_add_test(refusals, modes_of_the_root_table);
    tcase_add_test(refusals, protected_regions);
    tcase_add_test(refusals, no_reason_without_a_case);
    tcase_add_test(refusals, fault_reasons_by_number);
    suite_add_tcase(suite, refusals);
    return suite_run(suite);
}
