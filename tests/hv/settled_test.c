/* SPDX-License-Identifier: MIT */
/*
 * What an entry to L2 takes over from the one before (hv/nested/settled.c): nothing that L1, its L2 or another processor may have
 * changed meanwhile. What L1 and L2 find is tested by scenarios/nested-steady.scn.
 */
#include <check.h>
#include <stdlib.h>

#include "hv/core.h"
#include "tests/suite.h"

static struct hv_machine machine;
static struct hv_cpu cpu;
static struct vmcs12 *vmcs12;

static void begin(void)
{
    machine = (struct hv_machine){ .physical_address_width = 40 };
    cpu = (struct hv_cpu){ .machine = &machine };
    vmcs12 = cpu.nested.vmcs12 = &cpu.nested.slot[0];
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        vmcs12->field[i] = i + 1;
    cpu.nested.plan.carried.efer = EFER_LMA;
    settle(&cpu);
    ck_assert(settled_holds(&cpu));
}

/* The results hang on these. HOST_RSP may be anything (SDM Vol. 3, 27.2.3). */
static bool decides(unsigned field)
{
    const unsigned class = field_table[field].class;

    return class == CLASS_CONTROL_MERGED || class == CLASS_ADDRESS || (class == CLASS_HOST && field != FIELD_host_rsp);
}

/* L1 can write it without an exit with some strategy, or L2 changes it. */
static bool behind_l0(unsigned field)
{
    return field_table[field].copy == COPY_B || field_table[field].flip != FLIP_I || field == FIELD_entry_controls;
}

START_TEST(a_field_that_l1_writes_with_an_exit_is_judged_anew)
{
    unsigned count = 0;

    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        settled_forget(vmcs12, (enum field_index)i);
        ck_assert_msg(settled_holds(&cpu) == !decides(i), "field %u", i);
        count += decides(i);
        vmcs12->settled.known = true;
    }
    ck_assert_uint_gt(count, 30);
}
END_TEST

START_TEST(a_field_that_changes_without_an_exit_is_compared)
{
    unsigned count = 0;

    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        if (!decides(i) || !behind_l0(i))
            continue;
        count++;
        vmcs12->field[i] ^= 1;
        ck_assert_msg(!settled_holds(&cpu), "field %u", i);
        vmcs12->field[i] ^= 1;
        ck_assert(settled_holds(&cpu));
    }
    ck_assert_uint_ge(count, 6);
}
END_TEST

START_TEST(so_are_the_mode_of_l1_and_the_pages_that_it_has_given)
{
    cpu.nested.plan.carried.efer = 0;
    ck_assert(!settled_holds(&cpu));
    cpu.nested.plan.carried.efer = EFER_LMA | EFER_SCE;
    ck_assert(settled_holds(&cpu));
    machine.given.count = 1;
    ck_assert(!settled_holds(&cpu));
    settle(&cpu);
    ck_assert(settled_holds(&cpu));
}
END_TEST

START_TEST(another_vmcs12_has_settled_nothing)
{
    cpu.nested.vmcs12 = &cpu.nested.slot[1];
    ck_assert(!settled_holds(&cpu));
}
END_TEST

/* A shadow EPT that belongs to another pointer now, or to none, is not L1's. */
START_TEST(no_shadow_is_taken_for_another)
{
    cpu.nested.vept.root[0].key = 0;
    cpu.nested.vept.root[0].ept.root = PA(0x1000);
    ck_assert(vmcs12->settled.shadow_key != cpu.nested.vept.root[0].key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv settled");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, a_field_that_l1_writes_with_an_exit_is_judged_anew);
    tcase_add_test(tests, a_field_that_changes_without_an_exit_is_compared);
    tcase_add_test(tests, so_are_the_mode_of_l1_and_the_pages_that_it_has_given);
    tcase_add_test(tests, another_vmcs12_has_settled_nothing);
    tcase_add_test(tests, no_shadow_is_taken_for_another);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
