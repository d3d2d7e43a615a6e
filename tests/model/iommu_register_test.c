/* SPDX-License-Identifier: MIT */
/* The registers of a remapping unit, its commands and events, the fault records: VT-d, 11.4, 7.2, 7.3. */
#include "tests/model/iommu_fixture.h"

static struct iommu_world w;

static const struct {
    uint32_t offset;
    unsigned size;
    uint64_t reset, writable, clear;
    const char *title;
} rows[] = {
#define VTD_REGISTER(name, offset, size, reset, writable, clear, action, title) { offset, size, reset, writable, clear, title },
#include "arch/vtd_registers.def"
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

/* What a write starts changes more than the register: these have tests of their own. */
static bool plain(uint32_t offset)
{
    switch (offset) {
    case VTD_ver:
    case VTD_cap:
    case VTD_ecap:
    case VTD_ccmd:
    case VTD_iotlb:
    case VTD_pmen:
        return false;
    default:
        return true;
    }
}

START_TEST(reset_values_and_masks)
{
    bool all = _i == IOMMU_PROFILE_scalable;            /* the profile that has what all the bits are for */

    world_open(&w, (enum iommu_profile_id)_i);
    ck_assert_uint_eq(get_register(&w, VTD_ver, 4), 0x10);
    ck_assert_uint_eq(get_register(&w, VTD_cap, 8) >> VTD_CAP_FRO_SHIFT & 0x3ff, VTD_RECORDS / 16);
    ck_assert_uint_eq(get_register(&w, VTD_ecap, 8) >> VTD_ECAP_IRO_SHIFT & 0x3ff, VTD_iva / 16);
    for (unsigned i = 0; i < ROWS; i++) {
        uint64_t writable = rows[i].writable & (rows[i].offset == VTD_iqa && !all ? ~VTD_IQA_DW : ~0ull);

        if (rows[i].offset == VTD_phmbase || rows[i].offset == VTD_phmlimit)
            writable &= (1ull << HOST_WIDTH) - 1;
        if (!plain(rows[i].offset))
            continue;
        ck_assert_uint_eq(get_register(&w, rows[i].offset, rows[i].size), rows[i].reset);
        if (rows[i].offset == VTD_gcmd)
            continue;
        set_register(&w, rows[i].offset, rows[i].size, ~0ull);
        ck_assert_msg(get_register(&w, rows[i].offset, rows[i].size) == ((rows[i].reset & ~rows[i].writable) | writable), "%s", rows[i].title);
        if (rows[i].size == 8) {                        /* the halves by themselves */
            set_register(&w, rows[i].offset + 4, 4, 0);
            ck_assert_uint_eq(get_register(&w, rows[i].offset, 8), (uint32_t)writable);
            set_register(&w, rows[i].offset, 4, 0);
            set_register(&w, rows[i].offset + 4, 4, ~0ull);
            ck_assert_uint_eq(get_register(&w, rows[i].offset, 8), writable & ~0xffffffffull);
            ck_assert_uint_eq(get_register(&w, rows[i].offset + 4, 4), writable >> 32);
        }
        set_register(&w, rows[i].offset, rows[i].size, 0);
        ck_assert_uint_eq(get_register(&w, rows[i].offset, rows[i].size), rows[i].reset & ~rows[i].writable);
        ck_assert_str_eq(iommu_register_title(rows[i].offset), rows[i].title);
    }
    ck_assert_uint_eq(w.refusals, 0);
    iommu_reset(&w.iommu);
    for (unsigned i = 0; i < ROWS; i++)
        ck_assert(!plain(rows[i].offset) || get_register(&w, rows[i].offset, rows[i].size) == rows[i].reset);
    world_close(&w);
}
END_TEST

/* 8 bytes over two registers of 4 are two accesses. */
START_TEST(two_registers_at_once)
{
    world_open(&w, IOMMU_PROFILE_legacy);
    set_register(&w, VTD_feaddr, 8, 0x12345678fee01004);
    ck_assert_uint_eq(get_register(&w, VTD_feaddr, 4), 0xfee01004);
    ck_assert_uint_eq(get_register(&w, VTD_feuaddr, 4), 0x12345678);
    ck_assert_uint_eq(get_register(&w, VTD_feaddr, 8), 0x12345678fee01004);
    set_register(&w, VTD_gcmd, 8, VTD_TE);
    ck_assert_uint_eq(get_register(&w, VTD_gcmd, 8), VTD_TE << 32);
    world_close(&w);
}
END_TEST

START_TEST(accesses_that_are_none)
{
    static const struct {
        uint32_t offset;
        unsigned size;
        enum iommu_reason reason;
    } bad[] = { { VTD_fectl, 1, IOMMU_register_access }, { VTD_fectl, 2, IOMMU_register_access }, { VTD_fectl + 2, 4, IOMMU_register_access },
                { VTD_rtaddr + 4, 8, IOMMU_register_access }, { VTD_WINDOW, 4, IOMMU_register_access }, { 0xfffffffc, 8, IOMMU_register_access },
                { 0x30, 4, IOMMU_register_none }, { VTD_RECORDS + 16 * VTD_RECORD_COUNT, 8, IOMMU_register_none }, { 0xff8, 8, IOMMU_register_none } };

    world_open(&w, IOMMU_PROFILE_legacy);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        w.refusal.reason = IOMMU_GRANTED;
        ck_assert_uint_eq(get_register(&w, bad[i].offset, bad[i].size), 0);
        ck_assert_int_eq(w.refusal.reason, bad[i].reason);
        w.refusal.reason = IOMMU_GRANTED;
        set_register(&w, bad[i].offset, bad[i].size, 0);
        ck_assert_int_eq(w.refusal.reason, bad[i].reason);
    }
    ck_assert_uint_eq(get_register(&w, VTD_fectl, 4), VTD_EVENT_MASK);
    world_close(&w);
}
END_TEST

/* Toggles are what was written last; commands leave their status set. */
START_TEST(commands)
{
    world_open(&w, IOMMU_PROFILE_legacy);
    world_command(&w, VTD_TE);
    ck_assert_int_eq(w.refusal.reason, IOMMU_command_root);
    ck_assert_uint_eq(get_register(&w, VTD_gsts, 4), VTD_TE);
    set_register(&w, VTD_gcmd, 4, 0);
    ck_assert_uint_eq(get_register(&w, VTD_gsts, 4), 0);
    set_register(&w, VTD_gcmd, 4, VTD_IRE);
    ck_assert_int_eq(w.refusal.reason, IOMMU_command_interrupt);
    set_register(&w, VTD_gcmd, 4, VTD_IRE | VTD_SIRTP | VTD_SRTP | VTD_WBF);
    ck_assert_uint_eq(get_register(&w, VTD_gsts, 4), VTD_IRE | VTD_SIRTP | VTD_SRTP);
    set_register(&w, VTD_gcmd, 4, VTD_QIE | VTD_CFI);
    ck_assert_uint_eq(get_register(&w, VTD_gsts, 4), VTD_QIE | VTD_CFI | VTD_SIRTP | VTD_SRTP);
    ck_assert_uint_eq(w.refusals, 2);
    world_close(&w);
}
END_TEST

static void fault(uint16_t source)
{
    iommu_translate(&w.iommu, &(struct iommu_request){ .source = source, .address = IOVA });
}

/* 7.2.1: records in turn, the first one named; what finds no free record overflows, once. */
START_TEST(records_in_turn)
{
    world_open_legacy(&w);
    for (unsigned i = 0; i < VTD_RECORD_COUNT; i++)
        fault((uint16_t)(0x200 + i));
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), VTD_FSTS_PPF);
    for (unsigned i = 0; i < VTD_RECORD_COUNT; i++)
        ck_assert_uint_eq(get_register(&w, VTD_RECORDS + 16 * i + 8, 4), 0x200 + i);
    fault(0x200);                                       /* absorbed by the record that is pending */
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), VTD_FSTS_PPF);
    fault(0x300);
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), VTD_FSTS_PPF | VTD_FSTS_PFO);
    set_register(&w, VTD_RECORDS + 12, 4, 0x7fffffff);
    ck_assert_uint_eq(get_register(&w, VTD_RECORDS + 12, 4) >> 31, 1);
    for (unsigned i = 0; i < VTD_RECORD_COUNT; i++) {
        ck_assert(get_register(&w, VTD_fsts, 4) & VTD_FSTS_PPF);
        set_register(&w, VTD_RECORDS + 16 * i + 12, 4, 1u << 31);
        ck_assert_uint_eq(get_register(&w, VTD_RECORDS + 16 * i + 12, 4) >> 31, 0);
    }
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), VTD_FSTS_PFO);
    fault(0x400);                                       /* the overflow is not acknowledged yet */
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), VTD_FSTS_PFO);
    set_register(&w, VTD_fsts, 4, VTD_FSTS_PFO);
    fault(0x400);
    fault(0x401);
    set_register(&w, VTD_RECORDS + 8, 8, VTD_RECORD_F);
    set_register(&w, VTD_RECORDS + 24, 8, VTD_RECORD_F);
    fault(0x402);
    ck_assert_uint_eq(get_register(&w, VTD_fsts, 4), VTD_FSTS_PPF | 2 << VTD_FSTS_FRI_SHIFT);
    world_close(&w);
}
END_TEST

/* 7.3: one message for the first cause; masked, it is pending until the mask or the cause goes. */
START_TEST(fault_event)
{
    world_open_legacy(&w);
    set_register(&w, VTD_fedata, 4, 0x4031);
    set_register(&w, VTD_feaddr, 8, 0x1fee02000);
    fault(0x200);
    ck_assert_uint_eq(get_register(&w, VTD_fectl, 4), VTD_EVENT_MASK | VTD_EVENT_PENDING);
    ck_assert_uint_eq(w.messages, 0);
    set_register(&w, VTD_fectl, 4, 0);
    ck_assert_uint_eq(w.messages, 1);
    ck_assert_uint_eq(w.message.address, 0x1fee02000);
    ck_assert_uint_eq(w.message.data, 0x4031);
    ck_assert_uint_eq(get_register(&w, VTD_fectl, 4), 0);
    fault(0x201);
    ck_assert_uint_eq(w.messages, 1);
    set_register(&w, VTD_RECORDS + 12, 4, 1u << 31);
    set_register(&w, VTD_RECORDS + 28, 4, 1u << 31);
    fault(0x202);
    ck_assert_uint_eq(w.messages, 2);
    set_register(&w, VTD_RECORDS + 44, 4, 1u << 31);
    set_register(&w, VTD_fectl, 4, VTD_EVENT_MASK);
    fault(0x203);
    set_register(&w, VTD_RECORDS + 60, 4, 1u << 31);
    ck_assert_uint_eq(get_register(&w, VTD_fectl, 4), VTD_EVENT_MASK);
    set_register(&w, VTD_fectl, 4, 0);
    ck_assert_uint_eq(w.messages, 2);
    world_close(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("iommu_register");
    TCase *tests = tcase_create("registers");

    tcase_add_loop_test(tests, reset_values_and_masks, 0, IOMMU_PROFILES);
    tcase_add_test(tests, two_registers_at_once);
    tcase_add_test(tests, accesses_that_are_none);
    tcase_add_test(tests, commands);
    tcase_add_test(tests, records_in_turn);
    tcase_add_test(tests, fault_event);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
