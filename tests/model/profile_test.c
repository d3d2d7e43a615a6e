/* SPDX-License-Identifier: MIT */
/* Profiles and switches: what a processor lacks is not in its capability MSRs, nor are the fields that belong to it. */
#include <string.h>

#include "model/vmx/profile.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static enum profile_switch turn(struct vmx_lacks *lacks, const char *name, bool present)
{
    return profile_switch(lacks, name, (unsigned)strlen(name), present);
}

static struct vmx_capability of(const char *profile)
{
    struct vmx_capability c;
    struct vmx_lacks lacks;

    ck_assert(profile_find(profile, &lacks));
    capability_init(&c, &lacks);
    return c;
}

START_TEST(without_vmx_there_are_no_capabilities)
{
    struct vmx_capability c;
    struct vmx_lacks lacks = { .ept_vpid = 0 };
    uint64_t value;

    ck_assert_int_eq(turn(&lacks, "vmwrite-any", false), SWITCH_DONE);
    capability_init(&c, &lacks);
    ck_assert(capability_vmx(&c) && !(c.misc & CAPABILITY_VMWRITE_ANY));
    ck_assert_int_eq(turn(&lacks, "vmx", false), SWITCH_DONE);
    capability_init(&c, &lacks);
    ck_assert(!capability_vmx(&c) && !(c.cr4_fixed1 & CR4_VMXE));
    ck_assert(!capability_msr(&c, MSR_ia32_vmx_basic, &value));
    ck_assert_int_eq(turn(&lacks, "vmx", true), SWITCH_DONE);
    capability_init(&c, &lacks);
    ck_assert(capability_vmx(&c));
}
END_TEST

START_TEST(max_lacks_nothing)
{
    struct vmx_capability all, max = of("max");

    capability_init(&all, NULL);
    ck_assert(!memcmp(&all, &max, sizeof(all)));
    for (enum control_id i = 0; i < CONTROL_ALWAYS; i++)
        ck_assert(!capability_control_allowed(&max, i) || capability_control_allowed(&all, i));
}
END_TEST

START_TEST(generations)
{
    const struct vmx_capability haswell = of("haswell"), skylake = of("skylake"), icelake = of("icelake");
    struct vmx_lacks lacks;

    ck_assert(!capability_control_allowed(&haswell, CONTROL_PROC2_enable_pml));
    ck_assert(!capability_control_allowed(&haswell, CONTROL_PROC2_use_tsc_scaling));
    ck_assert(capability_control_allowed(&haswell, CONTROL_PROC2_vmcs_shadowing));
    ck_assert(capability_control_allowed(&skylake, CONTROL_PROC2_use_tsc_scaling));
    ck_assert(!capability_control_allowed(&icelake, CONTROL_EXIT_load_cet_state));
    ck_assert(!capability_control_allowed(&icelake, CONTROL_ENTRY_load_cet_state));
    ck_assert(!(icelake.cr4_fixed1 & CR4_CET));
    ck_assert(haswell.ept_vpid & CAPABILITY_EPT_ACCESSED_DIRTY);
    ck_assert(!(haswell.ept_vpid & CAPABILITY_EPT_EXIT_INFORMATION) && (icelake.ept_vpid & CAPABILITY_EPT_EXIT_INFORMATION));
    ck_assert(!(skylake.cr4_fixed1 & CR4_LA57) && (icelake.cr4_fixed1 & CR4_LA57));
    ck_assert(!profile_find("pentium", &lacks));
}
END_TEST

START_TEST(switches)
{
    struct vmx_lacks lacks = { .ept_vpid = 0 };
    struct vmx_capability c;

    ck_assert_int_eq(turn(&lacks, "tsc-scaling", false), SWITCH_DONE);
    ck_assert_int_eq(turn(&lacks, "use_tsc_scaling", true), SWITCH_DONE);
    ck_assert_int_eq(turn(&lacks, "ept_2m", false), SWITCH_DONE);
    ck_assert_int_eq(turn(&lacks, "load-ia32-pat", false), SWITCH_DONE);        /* of exits and of entries */
    ck_assert_int_eq(turn(&lacks, "pm", false), SWITCH_UNKNOWN);
    ck_assert_int_eq(turn(&lacks, "enable_", false), SWITCH_UNKNOWN);
    ck_assert_int_eq(turn(&lacks, "", false), SWITCH_UNKNOWN);
    ck_assert_int_eq(turn(&lacks, "encls_exiting", true), SWITCH_NOT_IMPLEMENTED);
    ck_assert_int_eq(profile_switch(&lacks, "vpid,+x", 4, false), SWITCH_DONE);
    capability_init(&c, &lacks);
    ck_assert(capability_control_allowed(&c, CONTROL_PROC2_use_tsc_scaling));
    ck_assert(!capability_control_allowed(&c, CONTROL_EXIT_load_ia32_pat));
    ck_assert(!capability_control_allowed(&c, CONTROL_ENTRY_load_ia32_pat));
    ck_assert(!capability_control_allowed(&c, CONTROL_PROC2_enable_vpid));
    ck_assert_uint_eq(c.ept_vpid & 1ull << 16, 0);
    ck_assert_uint_eq(c.ept_vpid >> 32, 0);                                     /* no INVVPID without VPIDs */
}
END_TEST

START_TEST(dependents_go_too)
{
    struct vmx_lacks lacks = { .ept_vpid = 0 };
    struct vmx_capability c;
    uint64_t value;

    turn(&lacks, "ept", false);
    turn(&lacks, "nmi_exiting", false);
    turn(&lacks, "preemption_timer", false);
    capability_init(&c, &lacks);
    ck_assert(!capability_control_allowed(&c, CONTROL_PROC2_unrestricted_guest));
    ck_assert(!capability_control_allowed(&c, CONTROL_PROC2_enable_pml));
    ck_assert(!capability_control_allowed(&c, CONTROL_PROC_nmi_window_exiting));    /* by way of virtual NMIs */
    ck_assert(capability_control_allowed(&c, CONTROL_PROC2_enable_vpid));
    ck_assert_uint_eq((uint32_t)c.ept_vpid, 0);
    /* The control "save VMX-preemption timer value" is one bit of another word. */
    ck_assert(!capability_control_allowed(&c, CONTROL_EXIT_save_preemption_timer));
    ck_assert(capability_msr(&c, MSR_ia32_vmx_ept_vpid_cap, &value));               /* of VPIDs alone */
    turn(&lacks, "vpid", false);
    capability_init(&c, &lacks);
    ck_assert(capability_msr(&c, MSR_ia32_vmx_procbased_ctls2, &value) && value >> 32);
    ck_assert(!capability_msr(&c, MSR_ia32_vmx_ept_vpid_cap, &value));              /* A.10: neither EPT nor VPIDs */
    lacks.word[WORD_PROC] = PROC_activate_secondary_controls;
    capability_init(&c, &lacks);
    ck_assert_uint_eq(c.proc2.allowed, 0);
    ck_assert(!capability_msr(&c, MSR_ia32_vmx_procbased_ctls2, &value));
    ck_assert(!capability_msr(&c, MSR_ia32_vmx_ept_vpid_cap, &value));
}
END_TEST

START_TEST(a_control_that_cannot_be_cleared)
{
    struct vmx_lacks lacks = { .word[WORD_PROC] = PROC_cr3_load_exiting };
    struct vmx_capability c;

    capability_init(&c, &lacks);        /* lacking its 0-setting: of the default1 class as before it had a meaning */
    ck_assert(c.proc.allowed & PROC_cr3_load_exiting);
    ck_assert(c.proc.required & PROC_cr3_load_exiting);
    ck_assert(!(c.proc.required & PROC_cr3_store_exiting));
}
END_TEST

START_TEST(fields_exist_accordingly)
{
    struct vmx_fixture f;
    struct vmx_lacks lacks = { .ept_vpid = 0 };
    uint64_t value, before;

    fixture_open(&f);
    before = f.model->capability.vmcs_enum;
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_tsc_multiplier, 1), VMX_SUCCEED);
    turn(&lacks, "tsc_scaling", false);
    capability_init(&f.model->capability, &lacks);
    ck_assert_int_eq(vmx_vmread(f.cpu, VMCS_tsc_multiplier, &value), VM_ERROR_unsupported_field);
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_tsc_multiplier, 1), VM_ERROR_unsupported_field);
    ck_assert_uint_lt(f.model->capability.vmcs_enum, before);
    fixture_close(&f);
}
END_TEST

/* Every name in the lists can be switched, and every row of profiles.def names something that can. */
START_TEST(lists)
{
    const char *name, *text;
    unsigned capabilities = 0, profiles = 0;

    while ((name = profile_capability(capabilities, &text))) {
        struct vmx_lacks lacks = { .ept_vpid = 0 };

        ck_assert_int_eq(turn(&lacks, name, false), SWITCH_DONE);
        ck_assert_uint_ne(lacks.ept_vpid | lacks.basic | lacks.misc | lacks.vmfunc | lacks.vmx | lacks.word[0] | lacks.word[1] | lacks.word[2] |
                          lacks.word[3] | lacks.word[4], 0);
        ck_assert(*text);
        capabilities++;
    }
    ck_assert_uint_gt(capabilities, 50);
    while ((name = profile_name(profiles, &text))) {
        struct vmx_lacks lacks;

        ck_assert(profile_find(name, &lacks));
        profiles++;
    }
    ck_assert_uint_eq(profiles, 4);
#define LACKING(name, ...) \
    { struct vmx_lacks l = { .ept_vpid = 0 }; ck_assert_msg(turn(&l, #name, false) != SWITCH_UNKNOWN, #name); }
#include "model/vmx/profiles.def"
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/vmx profiles");
    TCase *tcase = tcase_create("profiles");

    tcase_add_test(tcase, max_lacks_nothing);
    tcase_add_test(tcase, without_vmx_there_are_no_capabilities);
    tcase_add_test(tcase, generations);
    tcase_add_test(tcase, switches);
    tcase_add_test(tcase, dependents_go_too);
    tcase_add_test(tcase, a_control_that_cannot_be_cleared);
    tcase_add_test(tcase, fields_exist_accordingly);
    tcase_add_test(tcase, lists);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
