/* SPDX-License-Identifier: MIT */
/* The table of fields that the VM-entry checks look at: complete, and right for every check that one change can break. */
#include "model/vmx/check_parts.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;
static bool seen[1024];                 /* checks that a field of theirs has broken */

static bool names(unsigned row, unsigned field)
{
    unsigned fields[CHECK_FIELDS_MAX], count = check_fields(&check_table[row], fields);

    for (unsigned i = 0; i < count; i++)
        if (fields[i] == field)
            return true;
    return false;
}

START_TEST(every_check_has_fields)
{
    for (unsigned i = 0; i < check_count; i++) {
        unsigned fields[CHECK_FIELDS_MAX], count = check_fields(&check_table[i], fields);

        ck_assert_msg(count, "%s: add it to model/vmx/check_fields.def", check_table[i].id);
        ck_assert_uint_le(count, CHECK_FIELDS_MAX);
        for (unsigned j = 0; j < count; j++)
            ck_assert_uint_lt(fields[j], VMCS_FIELD_COUNT);
    }
}
END_TEST

/* No line of check_fields.def is dead: not one that stands twice, nor one whose checks all have better ones, or are gone. */
START_TEST(every_line_is_some_checks)
{
    static const char *const ids[] = {
#define ABOUT(id, ...) id,
#include "model/vmx/check_fields.def"
    };
    enum { LINES = sizeof ids / sizeof ids[0] };
    static bool best[LINES];

    for (unsigned i = 0; i < check_count; i++) {
        const char *id = check_table[i].id;
        unsigned line = LINES;
        size_t longest = 0;

        for (unsigned j = 0; j < LINES; j++) {
            size_t length = strlen(ids[j]);
            if (strncmp(id, ids[j], length) == 0 && (id[length] == '.' || !id[length]) && length > longest) {
                longest = length;
                line = j;
            }
        }
        ck_assert_msg(line < LINES, "%s has no line", id);
        best[line] = true;
    }
    for (unsigned j = 0; j < LINES; j++) {
        ck_assert_msg(best[j], "%s: no check comes to this line of model/vmx/check_fields.def", ids[j]);
        for (unsigned k = 0; k < j; k++)
            ck_assert_msg(strcmp(ids[j], ids[k]) != 0, "%s stands in model/vmx/check_fields.def twice", ids[j]);
    }
}
END_TEST

START_TEST(the_longest_name_counts)
{
    struct check whole = { .id = "guest.cs.granularity_0" }, other = { .id = "guest.csx" }, unknown = { .id = "nothing.at.all" };
    unsigned fields[CHECK_FIELDS_MAX];

    ck_assert_uint_eq(check_fields(&whole, fields), 2);
    ck_assert_uint_eq(fields[0], FIELD_guest_cs_limit);
    ck_assert_uint_eq(fields[1], FIELD_guest_cs_access_rights);
    ck_assert_uint_eq(check_fields(&other, fields), 0);
    ck_assert_uint_eq(check_fields(&unknown, fields), 0);
}
END_TEST

/* Breaks the valid VMCS in one field and one bit or value: whichever check fails then must name that field. */
START_TEST(a_field_that_breaks_a_check_is_named)
{
    static const uint64_t values[] = { 0, 1, ~0ull, 0x800000000000, 1ull << 51, 0x80000a0e, 0x80000201, 0x80000001 };
    struct vmcs *v;
    unsigned broken = 0;

    fixture_open(&f);
    v = f.cpu->vmx.current;
    for (unsigned field = 0; field < VMCS_FIELD_COUNT; field++) {
        uint64_t good = v->field[field];

        for (unsigned bit = 0; bit < 64 + sizeof values / sizeof values[0]; bit++) {
            v->field[field] = (bit < 64 ? good ^ 1ull << bit : values[bit - 64]) & vmcs_field_mask(field);
            fixture_forget(&f);
            check_entry(f.cpu, v);
            for (unsigned i = 0; i < f.failed_count; i++) {
                unsigned row = (unsigned)(f.failed[i] - check_table);
                bool named = names(row, field);

                /* A field that says what mode the guest is in breaks checks that are about other fields. */
                if (!named && VMCS_ENCODING_TYPE(vmcs_encoding(field)) != VMCS_TYPE_CONTROL &&
                    field != FIELD_guest_rflags && field != FIELD_guest_cr0 && field != FIELD_guest_cr4)
                    ck_abort_msg("%s fails by %s, which check_fields.def does not name", check_table[row].id,
                                 vmcs_field_name(field));
                broken += named && !seen[row];
                seen[row] |= named;
            }
        }
        v->field[field] = good;
    }
    ck_assert_uint_gt(broken, 100);
    fixture_close(&f);
}
END_TEST

/* A row is evaluated again when one of the fields that it looks at has changed: in any bit, of which RFLAGS.VM has a row of its own. */
START_TEST(a_field_of_a_check_is_read_by_its_part)
{
    for (unsigned i = 0; i < check_count; i++) {
        unsigned fields[CHECK_FIELDS_MAX], count = check_fields(&check_table[i], fields), part = check_part(&check_table[i]);

        for (unsigned j = 0; j < count && part != PART_MEMORY; j++)
            ck_assert_msg(check_parts_reading(fields[j], ~0ull) & part, "%s reads %s, and model/vmx/check_parts.def says that its part does not",
                          check_table[i].id, vmcs_field_name(fields[j]));
    }
    ck_assert(check_parts_reading(FIELD_guest_rflags, RFLAGS_VM) & PART_SEGMENTS);
    ck_assert(!(check_parts_reading(FIELD_guest_rflags, RFLAGS_TF) & PART_SEGMENTS));
    ck_assert_uint_eq(check_parts_reading(FIELD_exit_qualification, ~0ull), 0);
}
END_TEST

/* What the processor offers counts, too: a VMCS that passed, and does not any more. */
START_TEST(what_is_offered_by_now_counts)
{
    static struct vmx_capability offered;
    struct exit_information information = { .reason = EXIT_REASON_cpuid };
    vmx_result result = 99;
    struct vmcs *v;

    fixture_open(&f);
    v = f.cpu->vmx.current;
    VMCS(v, processor_based_controls) |= PROC_use_io_bitmaps;
    VMCS(v, io_bitmap_a_address) = 1ull << 38;
    fixture_enter(&f);
    ck_assert_int_eq(vmx_exit(f.cpu, &information), STATUS_VM_EXIT);
    offered = f.model->capability;
    for (unsigned round = 0; round < 2; round++) {
        f.model->physical_address_width = 38;
        ck_assert_int_eq(vmx_enter(f.cpu, false, &result), STATUS_OK);
        ck_assert_int_eq(result, VM_ERROR_entry_invalid_control);
        f.model->physical_address_width = 40;
        f.model->capability.proc.allowed &= ~PROC_use_io_bitmaps;
        ck_assert_int_eq(vmx_enter(f.cpu, false, &result), STATUS_OK);
        ck_assert_int_eq(result, VM_ERROR_entry_invalid_control);
        f.model->capability = offered;
        ck_assert_int_eq(vmx_enter(f.cpu, false, &result), STATUS_VM_ENTRY);
        ck_assert_int_eq(vmx_exit(f.cpu, &information), STATUS_VM_EXIT);
    }
    /* A row that asks for the mode of the processor: 27.2.4. */
    VMCS(v, guest_cs_access_rights) = 0xc09b;
    CPU_MSR(f.cpu, ia32_efer) = 0;
    ck_assert_int_ne(vmx_enter(f.cpu, false, &result), STATUS_VM_ENTRY);
    ck_assert_int_eq(result, VM_ERROR_entry_invalid_host_state);
    fixture_close(&f);
}
END_TEST

START_TEST(vmcs_remembers_who_wrote)
{
    struct vmcs *v;

    fixture_open(&f);
    v = f.cpu->vmx.current;
    ck_assert_uint_eq(v->written[FIELD_guest_rip], 0);
    f.cpu->rip = 0x40123;
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_guest_rip, FIXTURE_GUEST_RIP), VMX_SUCCEED);
    ck_assert_uint_eq(v->written[FIELD_guest_rip], 1);
    ck_assert_uint_eq(v->writer[FIELD_guest_rip], 0x40123);
    /* The high half of a 64-bit field is the same field; a VMWRITE that fails writes nothing. */
    f.cpu->rip = 0x40130;
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_tsc_offset + 1, 7), VMX_SUCCEED);
    ck_assert_uint_eq(v->writer[FIELD_tsc_offset], 0x40130);
    ck_assert_int_ne(vmx_vmwrite(f.cpu, 0x6fff, 7), VMX_SUCCEED);
    fixture_enter(&f);
    fixture_exit(&f, EXIT_REASON_cpuid);
    ck_assert_uint_eq(v->exits, 1);
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_guest_rip, 0), VMX_SUCCEED);
    ck_assert_uint_eq(v->written[FIELD_guest_rip], 2);
    ck_assert_int_eq(vmx_vmclear(f.cpu, FIXTURE_VMCS), VMX_SUCCEED);
    memory_write64(&f.model->memory, FIXTURE_VMCS + 16 + 8 * FIELD_tsc_offset, 1);
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_VMCS), VMX_SUCCEED);
    ck_assert_uint_eq(f.cpu->vmx.current->written[FIELD_guest_rip], 2);     /* VMCLEAR keeps what was written */
    ck_assert_uint_eq(f.cpu->vmx.current->written[FIELD_tsc_offset], 0);    /* but this came from elsewhere */
    fixture_close(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fields of the VM-entry checks");
    TCase *c = tcase_create("fields");

    tcase_add_test(c, every_check_has_fields);
    tcase_add_test(c, every_line_is_some_checks);
    tcase_add_test(c, the_longest_name_counts);
    tcase_add_test(c, a_field_that_breaks_a_check_is_named);
    tcase_add_test(c, a_field_of_a_check_is_read_by_its_part);
    tcase_add_test(c, what_is_offered_by_now_counts);
    tcase_add_test(c, vmcs_remembers_who_wrote);
    suite_add_tcase(suite, c);
    return suite_run(suite);
}
