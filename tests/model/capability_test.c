/* SPDX-License-Identifier: MIT */
/*
 * Each capability bit switches a behaviour: software that looks for it by doing, not by reading the MSR, sees another machine
 * when the bit is taken away. One probe a row; a row without one does not compile.
 */
#include <stddef.h>
#include <stdio.h>

#include "model/cpu/translate.h"
#include "model/ept/ept.h"
#include "model/vmx/profile.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void teardown(void) { fixture_close(&f); }

/* A processor that lacks one bit, and what the VMX instructions and a VM entry need. */
static void open_lacking(const struct vmx_lacks *lacks)
{
    fixture_open(&f);
    capability_init(&f.model->capability, lacks);
    fixture_fill(&f, f.cpu->vmx.current);
}

static int64_t launch(void)
{
    vmx_result result = 99;
    enum status status = vmx_enter(f.cpu, true, &result);

    return status == STATUS_OK ? result : -(int64_t)status;
}

/* ---- IA32_VMX_EPT_VPID_CAP ---- */

static struct ept_translation walk(uint64_t pdpte, uint64_t pde, enum access_kind kind)
{
    fixture_store64(&f, FIXTURE_EPT + 0x1000, pdpte);
    fixture_store64(&f, FIXTURE_EPT + 0x2000, pde);
    return ept_walk(f.cpu, FIXTURE_EPTP, 0, (struct ept_access){ .kind = kind, .linear_valid = true,
                                                                 .page = EPT_VIOLATION_USER_PAGE });
}

static int64_t see_ept_execute_only(void)
{
    return walk(EPT_LARGE | MEMORY_WB << 3 | EPT_EXECUTE, 0, ACCESS_FETCH).result;
}

static int64_t see_ept_2m(void)
{
    return walk((FIXTURE_EPT + 0x2000) | EPT_RIGHTS, EPT_LARGE | MEMORY_WB << 3 | EPT_RIGHTS, ACCESS_READ).result;
}

static int64_t see_ept_1g(void) { return walk(EPT_LARGE | MEMORY_WB << 3 | EPT_RIGHTS, 0, ACCESS_READ).result; }

static int64_t see_ept_exit_information(void)
{
    return (int64_t)walk(EPT_LARGE | MEMORY_WB << 3 | EPT_READ, 0, ACCESS_WRITE).qualification;
}

static int64_t launch_with_eptp(uint64_t eptp)
{
    VMCS(f.cpu->vmx.current, secondary_processor_based_controls) |= PROC2_enable_ept;
    VMCS(f.cpu->vmx.current, ept_pointer) = eptp;
    return launch();
}

static int64_t see_ept_walk_4(void) { return launch_with_eptp(FIXTURE_EPT | 3 << 3 | MEMORY_WB); }
static int64_t see_ept_walk_5(void) { return launch_with_eptp(FIXTURE_EPT | 4 << 3 | MEMORY_WB); }
static int64_t see_ept_uncacheable(void) { return launch_with_eptp(FIXTURE_EPT | 3 << 3 | MEMORY_UC); }
static int64_t see_ept_write_back(void) { return launch_with_eptp(FIXTURE_EPT | 3 << 3 | MEMORY_WB); }
static int64_t see_ept_ad(void) { return launch_with_eptp(FIXTURE_EPT | EPTP_ACCESSED_DIRTY | 3 << 3 | MEMORY_WB); }

/* The instruction with its operand: the vector it faults with, or minus the error it reports. */
static int64_t invalidate(enum insn_id id, uint64_t type, uint64_t context)
{
    struct insn insn = { .id = id, .kind = OPERAND_MEMORY, .length = 5, .reg = RAX, .base = RBX, .index = NO_REGISTER,
                         .segment = SEG_DS, .address_size = 8 };

    VMCS(f.cpu->vmx.current, vm_instruction_error) = 0;
    f.cpu->gpr[RAX] = type;
    f.cpu->gpr[RBX] = 0x50000;
    fixture_store64(&f, 0x50000, context);
    fixture_store64(&f, 0x50008, 0x1000);
    if (execute(f.cpu, &insn) == STATUS_EVENT)
        return f.cpu->event.vector;
    return -(int64_t)VMCS(f.cpu->vmx.current, vm_instruction_error);
}

static int64_t see_invept(void) { return invalidate(INSN_invept, 0, 0); }
static int64_t see_invept_single_context(void) { return invalidate(INSN_invept, 1, FIXTURE_EPTP); }
static int64_t see_invept_all_context(void) { return invalidate(INSN_invept, 2, 0); }
static int64_t see_invvpid(void) { return invalidate(INSN_invvpid, 9, 1); }
static int64_t see_invvpid_address(void) { return invalidate(INSN_invvpid, 0, 1); }
static int64_t see_invvpid_single_context(void) { return invalidate(INSN_invvpid, 1, 1); }
static int64_t see_invvpid_all_context(void) { return invalidate(INSN_invvpid, 2, 1); }
static int64_t see_invvpid_keep_global(void) { return invalidate(INSN_invvpid, 3, 1); }

static const struct {
    const char *name;
    unsigned bit;
    int64_t (*see)(void);
} ept_vpid[] = {
#define EPT_VPID(name, bit, needs, text) { #name, bit, see_##name },
#include "arch/ept_vpid.def"
};
enum { EPT_VPID_ROWS = sizeof(ept_vpid) / sizeof(ept_vpid[0]) };

START_TEST(ept_vpid_bit)
{
    struct vmx_lacks lacks = { .ept_vpid = 1ull << ept_vpid[_i].bit };
    int64_t with, without;

    open_lacking(NULL);
    ck_assert(capability_ept_vpid(&f.model->capability, ept_vpid[_i].bit));
    with = ept_vpid[_i].see();
    fixture_close(&f);
    open_lacking(&lacks);
    without = ept_vpid[_i].see();
    ck_assert_msg(with != without, "%s: taking it away changes nothing", ept_vpid[_i].name);
}
END_TEST

/* What each instruction says without itself, and of a type that is missing (31.3). */
START_TEST(invalidation_instructions_missing)
{
    struct vmx_lacks instructions = { .ept_vpid = 1ull << EPT_VPID_invept | 1ull << EPT_VPID_invvpid };
    struct vmx_lacks types = { .ept_vpid = 1ull << EPT_VPID_invept_all_context | 1ull << EPT_VPID_invvpid_all_context };

    open_lacking(&instructions);
    ck_assert_int_eq(invalidate(INSN_invept, 1, FIXTURE_EPTP), VECTOR_UD);
    f.cpu->event.valid = false;
    ck_assert_int_eq(invalidate(INSN_invvpid, 1, 1), VECTOR_UD);
    f.cpu->event.valid = false;
    ck_assert_uint_eq(f.model->capability.ept_vpid >> 25 & 3, 0);       /* no type without the instruction */
    ck_assert_uint_eq(f.model->capability.ept_vpid >> 40 & 15, 0);
    fixture_enter(&f);                                                  /* #UD comes before the VM exit */
    ck_assert_int_eq(invalidate(INSN_invept, 1, FIXTURE_EPTP), VECTOR_UD);
    fixture_close(&f);
    open_lacking(&types);
    ck_assert_int_eq(invalidate(INSN_invept, 1, FIXTURE_EPTP), 0);
    ck_assert_int_eq(invalidate(INSN_invept, 2, 0), -VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(invalidate(INSN_invvpid, 2, 0), -VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(invalidate(INSN_invvpid, 3, 1), 0);
    ck_assert_int_eq(vmx_invept(f.cpu, 2, 0), VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(vmx_invvpid(f.cpu, 2, 1, 0), VM_ERROR_invept_invvpid_operand);
}
END_TEST

/* ---- IA32_VMX_BASIC, IA32_VMX_MISC, IA32_VMX_VMFUNC ---- */

static int64_t see_ins_outs_information(void)
{
    struct insn insn = { .id = INSN_ins, .kind = OPERAND_MEMORY, .length = 2, .operand_size = 1, .address_size = 8, .rep = true };

    VMCS(f.cpu->vmx.current, processor_based_controls) |= PROC_unconditional_io_exiting;
    fixture_enter(&f);
    f.cpu->gpr[RCX] = 1;
    ck_assert_int_eq(execute(f.cpu, &insn), STATUS_VM_EXIT);
    return (int64_t)VMCS(f.cpu->vmx.current, exit_instruction_information);
}

/* Software reads the TRUE MSR, or does without. */
static int64_t see_true_controls(void)
{
    uint64_t value;

    if (!msr_read(f.cpu, MSR_ia32_vmx_true_procbased_ctls, &value))
        return -1;
    VMCS(f.cpu->vmx.current, processor_based_controls) &= ~(uint64_t)PROC_cr3_load_exiting;
    return launch();
}

static int64_t see_any_error_code(void)
{
    VMCS(f.cpu->vmx.current, entry_interruption_information) =
        INTERRUPTION_VALID | INTERRUPTION_ERROR_CODE_VALID | EVENT_HARDWARE_EXCEPTION << 8 | VECTOR_CP;
    return launch();
}

static int64_t see_stores_lma(void)
{
    fixture_enter(&f);
    VMCS(f.cpu->vmx.current, entry_controls) &= ~(uint64_t)ENTRY_ia32e_mode_guest;      /* as if the guest had entered it since */
    fixture_exit(&f, EXIT_REASON_cpuid);
    return VMCS(f.cpu->vmx.current, entry_controls) & ENTRY_ia32e_mode_guest;
}

static int64_t launch_into(enum activity_state state)
{
    VMCS(f.cpu->vmx.current, guest_activity_state) = state;
    return launch();
}

static int64_t see_activity_hlt(void) { return launch_into(ACTIVITY_HLT); }
static int64_t see_activity_shutdown(void) { return launch_into(ACTIVITY_SHUTDOWN); }
static int64_t see_activity_wait_for_sipi(void) { return launch_into(ACTIVITY_WAIT_FOR_SIPI); }
static int64_t see_vmwrite_any(void) { return vmx_vmwrite(f.cpu, VMCS_exit_reason, 1); }

static int64_t see_inject_length_0(void)
{
    VMCS(f.cpu->vmx.current, entry_interruption_information) = INTERRUPTION_VALID | EVENT_SOFTWARE_INTERRUPT << 8 | 0x80;
    VMCS(f.cpu->vmx.current, entry_instruction_length) = 0;
    return launch();
}

static int64_t see_eptp_switching(void)
{
    VMCS(f.cpu->vmx.current, secondary_processor_based_controls) |= PROC2_enable_ept | PROC2_enable_vm_functions;
    VMCS(f.cpu->vmx.current, vm_function_controls) = 1;
    return launch();
}

static const struct {
    const char *name;
    size_t word, lacks;
    unsigned bit;
    int64_t (*see)(void);
} vmx_bits[] = {
#define BASIC_PLACE offsetof(struct vmx_capability, basic), offsetof(struct vmx_lacks, basic)
#define MISC_PLACE offsetof(struct vmx_capability, misc), offsetof(struct vmx_lacks, misc)
#define VMFUNC_PLACE offsetof(struct vmx_capability, vmfunc), offsetof(struct vmx_lacks, vmfunc)
#define VMX_BIT(msr, name, bit, text) { #name, msr##_PLACE, bit, see_##name },
#include "arch/vmx_bits.def"
};
enum { VMX_BITS = sizeof(vmx_bits) / sizeof(vmx_bits[0]) };

/* A bit that this processor does not offer is put in, to see what it would do. */
START_TEST(vmx_bit)
{
    struct vmx_lacks lacks = { .vmx = false };
    int64_t with, without;

    open_lacking(NULL);
    *(uint64_t *)((char *)&f.model->capability + vmx_bits[_i].word) |= 1ull << vmx_bits[_i].bit;
    with = vmx_bits[_i].see();
    fixture_close(&f);
    *(uint64_t *)((char *)&lacks + vmx_bits[_i].lacks) = 1ull << vmx_bits[_i].bit;
    open_lacking(&lacks);
    without = vmx_bits[_i].see();
    ck_assert_msg(with != without, "%s: taking it away changes nothing", vmx_bits[_i].name);
}
END_TEST

/* A.6: what IA32_VMX_MISC gives as numbers. */
START_TEST(numbers)
{
    open_lacking(NULL);
    VMCS(f.cpu->vmx.current, cr3_target_count) = 3;
    f.model->capability.misc = (f.model->capability.misc & ~(0x1ffull << 16)) | 2ull << 16;
    ck_assert_int_eq(launch(), VM_ERROR_entry_invalid_control);
    VMCS(f.cpu->vmx.current, cr3_target_count) = 2;
    VMCS(f.cpu->vmx.current, entry_msr_load_count) = 600;               /* 512 entries, but for bits 27:25 */
    for (unsigned i = 0; i < 600; i++)
        memory_write64(&f.model->memory, 0x60000 + 16 * i, MSR_ia32_tsc_aux), memory_write64(&f.model->memory, 0x60008 + 16 * i, 1);
    VMCS(f.cpu->vmx.current, entry_msr_load_address) = 0x60000;
    ck_assert_int_eq(launch(), -STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_qualification), 513);
    f.model->capability.misc |= 1ull << 25;
    ck_assert_int_eq(launch(), -STATUS_VM_ENTRY);
}
END_TEST

/* ---- the control words ---- */

static const struct {
    const char *name;
    enum control_word_id word;
    uint32_t mask;
} controls[] = {
#define CONTROL(word, name, bit, text) { #word " " #name, WORD_##word, 1u << (bit) },
#include "arch/vmx_controls.def"
};
enum { CONTROLS = sizeof(controls) / sizeof(controls[0]) };

static bool holds(const char *id)
{
    for (unsigned i = 0; i < check_count; i++)
        if (!strcmp(check_table[i].id, id))
            return check_holds(f.cpu, f.cpu->vmx.current, i);
    ck_abort_msg("no check %s", id);
    return false;
}

/* A control that is offered may be 1, and one of the default1 class 0; without it that is what VM entry refuses. */
START_TEST(control_bit)
{
    static const char *const names[WORD_COUNT] = { "pin", "proc", "proc2", "exit", "entry" };
    static const enum vmcs_field fields[WORD_COUNT] = { FIELD_pin_based_controls, FIELD_processor_based_controls,
        FIELD_secondary_processor_based_controls, FIELD_exit_controls, FIELD_entry_controls };
    enum control_word_id word = controls[_i].word;
    struct vmx_lacks lacks = { .vmx = false };
    char must_be_0[40], must_be_1[40];
    bool clearable, offered;
    uint64_t *field;

    snprintf(must_be_0, sizeof must_be_0, "control.%s.must_be_0", names[word]);
    snprintf(must_be_1, sizeof must_be_1, "control.%s.must_be_1", names[word]);
    open_lacking(NULL);
    clearable = f.model->capability.word[word].default1 & controls[_i].mask;
    offered = f.model->capability.word[word].allowed & controls[_i].mask;
    field = &f.cpu->vmx.current->field[fields[word]];
    if (clearable)
        *field &= ~(uint64_t)controls[_i].mask;
    else
        *field |= controls[_i].mask;
    ck_assert_msg(holds(clearable ? must_be_1 : must_be_0) == offered, "%s: offered", controls[_i].name);
    if (!offered)
        return;
    lacks.word[word] = controls[_i].mask;
    capability_init(&f.model->capability, &lacks);
    ck_assert_msg(!holds(clearable ? must_be_1 : must_be_0), "%s: taking it away changes nothing", controls[_i].name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/vmx capability bits");
    TCase *tcase = tcase_create("capability bits");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_loop_test(tcase, ept_vpid_bit, 0, EPT_VPID_ROWS);
    tcase_add_test(tcase, invalidation_instructions_missing);
    tcase_add_loop_test(tcase, vmx_bit, 0, VMX_BITS);
    tcase_add_test(tcase, numbers);
    tcase_add_loop_test(tcase, control_bit, 0, CONTROLS);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
