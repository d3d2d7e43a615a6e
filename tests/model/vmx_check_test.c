/* SPDX-License-Identifier: MIT */
/* Every row of the table of VM-entry checks: what the fixture enters with keeps it, and one change breaks it alone. */
#include "tests/model/check_cases.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

static const struct row_case *case_of(const char *id)
{
    for (unsigned i = 0; i < ROW_CASES; i++)
        if (!strcmp(row_cases[i].id, id))
            return &row_cases[i];
    return NULL;
}

START_TEST(each_row_has_a_case)
{
    const char *id = check_table[_i].id;

    ck_assert_msg(case_of(id) != NULL, "no case for %s", id);
    for (unsigned i = 0; i < check_count; i++)
        ck_assert_msg((int)i == _i || strcmp(check_table[i].id, id), "%s occurs twice", id);
}
END_TEST

START_TEST(each_case_breaks_its_row_alone)
{
    const struct row_case *c = &row_cases[_i];
    const char *also = c->base & WITH_IN_IA32E ? "host.size.in_ia32e" : "";
    struct check_outcome outcome;

    case_base(&f, c->base);
    outcome = check_entry(f.cpu, f.cpu->vmx.current);
    ck_assert_msg(!outcome.failed, "%s: its base already breaks %s", c->id, outcome.failed ? outcome.first->id : "");

    case_apply(&f, c);
    outcome = check_entry(f.cpu, f.cpu->vmx.current);
    ck_assert_msg(outcome.failed, "%s does not fail", c->id);
    for (unsigned i = 0; i < f.failed_count; i++)
        ck_assert_msg(!strcmp(f.failed[i]->id, c->id) || !strcmp(f.failed[i]->id, also),
                      "%s: %s fails, too", c->id, f.failed[i]->id);
    ck_assert_uint_eq(f.failed_count, *also ? 2 : 1);
    ck_assert_uint_eq(outcome.failures, f.failed_count);
}
END_TEST

/* The architectural answer: VMfail 7 or 8 with nothing loaded, or exit reason 33 with host state loaded. */
START_TEST(each_case_has_its_answer)
{
    const struct row_case *c = &row_cases[_i];
    struct check_outcome outcome;
    vmx_result result = 99;
    enum status status;

    case_base(&f, c->base);
    case_apply(&f, c);
    f.cpu->vmx.current->launch_state = LAUNCH_CLEAR;
    f.cpu->rip = 0x1234;
    outcome = check_entry(f.cpu, f.cpu->vmx.current);
    status = vmx_enter(f.cpu, true, &result);
    if (outcome.group == CHECK_GUEST) {
        ck_assert_int_eq(status, STATUS_VM_EXIT);
        ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_reason), 0x80000021);
        ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_qualification), outcome.qualification);
        ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP);
    } else {
        ck_assert_int_eq(status, STATUS_OK);
        ck_assert_int_eq(result, outcome.group == CHECK_CONTROLS ? VM_ERROR_entry_invalid_control
                                                                 : VM_ERROR_entry_invalid_host_state);
        ck_assert_uint_eq(VMCS(f.cpu->vmx.current, vm_instruction_error), (unsigned)result);
        ck_assert_uint_eq(f.cpu->rip, 0x1234);
    }
    ck_assert(!f.cpu->vmx.non_root);
    ck_assert_uint_eq(f.cpu->vmx.current->launch_state, LAUNCH_CLEAR);
}
END_TEST

START_TEST(the_unusual_is_accepted)
{
    struct check_outcome outcome;

    case_base(&f, accepted[_i].base);
    case_apply(&f, &accepted[_i]);
    outcome = check_entry(f.cpu, f.cpu->vmx.current);
    ck_assert_msg(!outcome.failed, "%s: %s", accepted[_i].id, outcome.failed ? outcome.first->id : "");
    for (unsigned i = 0; i < check_count; i++)
        ck_assert(check_holds(f.cpu, f.cpu->vmx.current, i));
}
END_TEST

/* The same of a VMCS that was entered before: what did not change is not looked at again, and what did is. */
START_TEST(each_case_breaks_a_vmcs_that_was_entered)
{
    const struct row_case *c = &row_cases[_i];
    struct exit_information information = { .reason = EXIT_REASON_cpuid };
    struct vmcs *v = f.cpu->vmx.current;
    vmx_result result = 99;

    case_base(&f, c->base);
    v->launch_state = LAUNCH_CLEAR;
    if (c->base & HOST32)               /* changes of the processor's mode are another matter */
        return;
    ck_assert_msg(vmx_enter(f.cpu, true, &result) == STATUS_VM_ENTRY, "%s: its base is not entered", c->id);
    ck_assert_int_eq(vmx_exit(f.cpu, &information), STATUS_VM_EXIT);
    VMCS(v, guest_interruptibility_state) = 0;
    fixture_forget(&f);
    case_apply(&f, c);
    ck_assert_int_ne(vmx_enter(f.cpu, false, &result), STATUS_VM_ENTRY);
    for (unsigned i = 0; i < f.failed_count; i++)
        if (!strcmp(f.failed[i]->id, c->id))
            return;
    ck_abort_msg("%s: %s fails", c->id, f.failed_count ? f.failed[0]->id : "nothing");
}
END_TEST

/* Changes that say what is so anyway, or that keep other rows from failing. */
static const struct { const char *id; unsigned change; } for_others[] = {
    { "control.tpr_threshold.vtpr", 2 }, { "control.virtual_interrupts.tpr_shadow", 1 }, { "control.x2apic.apic_accesses", 0 },
    { "control.virtual_interrupts.external", 0 }, { "control.injection.error_code_missing", 0 }, { "host.size.in_ia32e", 1 }, { "host.size.guest", 1 },
    { "guest.ss.selector_rpl", 1 }, { "guest.ss.selector_rpl", 2 }, { "guest.ss.dpl_rpl", 1 }, { "guest.ss.dpl_real_mode", 1 }, { "guest.activity.hlt_dpl", 1 }, { "guest.activity.hlt_dpl", 2 }, { "guest.activity.hlt_dpl", 4 },
    { "guest.interruptibility.nmi_virtual", 2 }, { "guest.pending_debug.single_step", 2 }, { "guest.link.revision", 1 }, { "guest.link.indicator", 1 },
};

/* Each other change of a case counts: without it the row holds. So the conditions of a row are asked one by one. */
START_TEST(each_change_is_needed)
{
    const struct row_case *c = &row_cases[_i];
    unsigned row = 0;

    while (row < check_count && strcmp(check_table[row].id, c->id) != 0)
        row++;
    ck_assert_uint_lt(row, check_count);
    for (unsigned left_out = 0; left_out < CASE_CHANGES; left_out++) {
        struct row_case other = *c;

        for (unsigned i = 0; i < sizeof for_others / sizeof for_others[0]; i++)
            if (!strcmp(for_others[i].id, c->id) && for_others[i].change == left_out)
                other.change[left_out].operation = END;
        if (other.change[left_out].operation == END)
            continue;
        other.change[left_out].operation = END;
        case_base(&f, c->base);
        case_apply(&f, &other);
        ck_assert_msg(check_holds(f.cpu, f.cpu->vmx.current, row), "%s fails without change %u, too", c->id, left_out);
    }
}
END_TEST

/* What a control that is 0 keeps from being looked at, and where rules end. */
static const struct row_case also_accepted[] = {
    { "no PAT is loaded", 0, { ENTRY_(load_ia32_pat), EXIT_(load_ia32_pat), S(guest_ia32_pat, 2), S(host_ia32_pat, 0xff00) } },
    { "no EFER is loaded", 0, { ENTRY_(load_ia32_efer), EXIT_(load_ia32_efer), S(guest_ia32_efer, ~0ull), S(host_ia32_efer, ~0ull) } },
    { "no EFER is loaded: LMA and LME", 0, { ENTRY_(load_ia32_efer), EXIT_(load_ia32_efer), S(guest_ia32_efer, 0), S(host_ia32_efer, 0) } },
    { "no debug controls are loaded", 0, { ENTRY_(load_debug_controls), S(guest_dr7, ~0ull), S(guest_ia32_debugctl, ~0ull) } },
    { "no guest CET state is loaded", 0, { S(guest_ia32_s_cet, ~0ull), S(guest_ssp, NONCANONICAL | 3), S(guest_ia32_interrupt_ssp_table, NONCANONICAL) } },
    { "no host CET state is loaded", 0, { S(host_ia32_s_cet, ~0ull), S(host_ssp, NONCANONICAL | 3), S(host_ia32_interrupt_ssp_table, NONCANONICAL) } },
    { "nothing else is loaded: guest", 0, { S(guest_ia32_pkrs, ~0ull), S(guest_ia32_bndcfgs, ~0ull), S(guest_ia32_perf_global_ctrl, ~0ull) } },
    { "nothing else is loaded: host", 0, { S(host_ia32_pkrs, ~0ull), S(host_ia32_perf_global_ctrl, ~0ull) } },
    { "no bitmaps", 0, { S(io_bitmap_a_address, WIDE | 1), S(io_bitmap_b_address, WIDE | 1), S(msr_bitmap_address, WIDE | 1), S(vmread_bitmap_address, WIDE | 1),
                         S(vmwrite_bitmap_address, WIDE | 1) } },
    { "no virtual APIC", 0, { S(virtual_apic_address, WIDE | 1), S(tpr_threshold, ~0u), S(apic_access_address, WIDE | 1),
                              S(posted_interrupt_notification_vector, 0xffff), S(posted_interrupt_descriptor_address, WIDE | 1) } },
    { "no EPT and what belongs to it", 0, { S(ept_pointer, ~0ull), S(pml_address, WIDE | 1), S(vm_function_controls, ~0ull), S(eptp_list_address, WIDE | 1),
                                           S(virtualization_exception_address, WIDE | 1), S(tsc_multiplier, 0) } },
    { "no MSR areas: addresses", 0, { S(entry_msr_load_address, WIDE | 1), S(exit_msr_store_address, WIDE | 1), S(exit_msr_load_address, WIDE | 1) } },
    { "blocking by NMI and a single step", 0, { S(guest_interruptibility_state, 8), X(guest_rflags, RFLAGS_TF) } },
    { "blocking by NMI and BS", 0, { S(guest_interruptibility_state, 8), S(guest_pending_debug_exceptions, 1 << 14) } },
    { "single step in HLT", 0, { S(guest_activity_state, ACTIVITY_HLT), X(guest_rflags, RFLAGS_TF), S(guest_pending_debug_exceptions, 1 << 14) } },
    { "blocking by NMI in HLT", 0, { S(guest_activity_state, ACTIVITY_HLT), S(guest_interruptibility_state, 8) } },
    { "exception 31", 0, { INJECT(EVENT_HARDWARE_EXCEPTION, 31) } },
    { "exception without error code", 0, { INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_UD), S(entry_exception_error_code, ~0u) } },
    { "#BP of length 1", 0, { INJECT(EVENT_SOFTWARE_EXCEPTION, VECTOR_BP), S(entry_instruction_length, 1) } },
    { "external interrupt of a low vector", 0, { INJECT(EVENT_EXTERNAL_INTERRUPT, 0), S(entry_instruction_length, 99) } },
    { "interruptibility with an exception", 0, { S(guest_interruptibility_state, 9), INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_UD) } },
    { "limits of both granularities", 0, { S(guest_ds_limit, 0xfffff), S(guest_ds_access_rights, 0x4093), S(guest_es_limit, 0xfff), S(guest_es_access_rights, 0xc093),
                                          S(guest_fs_limit, 0), S(guest_fs_access_rights, 0x4093) } },
    { "the greatest tables", 0, { S(guest_gdtr_limit, 0xffff), S(guest_idtr_limit, 0xffff), S(guest_gdtr_base, ~0ull), S(guest_idtr_base, 1ull << 47 | ~0ull << 48) } },
    { "every flag of RFLAGS that may be 1", 0, { S(guest_rflags, 0x3d7fd7 & ~(uint64_t)(RFLAGS_VM | RFLAGS_TF)) } },
    { "an RPL of an unusable SS", UNRESTRICTED, { S(guest_ss_access_rights, 0x10000), S(guest_ss_selector, 3) } },
    { "CR3 has reserved bits below the width", 0, { S(guest_cr3, FIXTURE_CR3 | 0xfff), S(host_cr3, FIXTURE_CR3 | 0xfff) } },
    { "no PDPTE is looked at outside PAE paging", 0, { S(guest_pdpte0, ~0ull), S(guest_pdpte1, ~0ull), S(guest_pdpte2, ~0ull), S(guest_pdpte3, ~0ull) } },
    { "PDPTEs that are not present", PAE | EPT, { S(guest_pdpte0, ~1ull), S(guest_pdpte1, ~1ull), S(guest_pdpte2, ~1ull), S(guest_pdpte3, ~1ull) } },
    { "PDPTEs with bits that software uses", PAE | EPT, { S(guest_pdpte0, 0x2000 | 0xe19), S(guest_pdpte1, (1ull << 40) - 0x1000 + 1) } },
    { "RIP of all widths", 0, { S(guest_rip, ~0ull << 56) } },
};

START_TEST(what_is_not_asked_is_accepted)
{
    struct check_outcome outcome;

    case_base(&f, also_accepted[_i].base);
    case_apply(&f, &also_accepted[_i]);
    outcome = check_entry(f.cpu, f.cpu->vmx.current);
    ck_assert_msg(!outcome.failed, "%s: %s", also_accepted[_i].id, outcome.failed ? outcome.first->id : "");
}
END_TEST

/* 27.2.1.1: VTPR is the byte at 80H of the virtual-APIC page, and 7:4 of it count. */
START_TEST(tpr_threshold_against_vtpr)
{
    struct vmcs *v = f.cpu->vmx.current;

    VMCS(v, processor_based_controls) |= PROC_use_tpr_shadow;
    VMCS(v, virtual_apic_address) = 0x50000;
    for (unsigned threshold = 0; threshold < 16; threshold++) {
        for (unsigned vtpr = 0; vtpr < 256; vtpr += 5) {
            VMCS(v, tpr_threshold) = threshold;
            memory_write32(&f.model->memory, 0x50080, 0xffffff00 | vtpr);
            fixture_forget(&f);
            ck_assert_int_eq(check_entry(f.cpu, v).failed, threshold > vtpr >> 4);
        }
    }
}
END_TEST

START_TEST(groups_decide_in_order)
{
    struct vmcs *v = f.cpu->vmx.current;
    struct check_outcome outcome;

    case_base(&f, 0);
    VMCS(v, guest_rflags) = 0;
    VMCS(v, guest_activity_state) = 7;
    outcome = check_entry(f.cpu, v);
    ck_assert_uint_eq(outcome.group, CHECK_GUEST);
    ck_assert_str_eq(outcome.first->id, "guest.rflags.fixed");
    VMCS(v, host_cs_selector) = 0;
    outcome = check_entry(f.cpu, v);
    ck_assert_uint_eq(outcome.group, CHECK_HOST);
    VMCS(v, cr3_target_count) = 9;
    outcome = check_entry(f.cpu, v);
    ck_assert_uint_eq(outcome.group, CHECK_CONTROLS);
    ck_assert_str_eq(outcome.first->id, "control.cr3_target_count");
    ck_assert_uint_eq(outcome.failures, 4);
}
END_TEST

START_TEST(special_qualifications)
{
    ck_assert_uint_eq(check_table[0].qualification, 0);
    for (unsigned i = 0; i < check_count; i++) {
        const char *id = check_table[i].id;
        unsigned expected = !strncmp(id, "guest.pdpte", 11) ? 2
            : !strcmp(id, "guest.interruptibility.nmi_sti") ? 3 : !strncmp(id, "guest.link.", 11) ? 4 : 0;

        ck_assert_msg(check_table[i].qualification == expected, "%s", id);
    }
}
END_TEST

/* Predicates must bear anything: all bits of all fields, and a few thousand random images. */
START_TEST(any_values_are_safe)
{
    struct vmcs *v = f.cpu->vmx.current;
    uint64_t x = 1;

    for (unsigned round = 0; round < 3000; round++) {
        for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull;
            v->field[i] = (round == 0 ? ~0ull : x ^ x >> 29) & vmcs_field_mask(i);
        }
        fixture_forget(&f);
        check_entry(f.cpu, v);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/vmx checks");
    TCase *tc = tcase_create("checks");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, each_row_has_a_case, 0, (int)check_count);
    tcase_add_loop_test(tc, each_case_breaks_its_row_alone, 0, ROW_CASES);
    tcase_add_loop_test(tc, each_case_has_its_answer, 0, ROW_CASES);
    tcase_add_loop_test(tc, the_unusual_is_accepted, 0, ACCEPTED);
    tcase_add_loop_test(tc, each_case_breaks_a_vmcs_that_was_entered, 0, ROW_CASES);
    tcase_add_loop_test(tc, each_change_is_needed, 0, ROW_CASES);
    tcase_add_loop_test(tc, what_is_not_asked_is_accepted, 0, sizeof also_accepted / sizeof also_accepted[0]);
    tcase_add_test(tc, tpr_threshold_against_vtpr);
    tcase_add_test(tc, groups_decide_in_order);
    tcase_add_test(tc, special_qualifications);
    tcase_add_test(tc, any_values_are_safe);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
