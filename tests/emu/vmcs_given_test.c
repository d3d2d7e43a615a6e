/* SPDX-License-Identifier: MIT */
/*
 * A row fails only on what was given. VMCSs that VM entry accepts, of guests and hosts in every mode, lose fields, what memory holds, and
 * what is known of the processor, at random and one by one: whatever is left, no check may fail.
 */
#include "emu/vmcs/snapshot.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;
static struct snapshot whole, part;
static enum row_state row[SNAPSHOT_ROWS_MAX];
static int current;                     /* the state under test */

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

/* ---- VMCSs, from the fixture's: a 64-bit host and a 64-bit guest ---- */

static void as_it_is(struct vmcs *v) { (void)v; }

static void with_ept(struct vmcs *v)
{
    VMCS(v, processor_based_controls) |= PROC_activate_secondary_controls;
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept | PROC2_unrestricted_guest | PROC2_enable_vpid;
}

/* Flat segments without L and with D/B, and no IA-32e mode. */
static void guest_32bit(struct vmcs *v)
{
    VMCS(v, entry_controls) &= ~(uint64_t)ENTRY_ia32e_mode_guest;
    VMCS(v, guest_ia32_efer) = 0;
    VMCS(v, guest_cr4) = CR4_VMXE;
    VMCS(v, guest_cs_access_rights) = 0xc09b;
}

static void real_mode(struct vmcs *v)
{
    with_ept(v);
    guest_32bit(v);
    VMCS(v, guest_cr0) = CR0_ET | CR0_NE;
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        v->field[FIELD_guest_es_selector + i] = 0xf000;
        v->field[FIELD_guest_es_base + i] = 0xf0000;
        v->field[FIELD_guest_es_limit + i] = 0xffff;
        v->field[FIELD_guest_es_access_rights + i] = i == SEG_CS ? 0x9b : 0x93;
    }
    VMCS(v, guest_rip) = 0xfff0;
}

static void virtual_8086(struct vmcs *v)
{
    guest_32bit(v);
    VMCS(v, guest_rflags) |= RFLAGS_VM;
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        v->field[FIELD_guest_es_selector + i] = 0x1234;
        v->field[FIELD_guest_es_base + i] = 0x12340;
        v->field[FIELD_guest_es_limit + i] = 0xffff;
        v->field[FIELD_guest_es_access_rights + i] = 0xf3;
    }
    VMCS(v, guest_rip) = 0x100;
}

static void user_mode(struct vmcs *v)
{
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        v->field[FIELD_guest_es_selector + i] |= 3;
        v->field[FIELD_guest_es_access_rights + i] |= 3 << 5;
    }
}

/* The PDPTEs are in memory. */
static void pae_paging(struct vmcs *v)
{
    guest_32bit(v);
    VMCS(v, guest_cr4) |= CR4_PAE;
    VMCS(v, guest_cr3) = FIXTURE_PDPTES;
    for (unsigned i = 0; i < 4; i++)
        fixture_store64(&f, FIXTURE_PDPTES + 8 * i, 0x13001);
}

static void pae_paging_with_ept(struct vmcs *v)
{
    pae_paging(v);
    with_ept(v);
}

/* The revision identifier and the indicator are in memory. */
static void linked(struct vmcs *v)
{
    fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR);
    VMCS(v, processor_based_controls) |= PROC_activate_secondary_controls;
    VMCS(v, secondary_processor_based_controls) |= PROC2_vmcs_shadowing;
    VMCS(v, vmcs_link_pointer) = FIXTURE_LINKED;
}

/* VTPR is in memory. */
static void tpr_shadow(struct vmcs *v)
{
    VMCS(v, processor_based_controls) |= PROC_use_tpr_shadow;
    VMCS(v, virtual_apic_address) = 0xa000;
    fixture_store64(&f, 0xa080, 0x70);
    VMCS(v, tpr_threshold) = 7;
}

static void host_32bit(struct vmcs *v)
{
    guest_32bit(v);
    CPU_MSR(f.cpu, ia32_efer) = 0;
    VMCS(v, exit_controls) &= ~(uint64_t)EXIT_host_address_space_size;
    VMCS(v, host_ia32_efer) = 0;
    VMCS(v, host_cr4) = CR4_VMXE;
}

static void five_levels(struct vmcs *v)
{
    VMCS(v, host_cr4) |= CR4_LA57;
    VMCS(v, guest_cr4) |= CR4_LA57;
    VMCS(v, host_gs_base) = VMCS(v, guest_gs_base) = 0x00f0000000000000;
}

static void halted(struct vmcs *v)
{
    VMCS(v, guest_activity_state) = ACTIVITY_HLT;
    VMCS(v, guest_rflags) |= RFLAGS_IF;
}

static void single_stepping(struct vmcs *v)
{
    VMCS(v, guest_rflags) |= RFLAGS_TF;
    VMCS(v, guest_interruptibility_state) = BLOCKING_BY_STI;
    VMCS(v, guest_pending_debug_exceptions) = 1 << 14;
}

static void page_fault(struct vmcs *v)
{
    VMCS(v, entry_interruption_information) = 0x80000b0e;
    VMCS(v, entry_exception_error_code) = 2;
}

static void interrupt(struct vmcs *v)
{
    VMCS(v, pin_based_controls) |= PIN_external_interrupt_exiting;
    VMCS(v, exit_controls) |= EXIT_acknowledge_interrupt_on_exit;
    VMCS(v, entry_interruption_information) = 0x80000040;
}

static void software_interrupt(struct vmcs *v)
{
    VMCS(v, entry_interruption_information) = 0x80000480;
    VMCS(v, entry_instruction_length) = 2;
}

static void no_segments(struct vmcs *v)
{
    for (unsigned i = 0; i < SEG_TR; i++)
        if (i != SEG_CS)
            v->field[FIELD_guest_es_access_rights + i] = AR_UNUSABLE;
}

static void (*const states[])(struct vmcs *v) = {
    as_it_is, with_ept, guest_32bit, real_mode, virtual_8086, user_mode, pae_paging, pae_paging_with_ept, linked, tpr_shadow, host_32bit, five_levels,
    halted, single_stepping, page_fault, interrupt, software_interrupt, no_segments,
};
enum { STATES = sizeof states / sizeof states[0], ROUNDS = 25 };

static uint64_t next(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;

    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Every field with this probability in percent, and each other thing with one half. */
static void take_part(unsigned percent, bool memory, bool processor)
{
    const struct snapshot_reader nobody = { .turn = 0 };

    snapshot_begin(&nobody, &part);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (next() % 100 < percent)
            snapshot_give(&part, 1, (enum vmcs_field)i, whole.vmcs.field[i]);
    part.words = memory ? whole.words : 0;
    memcpy(part.word, whole.word, sizeof part.word);
    if (processor) {
        part.ia32e = whole.ia32e;
        part.ia32e_given = true;
        part.physical_address_width = whole.physical_address_width;
        part.width_given = true;
    }
    ck_assert_uint_eq(part.notes, 0);
}

static void nothing_fails(const char *what, unsigned number)
{
    snapshot_assume(&part);
    ck_assert(snapshot_check(&part, row));
    for (unsigned i = 0; i < check_count; i++)
        ck_assert_msg(row[i] != ROW_FAILS, "state %d, %s %u: %s fails", current, what, number, check_table[i].id);
}

START_TEST(parts)
{
    current = _i;
    states[_i](f.cpu->vmx.current);
    snapshot_take(&whole, f.cpu, f.cpu->vmx.current, false);
    part = whole;
    nothing_fails("whole", 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        static const unsigned percent[] = { 100, 97, 80, 50, 10 };

        take_part(percent[i % 5], next() & 1, next() & 1);
        nothing_fails("round", i);
    }
}
END_TEST

/* Without one field. */
START_TEST(all_but_one)
{
    current = _i;
    states[_i](f.cpu->vmx.current);
    snapshot_take(&whole, f.cpu, f.cpu->vmx.current, false);
    for (unsigned i = (unsigned)_i % 4; i < VMCS_FIELD_COUNT; i += 4) {
        take_part(100, i & 16, i & 32);
        part.given[i] = false;
        part.vmcs.field[i] = 0;
        nothing_fails("without field", i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmcs given");
    TCase *tcase = tcase_create("parts of valid VMCSs");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, parts, 0, STATES);
    tcase_add_loop_test(tcase, all_but_one, 0, STATES);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
