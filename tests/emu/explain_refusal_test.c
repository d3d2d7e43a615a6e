/* SPDX-License-Identifier: MIT */
/* The sentences of the tables of refusals: every {name} in them is known, and values are put in. */
#include "emu/explain/bits.h"
#include "emu/explain/refusal.h"
#include "model/refusal.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

START_TEST(names)
{
    const struct insn insn = { .id = INSN_vmread, .kind = OPERAND_MEMORY, .segment = SEG_DS };
    const struct attempt attempt = { .cpu = f.cpu, .capability = &f.model->capability, .id = INSN_vmread, .insn = &insn,
                                     .operand = VMCS_tsc_multiplier };
    char sentence[1000];

    ck_assert_msg(refusal_sentence(&attempt, &refusal_table[_i], sentence, sizeof sentence), "%s: %s", refusal_table[_i].id, sentence);
    ck_assert_ptr_null(strchr(sentence, '{'));
    ck_assert_uint_lt(strlen(sentence), 400);
}
END_TEST

static void expect(enum refusal_row row, struct attempt attempt, const char *text)
{
    char sentence[1000];

    attempt.cpu = f.cpu;
    attempt.capability = &f.model->capability;
    refusal_sentence(&attempt, &refusal_table[row], sentence, sizeof sentence);
    ck_assert_msg(strstr(sentence, text) != NULL, "%s: %s", refusal_table[row].id, sentence);
}

START_TEST(values)
{
    f.cpu->cr0 &= ~(CR0_PE | CR0_NE);
    expect(REFUSED_vmxon_cr0_fixed0, (struct attempt){ 0 }, "CR0.PE and CR0.NE must be 1");
    expect(REFUSED_field_absent, (struct attempt){ .operand = VMCS_tsc_multiplier },
           "field 0x2032 does not exist on this processor: tsc_multiplier comes with \"Use TSC scaling\"; --vmx +use_tsc_scaling");
    expect(REFUSED_vmptrld_revision, (struct attempt){ .operand = FIXTURE_LINKED },
           "at 0x3000 begins with revision identifier 0; IA32_VMX_BASIC says it must be 0x53510001");
    expect(REFUSED_cr4_reserved, (struct attempt){ .value = 1ull << 40 | CR4_SMXE }, "CR4.SMXE and bit 40 of CR4");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explain refusal");
    TCase *sentences = tcase_create("sentences");

    tcase_add_checked_fixture(sentences, setup, teardown);
    tcase_add_loop_test(sentences, names, 0, REFUSAL_COUNT);
    tcase_add_test(sentences, values);
    suite_add_tcase(suite, sentences);
    return suite_run(suite);
}
