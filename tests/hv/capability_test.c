/* SPDX-License-Identifier: MIT */
/* What the core demands of a processor, what it shows L1 of it, and which VMCS fields follow from that. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hv/core.h"
#include "hv/nested/shadow.h"
#include "tests/suite.h"

/* A processor with everything, beyond what the core knows. */
static const struct capability rich = {
    .basic = 0x12345678 | 3ull << 54 | 1ull << 56,
    .misc = ~0ull,
    .cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
    .cr0_fixed1 = 0xffffffff,
    .cr4_fixed0 = CR4_VMXE,
    .cr4_fixed1 = 0x1fffff,
    .ept_vpid = ~0ull,
    .pin = { 0x16, 0x16, 0xffffffff },
    .proc = { 0x04006172, 0x0401e172, 0xffffffff },
    .proc2 = { 0, 0, 0xffffffff },
    .exit = { 0x00036dfb, 0x00036dff, 0xffffffff },
    .entry = { 0x000011fb, 0x000011ff, 0xffffffff },
};

static struct capability offered;

static void offer(void) { capability_offer(&rich, &offered); }

static uint64_t value_of(uint32_t msr)
{
    uint64_t value = 0;
    ck_assert_msg(capability_value(&offered, msr, &value), "MSR 0x%x does not exist", msr);
    return value;
}

START_TEST(a_rich_processor_lacks_nothing)
{
    ck_assert_ptr_null(capability_missing(&rich));
}
END_TEST

START_TEST(what_is_missing_is_named)
{
    struct capability poor = rich;
    poor.proc2.allowed &= ~(uint32_t)PROC2_enable_ept;
    ck_assert_str_eq(capability_missing(&poor), "the processor lacks EPT");
    poor = rich;
    poor.misc &= ~MISC_STORES_LMA;
    ck_assert_str_eq(capability_missing(&poor), "exits do not save IA32_EFER.LMA");
    poor = rich;
    poor.proc.required |= PROC_cr3_load_exiting;
    ck_assert_str_eq(capability_missing(&poor), "accesses to CR3 must exit");
}
END_TEST

START_TEST(strategies_that_the_processor_cannot_do_are_refused)
{
    struct capability poor = rich;
    ck_assert_ptr_null(shadow_refusal(&poor, HV_COPY));
    ck_assert_ptr_null(shadow_refusal(&poor, HV_FLIP));
    poor.proc2.allowed &= ~(uint32_t)PROC2_vmcs_shadowing;
    ck_assert_ptr_null(shadow_refusal(&poor, HV_TRAP));
    ck_assert(strstr(shadow_refusal(&poor, HV_COPY), "lacks VMCS shadowing"));
    ck_assert(strstr(shadow_refusal(&poor, HV_FLIP), "lacks VMCS shadowing"));
    poor = rich;
    poor.misc &= ~MISC_VMWRITE_ANY;
    ck_assert_ptr_null(shadow_refusal(&poor, HV_TRAP));
    ck_assert(strstr(shadow_refusal(&poor, HV_COPY), "cannot write exit information"));
    ck_assert(strstr(shadow_refusal(&poor, HV_FLIP), "cannot write exit information"));
    ck_assert(shadow_refusal(&rich, (enum hv_strategy)3));
}
END_TEST

/* SDM Vol. 3, 25.5, 25.6, 25.8: hardware acts on these for L0, so L1 must not write them where hardware reads them. */
START_TEST(fields_of_l0_are_never_shadowed_by_flip)
{
    unsigned free_addresses = 0;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        const struct field *f = &field_table[i];
        const bool verbatim = f->class == CLASS_GUEST || f->class == CLASS_CONTROL_VERBATIM ||
                              f->class == CLASS_EXIT_INFORMATION || f->encoding == VMCS_processor_based_controls;
        ck_assert_msg(f->flip == FLIP_I || verbatim, "field 0x%x", f->encoding);
        ck_assert_msg(f->flip == FLIP_I || VMCS_ENCODING_TYPE(f->encoding) != VMCS_TYPE_HOST, "field 0x%x", f->encoding);
        /* 64-bit controls are addresses, but for two of the TSC. */
        free_addresses += f->flip != FLIP_I && VMCS_ENCODING_TYPE(f->encoding) == VMCS_TYPE_CONTROL &&
                          VMCS_ENCODING_WIDTH(f->encoding) == VMCS_WIDTH_64;
    }
    ck_assert_uint_eq(free_addresses, 2);
    ck_assert(field_table[FIELD_tsc_offset].flip == FLIP_F);
    ck_assert(field_table[FIELD_tsc_multiplier].flip == FLIP_F);
    ck_assert(field_table[FIELD_vm_instruction_error].flip == FLIP_I);
    ck_assert(field_table[FIELD_vm_instruction_error].copy == COPY_T);
    ck_assert(field_table[FIELD_pin_based_controls].flip == FLIP_I);
    ck_assert(field_table[FIELD_secondary_processor_based_controls].flip == FLIP_I);
    ck_assert(field_table[FIELD_processor_based_controls].flip == FLIP_V);
    ck_assert(field_table[FIELD_guest_activity_state].flip == FLIP_V);
}
END_TEST

/* Only what nested/ virtualises: each of these would hand a physical address or L0's own control to L1. */
START_TEST(dangerous_controls_are_not_offered)
{
    const uint32_t refused = PROC2_vmcs_shadowing | PROC2_enable_vm_functions | PROC2_enable_pml |
                             PROC2_ept_violation_ve | PROC2_virtualize_apic_accesses |
                             PROC2_virtual_interrupt_delivery | PROC2_apic_register_virtualization |
                             PROC2_virtualize_x2apic_mode | PROC2_sub_page_write_permissions;
    ck_assert_uint_eq(offered.proc2.allowed & refused, 0);
    ck_assert_uint_eq(offered.pin.allowed & PIN_process_posted_interrupts, 0);
    ck_assert_uint_eq(offered.proc.allowed & PROC_activate_tertiary_controls, 0);
    ck_assert_uint_eq(offered.entry.allowed & (ENTRY_entry_to_smm | ENTRY_deactivate_dual_monitor), 0);
    ck_assert_uint_eq(offered.misc & (MISC_ACTIVITY_SHUTDOWN | 7ull << 25 | 0xffffffffull << 32), 0);
    ck_assert_uint_eq(offered.ept_vpid & (1ull << 7 | 1ull << 23), 0);      /* 5-level walks, shadow stacks */
}
END_TEST

/* What a hypervisor of today expects: all of it, if the processor has it. */
START_TEST(floor_is_offered)
{
    const uint32_t proc = PROC_use_tpr_shadow | PROC_use_tsc_offsetting | PROC_monitor_trap_flag | PROC_use_msr_bitmaps |
                          PROC_use_io_bitmaps | PROC_pause_exiting;
    const uint32_t proc2 = PROC2_enable_ept | PROC2_enable_vpid | PROC2_unrestricted_guest |
                           PROC2_mode_based_execute_control | PROC2_descriptor_table_exiting | PROC2_enable_invpcid |
                           PROC2_pause_loop_exiting | PROC2_use_tsc_scaling;
    const uint64_t ept = EPT_CAP_EXECUTE_ONLY | EPT_CAP_2M | EPT_CAP_1G | EPT_CAP_ACCESSED_DIRTY;
    struct capability poor = rich, less;
    ck_assert_uint_eq(offered.proc.allowed & proc, proc);
    ck_assert_uint_eq(offered.proc2.allowed & proc2, proc2);
    ck_assert_uint_eq(offered.ept_vpid & ept, ept);
    ck_assert_uint_eq(offered.exit.allowed & EXIT_save_preemption_timer, EXIT_save_preemption_timer);
    poor.ept_vpid &= ~(EPT_CAP_ACCESSED_DIRTY | EPT_CAP_ADVANCED_INFORMATION);
    poor.proc2.allowed &= ~(uint32_t)PROC2_mode_based_execute_control;
    capability_offer(&poor, &less);
    ck_assert_uint_eq(less.ept_vpid & (EPT_CAP_ACCESSED_DIRTY | EPT_CAP_ADVANCED_INFORMATION), 0);
    ck_assert_uint_eq(less.proc2.allowed & PROC2_mode_based_execute_control, 0);
}
END_TEST

/* Each need by itself, with the bit by which the processor tells that it is met, or (the third) that it is not. */
START_TEST(each_need_is_named)
{
    static struct capability poor;
    const struct { void *word; unsigned size, bit; bool wanted; const char *missing; } row[] = {
        { &poor.proc.allowed, 4, 28, true, "the processor lacks MSR bitmaps" },
        { &poor.proc.allowed, 4, 31, true, "the processor lacks secondary controls" },
        { &poor.proc.required, 4, 15, false, "accesses to CR3 must exit" },
        { &poor.proc.required, 4, 16, false, "accesses to CR3 must exit" },
        { &poor.pin.allowed, 4, 5, true, "the processor lacks virtual NMIs and NMI-window exiting" },
        { &poor.proc.allowed, 4, 22, true, "the processor lacks virtual NMIs and NMI-window exiting" },
        { &poor.proc2.allowed, 4, 1, true, "the processor lacks EPT" },
        { &poor.proc2.allowed, 4, 5, true, "the processor lacks VPIDs" },
        { &poor.proc2.allowed, 4, 7, true, "the processor lacks unrestricted guests" },
        { &poor.exit.allowed, 4, 9, true, "the processor lacks 64-bit hosts" },
        { &poor.exit.allowed, 4, 20, true, "the processor cannot save IA32_EFER on exits" },
        { &poor.exit.allowed, 4, 21, true, "the processor cannot load IA32_EFER on exits" },
        { &poor.exit.allowed, 4, 18, true, "the processor cannot save IA32_PAT on exits" },
        { &poor.exit.allowed, 4, 19, true, "the processor cannot load IA32_PAT on exits" },
        { &poor.entry.allowed, 4, 15, true, "the processor cannot load IA32_EFER on entries" },
        { &poor.entry.allowed, 4, 14, true, "the processor cannot load IA32_PAT on entries" },
        { &poor.misc, 8, 5, true, "exits do not save IA32_EFER.LMA" },
        { &poor.ept_vpid, 8, 6, true, "EPT lacks 4-level walks" },
        { &poor.ept_vpid, 8, 14, true, "EPT lacks write-back paging structures" },
        { &poor.ept_vpid, 8, 16, true, "EPT lacks 2-MByte pages" },
        { &poor.ept_vpid, 8, 20, true, "single-context INVEPT is missing" },
        { &poor.ept_vpid, 8, 25, true, "single-context INVEPT is missing" },
        { &poor.ept_vpid, 8, 32, true, "single-context INVVPID is missing" },
        { &poor.ept_vpid, 8, 41, true, "single-context INVVPID is missing" },
        { &poor.ept_vpid, 8, 26, true, "INVEPT or INVVPID of all contexts is missing" },
        { &poor.ept_vpid, 8, 42, true, "INVEPT or INVVPID of all contexts is missing" },
    };
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        uint64_t value = 0;
        poor = rich;
        memcpy(&value, row[i].word, row[i].size);
        ck_assert_uint_eq(value >> row[i].bit & 1, row[i].wanted);
        value ^= 1ull << row[i].bit;
        memcpy(row[i].word, &value, row[i].size);
        ck_assert_pstr_eq(capability_missing(&poor), row[i].missing);
    }
}
END_TEST

/* What docs/core.md says L1 gets, by bit (SDM Vol. 3, 25.6-25.8, A.6, A.10), and not one more. */
START_TEST(just_these_bits_are_offered)
{
#define B(n) (1ull << (n))
    const uint64_t pin = B(0) | B(3) | B(5) | B(6);
    const uint64_t proc = B(2) | B(3) | B(7) | B(9) | B(10) | B(11) | B(12) | B(15) | B(16) | B(19) | B(20) | B(21) | B(22) |
                          B(23) | B(24) | B(25) | B(27) | B(28) | B(29) | B(30) | B(31);
    const uint64_t proc2 = B(1) | B(2) | B(3) | B(5) | B(6) | B(7) | B(10) | B(11) | B(12) | B(16) | B(22) | B(25);
    const uint64_t exit = B(2) | B(9) | B(15) | B(18) | B(19) | B(20) | B(21) | B(22);
    const uint64_t entry = B(2) | B(9) | B(14) | B(15);
    const uint64_t misc = 0x1f | B(5) | B(6) | B(8) | 0x1ffull << 16 | B(29) | B(30);
    const uint64_t ept_vpid = B(0) | B(6) | B(8) | B(14) | B(16) | B(17) | B(20) | B(21) | B(22) | B(25) | B(26) | B(32) |
                              0xfull << 40;
    struct capability bare = rich;
    /* A processor without reserved bits: what is offered are the core's own words. */
    bare.pin = bare.proc = bare.proc2 = bare.exit = bare.entry = (struct control_word){ 0, 0, 0xffffffff };
    capability_offer(&bare, &offered);
    ck_assert_uint_eq(offered.pin.allowed, pin);
    ck_assert_uint_eq(offered.proc.allowed, proc);
    ck_assert_uint_eq(offered.proc2.allowed, proc2);
    ck_assert_uint_eq(offered.exit.allowed, exit);
    ck_assert_uint_eq(offered.entry.allowed, entry);
    ck_assert_uint_eq(offered.misc, misc);
    ck_assert_uint_eq(offered.ept_vpid, ept_vpid);
    ck_assert_uint_eq(offered.cr4_fixed1, rich.cr4_fixed1);
    bare.cr4_fixed1 |= CR4_CET;
    capability_offer(&bare, &offered);
    ck_assert_uint_eq(offered.cr4_fixed1 & CR4_CET, CR4_CET);   /* L1 uses it as without L0; L0 has no state of it */
#undef B
}
END_TEST

/* SDM Vol. 3, A.2: a control that must be 1 may be 1. */
START_TEST(required_controls_are_allowed)
{
    const struct control_word *word[] = { &offered.pin, &offered.proc, &offered.proc2, &offered.exit, &offered.entry };
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(word[i]->required & ~word[i]->allowed, 0);
        ck_assert_uint_eq(word[i]->default1 & ~word[i]->allowed, 0);
        ck_assert(control_legal(*word[i], word[i]->required));
        ck_assert(!word[i]->required || !control_legal(*word[i], 0));
    }
}
END_TEST

START_TEST(msrs_tell_what_is_offered)
{
    uint64_t value;
    ck_assert_uint_eq(value_of(MSR_ia32_vmx_basic) & 0xffffffff, VMCS12_REVISION);
    ck_assert_uint_eq(value_of(MSR_ia32_vmx_basic) >> 32 & 0x1fff, 4096);
    ck_assert_uint_eq(value_of(MSR_ia32_vmx_true_procbased_ctls) & 0xffffffff, rich.proc.required);
    ck_assert_uint_eq(value_of(MSR_ia32_vmx_procbased_ctls) & 0xffffffff, rich.proc.default1);
    ck_assert_uint_eq(value_of(MSR_ia32_vmx_procbased_ctls2) & 0xffffffff, 0);
    ck_assert_uint_eq(value_of(MSR_ia32_vmx_procbased_ctls2) >> 32, offered.proc2.allowed);
    ck_assert(!capability_value(&offered, MSR_ia32_vmx_vmfunc, &value));
    ck_assert(!capability_value(&offered, 0x492, &value));
}
END_TEST

/* Each row of the table is found by its encoding, or absent with its feature. */
START_TEST(fields_are_found)
{
    unsigned present = 0, highest = 0;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        enum field_index found = field_find(&offered, field_table[i].encoding);
        if (field_table[i].class == CLASS_ABSENT) {
            ck_assert_uint_eq(found, FIELD_COUNT);
            continue;
        }
        ck_assert_uint_eq(found, i);
        present++;
        if (VMCS_ENCODING_INDEX(field_table[i].encoding) > highest)
            highest = VMCS_ENCODING_INDEX(field_table[i].encoding);
    }
    ck_assert_uint_gt(present, 100);
    ck_assert_uint_eq(offered.vmcs_enum, highest << 1);
}
END_TEST

START_TEST(odd_encodings_are_unsupported)
{
    ck_assert_uint_eq(field_find(&offered, VMCS_ept_pointer + 1), FIELD_ept_pointer);   /* high half of 64 bits */
    ck_assert_uint_eq(field_find(&offered, VMCS_guest_rip + 1), FIELD_COUNT);
    ck_assert_uint_eq(field_find(&offered, VMCS_exit_reason + 1), FIELD_COUNT);
    ck_assert_uint_eq(field_find(&offered, VMCS_guest_rip | 1ull << 32), FIELD_COUNT);
    ck_assert_uint_eq(field_find(&offered, VMCS_guest_rip | 1u << 15), FIELD_COUNT);
    ck_assert_uint_eq(field_find(&offered, 0x7ffe), FIELD_COUNT);
    ck_assert_uint_eq(field_find(&offered, VMCS_pml_address), FIELD_COUNT);
}
END_TEST

START_TEST(values_are_cut_to_their_field)
{
    ck_assert_uint_eq(field_cut(FIELD_guest_cs_selector, ~0ull), 0xffff);
    ck_assert_uint_eq(field_cut(FIELD_exception_bitmap, ~0ull), 0xffffffff);
    ck_assert_uint_eq(field_cut(FIELD_ept_pointer, ~0ull), ~0ull);
    ck_assert_uint_eq(field_cut(FIELD_guest_rip, ~0ull), ~0ull);
}
END_TEST

/* Class I of the fields: no address, no host state of L1's ever goes into vmcs02 verbatim. */
START_TEST(no_address_goes_to_hardware)
{
    static const enum field_index never[] = {
        FIELD_io_bitmap_a_address, FIELD_io_bitmap_b_address, FIELD_msr_bitmap_address,
        FIELD_exit_msr_store_address, FIELD_exit_msr_load_address, FIELD_entry_msr_load_address,
        FIELD_exit_msr_store_count, FIELD_exit_msr_load_count, FIELD_ept_pointer, FIELD_vmcs_link_pointer,
        FIELD_virtual_processor_identifier, FIELD_exit_controls, FIELD_virtual_apic_address,
    };
    for (unsigned i = 0; i < sizeof never / sizeof *never; i++)
        ck_assert(field_table[never[i]].class != CLASS_GUEST && field_table[never[i]].class != CLASS_CONTROL_VERBATIM);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (VMCS_ENCODING_TYPE(field_table[i].encoding) == VMCS_TYPE_HOST)
            ck_assert(field_table[i].class == CLASS_HOST || field_table[i].class == CLASS_ABSENT);
}
END_TEST

START_TEST(ept_pointers)
{
    ck_assert(eptp_valid(&offered, 40, 0x5000 | 3 << 3 | MEMORY_WB));
    ck_assert(eptp_valid(&offered, 40, 0x5000 | 3 << 3 | MEMORY_UC));
    ck_assert(!eptp_valid(&offered, 40, 0x5000 | 3 << 3 | MEMORY_WT));
    ck_assert(!eptp_valid(&offered, 40, 0x5000 | 4 << 3 | MEMORY_WB));      /* CVE-2017-12188: another walk length */
    ck_assert(eptp_valid(&offered, 40, 0x5000 | 3 << 3 | MEMORY_WB | EPTP_ACCESSED_DIRTY));
    struct capability poor = offered;
    poor.ept_vpid &= ~EPT_CAP_ACCESSED_DIRTY;
    ck_assert(!eptp_valid(&poor, 40, 0x5000 | 3 << 3 | MEMORY_WB | EPTP_ACCESSED_DIRTY));
    ck_assert(!eptp_valid(&offered, 40, 0x5000 | 3 << 3 | MEMORY_WB | 1 << 7));
    ck_assert(!eptp_valid(&offered, 40, 1ull << 40 | 3 << 3 | MEMORY_WB));
}
END_TEST

/* What hv/msrs.def says, written down again: an MSR more costs L1 an exit for each use, one less is a hole. */
START_TEST(msr_bitmap_intercepts_what_the_table_says)
{
    static const uint32_t intercepted[][2] = {
        { 0x1b, 0x1b }, { 0x33, 0x33 }, { 0x3a, 0x3a }, { 0xcf, 0xcf }, { 0x1a0, 0x1a0 }, { 0x3f1, 0x3f5 }, { 0x480, 0x493 }, { 0x560, 0x561 },
        { 0x570, 0x572 }, { 0x580, 0x587 }, { 0x600, 0x600 }, { 0x981, 0x983 }, { 0xda0, 0xda0 }, { 0x17d0, 0x17d2 }, { 0x17d4, 0x17d4 },
    };
    static uint8_t bitmap[4096];
    unsigned bits = 0, wanted = 0;

    msr_bitmap_fill(bitmap);
    for (unsigned i = 0; i < sizeof bitmap; i++)
        bits += (unsigned)__builtin_popcount(bitmap[i]);
    for (unsigned i = 0; i < sizeof intercepted / sizeof *intercepted; i++)
        for (uint32_t msr = intercepted[i][0]; msr <= intercepted[i][1]; msr++, wanted += 2) {
            ck_assert_msg(bitmap[msr / 8] >> msr % 8 & 1, "RDMSR of %x", msr);
            ck_assert_msg(bitmap[2048 + msr / 8] >> msr % 8 & 1, "WRMSR of %x", msr);
        }
    ck_assert_uint_eq(bits, wanted);
}
END_TEST

static bool canonical_by(uint64_t cr4_fixed1, uint64_t linear)
{
    static struct hv_machine machine;
    const struct hv_cpu cpu = { .machine = &machine };

    machine.offered.cr4_fixed1 = cr4_fixed1;
    return canonical_in_register(&cpu, linear);
}

START_TEST(canonical_addresses)
{
    static const uint64_t always[] = { 0, 0x7fffffffffff, 0xffff800000000000, ~0ull };
    static const uint64_t by_57_bits[] = { 0x800000000000, 0xffff7fffffffffff, 0xffffffffffffff, 0xff00000000000000 };
    static const uint64_t never[] = { 1ull << 63, 1ull << 56 | 1, 0xfeffffffffffffff };

    for (unsigned i = 0; i < 4; i++) {
        ck_assert(canonical_by(0, always[i]) && canonical_by(CR4_LA57, always[i]));
        ck_assert(!canonical_by(0, by_57_bits[i]) && canonical_by(CR4_LA57, by_57_bits[i]));
    }
    for (unsigned i = 0; i < 3; i++)
        ck_assert(!canonical_by(0, never[i]) && !canonical_by(CR4_LA57, never[i]));
}
END_TEST

START_TEST(pat_values)
{
    ck_assert(pat_valid(0x0007040600070406));
    ck_assert(!pat_valid(2) && !pat_valid(3) && !pat_valid(8) && !pat_valid(0xffull << 56));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv capability");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, offer, NULL);
    tcase_add_test(tests, a_rich_processor_lacks_nothing);
    tcase_add_test(tests, what_is_missing_is_named);
    tcase_add_test(tests, strategies_that_the_processor_cannot_do_are_refused);
    tcase_add_test(tests, fields_of_l0_are_never_shadowed_by_flip);
    tcase_add_test(tests, dangerous_controls_are_not_offered);
    tcase_add_test(tests, floor_is_offered);
    tcase_add_test(tests, each_need_is_named);
    tcase_add_test(tests, just_these_bits_are_offered);
    tcase_add_test(tests, required_controls_are_allowed);
    tcase_add_test(tests, msrs_tell_what_is_offered);
    tcase_add_test(tests, fields_are_found);
    tcase_add_test(tests, odd_encodings_are_unsupported);
    tcase_add_test(tests, values_are_cut_to_their_field);
    tcase_add_test(tests, no_address_goes_to_hardware);
    tcase_add_test(tests, ept_pointers);
    tcase_add_test(tests, msr_bitmap_intercepts_what_the_table_says);
    tcase_add_test(tests, canonical_addresses);
    tcase_add_test(tests, pat_values);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
