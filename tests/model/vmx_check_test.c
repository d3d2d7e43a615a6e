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
    tcase_add_test(tc, groups_decide_in_order);
    tcase_add_test(tc, special_qualifications);
    tcase_add_test(tc, any_values_are_safe);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
