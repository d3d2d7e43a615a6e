/* SPDX-License-Identifier: MIT */
/* The rows *.must_be_0 and *.must_be_1: each bit that makes a row fail is named, and no other one. */
#include "emu/explain/fixed_bits.h"

#include <stdio.h>

#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

static bool ends(const char *id, const char *with)
{
    return strlen(id) > strlen(with) && strcmp(id + strlen(id) - strlen(with), with) == 0;
}

/* Is the bit named in the list?  "CR0.PE (bit 0), bit 5 (reserved); ..." */
static bool names(const char *text, unsigned bit)
{
    char inside[20], alone[20];

    snprintf(inside, sizeof inside, "(bit %u)", bit);
    snprintf(alone, sizeof alone, " bit %u (reserved)", bit);
    return strstr(text, inside) || strstr(text, alone);
}

static bool unrestricted(const struct vmcs *v)
{
    return VMCS(v, secondary_processor_based_controls) & PROC2_unrestricted_guest;
}

/* Of each bit alone that is as the row does not want it, the row and its sentence say the same. */
static unsigned compare(unsigned row, bool must_be_1)
{
    unsigned fields[CHECK_FIELDS_MAX], failures = 0;
    struct vmcs *v = f.cpu->vmx.current;

    ck_assert_uint_ge(check_fields(&check_table[row], fields), 1);
    const uint64_t sound = v->field[fields[0]];
    for (unsigned bit = 0; bit < 64; bit++) {
        char text[FIXED_BITS_TEXT_MAX] = "";

        v->field[fields[0]] = must_be_1 ? sound & ~(1ull << bit) : sound | (vmcs_field_mask(fields[0]) & 1ull << bit);
        bool fails = !check_holds(f.cpu, v, row), told = fixed_bits_text(&check_table[row], &f.model->capability, NULL, v, text);

        ck_assert_msg(fails == told, "%s%s, bit %u: the row %s; told: \"%s\"", check_table[row].id, unrestricted(v) ? " (unrestricted)" : "", bit,
                      fails ? "fails" : "holds", text);
        for (unsigned other = 0; told && other < 64; other++)
            ck_assert_msg(names(text, other) == (other == bit), "%s, bit %u: \"%s\"", check_table[row].id, bit, text);
        failures += fails;
    }
    v->field[fields[0]] = sound;
    return failures;
}

START_TEST(each_bit)
{
    struct vmcs *v = f.cpu->vmx.current;
    unsigned rows = 0;

    VMCS(v, processor_based_controls) |= PROC_activate_secondary_controls;
    VMCS(v, secondary_processor_based_controls) = PROC2_enable_ept | (_i ? PROC2_unrestricted_guest : 0);
    f.model->capability.cr0_fixed1 &= ~(uint64_t)CR0_AM;
    f.model->capability.cr4_fixed0 |= CR4_PAE;
    for (unsigned i = 0; i < check_count; i++) {
        bool must_be_1 = ends(check_table[i].id, ".must_be_1");

        if (must_be_1 || ends(check_table[i].id, ".must_be_0")) {
            rows++;
            ck_assert_msg(compare(i, must_be_1) || strcmp(check_table[i].id, "control.proc2.must_be_1") == 0, "%s never fails", check_table[i].id);
        }
    }
    ck_assert_uint_ge(rows, 17);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explain fixed bits");
    TCase *tcase = tcase_create("bits");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_bit, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
