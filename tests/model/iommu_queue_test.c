/* SPDX-License-Identifier: MIT */
/* The invalidation queue and the invalidations by register: what goes, what stays, what is refused. VT-d, 6.2, 6.5. */
#include "tests/model/iommu_fixture.h"

static struct iommu_world w;
static unsigned tail;

static void enable(uint64_t bits)
{
    set_register(&w, VTD_iqa, 8, QUEUE | bits);
    world_command(&w, VTD_QIE);
    tail = 0;
}

/* One descriptor more, of 128 bits, or of 256. */
static void submit(uint64_t low, uint64_t high)
{
    unsigned bytes = w.iommu.queue & VTD_IQA_DW ? 32 : 16;

    store(&w, QUEUE + tail, low);
    store(&w, QUEUE + tail + 8, high);
    tail = (tail + bytes) % (unsigned)PAGE_SIZE;
    set_register(&w, VTD_iqt, 8, tail);
}

static struct iommu_translation translate(uint64_t address, uint32_t pasid)
{
    return iommu_translate(&w.iommu, &(struct iommu_request){ .source = DEVICE, .address = address, .has_pasid = pasid > 0, .pasid = pasid });
}

#define CONTEXT_LEGACY (CONTEXT + (DEVICE & 0xff) * 16)
#define LEAF_3 (SECOND + 0x2000 + 8)
#define GRANULE(n) ((uint64_t)(n) << 4)
#define DID(n) ((uint64_t)(n) << 16)
#define SID(n) ((uint64_t)(n) << 32)

/* ---- scopes ---- */

/* Remembers a page, takes it away in memory, submits, and says whether the unit still has it. */
static bool kept_after(uint64_t low, uint64_t high)
{
    bool kept;

    store(&w, LEAF_3, PAGE | SECOND_RW);
    ck_assert_int_eq(translate(IOVA, 0).reason, IOMMU_GRANTED);
    store(&w, LEAF_3, 0);
    submit(low, high);
    kept = !translate(IOVA, 0).reason;
    submit(2 | GRANULE(1), 0);
    set_register(&w, VTD_RECORDS + 12, 4, 1u << 31);
    w.iommu.next_record = 0;
    return kept;
}

START_TEST(pages)
{
    static const struct {
        uint64_t low, high;
        bool kept;
    } cases[] = {
        { 2 | GRANULE(1), 0, false },
        { 2 | GRANULE(2) | DID(DOMAIN_ID), 0, false },
        { 2 | GRANULE(2) | DID(DOMAIN_ID + 1), 0, true },
        { 2 | GRANULE(3) | DID(DOMAIN_ID), IOVA, false },
        { 2 | GRANULE(3) | DID(DOMAIN_ID), IOVA | 1 << 6, false },
        { 2 | GRANULE(3) | DID(DOMAIN_ID), IOVA + 0x1000, true },
        { 2 | GRANULE(3) | DID(DOMAIN_ID), 1, false },                  /* pages 0 and 1 */
        { 2 | GRANULE(3) | DID(DOMAIN_ID), 0x3000 | 1, true },
        { 2 | GRANULE(3) | DID(DOMAIN_ID), 0x3000 | 2, false },         /* the low bits of the address do not count */
        { 2 | GRANULE(3) | DID(DOMAIN_ID + 1), IOVA, true },
        { 1 | GRANULE(1), 0, true },                                    /* contexts are another matter */
        { 5 | 2 << 4, STATUS, true },
    };

    world_open_legacy(&w);
    enable(0);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(kept_after(cases[i].low, cases[i].high) == cases[i].kept, "%u", i);
    ck_assert(w.stale >= 5);
    world_close(&w);
}
END_TEST

/* A domain's id in the context entry, changed: is the old one used still? */
START_TEST(contexts)
{
    static const struct {
        uint64_t low;
        bool kept;
    } cases[] = {
        { 1 | GRANULE(1), false },
        { 1 | GRANULE(2) | DID(DOMAIN_ID), false },
        { 1 | GRANULE(2) | DID(DOMAIN_ID + 1), true },
        { 1 | GRANULE(3) | DID(DOMAIN_ID) | SID(DEVICE), false },
        { 1 | GRANULE(3) | DID(DOMAIN_ID) | SID(DEVICE + 1), true },
        { 1 | GRANULE(3) | DID(DOMAIN_ID) | SID(DEVICE ^ 4) | 1ull << 48, false },
        { 1 | GRANULE(3) | DID(DOMAIN_ID) | SID(DEVICE ^ 1) | 1ull << 48, true },
        { 1 | GRANULE(3) | DID(DOMAIN_ID) | SID(DEVICE ^ 7) | 3ull << 48, false },
        { 1 | GRANULE(3) | DID(DOMAIN_ID + 1) | SID(DEVICE), true },
        { 2 | GRANULE(1), true },
    };

    world_open_legacy(&w);
    enable(0);
    world_tables(&w, SECOND + 0x4000, 3, SECOND_RW, PAGE + 0x1000);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        store(&w, CONTEXT_LEGACY, SECOND | VTD_PRESENT);
        submit(1 | GRANULE(1), 0);
        submit(2 | GRANULE(1), 0);
        ck_assert_uint_eq(translate(IOVA, 0).pa, PAGE);
        store(&w, CONTEXT_LEGACY, (SECOND + 0x4000) | VTD_PRESENT);
        submit(cases[i].low, 0);
        submit(2 | GRANULE(1), 0);
        ck_assert_msg((translate(IOVA, 0).pa == PAGE) == cases[i].kept, "%u", i);
    }
    world_close(&w);
}
END_TEST

#define LEAF_OF_FIRST (FIRST + 0x3000 + 8)
START_TEST(pasids_and_their_pages)
{
    static const struct {
        uint64_t low, high;
        bool entry_kept, page_kept;
    } cases[] = {
        { 7 | GRANULE(3), 0, false, true },
        { 7 | GRANULE(1) | DID(DOMAIN_ID + PASID_FIRST) | SID(PASID_FIRST), 0, false, true },
        { 7 | GRANULE(1) | DID(DOMAIN_ID + PASID_FIRST) | SID(PASID_FIRST + 1), 0, true, true },
        { 7 | GRANULE(0) | DID(DOMAIN_ID + PASID_FIRST), 0, false, true },
        { 7 | GRANULE(0) | DID(DOMAIN_ID), 0, true, true },
        { 6 | GRANULE(2) | DID(DOMAIN_ID + PASID_FIRST) | SID(PASID_FIRST), 0, true, false },
        { 6 | GRANULE(2) | DID(DOMAIN_ID + PASID_FIRST) | SID(PASID_FIRST + 1), 0, true, true },
        { 6 | GRANULE(3) | DID(DOMAIN_ID + PASID_FIRST) | SID(PASID_FIRST), IOVA, true, false },
        { 6 | GRANULE(3) | DID(DOMAIN_ID + PASID_FIRST) | SID(PASID_FIRST), IOVA + 0x1000, true, true },
        { 2 | GRANULE(2) | DID(DOMAIN_ID + PASID_FIRST), 0, true, false },
        { 2 | GRANULE(1), 0, true, false },
    };

    world_open_scalable(&w);
    enable(VTD_IQA_DW);
    world_tables(&w, FIRST + 0x8000, 4, FIRST_ALL, PAGE + 0x5000);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool entry_kept, page_kept;
        uint64_t pa;

        store(&w, pasid_entry(PASID_FIRST) + 16, FIRST);
        store(&w, LEAF_OF_FIRST, (PAGE + 0x1000) | FIRST_ALL);
        submit(7 | GRANULE(3), 0);
        submit(2 | GRANULE(1), 0);
        ck_assert_uint_eq(translate(IOVA, PASID_FIRST).pa, PAGE + 0x1000);
        store(&w, LEAF_OF_FIRST, (PAGE + 0x3000) | FIRST_ALL);
        submit(cases[i].low, cases[i].high);
        page_kept = translate(IOVA, PASID_FIRST).pa == PAGE + 0x1000;
        store(&w, pasid_entry(PASID_FIRST) + 16, FIRST + 0x8000);
        submit(cases[i].low, cases[i].high);
        submit(2 | GRANULE(1), 0);
        pa = translate(IOVA, PASID_FIRST).pa;
        entry_kept = pa == PAGE + 0x3000;
        ck_assert_msg(page_kept == cases[i].page_kept && entry_kept == cases[i].entry_kept, "%u: %d %d", i, page_kept, entry_kept);
    }
    ck_assert_uint_eq(w.refusals, 0);
    world_close(&w);
}
END_TEST

/* A page of the second stage: what is nested in it is found at other addresses, so all of the domain's nested pages go. */
START_TEST(nested_pages_go_with_the_second_stage)
{
    world_open_scalable(&w);
    enable(VTD_IQA_DW);
    ck_assert_uint_eq(translate(IOVA, PASID_NESTED).pa, PAGE + 0x1000);
    store(&w, LEAF_OF_FIRST, (PAGE + 0x3000) | FIRST_ALL);
    submit(2 | GRANULE(3) | DID(DOMAIN_ID + PASID_NESTED), 0x1ff000);
    ck_assert_uint_eq(translate(IOVA, PASID_NESTED).pa, PAGE + 0x3000);
    world_close(&w);
}
END_TEST

/* Large pages are found by any address in them, and go by any. */
START_TEST(large_pages)
{
    world_open_legacy(&w);
    enable(0);
    store(&w, SECOND + 0x1000, 0x200000 | VTD_SECOND_LARGE | SECOND_RW);
    ck_assert_uint_eq(translate(IOVA, 0).pa, 0x200000 + IOVA);
    ck_assert_uint_eq(translate(IOVA, 0).size, 0x200000);
    store(&w, SECOND + 0x1000, VTD_SECOND_LARGE | SECOND_RW);
    ck_assert_uint_eq(translate(0x1ff008, 0).pa, 0x3ff008);
    submit(2 | GRANULE(3) | DID(DOMAIN_ID), 0x200000);
    ck_assert_uint_eq(translate(0x1ff008, 0).pa, 0x3ff008);
    submit(2 | GRANULE(3) | DID(DOMAIN_ID), 0x80000);
    ck_assert_uint_eq(translate(0x1ff008, 0).pa, 0x1ff008);
    world_close(&w);
}
END_TEST

/* What refused once is asked anew: nothing negative is remembered (CAP.CM is 0). */
START_TEST(nothing_negative_is_remembered)
{
    world_open_legacy(&w);
    store(&w, CONTEXT_LEGACY, 0);
    ck_assert_int_eq(translate(IOVA, 0).reason, IOMMU_context_absent);
    store(&w, CONTEXT_LEGACY, SECOND | VTD_PRESENT);
    store(&w, LEAF_3, 0);
    ck_assert_int_eq(translate(IOVA, 0).reason, IOMMU_second_read);
    store(&w, LEAF_3, PAGE | VTD_SECOND_READ);
    ck_assert_int_eq(translate(IOVA, 0).reason, IOMMU_GRANTED);
    ck_assert_uint_eq(w.stale, 0);
    world_close(&w);
}
END_TEST

/* By the policy what is remembered is used, dropped, or either by chance; only a use that leads elsewhere, or gives more, is stale. */
START_TEST(policies)
{
    unsigned used = 0;

    world_open_legacy(&w);
    w.iommu.policy = TLB_SEEDED;
    for (unsigned i = 0; i < 64; i++) {
        store(&w, LEAF_3, PAGE | SECOND_RW);
        iommu_register_write(&w.iommu, VTD_iotlb + 4, 4, 1u << 31 | 1 << 28);
        translate(IOVA, 0);
        store(&w, LEAF_3, (PAGE + 0x1000) | SECOND_RW);
        used += translate(IOVA, 0).stale;
    }
    ck_assert(used > 16 && used < 48);
    ck_assert_uint_eq(w.iommu.stale_uses, used);
    w.iommu.policy = TLB_KEEP;
    store(&w, LEAF_3, PAGE | VTD_SECOND_READ);
    iommu_register_write(&w.iommu, VTD_iotlb + 4, 4, 1u << 31 | 1 << 28);
    translate(IOVA, 0);
    store(&w, LEAF_3, PAGE | SECOND_RW);
    ck_assert(!translate(IOVA, 0).stale);
    ck_assert_int_eq(iommu_translate(&w.iommu, &(struct iommu_request){ .source = DEVICE, .address = IOVA, .access = IOMMU_WRITE }).reason, IOMMU_GRANTED);
    world_close(&w);
}
END_TEST

/*
 * What was found through other tables: the entry above leads elsewhere now, and was invalidated, but what was remembered below it was not. Its own
 * entries in memory are as they were, so that only where they are tells.
 */
START_TEST(other_tables_with_what_the_old_ones_gave)
{
    world_open_legacy(&w);
    enable(0);
    world_tables(&w, SECOND + 0x8000, 3, SECOND_RW, PAGE + 0x1000);
    ck_assert_uint_eq(translate(IOVA, 0).pa, PAGE);
    store(&w, CONTEXT_LEGACY, (SECOND + 0x8000) | VTD_PRESENT);
    submit(1 | GRANULE(1), 0);                              /* the context, and not the pages of its domain */
    ck_assert(translate(IOVA, 0).stale);
    ck_assert_uint_eq(w.stale, 1);
    ck_assert_uint_eq(translate(IOVA, 0).pa, PAGE);
    submit(2 | GRANULE(2) | DID(DOMAIN_ID), 0);
    ck_assert_uint_eq(translate(IOVA, 0).pa, PAGE + 0x1000);
    /* another root table, and no invalidation */
    store(&w, ROOT + 0x8000 + 16, (CONTEXT + 0x8000) | VTD_PRESENT);
    set_register(&w, VTD_rtaddr, 8, ROOT + 0x8000);
    world_command(&w, VTD_SRTP);
    ck_assert(translate(IOVA, 0).stale);
    submit(1 | GRANULE(1), 0);
    ck_assert_int_eq(translate(IOVA, 0).reason, IOMMU_context_absent);
    world_close(&w);
}
END_TEST

START_TEST(another_pasid_directory)
{
    const uint64_t context = CONTEXT + (DEVICE & 0x7f) * 32, directory = DIRECTORY + 0x8000, pasids = PASIDS + 0x8000;

    world_open_scalable(&w);
    enable(VTD_IQA_DW);
    ck_assert_uint_eq(translate(IOVA, PASID_FIRST).pa, PAGE + 0x1000);
    store(&w, directory, pasids | VTD_PRESENT);
    store(&w, context, directory | VTD_CONTEXT_PASIDE | VTD_CONTEXT_DTE | VTD_PRESENT);
    submit(1 | GRANULE(1), 0);
    ck_assert(translate(IOVA, PASID_FIRST).stale);
    submit(7 | GRANULE(3), 0);
    ck_assert_int_eq(translate(IOVA, PASID_FIRST).reason, IOMMU_pasid_absent);
    /* the same tables by another entry are no difference, and pages of other rights under the same PASID are */
    for (unsigned i = 0; i < 64; i += 8)
        store(&w, pasids + 64 * PASID_FIRST + i, memory_read64(&w.memory, pasid_entry(PASID_FIRST) + i));
    w.stale = 0;
    ck_assert(!translate(IOVA, PASID_FIRST).stale);
    store(&w, pasids + 64 * PASID_FIRST + 16, FIRST + 0x8000);
    submit(7 | GRANULE(3), 0);
    ck_assert(translate(IOVA, PASID_FIRST).stale);
    ck_assert_uint_eq(w.stale, 1);
    world_close(&w);
}
END_TEST

/* ---- registers ---- */

START_TEST(by_register)
{
    world_open_legacy(&w);
    translate(IOVA, 0);
    store(&w, LEAF_3, 0);
    set_register(&w, VTD_iva, 8, IOVA);
    set_register(&w, VTD_iotlb, 8, VTD_IOTLB_IVT | 3ull << 60 | (uint64_t)DOMAIN_ID << 32);
    ck_assert_uint_eq(get_register(&w, VTD_iotlb, 8), 3ull << 60 | 3ull << VTD_IOTLB_IAIG_SHIFT | (uint64_t)DOMAIN_ID << 32);
    ck_assert_int_eq(translate(IOVA, 0).reason, IOMMU_second_read);
    store(&w, CONTEXT_LEGACY, 0);
    set_register(&w, VTD_ccmd, 4, (uint32_t)DEVICE << 16 | DOMAIN_ID);
    ck_assert_int_eq(translate(IOVA, 0).reason, IOMMU_second_read);             /* the upper half starts it */
    set_register(&w, VTD_ccmd + 4, 4, 1u << 31 | 3u << 29);
    ck_assert_uint_eq(get_register(&w, VTD_ccmd + 4, 4), 3u << 29 | 3u << 27);
    ck_assert_int_eq(translate(IOVA, 0).reason, IOMMU_context_absent);
    set_register(&w, VTD_ccmd + 4, 4, 1u << 31);
    ck_assert_int_eq(w.refusal.reason, IOMMU_queue_granularity);
    enable(0);
    set_register(&w, VTD_iotlb + 4, 4, 1u << 31 | 1u << 28);
    ck_assert_int_eq(w.refusal.reason, IOMMU_command_by_register);
    ck_assert_uint_eq(get_register(&w, VTD_iotlb + 4, 4) >> 25, 1u << 28 >> 25);
    world_close(&w);
}
END_TEST

/* ---- the queue itself ---- */

START_TEST(wait_descriptors)
{
    world_open_legacy(&w);
    set_register(&w, VTD_iectl, 4, 0);
    set_register(&w, VTD_iedata, 4, 0x4042);
    set_register(&w, VTD_ieaddr, 4, 0xfee03000);
    enable(0);
    submit(5 | 2 << 4 | 0x12345678ull << 32, STATUS);
    ck_assert_uint_eq(memory_read64(&w.memory, STATUS), 0x12345678);
    ck_assert_uint_eq(w.messages, 0);
    submit(5 | 1 << 4, 0);
    submit(5 | 7 << 4 | 0x9ull << 32, STATUS);          /* the interrupt is not acknowledged yet: no other */
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_uint_eq(w.message.address, 0xfee03000);
    ck_assert_uint_eq(w.message.data, 0x4042);
    ck_assert_uint_eq(memory_read64(&w.memory, STATUS), 9);
    ck_assert_uint_eq(get_register(&w, VTD_ics, 4), VTD_ICS_IWC);
    set_register(&w, VTD_ics, 4, VTD_ICS_IWC);
    ck_assert_uint_eq(get_register(&w, VTD_ics, 4), 0);
    submit(5 | 1 << 4, 0);
    ck_assert_uint_eq(w.messages, 2);
    ck_assert_uint_eq(get_register(&w, VTD_iqh, 8), tail);
    world_close(&w);
}
END_TEST

START_TEST(wraps)
{
    world_open_legacy(&w);
    enable(0);
    for (uint64_t i = 0; i < 300; i++) {
        submit(5 | 2 << 4 | i << 32, STATUS);
        ck_assert_uint_eq(memory_read64(&w.memory, STATUS), i);
    }
    ck_assert_uint_eq(get_register(&w, VTD_iqh, 8), 300 % 256 * 16);
    world_close(&w);
}
END_TEST

/* A tail that was written before the queue is enabled counts when it is. */
START_TEST(tail_before_enabling)
{
    world_open_legacy(&w);
    store(&w, QUEUE, 5 | 2 << 4 | 1ull << 32);
    store(&w, QUEUE + 8, STATUS);
    set_register(&w, VTD_iqt, 8, 16);
    ck_assert_uint_eq(memory_read64(&w.memory, STATUS), 0);
    enable(0);
    ck_assert_uint_eq(memory_read64(&w.memory, STATUS), 1);
    set_register(&w, VTD_iqa, 8, ABSENT_RAM);           /* not in force before the queue is enabled anew */
    tail = 16;
    submit(5 | 2 << 4 | 2ull << 32, STATUS);
    ck_assert_uint_eq(memory_read64(&w.memory, STATUS), 2);
    world_close(&w);
}
END_TEST

static const struct {
    enum iommu_reason reason;
    bool scalable;
    uint64_t queue, low, high, third;
} errors[] = {
    { IOMMU_queue_type, false, 0, 0, 0, 0 },
    { IOMMU_queue_type, false, 0, 6 | GRANULE(2), 0, 0 },               /* scalable mode's */
    { IOMMU_queue_type, false, 0, 3, 0, 0 },                            /* this profile has no device TLBs */
    { IOMMU_queue_type, true, VTD_IQA_DW, 9, 0, 0 },
    { IOMMU_queue_type, true, VTD_IQA_DW, 2 | 1 << 9, 0, 0 },
    { IOMMU_queue_reserved, false, 0, 1 | GRANULE(1) | 1 << 6, 0, 0 },
    { IOMMU_queue_reserved, false, 0, 1 | GRANULE(1), 1, 0 },
    { IOMMU_queue_reserved, false, 0, 2 | GRANULE(1) | 1 << 8, 0, 0 },
    { IOMMU_queue_reserved, false, 0, 2 | GRANULE(1), 1 << 7, 0 },
    { IOMMU_queue_reserved, false, 0, 4 | 1ull << 48, 0, 0 },
    { IOMMU_queue_reserved, false, 0, 5 | 1 << 7, 0, 0 },
    { IOMMU_queue_reserved, false, 0, 5, 1, 0 },
    { IOMMU_queue_reserved, true, VTD_IQA_DW, 5, 0, 1 },
    { IOMMU_queue_granularity, false, 0, 1, 0, 0 },
    { IOMMU_queue_granularity, false, 0, 2, 0, 0 },
    { IOMMU_queue_granularity, false, 0, 2 | GRANULE(3), 19, 0 },
    { IOMMU_queue_granularity, false, 0, 4 | 0x10 | 16ull << 27, 0, 0 },
    { IOMMU_queue_granularity, true, VTD_IQA_DW, 6, 0, 0 },
    { IOMMU_queue_granularity, true, VTD_IQA_DW, 7 | GRANULE(2), 0, 0 },
    { IOMMU_queue_status, false, 0, 5 | 2 << 4, ABSENT_RAM, 0 },
    { IOMMU_queue_width, true, 0, 5, 0, 0 },
};
enum { ERRORS = sizeof(errors) / sizeof(errors[0]) };

/* The head stays at the descriptor that is wrong; software mends it, acknowledges the error, and the unit goes on by itself. */
START_TEST(a_wrong_descriptor_stops_the_queue)
{
    if (errors[_i].scalable)
        world_open_scalable(&w);
    else
        world_open_legacy(&w);
    enable(errors[_i].queue);
    store(&w, QUEUE + 16, errors[_i].third);
    if (w.iommu.queue & VTD_IQA_DW)
        submit(5, 0);
    else
        submit(4, 0);
    if (errors[_i].third || errors[_i].reason == IOMMU_queue_width) {
        ck_assert(get_register(&w, VTD_fsts, 4) & VTD_FSTS_IQE);
        ck_assert_int_eq(w.refusal.reason, errors[_i].reason);
        world_close(&w);
        return;
    }
    submit(errors[_i].low, errors[_i].high);
    ck_assert_msg(w.refusal.reason == errors[_i].reason, "case %d: %s", _i, iommu_reasons[w.refusal.reason].name ? iommu_reasons[w.refusal.reason].name : "");
    ck_assert(get_register(&w, VTD_fsts, 4) & VTD_FSTS_IQE);
    ck_assert_uint_eq(get_register(&w, VTD_iqh, 8), errors[_i].queue ? 32 : 16);
    ck_assert_uint_eq(get_register(&w, VTD_iqercd, 8), iommu_reasons[errors[_i].reason].legacy);
    submit(5 | 2 << 4 | 7ull << 32, STATUS);
    ck_assert_uint_eq(memory_read64(&w.memory, STATUS), 0);
    store(&w, QUEUE + (errors[_i].queue ? 32 : 16), 5);
    store(&w, QUEUE + (errors[_i].queue ? 40 : 24), 0);
    set_register(&w, VTD_fsts, 4, VTD_FSTS_IQE);
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), 0);
    ck_assert_uint_eq(memory_read64(&w.memory, STATUS), 7);
    ck_assert_uint_eq(get_register(&w, VTD_iqh, 8), tail);
    world_close(&w);
}
END_TEST

START_TEST(wrong_tails_and_places)
{
    world_open_legacy(&w);
    enable(0);
    set_register(&w, VTD_iqt, 8, PAGE_SIZE);
    ck_assert_int_eq(w.refusal.reason, IOMMU_queue_tail);
    ck_assert_uint_eq(get_register(&w, VTD_iqh, 8), 0);
    world_close(&w);
    world_open_scalable(&w);
    enable(VTD_IQA_DW);
    set_register(&w, VTD_iqt, 8, 0x10);
    ck_assert_int_eq(w.refusal.reason, IOMMU_queue_aligned);
    world_close(&w);
    world_open_legacy(&w);
    set_register(&w, VTD_iqa, 8, ABSENT_RAM);
    world_command(&w, VTD_QIE);
    set_register(&w, VTD_iqt, 8, 0x10);
    ck_assert_int_eq(w.refusal.reason, IOMMU_queue_fetch);
    world_command(&w, 0);
    set_register(&w, VTD_gcmd, 4, 0);
    ck_assert_int_eq(w.refusal.reason, IOMMU_command_queue);
    world_close(&w);
    world_open_legacy(&w);
    set_register(&w, VTD_rtaddr, 8, ROOT | VTD_TTM_RESERVED << 10);
    world_command(&w, VTD_SRTP);
    enable(0);
    submit(5, 0);
    ck_assert_int_eq(w.refusal.reason, IOMMU_queue_mode);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iommu_queue");
    TCase *tests = tcase_create("queue");

    tcase_add_test(tests, pages);
    tcase_add_test(tests, contexts);
    tcase_add_test(tests, pasids_and_their_pages);
    tcase_add_test(tests, nested_pages_go_with_the_second_stage);
    tcase_add_test(tests, large_pages);
    tcase_add_test(tests, nothing_negative_is_remembered);
    tcase_add_test(tests, policies);
    tcase_add_test(tests, other_tables_with_what_the_old_ones_gave);
    tcase_add_test(tests, another_pasid_directory);
    tcase_add_test(tests, by_register);
    tcase_add_test(tests, wait_descriptors);
    tcase_add_test(tests, wraps);
    tcase_add_test(tests, tail_before_enabling);
    tcase_add_loop_test(tests, a_wrong_descriptor_stops_the_queue, 0, ERRORS);
    tcase_add_test(tests, wrong_tails_and_places);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
