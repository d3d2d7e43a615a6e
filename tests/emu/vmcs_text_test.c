/* SPDX-License-Identifier: MIT */
/* VMCSs as text: every line and name of the tables is read as what it says; none is hidden by another. */
#include <ctype.h>
#include <string.h>

#include "emu/vmcs/snapshot.h"
#include "tests/suite.h"

enum section { SECTION_GUEST, SECTION_HOST, SECTION_CONTROL, SECTION_REGISTERS };
#define NONE VMCS_FIELD_COUNT

enum {
#define FIELD(name, encoding, exists) NUMBER_##name = FIELD_##name + 1,
#include "arch/vmcs_fields.def"
    NUMBER_none = NONE + 1,
    NUMBER_ = 0,
};
#define NUMBERS(_1, _2, _3, _4, _5, _6, _7, ...)                                                                     \
    { NUMBER_##_1, NUMBER_##_2, NUMBER_##_3, NUMBER_##_4, NUMBER_##_5, NUMBER_##_6, NUMBER_##_7 }
static const struct row {
    enum section section;
    const char *pattern;
    uint16_t number[PATTERN_VALUES_MAX];
} rows[] = {
#define LINE(section, pattern, ...) { SECTION_##section, pattern, NUMBERS(__VA_ARGS__, , , , , , , ) },
#include "emu/vmcs/kvm_lines.def"
#define LINE(section, pattern, ...) { SECTION_##section, pattern, NUMBERS(__VA_ARGS__, , , , , , , ) },
#include "emu/vmcs/xen_lines.def"
#define LINE(section, pattern, ...) { SECTION_##section, pattern, NUMBERS(__VA_ARGS__, , , , , , , ) },
#include "emu/vmcs/qemu_lines.def"
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static struct snapshot_reader reader;
static struct snapshot snapshot;

/* Reads the only VMCS of a text. */
static void read_one(const char *text)
{
    reader = (struct snapshot_reader){ .cursor = { .text = text, .length = strlen(text) } };
    ck_assert_msg(snapshot_read(&reader, &snapshot), "nothing is read of: %s", text);
}

START_TEST(every_line_of_a_log_is_read)
{
    static const char *const titles[] = {
        "*** Guest State ***\n", "*** Guest State ***\n*** Host State ***\n", "*** Guest State ***\n*** Control State ***\n",
        "EAX=00000000 EBX=00000000\nCR0=0 CR2=0 CR3=0 CR4=0\n",
    };

    for (unsigned i = 0; i < ROWS; i++) {
        char text[400];
        size_t used = (size_t)snprintf(text, sizeof text, "%s[   12.345678] kvm_intel: ", titles[rows[i].section]);
        unsigned value = 0;

        if (rows[i].section == SECTION_REGISTERS && strncmp(rows[i].pattern, "CR0=", 4) == 0)
            continue;                                   /* the text has that line already */
        bool forgotten = true;
        for (unsigned j = 0; j < PATTERN_VALUES_MAX && rows[i].number[j]; j++)
            forgotten &= rows[i].number[j] == NUMBER_none;
        if (forgotten)
            continue;
        for (const char *p = rows[i].pattern; *p; p++) {
            if (*p == '%')
                used += (size_t)snprintf(text + used, sizeof text - used, "0x%x", 0x11 + value++);
            else
                used += (size_t)snprintf(text + used, sizeof text - used, "%c", *p == '*' ? 's' : *p);
        }
        snprintf(text + used, sizeof text - used, "\n");
        read_one(text);
        ck_assert_msg(!snapshot.notes, "%s: %s", rows[i].pattern, snapshot.note[0]);
        for (unsigned j = 0; j < PATTERN_VALUES_MAX && rows[i].number[j]; j++) {
            unsigned field = rows[i].number[j] - 1u;
            bool rights = rows[i].section == SECTION_REGISTERS && field >= FIELD_guest_es_access_rights &&
                          field <= FIELD_guest_tr_access_rights;

            if (field == NONE)
                continue;
            ck_assert_msg(snapshot.given[field], "%s gives no %s", rows[i].pattern, vmcs_field_name(field));
            ck_assert_msg(rights || snapshot.vmcs.field[field] == 0x11 + j, "%s gives %s a wrong value", rows[i].pattern,
                          vmcs_field_name(field));
        }
    }
}
END_TEST

START_TEST(qemu_prints_descriptors)
{
    read_one("EAX=00000000 EBX=00000000\nCR0=0 CR2=0 CR3=0 CR4=0\nCS =0008 00000000 ffffffff 00af9b00\nDS =0000 00000000 "
             "ffffffff 00c00000\n");
    ck_assert_uint_eq(snapshot.vmcs.field[FIELD_guest_cs_access_rights], 0xa09b);
    ck_assert(snapshot.vmcs.field[FIELD_guest_ds_access_rights] & AR_UNUSABLE);
}
END_TEST

static void finds(const char *name, enum vmcs_field field)
{
    bool high;
    enum vmcs_field found = field_by_any_name(name, strlen(name), NULL, &high);

    ck_assert_msg(found == field, "\"%s\" is %s", name, found == NONE ? "nothing" : vmcs_field_name(found));
    ck_assert(!high);
}

/* In the ways in which C, C++ and Rust programs write names, and after what logs put before them. */
START_TEST(every_field_has_its_names)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        const char *own = vmcs_field_name(i);
        char upper[100] = "[hv] VMX_VMCS_", camel[100] = "k", spaced[100] = "", encoding[20];
        size_t length = strlen(upper), camel_length = 1;
        bool begins = true;

        finds(own, i);
        for (const char *c = own; *c; c++) {
            upper[length++] = (char)toupper((unsigned char)*c);
            if (*c != '_')
                camel[camel_length++] = (char)(begins ? toupper((unsigned char)*c) : *c);
            begins = *c == '_';
            spaced[c - own] = *c == '_' ? ' ' : *c;
        }
        finds(upper, i);
        finds(spaced, i);
        if (!strpbrk(own, "0123456789"))                /* where a digit begins a word the letters before it say so */
            finds(camel, i);
        snprintf(encoding, sizeof encoding, "vmread(0x%x)", vmcs_encoding(i));
        finds(encoding, i);
        snprintf(encoding, sizeof encoding, "%04x", vmcs_encoding(i));
        finds(encoding, i);
    }
#define NAME(theirs, field) finds(theirs, FIELD_##field);
#include "emu/vmcs/names.def"
}
END_TEST

/* Names of real programs. */
START_TEST(programs_are_understood)
{
    static const struct { const char *name; enum vmcs_field field;
    } names[] = {
        {"PIN_BASED_VM_EXEC_CONTROL", FIELD_pin_based_controls},
        {"CPU_BASED_VM_EXEC_CONTROL", FIELD_processor_based_controls},
        {"SECONDARY_VM_EXEC_CONTROL", FIELD_secondary_processor_based_controls},
        {"VM_ENTRY_CONTROLS", FIELD_entry_controls},
        {"VM_ENTRY_INTR_INFO_FIELD", FIELD_entry_interruption_information},
        {"GUEST_ES_AR_BYTES", FIELD_guest_es_access_rights},
        {"GUEST_INTERRUPTIBILITY_INFO", FIELD_guest_interruptibility_state},
        {"GUEST_PENDING_DBG_EXCEPTIONS", FIELD_guest_pending_debug_exceptions},
        {"HOST_IA32_SYSENTER_ESP", FIELD_host_ia32_sysenter_esp},
        {"VMX_PRIMARY_PROCESSOR_CONTROLS", FIELD_processor_based_controls},
        {"VMX_ENTRY_INTERRUPT_INFO", FIELD_entry_interruption_information},
        {"VM_EXIT_INFO_QUALIFICATION", FIELD_exit_qualification},
        {"VMX_EPTP", FIELD_ept_pointer},
        {"GUEST_PENDING_DBE", FIELD_guest_pending_debug_exceptions},
        {"VMX_VMCS32_CTRL_PIN_EXEC", FIELD_pin_based_controls},
        {"VMX_VMCS32_CTRL_PROC_EXEC2", FIELD_secondary_processor_based_controls},
        {"VMX_VMCS64_CTRL_EPTP_FULL", FIELD_ept_pointer},
        {"VMX_VMCS32_RO_EXIT_REASON", FIELD_exit_reason},
        {"VMX_VMCS16_GUEST_CS_SEL", FIELD_guest_cs_selector},
        {"VMX_VMCS32_GUEST_INT_STATE", FIELD_guest_interruptibility_state},
        {"Primary processor-based VM-execution controls", FIELD_processor_based_controls},
        {"Pin-based VM-execution controls", FIELD_pin_based_controls},
        {"Guest ES access rights", FIELD_guest_es_access_rights},
        {"CR0 guest/host mask", FIELD_cr0_guest_host_mask},
        {"VM-entry interruption-information field", FIELD_entry_interruption_information},
        {"Virtual-processor identifier (VPID)", FIELD_virtual_processor_identifier},
        {"Address of MSR bitmaps", FIELD_msr_bitmap_address},
        {"vmcs::primary_processor_based_vm_execution_controls", FIELD_processor_based_controls},
        {"VMCS_PRI_PROC_BASED_CTLS", FIELD_processor_based_controls},
        {"x86::vmx::vmcs::guest::CR0", FIELD_guest_cr0},
        {"nonsense", NONE},
        {"link", NONE},
        {"cr0", NONE},
        {"0x12345", NONE},
        {"0x6801", NONE},
    };

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        finds(names[i].name, names[i].field);
    bool high;
    ck_assert_uint_eq(field_by_any_name("CR0", 3, "guest", &high), FIELD_guest_cr0);
    ck_assert_uint_eq(field_by_any_name("EPT_POINTER_HIGH", 16, NULL, &high), FIELD_ept_pointer);
    ck_assert(high);
    ck_assert_uint_eq(field_by_any_name("0x201b", 6, NULL, &high), FIELD_ept_pointer);
    ck_assert(high);
}
END_TEST

/* ---- verdicts ---- */

/* 33, 34, 41: what a VM entry that failed says of itself (27.8). */
static bool failed_entry(unsigned basic) { return basic == 33 || basic == 34 || basic == 41; }

enum form { EXIT, FAILED, ERROR, EITHER };
static const struct { enum form form; const char *pattern; } verdicts[] = {
#define VERDICT(place, form, pattern) { form, pattern },
#include "emu/vmcs/verdict_lines.def"
};
enum { VERDICTS = sizeof verdicts / sizeof verdicts[0] };

/* Each pattern with each number, as an exit reason with and without bit 31, and as a VM-instruction error. */
START_TEST(every_verdict_is_heard)
{
    const bool decimal = strchr(verdicts[_i].pattern, '~') != NULL;

    for (unsigned i = 0; i < 2 * 80; i++) {
        const unsigned basic = i % 80;
        const uint32_t number = i < 80 ? basic : 0x80000000 | basic;
        const bool exits = verdicts[_i].form == EXIT   ? failed_entry(basic)
                           : verdicts[_i].form != ERROR ? failed_entry(basic) && i >= 80 : false;
        const bool errs = number <= 28 && (verdicts[_i].form == EITHER || (verdicts[_i].form == ERROR && number));
        char line[200], digits[20];
        uint64_t value = 0;
        bool before;
        size_t used = 0;

        snprintf(digits, sizeof digits, decimal ? "%u" : "0x%x", number);
        for (const char *p = verdicts[_i].pattern; *p; p++)
            used += (size_t)snprintf(line + used, sizeof line - used, *p == '%' || *p == '~' ? "%s" : "%.1s", *p == '%' || *p == '~' ? digits : *p == '*' ? "s" : p);
        enum verdict_kind kind = verdict_line(line, line + used, &value, &before);
        ck_assert_msg(kind == (exits ? VERDICT_EXIT : errs ? VERDICT_ERROR : VERDICT_NONE), "%s: %d", line, kind);
        ck_assert_msg(kind == VERDICT_NONE || value == number, "%s: 0x%llx", line, (unsigned long long)value);
    }
}
END_TEST

/* What the VMCS itself says. */
START_TEST(fields_tell_a_verdict)
{
    for (unsigned i = 0; i < 2 * 80; i++) {
        char text[80];
        uint64_t value;

        snprintf(text, sizeof text, "exit_reason = 0x%x\nguest_rip = 0\nguest_cr0 = 0x80000031\n", i < 80 ? i : 0x80000000 | i % 80);
        read_one(text);
        ck_assert_msg((snapshot_verdict(&snapshot, &value) == VERDICT_EXIT) == failed_entry(i % 80), "%s", text);
        snprintf(text, sizeof text, "vm_instruction_error = %u\nguest_rip = 0\nguest_cr0 = 0x80000031\n", i);
        read_one(text);
        ck_assert_msg((snapshot_verdict(&snapshot, &value) == VERDICT_ERROR) == (i == 7 || i == 8), "%s", text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("VMCSs as text");
    TCase *c = tcase_create("tables");

    tcase_add_test(c, every_line_of_a_log_is_read);
    tcase_add_test(c, qemu_prints_descriptors);
    tcase_add_test(c, every_field_has_its_names);
    tcase_add_test(c, programs_are_understood);
    tcase_add_loop_test(c, every_verdict_is_heard, 0, VERDICTS);
    tcase_add_test(c, fields_tell_a_verdict);
    suite_add_tcase(suite, c);
    return suite_run(suite);
}
