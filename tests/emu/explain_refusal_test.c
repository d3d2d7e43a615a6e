/* SPDX-License-Identifier: MIT */
/* The sentences of the tables of refusals: every {name} in them is known, and values are put in. */
#include <stdio.h>

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

/* What is lacking: an option of the emulator's brings it, but to an L1 over the core, to which the core must offer it. */
START_TEST(who_offers_it)
{
    const struct vmx_capability of_the_core = f.model->capability;
    unsigned offers = 0;

    for (unsigned i = 0; i < REFUSAL_COUNT; i++)
        for (unsigned over_core = 0; over_core < 2 && strstr(refusal_table[i].text, "{offer."); over_core++) {
            const struct attempt attempt = { .cpu = f.cpu, .capability = over_core ? &of_the_core : &f.model->capability, .id = INSN_vmread,
                                             .operand = VMCS_tsc_multiplier };
            char sentence[1000];

            refusal_sentence(&attempt, &refusal_table[i], sentence, sizeof sentence);
            bool nowhere = strstr(sentence, ", which is not implemented"), core = strstr(sentence, "the core does not offer it to L1"),
                 option = strstr(sentence, "--vmx +");
            ck_assert_msg(nowhere ? !core && !option : core == (bool)over_core && option == !over_core, "%s: %s", refusal_table[i].id, sentence);
            offers += !nowhere;
        }
    ck_assert_uint_ge(offers, 10);
}
END_TEST

/* The types that a processor has, of each set of them. */
START_TEST(types_of_invalidation)
{
    for (unsigned set = 0; set < 16; set++) {
        char wanted[60] = "", text[80];

        for (unsigned type = 0; type < 4; type++)
            if (set >> type & 1)
                snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s%u", *wanted ? ", " : "supported are ", type);
        snprintf(text, sizeof text, ": %s (", *wanted ? wanted : "no type is");
        f.model->capability.ept_vpid &= ~(15ull << EPT_VPID_invvpid_address);
        f.model->capability.ept_vpid |= (uint64_t)set << EPT_VPID_invvpid_address;
        expect(REFUSED_invvpid_type, (struct attempt){ .operand = 9 }, text);
        if (set & 9)
            continue;                   /* INVEPT has types 1 and 2 */
        f.model->capability.ept_vpid &= ~(3ull << EPT_VPID_invept_single_context);
        f.model->capability.ept_vpid |= (uint64_t)(set >> 1) << EPT_VPID_invept_single_context;
        expect(REFUSED_invept_type, (struct attempt){ .operand = 9 }, text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("explain refusal");
    TCase *sentences = tcase_create("sentences");

    tcase_add_checked_fixture(sentences, setup, teardown);
    tcase_add_loop_test(sentences, names, 0, REFUSAL_COUNT);
    tcase_add_test(sentences, values);
    tcase_add_test(sentences, who_offers_it);
    tcase_add_test(sentences, types_of_invalidation);
    suite_add_tcase(suite, sentences);
    return suite_run(suite);
}
