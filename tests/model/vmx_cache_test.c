/* SPDX-License-Identifier: MIT */
/* Active VMCSs: what memory shows of them, rule R2, two processors, eviction; VMCS shadowing. */
#include "tests/model/vmx_fixture.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void setup_two(void)
{
    fixture_open_bare(&f, 2);
    fixture_region(&f, FIXTURE_VMXON + 0x60000, VMCS_REVISION);
    ck_assert_int_eq(vmx_vmxon(f.cpu, FIXTURE_VMXON), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmxon(&f.model->cpu[1], FIXTURE_VMXON + 0x60000), VMX_SUCCEED);
    fixture_vmcs(&f, f.cpu, FIXTURE_VMCS);
}
static void teardown(void) { fixture_close(&f); }

static bool watched(uint64_t pa) { return f.watch[memory_page_index(&f.model->memory, pa)] & WATCH_VMCS; }

static void no_violation(void)
{
    ck_assert_msg(!f.violations, "%s", f.violation ? f.violation : "");
}

static void violation(const char *part)
{
    ck_assert_uint_eq(f.violations, 1);
    ck_assert_uint_eq(f.violation_rule, RULE_ACTIVE_VMCS);
    ck_assert_msg(strstr(f.violation, part) != NULL, "%s", f.violation);
    fixture_forget(&f);
}

START_TEST(memory_is_poisoned_and_written_back)
{
    uint64_t value;

    ck_assert(watched(FIXTURE_VMCS));
    ck_assert_uint_eq(memory_read32(&f.model->memory, FIXTURE_VMCS), VMCS_REVISION);
    for (unsigned i = 8; i < PAGE_SIZE; i += 8)
        ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_VMCS + i), VMCS_POISON);
    vmx_vmwrite(f.cpu, VMCS_guest_rip, 0x123456);
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    no_violation();
    ck_assert(!watched(FIXTURE_VMCS));
    ck_assert_ptr_null(vmcs_active(f.model, FIXTURE_VMCS));
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_VMCS + 8), LAUNCH_CLEAR);
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_VMCS + 16 + 8 * FIELD_guest_rip), 0x123456);
    vmx_vmptrld(f.cpu, FIXTURE_VMCS);
    vmx_vmread(f.cpu, VMCS_guest_rip, &value);
    ck_assert_uint_eq(value, 0x123456);
}
END_TEST

START_TEST(a_hostile_image_is_cut_to_size)
{
    memset(f.ram + FIXTURE_LINKED + 8, 0xff, PAGE_SIZE - 8);
    memory_write32(&f.model->memory, FIXTURE_LINKED, VMCS_REVISION);
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_LINKED), VMX_SUCCEED);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        ck_assert_uint_eq(f.cpu->vmx.current->field[i], vmcs_field_mask(i));
    ck_assert_uint_eq(f.cpu->vmx.current->launch_state, LAUNCH_CLEAR);
}
END_TEST

START_TEST(vmclear_of_an_inactive_region)
{
    memset(f.ram + FIXTURE_LINKED, 0x55, PAGE_SIZE);
    ck_assert_int_eq(vmx_vmclear(f.cpu, FIXTURE_LINKED), VMX_SUCCEED);
    no_violation();
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_LINKED + 8), LAUNCH_CLEAR);
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_LINKED), 0x5555555555555555);
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_LINKED + 16), 0x5555555555555555);
    ck_assert_uint_eq(vmx_vmptrst(f.cpu), FIXTURE_VMCS);
}
END_TEST

/* Any byte of the region but the abort indicator, written behind the model's back: VMCLEAR finds it. */
START_TEST(a_raw_write_is_found_at_vmclear)
{
    static const uint32_t offsets[] = { 8, 15, 16, 100, 2047, 2048, 4088, 4095 };

    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        f.ram[FIXTURE_VMCS + offsets[i]] ^= 1;
        vmx_vmclear(f.cpu, FIXTURE_VMCS);
        violation("region of an active VMCS was written");
        fixture_vmcs(&f, f.cpu, FIXTURE_VMCS);
        no_violation();
    }
    f.ram[FIXTURE_VMCS + 3] ^= 0x80;
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    violation("shadow-VMCS indicator of an active VMCS was written");
    fixture_vmcs(&f, f.cpu, FIXTURE_VMCS);
    memory_write32(&f.model->memory, FIXTURE_VMCS + 4, 0);
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    no_violation();
}
END_TEST

START_TEST(a_raw_write_is_found_at_once)
{
    vmcs_watch_write(f.cpu, FIXTURE_VMCS - 8, 8);
    vmcs_watch_write(f.cpu, FIXTURE_VMCS + 4, 4);
    vmcs_watch_write(f.cpu, FIXTURE_VMCS + 0x1000, 0x1000);
    vmcs_watch_write(f.cpu, FIXTURE_VMCS, 0);
    vmcs_watch_write(f.cpu, ~0ull - 4, 8);
    no_violation();
    vmcs_watch_write(f.cpu, FIXTURE_VMCS - 0x800, 0x1000);
    violation("indicator of an active VMCS");
    vmcs_watch_write(f.cpu, FIXTURE_VMCS + 8, 1);           /* once is enough */
    no_violation();
    fixture_vmcs(&f, f.cpu, FIXTURE_VMCS);
    fixture_forget(&f);
    vmcs_watch_write(f.cpu, FIXTURE_VMCS + 7, 2);
    violation("region of an active VMCS");
}
END_TEST

/* ---- shadowing ---- */

static struct vmcs *link_shadow(void)
{
    struct vmcs *v = f.cpu->vmx.current, *shadow;

    fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION);
    vmx_vmclear(f.cpu, FIXTURE_LINKED);
    memory_write32(&f.model->memory, FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR);
    VMCS(v, secondary_processor_based_controls) |= PROC2_vmcs_shadowing;
    VMCS(v, vmcs_link_pointer) = FIXTURE_LINKED;
    ck_assert_ptr_null(vmcs_active(f.model, FIXTURE_LINKED));
    fixture_enter(&f);
    shadow = vmcs_active(f.model, FIXTURE_LINKED);
    ck_assert_ptr_nonnull(shadow);
    return shadow;
}

/* The headline: the indicator is flipped on a VMCS that only a link made active. */
START_TEST(flip_without_vmclear_is_found)
{
    link_shadow();
    fixture_exit(&f, EXIT_REASON_vmlaunch);
    no_violation();
    vmcs_watch_write(f.cpu, FIXTURE_LINKED, 4);
    memory_write32(&f.model->memory, FIXTURE_LINKED, VMCS_REVISION);
    violation("VMCLEAR missing [25.10, 25.1]");
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_LINKED), VMX_SUCCEED);
    ck_assert(f.cpu->vmx.current->shadow);                  /* the processor's copy has not changed */
    no_violation();
}
END_TEST

/* The same by guest code, whose stores are not announced: VMPTRLD compares. */
START_TEST(flip_by_guest_code_is_found_at_vmptrld)
{
    link_shadow();
    fixture_exit(&f, EXIT_REASON_vmlaunch);
    memory_write32(&f.model->memory, FIXTURE_LINKED, VMCS_REVISION);
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_LINKED), VMX_SUCCEED);
    violation("VMCLEAR missing [25.10, 25.1]");
}
END_TEST

START_TEST(flip_with_vmclear_is_right)
{
    vmx_result result;

    link_shadow();
    fixture_exit(&f, EXIT_REASON_vmlaunch);
    vmx_vmclear(f.cpu, FIXTURE_LINKED);
    vmcs_watch_write(f.cpu, FIXTURE_LINKED, 4);
    memory_write32(&f.model->memory, FIXTURE_LINKED, VMCS_REVISION);
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_LINKED), VMX_SUCCEED);
    ck_assert(!f.cpu->vmx.current->shadow);
    fixture_fill(&f, f.cpu->vmx.current);
    ck_assert_int_eq(vmx_enter(f.cpu, true, &result), STATUS_VM_ENTRY);
    no_violation();
}
END_TEST

START_TEST(without_shadowing_nothing_is_linked)
{
    fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION);
    VMCS(f.cpu->vmx.current, vmcs_link_pointer) = FIXTURE_LINKED;
    fixture_enter(&f);
    ck_assert_ptr_null(vmcs_active(f.model, FIXTURE_LINKED));
}
END_TEST

START_TEST(a_failed_entry_links_nothing)
{
    vmx_result result;

    fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR);
    VMCS(f.cpu->vmx.current, secondary_processor_based_controls) |= PROC2_vmcs_shadowing;
    VMCS(f.cpu->vmx.current, vmcs_link_pointer) = FIXTURE_LINKED;
    VMCS(f.cpu->vmx.current, guest_rflags) = 0;
    ck_assert_int_eq(vmx_enter(f.cpu, true, &result), STATUS_VM_EXIT);
    ck_assert_ptr_null(vmcs_active(f.model, FIXTURE_LINKED));
}
END_TEST

static struct insn vmread_or_write(enum insn_id id)
{
    return (struct insn){ .id = id, .length = 3, .operand_size = 8, .address_size = 8, .kind = OPERAND_REGISTER,
                          .rm = RBX, .reg = RCX, .base = NO_REGISTER, .index = NO_REGISTER };
}

START_TEST(shadowed_accesses)
{
    struct insn vmread = vmread_or_write(INSN_vmread), vmwrite = vmread_or_write(INSN_vmwrite);
    struct vmcs *v = f.cpu->vmx.current, *shadow = link_shadow();
    struct cpu *cpu = f.cpu;

    cpu->gpr[RCX] = VMCS_guest_rip;
    cpu->gpr[RBX] = 0xabcd;
    ck_assert_int_eq(vmx_execute(cpu, &vmwrite), STATUS_OK);
    ck_assert_uint_eq(VMCS(shadow, guest_rip), 0xabcd);
    ck_assert_uint_ne(VMCS(v, guest_rip), 0xabcd);
    VMCS(shadow, guest_rip) = 0x9876;
    ck_assert_int_eq(vmx_execute(cpu, &vmread), STATUS_OK);
    ck_assert_uint_eq(cpu->gpr[RBX], 0x9876);

    /* Errors 12 and 13 go to the current VMCS. */
    cpu->gpr[RCX] = 0x7776;
    ck_assert_int_eq(vmx_execute(cpu, &vmread), STATUS_OK);
    ck_assert(cpu->rflags & RFLAGS_ZF);
    ck_assert_uint_eq(VMCS(v, vm_instruction_error), 12);
    ck_assert_uint_eq(VMCS(shadow, vm_instruction_error), 0);
    f.model->capability.misc &= ~CAPABILITY_VMWRITE_ANY;
    cpu->gpr[RCX] = VMCS_exit_reason;
    ck_assert_int_eq(vmx_execute(cpu, &vmwrite), STATUS_OK);
    ck_assert_uint_eq(VMCS(v, vm_instruction_error), 13);

    /* Not intercepted: privilege counts. */
    cpu->seg[SEG_SS].access_rights |= 3 << 5;
    ck_assert_int_eq(vmx_execute(cpu, &vmread), STATUS_EVENT);
    ck_assert_uint_eq(cpu->event.vector, VECTOR_GP);
    cpu->event.valid = false;

    /* Each bitmap has its own bit, for the high half too; and it is checked before privilege. */
    f.ram[FIXTURE_VMREAD_BITMAP + (VMCS_tsc_offset | 1) / 8] = 1 << (VMCS_tsc_offset | 1) % 8;
    cpu->gpr[RCX] = VMCS_tsc_offset | 1;
    ck_assert_int_eq(vmx_execute(cpu, &vmwrite), STATUS_EVENT);
    cpu->event.valid = false;
    ck_assert_int_eq(vmx_execute(cpu, &vmread), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_vmread);
}
END_TEST

START_TEST(shadowed_accesses_that_exit)
{
    static const uint64_t encodings[] = { 0x8000, 0x10000 | VMCS_guest_rip, 1ull << 40 | VMCS_guest_rip };
    struct insn vmwrite = vmread_or_write(INSN_vmwrite);
    struct vmcs *v = f.cpu->vmx.current;
    vmx_result result;

    link_shadow();
    for (unsigned i = 0; i < 3; i++) {
        f.cpu->gpr[RCX] = encodings[i];
        ck_assert_int_eq(vmx_execute(f.cpu, &vmwrite), STATUS_VM_EXIT);
        ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_vmwrite);
        ck_assert_uint_eq(VMCS(v, exit_instruction_information), 1u << 28 | 3u << 3 | 1u << 10);
        ck_assert_int_eq(vmx_enter(f.cpu, false, &result), STATUS_VM_ENTRY);
    }
    /* Without a linked VMCS: VMfailInvalid, no exit. */
    fixture_exit(&f, EXIT_REASON_hlt);
    VMCS(v, vmcs_link_pointer) = ~0ull;
    ck_assert_int_eq(vmx_enter(f.cpu, false, &result), STATUS_VM_ENTRY);
    f.cpu->gpr[RCX] = VMCS_guest_rip;
    ck_assert_int_eq(vmx_execute(f.cpu, &vmwrite), STATUS_OK);
    ck_assert_uint_eq(f.cpu->rflags & RFLAGS_ARITHMETIC, RFLAGS_CF);
}
END_TEST

/* ---- several processors, many VMCSs ---- */

START_TEST(active_on_two_processors)
{
    struct cpu *other = &f.model->cpu[1];

    ck_assert_int_eq(vmx_vmptrld(other, FIXTURE_VMCS), VMX_SUCCEED);
    violation("active on two processors");
}
END_TEST

START_TEST(migration_with_vmclear)
{
    struct cpu *other = &f.model->cpu[1];
    uint64_t value;

    vmx_vmwrite(f.cpu, VMCS_guest_rsp, 0x4711);
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    ck_assert_int_eq(vmx_vmptrld(other, FIXTURE_VMCS), VMX_SUCCEED);
    vmx_vmread(other, VMCS_guest_rsp, &value);
    ck_assert_uint_eq(value, 0x4711);
    no_violation();
}
END_TEST

START_TEST(vmclear_on_the_wrong_processor)
{
    vmx_vmclear(&f.model->cpu[1], FIXTURE_VMCS);
    violation("on another processor");
    ck_assert_ptr_eq(f.cpu->vmx.current, vmcs_active(f.model, FIXTURE_VMCS));   /* it is not for others to change */
    ck_assert_int_eq(vmx_vmclear(f.cpu, FIXTURE_VMCS), VMX_SUCCEED);
    ck_assert_ptr_null(f.cpu->vmx.current);
    ck_assert_ptr_null(vmcs_active(f.model, FIXTURE_VMCS));
}
END_TEST

/* Whatever another processor does to the VMCS of a guest that runs: there is one until it has exited. */
START_TEST(a_guest_keeps_its_vmcs)
{
    struct cpu *other = &f.model->cpu[1];
    vmx_result result;

    ck_assert_int_eq(vmx_enter(f.cpu, true, &result), STATUS_VM_ENTRY);
    for (unsigned rounds = 0; rounds < 2; rounds++) {
        if (rounds)
            vmx_vmptrld(other, FIXTURE_VMCS);
        ck_assert_int_eq(vmx_vmclear(other, FIXTURE_VMCS), VMX_SUCCEED);
        ck_assert_ptr_null(other->vmx.current);
        ck_assert_ptr_nonnull(f.cpu->vmx.current);
        ck_assert(f.cpu->vmx.current->active && f.cpu->vmx.current->cpu == 0);
    }
    violation("on another processor");
    fixture_exit(&f, EXIT_REASON_hlt);
    ck_assert_int_eq(vmx_enter(f.cpu, false, &result), STATUS_OK);
    ck_assert_int_eq(result, VM_ERROR_vmresume_not_launched);
}
END_TEST

/* More VMCSs than the processor holds: none is lost, launch states neither, and the current one stays. */
START_TEST(eviction)
{
    enum { MANY = VMCS_CACHE_SIZE + 40, BASE = 0x80000 };
    struct vmcs *first = f.cpu->vmx.current;
    uint64_t value;

    VMCS(first, guest_rsp) = 0x1234;
    for (unsigned i = 0; i < MANY; i++) {
        uint64_t pa = BASE + i * PAGE_SIZE;

        fixture_region(&f, pa, VMCS_REVISION);
        ck_assert_int_eq(vmx_vmclear(f.cpu, pa), VMX_SUCCEED);
        ck_assert_int_eq(vmx_vmptrld(f.cpu, pa), VMX_SUCCEED);
        vmx_vmwrite(f.cpu, VMCS_guest_rip, i);
        f.cpu->vmx.current->launch_state = i & 1 ? LAUNCH_LAUNCHED : LAUNCH_CLEAR;
        ck_assert(watched(pa));
    }
    ck_assert_ptr_null(vmcs_active(f.model, FIXTURE_VMCS)); /* the oldest one went */
    ck_assert(!watched(FIXTURE_VMCS));
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(vmx_vmptrld(f.cpu, BASE + i * PAGE_SIZE), VMX_SUCCEED);
        vmx_vmread(f.cpu, VMCS_guest_rip, &value);
        ck_assert_uint_eq(value, i);
        ck_assert_uint_eq(f.cpu->vmx.current->launch_state, i & 1);
    }
    vmx_vmptrld(f.cpu, FIXTURE_VMCS);
    vmx_vmread(f.cpu, VMCS_guest_rsp, &value);
    ck_assert_uint_eq(value, 0x1234);
    no_violation();
}
END_TEST

START_TEST(eviction_compares_too)
{
    enum { BASE = 0x80000 };

    f.ram[FIXTURE_VMCS + 300] ^= 4;
    for (unsigned i = 0; i < VMCS_CACHE_SIZE; i++) {
        fixture_region(&f, BASE + i * PAGE_SIZE, VMCS_REVISION);
        vmx_vmptrld(f.cpu, BASE + i * PAGE_SIZE);
    }
    violation("region of an active VMCS");
}
END_TEST

START_TEST(the_current_vmcs_is_not_evicted)
{
    struct cpu *other = &f.model->cpu[1];
    struct vmcs *current = f.cpu->vmx.current;

    for (unsigned i = 0; i < 2 * VMCS_CACHE_SIZE; i++) {
        uint64_t pa = 0x80000 + i * PAGE_SIZE;

        fixture_region(&f, pa, VMCS_REVISION);
        ck_assert_int_eq(vmx_vmptrld(other, pa), VMX_SUCCEED);
    }
    ck_assert_ptr_eq(vmcs_active(f.model, FIXTURE_VMCS), current);
    ck_assert_ptr_eq(f.cpu->vmx.current, current);
    no_violation();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/vmx active VMCSs");
    TCase *one = tcase_create("one processor"), *two = tcase_create("two processors");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(one, setup, teardown);
    tcase_add_test(one, memory_is_poisoned_and_written_back);
    tcase_add_test(one, a_hostile_image_is_cut_to_size);
    tcase_add_test(one, vmclear_of_an_inactive_region);
    tcase_add_test(one, a_raw_write_is_found_at_vmclear);
    tcase_add_test(one, a_raw_write_is_found_at_once);
    tcase_add_test(one, flip_without_vmclear_is_found);
    tcase_add_test(one, flip_by_guest_code_is_found_at_vmptrld);
    tcase_add_test(one, flip_with_vmclear_is_right);
    tcase_add_test(one, without_shadowing_nothing_is_linked);
    tcase_add_test(one, a_failed_entry_links_nothing);
    tcase_add_test(one, shadowed_accesses);
    tcase_add_test(one, shadowed_accesses_that_exit);
    tcase_add_test(one, eviction);
    tcase_add_test(one, eviction_compares_too);
    suite_add_tcase(suite, one);
    tcase_add_checked_fixture(two, setup_two, teardown);
    tcase_add_test(two, active_on_two_processors);
    tcase_add_test(two, migration_with_vmclear);
    tcase_add_test(two, vmclear_on_the_wrong_processor);
    tcase_add_test(two, a_guest_keeps_its_vmcs);
    tcase_add_test(two, the_current_vmcs_is_not_evicted);
    suite_add_tcase(suite, two);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
