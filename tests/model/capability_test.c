/* SPDX-License-Identifier: MIT */
/*
 * Each capability bit switches a behaviour: software that looks for it by doing, not by reading the MSR, sees another machine
 * when the bit is taken away. One probe a row; a row without one does not compile.
 */
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

int main(void)
{
    Suite *suite = suite_create("model/vmx capability bits");
    TCase *tcase = tcase_create("capability bits");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_loop_test(tcase, ept_vpid_bit, 0, EPT_VPID_ROWS);
    tcase_add_test(tcase, invalidation_instructions_missing);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
