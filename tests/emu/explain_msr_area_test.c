/* SPDX-License-Identifier: MIT */
/*
 * What is told of an MSR area is what the processor does: of each entry, in each area, of guests with paging and without, a sentence comes
 * where the entry fails the VM entry (27.4) or aborts the VM exit (28.4, 28.6), and nowhere else; and it names that entry.
 */
#include "emu/explain/msr_area.h"

#include <stdio.h>

#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

static const struct { uint64_t index, value; } entries[] = {
    { MSR_ia32_star, 1 }, { MSR_ia32_lstar, 0x1000 }, { MSR_ia32_lstar, 1ull << 56 }, { MSR_ia32_pat, 0x0007040600070406 }, { MSR_ia32_pat, 2 },
    { MSR_ia32_efer, 0 }, { MSR_ia32_efer, EFER_LME }, { MSR_ia32_efer, EFER_LMA }, { MSR_ia32_efer, EFER_LME | EFER_LMA },
    { MSR_ia32_efer, EFER_LME | EFER_LMA | EFER_NXE }, { MSR_ia32_efer, EFER_NXE }, { MSR_ia32_efer, 1 << 1 }, { MSR_ia32_efer, 1ull << 40 | EFER_LME | EFER_LMA },
    { MSR_ia32_fs_base, 0 }, { MSR_ia32_gs_base, 0 }, { MSR_ia32_kernel_gs_base, 0x1000 }, { MSR_ia32_kernel_gs_base, 1ull << 60 },
    { MSR_ia32_bios_sign_id, 0 }, { 0x800, 0 }, { 0x8ff, 0 }, { 0x12345, 0 }, { 1ull << 32 | MSR_ia32_star, 0 }, { MSR_ia32_vmx_basic, 0 },
    { MSR_ia32_debugctl, 0 }, { MSR_ia32_debugctl, 1 << 14 }, { MSR_ia32_sysenter_cs, 8 }, { MSR_ia32_feature_control, 5 },
    { MSR_ia32_tsc_aux, 1 }, { MSR_ia32_tsc_aux, 1ull << 32 }, { MSR_ia32_u_cet, 0x40 },
};
enum { ENTRIES = sizeof entries / sizeof entries[0], AREAS = 3 };

static void put(enum msr_list list, unsigned number, uint64_t index, uint64_t value)
{
    static const unsigned area[] = { FIXTURE_MSR_AREA, FIXTURE_MSR_AREA + 0x400, FIXTURE_MSR_AREA + 0x800 };

    fixture_store64(&f, area[list] + 16 * number, index);
    fixture_store64(&f, area[list] + 16 * number + 8, value);
}

/* A guest in real-address mode, which has no paging. */
static void real_mode(struct vmcs *v)
{
    VMCS(v, processor_based_controls) |= PROC_activate_secondary_controls;
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept | PROC2_unrestricted_guest;
    VMCS(v, entry_controls) &= ~(uint64_t)ENTRY_ia32e_mode_guest;
    VMCS(v, guest_ia32_efer) = 0;
    VMCS(v, guest_cr0) = CR0_ET | CR0_NE;
    VMCS(v, guest_cr4) = CR4_VMXE;
    VMCS(v, guest_cs_access_rights) = 0xc09b;
}

static void expect(const char *text, bool fails, unsigned entry, const char *when)
{
    char of[40];

    snprintf(of, sizeof of, ": entry 2 of 3, at 0x");
    ck_assert_msg((*text != '\0') == fails, "MSR 0x%llx, value 0x%llx, %s: it %s, and told is: \"%s\"", (unsigned long long)entries[entry].index,
                  (unsigned long long)entries[entry].value, when, fails ? "fails" : "does not fail", text);
    ck_assert_msg(!fails || strstr(text, of), "%s", text);
    ck_assert_ptr_null(strstr(text, "no rule of"));
}

START_TEST(told_is_what_happens)
{
    static const unsigned counts[] = { FIELD_entry_msr_load_count, FIELD_exit_msr_store_count, FIELD_exit_msr_load_count };

    for (unsigned list = 0; list < AREAS; list++)
        for (unsigned mode = 0; mode < 2; mode++) {
            struct exit_information information = { .reason = EXIT_REASON_hlt };
            vmx_result result;
            char text[MSR_AREA_TEXT_MAX];

            fixture_close(&f);
            setup();
            struct vmcs *v = f.cpu->vmx.current;
            if (mode)
                real_mode(v);
            for (unsigned i = 0; i < AREAS; i++)
                put(list, i, i == 1 ? entries[_i].index : MSR_ia32_star, i == 1 ? entries[_i].value : 0x23);
            v->field[counts[list]] = AREAS;
            if (list != MSR_LIST_ENTRY_LOAD)
                fixture_enter(&f);
            msr_area_text(f.cpu, v, list, 0, text);
            enum status status = list == MSR_LIST_ENTRY_LOAD ? vmx_enter(f.cpu, true, &result) : vmx_exit(f.cpu, &information);
            bool failed = status == STATUS_SHUTDOWN || (list == MSR_LIST_ENTRY_LOAD && status == STATUS_VM_EXIT);
            char when[60];

            snprintf(when, sizeof when, "area %u, guest %s", list, mode ? "without paging" : "in 64-bit mode");
            expect(text, failed, (unsigned)_i, when);
            if (list == MSR_LIST_ENTRY_LOAD && failed) {
                ck_assert_uint_eq(VMCS(v, exit_qualification), 2);
                msr_area_text(f.cpu, v, list, 2, text);
                expect(text, true, (unsigned)_i, "by its number");
            }
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explain msr area");
    TCase *tcase = tcase_create("entries");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, told_is_what_happens, 0, ENTRIES);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
