/* SPDX-License-Identifier: MIT */
/* The VMX instructions: every VM-instruction error, faults, exits before privilege, operands and flags. */
#include "model/refusal.h"
#include "tests/model/vmx_fixture.h"

static struct vmx_fixture f;

enum { OPERAND = 0x50000 };

static void setup(void) { fixture_open(&f); }
static void setup_bare(void) { fixture_open_bare(&f, 2); }
static void teardown(void) { fixture_close(&f); }

static uint64_t error_field(void) { return VMCS(f.cpu->vmx.current, vm_instruction_error); }

/* ---- VMXON, VMXOFF ---- */

/* Outside VMX operation: why VMXON raises #GP(0), or NULL. */
static const struct refusal *vmxon_fault(void)
{
    return vmx_refuses(REFUSALS_vmxon, &(struct attempt){ .cpu = f.cpu, .capability = &f.model->capability, .id = INSN_vmxon });
}

START_TEST(vmxon_conditions)
{
    struct cpu *cpu = f.cpu;

    ck_assert_ptr_null(vmxon_fault());
    CPU_MSR(cpu, ia32_feature_control) = FEATURE_CONTROL_VMX_OUTSIDE_SMX;
    ck_assert_ptr_nonnull(vmxon_fault());
    CPU_MSR(cpu, ia32_feature_control) = FEATURE_CONTROL_LOCK;
    ck_assert_ptr_nonnull(vmxon_fault());
    CPU_MSR(cpu, ia32_feature_control) = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
    cpu->cr0 &= ~CR0_NE;
    ck_assert_ptr_nonnull(vmxon_fault());
    ck_assert_int_eq(vmx_vmxon(cpu, FIXTURE_VMXON), VMX_FAIL_INVALID);
    cpu->cr0 |= CR0_NE;
    cpu->cr4 &= ~CR4_VMXE;
    ck_assert_ptr_nonnull(vmxon_fault());
    cpu->cr4 |= CR4_VMXE;

    ck_assert_int_eq(vmx_vmxon(cpu, FIXTURE_VMXON + 8), VMX_FAIL_INVALID);
    ck_assert_int_eq(vmx_vmxon(cpu, 1ull << 40), VMX_FAIL_INVALID);
    ck_assert_int_eq(vmx_vmxon(cpu, FIXTURE_VMCS), VMX_FAIL_INVALID);          /* no revision identifier there */
    memory_write32(&f.model->memory, FIXTURE_VMXON, VMCS_REVISION | VMCS_SHADOW_INDICATOR);
    ck_assert_int_eq(vmx_vmxon(cpu, FIXTURE_VMXON), VMX_FAIL_INVALID);
    memory_write32(&f.model->memory, FIXTURE_VMXON, VMCS_REVISION);
    ck_assert(!cpu->vmx.operation);
    ck_assert_int_eq(vmx_vmxon(cpu, FIXTURE_VMXON), VMX_SUCCEED);
    ck_assert(cpu->vmx.operation && !cpu->vmx.non_root);
    ck_assert_uint_eq(cpu->vmx.vmxon_pointer, FIXTURE_VMXON);
    ck_assert_uint_eq(vmx_vmptrst(cpu), ~0ull);
}
END_TEST

START_TEST(vmxon_in_root)
{
    ck_assert_int_eq(vmx_vmxon(f.cpu, FIXTURE_VMXON), VM_ERROR_vmxon_in_root);
    ck_assert_uint_eq(error_field(), 15);
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    ck_assert_int_eq(vmx_vmxon(f.cpu, FIXTURE_VMXON), VMX_FAIL_INVALID);       /* no current VMCS to hold the error */
}
END_TEST

START_TEST(vmxoff_leaves)
{
    ck_assert_int_eq(vmx_vmxoff(f.cpu), VMX_SUCCEED);
    ck_assert(!f.cpu->vmx.operation && !f.cpu->vmx.current);
    ck_assert_int_eq(vmx_vmxoff(f.cpu), VMX_FAIL_INVALID);
    ck_assert(vmcs_active(f.model, FIXTURE_VMCS) != NULL);
}
END_TEST

/* ---- VMCLEAR, VMPTRLD, VMPTRST ---- */

START_TEST(vmclear_errors)
{
    ck_assert_int_eq(vmx_vmclear(f.cpu, FIXTURE_VMCS + 1), VM_ERROR_vmclear_invalid_address);
    ck_assert_uint_eq(error_field(), 2);
    ck_assert_int_eq(vmx_vmclear(f.cpu, 1ull << 40), VM_ERROR_vmclear_invalid_address);
    ck_assert_int_eq(vmx_vmclear(f.cpu, FIXTURE_VMXON), VM_ERROR_vmclear_vmxon_pointer);
    ck_assert_uint_eq(error_field(), 3);
    ck_assert_int_eq(vmx_vmclear(f.cpu, FIXTURE_VMCS), VMX_SUCCEED);
    ck_assert_ptr_null(f.cpu->vmx.current);
    ck_assert_int_eq(vmx_vmclear(f.cpu, FIXTURE_VMCS + 1), VMX_FAIL_INVALID);
    ck_assert_int_eq(vmx_vmclear(f.cpu, 0xfff00000), VMX_SUCCEED);             /* no RAM: the write vanishes */
}
END_TEST

START_TEST(vmptrld_errors)
{
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_VMCS | 4), VM_ERROR_vmptrld_invalid_address);
    ck_assert_uint_eq(error_field(), 9);
    ck_assert_int_eq(vmx_vmptrld(f.cpu, 1ull << 40), VM_ERROR_vmptrld_invalid_address);
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_VMXON), VM_ERROR_vmptrld_vmxon_pointer);
    ck_assert_uint_eq(error_field(), 10);
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_LINKED), VM_ERROR_vmptrld_wrong_revision);
    ck_assert_uint_eq(error_field(), 11);
    ck_assert_int_eq(vmx_vmptrld(f.cpu, 0xfff00000), VM_ERROR_vmptrld_wrong_revision);
    ck_assert_uint_eq(vmx_vmptrst(f.cpu), FIXTURE_VMCS);

    fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR);
    f.model->capability.proc2.allowed &= ~PROC2_vmcs_shadowing;
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_LINKED), VM_ERROR_vmptrld_wrong_revision);
    f.model->capability.proc2.allowed |= PROC2_vmcs_shadowing;
    ck_assert_int_eq(vmx_vmptrld(f.cpu, FIXTURE_LINKED), VMX_SUCCEED);
    ck_assert_uint_eq(vmx_vmptrst(f.cpu), FIXTURE_LINKED);
    ck_assert(f.cpu->vmx.current->shadow);
}
END_TEST

/* ---- VMREAD, VMWRITE ---- */

START_TEST(fields_and_halves)
{
    uint64_t value = 0;

    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_tsc_offset, 0x1122334455667788), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmread(f.cpu, VMCS_tsc_offset | 1, &value), VMX_SUCCEED);
    ck_assert_uint_eq(value, 0x11223344);
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_tsc_offset | 1, 0xffffffffaaaaaaaa), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmread(f.cpu, VMCS_tsc_offset, &value), VMX_SUCCEED);
    ck_assert_uint_eq(value, 0xaaaaaaaa55667788);
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_guest_es_selector, 0x12345), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmread(f.cpu, VMCS_guest_es_selector, &value), VMX_SUCCEED);
    ck_assert_uint_eq(value, 0x2345);
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_guest_es_limit, ~0ull), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmread(f.cpu, VMCS_guest_es_limit, &value), VMX_SUCCEED);
    ck_assert_uint_eq(value, 0xffffffff);
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_guest_rip, ~0ull), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmread(f.cpu, VMCS_guest_rip, &value), VMX_SUCCEED);
    ck_assert_uint_eq(value, ~0ull);
    /* A read-only field may be written: IA32_VMX_MISC[29]. */
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_exit_reason, 0x77), VMX_SUCCEED);
    ck_assert_int_eq(vmx_vmread(f.cpu, VMCS_exit_reason, &value), VMX_SUCCEED);
    ck_assert_uint_eq(value, 0x77);
}
END_TEST

START_TEST(field_errors)
{
    static const uint64_t unsupported[] = {
        0x6001,                         /* the high half of a natural-width field */
        0x4003, 0x0801,                 /* ... of 32-bit and 16-bit fields */
        0x1000 | VMCS_tsc_offset,       /* bit 12 is reserved */
        0x8000 | VMCS_guest_rip, 0xffffffff, 1ull << 32 | VMCS_guest_rip,
        VMCS_guest_ia32_bndcfgs, VMCS_host_ia32_pkrs, VMCS_xss_exiting_bitmap, VMCS_encls_exiting_bitmap,
        0x2ffe, 0x6c7e,
    };
    uint64_t value = 0x1234;

    for (unsigned i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
        VMCS(f.cpu->vmx.current, vm_instruction_error) = 0;
        ck_assert_int_eq(vmx_vmread(f.cpu, unsupported[i], &value), VM_ERROR_unsupported_field);
        ck_assert_uint_eq(error_field(), 12);
        ck_assert_int_eq(vmx_vmwrite(f.cpu, unsupported[i], 1), VM_ERROR_unsupported_field);
        ck_assert_uint_eq(value, 0x1234);
    }
    f.model->capability.misc &= ~CAPABILITY_VMWRITE_ANY;
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_exit_reason, 1), VM_ERROR_vmwrite_read_only);
    ck_assert_uint_eq(error_field(), 13);
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    ck_assert_int_eq(vmx_vmread(f.cpu, VMCS_guest_rip, &value), VMX_FAIL_INVALID);
    ck_assert_int_eq(vmx_vmwrite(f.cpu, VMCS_guest_rip, value), VMX_FAIL_INVALID);
    ck_assert_int_eq(vmx_vmread(f.cpu, 0xffff, &value), VMX_FAIL_INVALID);
}
END_TEST

START_TEST(the_field_table_is_sorted_and_complete)
{
    uint64_t value;

    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint32_t encoding = vmcs_encoding(i);
        bool exists = vmcs_find(f.model, encoding) == i;

        if (i)
            ck_assert_uint_gt(encoding, vmcs_encoding(i - 1));
        ck_assert_ptr_nonnull(vmcs_field_name(i));
        ck_assert(exists || vmcs_find(f.model, encoding) == VMCS_FIELD_COUNT);
        ck_assert_int_eq(vmx_vmread(f.cpu, encoding, &value), exists ? 0 : VM_ERROR_unsupported_field);
        ck_assert_uint_le(VMCS_ENCODING_INDEX(encoding),
                          exists ? f.model->capability.vmcs_enum >> 1 : VMCS_ENCODING_INDEX(encoding));
    }
}
END_TEST

/* ---- VMLAUNCH, VMRESUME ---- */

static void entry_fails(bool launch, vmx_result expected)
{
    vmx_result result = 99;
    uint64_t rip = f.cpu->rip;

    ck_assert_int_eq(vmx_enter(f.cpu, launch, &result), STATUS_OK);
    ck_assert_int_eq(result, expected);
    ck_assert_uint_eq(f.cpu->rip, rip);
    ck_assert(!f.cpu->vmx.non_root);
    if (expected > 0)
        ck_assert_uint_eq(error_field(), (unsigned)expected);
}

START_TEST(entry_errors)
{
    struct vmcs *v = f.cpu->vmx.current;

    entry_fails(false, VM_ERROR_vmresume_not_launched);
    f.cpu->interruptibility = BLOCKING_BY_MOV_SS;
    entry_fails(false, VM_ERROR_entry_blocked_by_mov_ss);           /* before the launch state */
    f.cpu->interruptibility = 0;
    v->launch_state = LAUNCH_LAUNCHED;
    VMCS(v, cr3_target_count) = 9;
    entry_fails(true, VM_ERROR_vmlaunch_not_clear);                 /* before the controls */
    entry_fails(false, VM_ERROR_entry_invalid_control);
    VMCS(v, cr3_target_count) = 0;
    VMCS(v, host_cs_selector) = 0;
    entry_fails(false, VM_ERROR_entry_invalid_host_state);
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    entry_fails(true, VMX_FAIL_INVALID);
}
END_TEST

START_TEST(entry_of_a_shadow_vmcs)
{
    fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR);
    vmx_vmclear(f.cpu, FIXTURE_LINKED);
    vmx_vmptrld(f.cpu, FIXTURE_LINKED);
    fixture_fill(&f, f.cpu->vmx.current);
    f.cpu->interruptibility = BLOCKING_BY_MOV_SS;
    entry_fails(true, VMX_FAIL_INVALID);                            /* before blocking by MOV SS */
    ck_assert_uint_eq(error_field(), 0);
}
END_TEST

START_TEST(launch_state_cycle)
{
    vmx_result result;

    fixture_enter(&f);
    fixture_exit(&f, EXIT_REASON_vmcall);
    entry_fails(true, VM_ERROR_vmlaunch_not_clear);
    ck_assert_int_eq(vmx_enter(f.cpu, false, &result), STATUS_VM_ENTRY);
    fixture_exit(&f, EXIT_REASON_vmcall);
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    vmx_vmptrld(f.cpu, FIXTURE_VMCS);
    entry_fails(false, VM_ERROR_vmresume_not_launched);
    fixture_enter(&f);
}
END_TEST

/* ---- INVEPT, INVVPID ---- */

START_TEST(invept_operands)
{
    ck_assert_int_eq(vmx_invept(f.cpu, 0, FIXTURE_EPTP), VM_ERROR_invept_invvpid_operand);
    ck_assert_uint_eq(error_field(), 28);
    ck_assert_int_eq(vmx_invept(f.cpu, 3, FIXTURE_EPTP), VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(vmx_invept(f.cpu, 1ull << 32 | 1, FIXTURE_EPTP), VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(vmx_invept(f.cpu, 1, FIXTURE_EPTP), VMX_SUCCEED);
    ck_assert_int_eq(vmx_invept(f.cpu, 1, FIXTURE_EPTP | EPTP_ACCESSED_DIRTY), VMX_SUCCEED);
    ck_assert_int_eq(vmx_invept(f.cpu, 1, FIXTURE_EPTP ^ 1), VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(vmx_invept(f.cpu, 1, FIXTURE_EPT | 5 << 3 | MEMORY_WB), VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(vmx_invept(f.cpu, 1, FIXTURE_EPTP | 1 << 7), VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(vmx_invept(f.cpu, 1, FIXTURE_EPTP | 1ull << 40), VM_ERROR_invept_invvpid_operand);
    ck_assert_int_eq(vmx_invept(f.cpu, 2, 0), VMX_SUCCEED);
}
END_TEST

START_TEST(instructions_are_told)
{
    vmx_vmclear(f.cpu, FIXTURE_VMCS | 8);
    ck_assert_uint_eq(f.instruction.a, INSN_vmclear);
    ck_assert_uint_eq(f.instruction.b, FIXTURE_VMCS | 8);
    ck_assert_uint_eq(f.instruction.d, 2);
    vmx_vmwrite(f.cpu, VMCS_guest_rip, 0x99);
    ck_assert_uint_eq(f.instruction.a, INSN_vmwrite);
    ck_assert_uint_eq(f.instruction.b, VMCS_guest_rip);
    ck_assert_uint_eq(f.instruction.c, 0x99);
    ck_assert_uint_eq(f.instruction.d, 0);
    vmx_invept(f.cpu, 1, FIXTURE_EPTP);
    ck_assert_uint_eq(f.invalidate.a, INSN_invept);
    ck_assert_uint_eq(f.invalidate.b, 1);
    ck_assert_uint_eq(f.invalidate.c, FIXTURE_EPTP);
    vmx_invvpid(f.cpu, 0, 7, 0x8000);
    ck_assert_uint_eq(f.invalidate.a, INSN_invvpid);
    ck_assert_uint_eq(f.invalidate.c, 7);
    ck_assert_uint_eq(f.invalidate.d, 0x8000);
    vmx_vmclear(f.cpu, FIXTURE_VMCS);
    vmx_vmwrite(f.cpu, VMCS_guest_rip, 0x99);
    ck_assert_uint_eq(f.instruction.d, ~0ull);
}
END_TEST

START_TEST(invvpid_operands)
{
    ck_assert_int_eq(vmx_invvpid(f.cpu, 4, 1, 0), VM_ERROR_invept_invvpid_operand);
    ck_assert_uint_eq(error_field(), 28);
    for (uint64_t type = 0; type < 4; type++) {
        ck_assert_int_eq(vmx_invvpid(f.cpu, type, 1, 0), VMX_SUCCEED);
        ck_assert_int_eq(vmx_invvpid(f.cpu, type, 0, 0), type == 2 ? 0 : VM_ERROR_invept_invvpid_operand);
        ck_assert_int_eq(vmx_invvpid(f.cpu, type, 1, 1ull << 56), type ? 0 : VM_ERROR_invept_invvpid_operand);
    }
}
END_TEST

/* ---- as guest code executes them ---- */

static struct insn with_memory(enum insn_id id, uint64_t address)
{
    return (struct insn){ .id = id, .length = 4, .operand_size = 8, .address_size = 8, .kind = OPERAND_MEMORY,
                          .segment = SEG_DS, .base = NO_REGISTER, .index = NO_REGISTER,
                          .displacement = (int64_t)address };
}

static struct insn with_register(enum insn_id id, uint8_t rm, uint8_t reg)
{
    return (struct insn){ .id = id, .length = 3, .operand_size = 8, .address_size = 8, .kind = OPERAND_REGISTER,
                          .rm = rm, .reg = reg, .base = NO_REGISTER, .index = NO_REGISTER };
}

#define RESULT_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static void executes(const struct insn *insn, uint64_t flags)
{
    uint64_t rip = f.cpu->rip;

    f.cpu->rflags |= RESULT_FLAGS;
    ck_assert_int_eq(vmx_execute(f.cpu, insn), STATUS_OK);
    ck_assert_uint_eq(f.cpu->rflags & RESULT_FLAGS, flags);
    ck_assert_uint_eq(f.cpu->rip, rip + insn->length);
}

static void faults(const struct insn *insn, uint8_t vector)
{
    uint64_t rip = f.cpu->rip;

    ck_assert_int_eq(vmx_execute(f.cpu, insn), STATUS_EVENT);
    ck_assert(f.cpu->event.valid);
    ck_assert_uint_eq(f.cpu->event.vector, vector);
    ck_assert_uint_eq(f.cpu->rip, rip);
    f.cpu->event.valid = false;
}

START_TEST(execute_life_cycle)
{
    struct insn vmxon = with_memory(INSN_vmxon, OPERAND), vmclear = with_memory(INSN_vmclear, OPERAND);
    struct insn vmptrld = with_memory(INSN_vmptrld, OPERAND), vmptrst = with_memory(INSN_vmptrst, OPERAND + 8);
    struct insn vmread = with_register(INSN_vmread, RBX, RCX), vmwrite = with_register(INSN_vmwrite, RDX, RCX);
    struct insn vmcall = { .id = INSN_vmcall, .length = 3 }, vmxoff = { .id = INSN_vmxoff, .length = 3 };

    fixture_region(&f, FIXTURE_VMCS, VMCS_REVISION);
    fixture_store64(&f, OPERAND, FIXTURE_VMXON);
    executes(&vmxon, 0);
    executes(&vmcall, RFLAGS_CF);
    fixture_store64(&f, OPERAND, FIXTURE_VMCS);
    executes(&vmclear, 0);
    executes(&vmptrst, 0);
    ck_assert_uint_eq(memory_read64(&f.model->memory, OPERAND + 8), ~0ull);
    executes(&vmread, RFLAGS_CF);
    executes(&vmptrld, 0);
    executes(&vmptrst, 0);
    ck_assert_uint_eq(memory_read64(&f.model->memory, OPERAND + 8), FIXTURE_VMCS);
    f.cpu->gpr[RCX] = VMCS_guest_rsp;
    f.cpu->gpr[RDX] = 0x123456789abcdef0;
    executes(&vmwrite, 0);
    executes(&vmread, 0);
    ck_assert_uint_eq(f.cpu->gpr[RBX], 0x123456789abcdef0);
    f.cpu->gpr[RCX] = 0x7777;
    executes(&vmread, RFLAGS_ZF);
    ck_assert_uint_eq(error_field(), 12);
    executes(&vmwrite, RFLAGS_ZF);
    executes(&vmcall, RFLAGS_ZF);
    ck_assert_uint_eq(error_field(), 1);
    executes(&vmxon, RFLAGS_ZF);
    ck_assert_uint_eq(error_field(), 15);
    executes(&vmxoff, 0);
    faults(&vmxoff, VECTOR_UD);
}
END_TEST

/* VMREAD and VMWRITE with a memory operand; in 32-bit code they move 4 bytes. */
START_TEST(execute_memory_operands)
{
    struct insn vmread = with_memory(INSN_vmread, OPERAND), vmwrite = with_memory(INSN_vmwrite, OPERAND);

    vmread.reg = vmwrite.reg = RCX;
    f.cpu->gpr[RCX] = VMCS_guest_rsp;
    fixture_store64(&f, OPERAND, 0x1111222233334444);
    executes(&vmwrite, 0);
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, guest_rsp), 0x1111222233334444);
    VMCS(f.cpu->vmx.current, guest_rsp) = 0x5555666677778888;
    executes(&vmread, 0);
    ck_assert_uint_eq(memory_read64(&f.model->memory, OPERAND), 0x5555666677778888);

    /* The error of the field is told before a fault of the operand. */
    vmread.displacement = vmwrite.displacement = 0x40000000;        /* beyond the mapped GB */
    faults(&vmread, VECTOR_PF);
    faults(&vmwrite, VECTOR_PF);
    f.cpu->gpr[RCX] = 0x7777;
    executes(&vmread, RFLAGS_ZF);
    executes(&vmwrite, RFLAGS_ZF);
}
END_TEST

START_TEST(execute_invalidations)
{
    struct insn invept = with_memory(INSN_invept, OPERAND), invvpid = with_memory(INSN_invvpid, OPERAND);

    invept.reg = invvpid.reg = RAX;
    f.cpu->gpr[RAX] = 1;
    fixture_store64(&f, OPERAND, FIXTURE_EPTP);
    executes(&invept, 0);
    fixture_store64(&f, OPERAND, 1);
    executes(&invvpid, 0);
    executes(&invept, RFLAGS_ZF);
    fixture_store64(&f, OPERAND, 0x10001);                          /* reserved bits of the descriptor */
    VMCS(f.cpu->vmx.current, vm_instruction_error) = 0;
    executes(&invvpid, RFLAGS_ZF);
    ck_assert_uint_eq(error_field(), 28);
    f.cpu->gpr[RAX] = 2;
    executes(&invvpid, RFLAGS_ZF);
    f.cpu->gpr[RAX] = 9;
    invept.displacement = invvpid.displacement = 0x40000000;
    executes(&invept, RFLAGS_ZF);
    executes(&invvpid, RFLAGS_ZF);
    f.cpu->gpr[RAX] = 1;
    faults(&invept, VECTOR_PF);
    faults(&invvpid, VECTOR_PF);
}
END_TEST

static const enum insn_id vmx_instructions[] = {
    INSN_vmclear, INSN_vmlaunch, INSN_vmptrld, INSN_vmptrst, INSN_vmread, INSN_vmresume, INSN_vmwrite, INSN_vmxoff,
    INSN_vmxon, INSN_invept, INSN_invvpid, INSN_vmcall,
};
enum { VMX_INSTRUCTIONS = sizeof(vmx_instructions) / sizeof(vmx_instructions[0]) };

START_TEST(privilege_in_root)
{
    struct insn insn = with_memory(vmx_instructions[_i], 0x40000000);

    f.cpu->seg[SEG_SS].access_rights |= 3 << 5;
    f.cpu->seg[SEG_CS].access_rights |= 3 << 5;
    faults(&insn, VECTOR_GP);
}
END_TEST

START_TEST(undefined)
{
    struct insn insn = with_memory(vmx_instructions[_i], OPERAND), vmfunc = { .id = INSN_vmfunc, .length = 3 };

    f.cpu->seg[SEG_SS].access_rights |= 3 << 5;         /* #UD comes before #GP */
    f.cpu->seg[SEG_CS].access_rights &= ~AR_L;          /* compatibility mode */
    faults(&insn, VECTOR_UD);
    f.cpu->seg[SEG_CS].access_rights |= AR_L;
    faults(&vmfunc, VECTOR_UD);
    vmx_vmxoff(f.cpu);
    f.cpu->cr4 &= ~CR4_VMXE;
    faults(&insn, VECTOR_UD);
}
END_TEST

START_TEST(exit_before_privilege)
{
    struct insn insn = with_memory(vmx_instructions[_i], 0x40000123);
    struct vmcs *v = f.cpu->vmx.current;

    fixture_enter(&f);
    f.cpu->seg[SEG_SS].access_rights |= 3 << 5;
    f.cpu->seg[SEG_CS].access_rights |= 3 << 5;
    ck_assert_int_eq(vmx_execute(f.cpu, &insn), STATUS_VM_EXIT);
    ck_assert_str_eq(exit_reason_name((uint32_t)VMCS(v, exit_reason)), insn_name(insn.id));
    ck_assert_uint_eq(VMCS(v, exit_instruction_length), 4);
    ck_assert_uint_eq(VMCS(v, guest_rip), FIXTURE_GUEST_RIP);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP);
}
END_TEST

START_TEST(vmxon_general_protection)
{
    struct insn vmxon = with_memory(INSN_vmxon, 0x40000000);

    CPU_MSR(f.cpu, ia32_feature_control) = 0;
    faults(&vmxon, VECTOR_GP);
    CPU_MSR(f.cpu, ia32_feature_control) = 5;
    faults(&vmxon, VECTOR_PF);
}
END_TEST

START_TEST(execute_launch)
{
    struct insn vmlaunch = { .id = INSN_vmlaunch, .length = 3 }, vmresume = { .id = INSN_vmresume, .length = 3 };

    executes(&vmresume, RFLAGS_ZF);
    ck_assert_int_eq(vmx_execute(f.cpu, &vmlaunch), STATUS_VM_ENTRY);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_GUEST_RIP);
    fixture_exit(&f, EXIT_REASON_hlt);
    ck_assert_int_eq(vmx_execute(f.cpu, &vmresume), STATUS_VM_ENTRY);
    fixture_exit(&f, EXIT_REASON_hlt);
    VMCS(f.cpu->vmx.current, guest_rflags) = 0;
    ck_assert_int_eq(vmx_execute(f.cpu, &vmresume), STATUS_VM_EXIT);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP);
}
END_TEST

/* ---- capabilities ---- */

START_TEST(capability_msrs)
{
    const struct vmx_capability *c = &f.model->capability;
    uint64_t plain, exact;

    for (uint32_t index = 0x480; index <= 0x491; index++)
        ck_assert(capability_msr(c, index, &plain));
    ck_assert_uint_eq(plain, 1);                /* IA32_VMX_VMFUNC: EPTP switching */
    ck_assert(!capability_msr(c, 0x47f, &plain) && !capability_msr(c, 0x492, &plain));
    for (unsigned i = 0; i < 4; i++) {
        capability_msr(c, MSR_ia32_vmx_pinbased_ctls + i, &plain);
        capability_msr(c, MSR_ia32_vmx_true_pinbased_ctls + i, &exact);
        ck_assert_uint_eq(plain >> 32, exact >> 32);
        ck_assert_uint_eq((uint32_t)plain & ~(plain >> 32), 0);     /* what must be 1 may be 1 */
        ck_assert_uint_eq((uint32_t)exact & ~(uint32_t)plain, 0);
    }
    capability_msr(c, MSR_ia32_vmx_pinbased_ctls, &plain);
    ck_assert_uint_eq((uint32_t)plain, 0x16);
    capability_msr(c, MSR_ia32_vmx_true_procbased_ctls, &exact);
    ck_assert_uint_eq((uint32_t)exact, 0x04006172);
    capability_msr(c, MSR_ia32_vmx_true_exit_ctls, &exact);
    ck_assert_uint_eq((uint32_t)exact, 0x00036dfb);
    capability_msr(c, MSR_ia32_vmx_true_entry_ctls, &exact);
    ck_assert_uint_eq((uint32_t)exact, 0x000011fb);
    capability_msr(c, MSR_ia32_vmx_procbased_ctls2, &plain);
    ck_assert_uint_eq((uint32_t)plain, 0);
    capability_msr(c, MSR_ia32_vmx_vmcs_enum, &plain);
    ck_assert_uint_eq(plain, 0x19 << 1);                            /* the TSC multiplier */
    capability_msr(c, MSR_ia32_vmx_basic, &plain);
    ck_assert_uint_eq(plain & 0x7fffffff, VMCS_REVISION);
    ck_assert_uint_eq(plain >> 32 & 0x1fff, 4096);
    ck_assert_uint_eq(c->cr4_fixed1, cr4_allowed(f.cpu));
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(exit_reason_name(48), "ept_violation");
    ck_assert_str_eq(exit_reason_text(10), "CPUID");
    ck_assert_ptr_null(exit_reason_name(35));
    ck_assert_str_eq(vm_error_text(26), "VM entry with events blocked by MOV SS");
    ck_assert_ptr_null(vm_error_text(14));
    ck_assert_ptr_null(vm_error_text(-1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/vmx instructions");
    TCase *bare = tcase_create("before VMXON"), *root = tcase_create("root");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(bare, setup_bare, teardown);
    tcase_add_test(bare, vmxon_conditions);
    tcase_add_test(bare, execute_life_cycle);
    tcase_add_test(bare, vmxon_general_protection);
    suite_add_tcase(suite, bare);
    tcase_add_checked_fixture(root, setup, teardown);
    tcase_add_test(root, vmxon_in_root);
    tcase_add_test(root, vmxoff_leaves);
    tcase_add_test(root, vmclear_errors);
    tcase_add_test(root, vmptrld_errors);
    tcase_add_test(root, fields_and_halves);
    tcase_add_test(root, field_errors);
    tcase_add_test(root, the_field_table_is_sorted_and_complete);
    tcase_add_test(root, entry_errors);
    tcase_add_test(root, entry_of_a_shadow_vmcs);
    tcase_add_test(root, launch_state_cycle);
    tcase_add_test(root, invept_operands);
    tcase_add_test(root, invvpid_operands);
    tcase_add_test(root, instructions_are_told);
    tcase_add_test(root, execute_memory_operands);
    tcase_add_test(root, execute_invalidations);
    tcase_add_loop_test(root, privilege_in_root, 0, VMX_INSTRUCTIONS);
    tcase_add_loop_test(root, undefined, 0, VMX_INSTRUCTIONS);
    tcase_add_loop_test(root, exit_before_privilege, 0, VMX_INSTRUCTIONS);
    tcase_add_test(root, execute_launch);
    tcase_add_test(root, capability_msrs);
    tcase_add_test(root, names);
    suite_add_tcase(suite, root);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
