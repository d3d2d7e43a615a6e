/* SPDX-License-Identifier: MIT */
/* What the VMX instructions do once privilege and operand are settled: SDM Vol. 3, 31.3, in its order of checks. */
#include "model/cpu/execute.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/vmx/internal.h"
#include "model/vmx/vmx.h"

vmx_result vmx_fail(struct cpu *cpu, enum vm_instruction_error error)
{
    if (!cpu->vmx.current)
        return VMX_FAIL_INVALID;
    VMCS(cpu->vmx.current, vm_instruction_error) = error;
    return (vmx_result)error;
}

/* Tells the observer of an instruction executed in root operation and passes its result on. */
static vmx_result done(const struct cpu *cpu, enum insn_id id, uint64_t operand, uint64_t value, vmx_result result)
{
    vmx_notify(cpu, NOTICE_VMX_INSTRUCTION, id, operand, value, (uint64_t)(int64_t)result);
    return result;
}

/* A 4-KByte-aligned physical address that the processor has. */
static bool region_address(const struct cpu *cpu, uint64_t pa)
{
    return !(pa & ~PAGE_MASK) && !(pa >> cpu->model->physical_address_width);
}

bool vmx_vmxon_allowed(const struct cpu *cpu)
{
    const struct vmx_capability *c = &cpu->model->capability;
    uint64_t feature = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;

    return (cpu->cr0 & c->cr0_fixed0) == c->cr0_fixed0 && !(cpu->cr0 & ~c->cr0_fixed1) &&
           (cpu->cr4 & c->cr4_fixed0) == c->cr4_fixed0 && !(cpu->cr4 & ~c->cr4_fixed1) &&
           (CPU_MSR(cpu, ia32_feature_control) & feature) == feature;
}

vmx_result vmx_vmxon(struct cpu *cpu, uint64_t pa)
{
    struct vmx *vmx = &cpu->vmx;

    if (vmx->operation)
        return done(cpu, INSN_vmxon, pa, 0, vmx_fail(cpu, VM_ERROR_vmxon_in_root));
    if (!vmx_vmxon_allowed(cpu) || !region_address(cpu, pa) ||
        memory_read32(&cpu->model->memory, pa) != capability_revision(&cpu->model->capability))
        return done(cpu, INSN_vmxon, pa, 0, VMX_FAIL_INVALID);
    *vmx = (struct vmx){ .operation = true, .vmxon_pointer = pa, .preemption_deadline = ~0ull };
    vmx_update_intercepts(cpu);
    return done(cpu, INSN_vmxon, pa, 0, VMX_SUCCEED);
}

/* VMCSs that were not VMCLEARed stay active: the instruction writes none of them back (25.11.1). */
vmx_result vmx_vmxoff(struct cpu *cpu)
{
    struct vmx *vmx = &cpu->vmx;

    if (!vmx->operation)
        return done(cpu, INSN_vmxoff, 0, 0, VMX_FAIL_INVALID);
    *vmx = (struct vmx){ .preemption_deadline = ~0ull };
    vmx_update_intercepts(cpu);
    return done(cpu, INSN_vmxoff, 0, 0, VMX_SUCCEED);
}

vmx_result vmx_vmclear(struct cpu *cpu, uint64_t pa)
{
    if (!region_address(cpu, pa))
        return done(cpu, INSN_vmclear, pa, 0, vmx_fail(cpu, VM_ERROR_vmclear_invalid_address));
    if (pa == cpu->vmx.vmxon_pointer)
        return done(cpu, INSN_vmclear, pa, 0, vmx_fail(cpu, VM_ERROR_vmclear_vmxon_pointer));
    vmcs_clear(cpu, pa);
    return done(cpu, INSN_vmclear, pa, 0, VMX_SUCCEED);
}

vmx_result vmx_vmptrld(struct cpu *cpu, uint64_t pa)
{
    uint32_t identifier;

    if (!region_address(cpu, pa))
        return done(cpu, INSN_vmptrld, pa, 0, vmx_fail(cpu, VM_ERROR_vmptrld_invalid_address));
    if (pa == cpu->vmx.vmxon_pointer)
        return done(cpu, INSN_vmptrld, pa, 0, vmx_fail(cpu, VM_ERROR_vmptrld_vmxon_pointer));
    identifier = memory_read32(&cpu->model->memory, pa);
    if ((identifier & ~VMCS_SHADOW_INDICATOR) != capability_revision(&cpu->model->capability) ||
        ((identifier & VMCS_SHADOW_INDICATOR) && !(cpu->model->capability.proc2.allowed & PROC2_vmcs_shadowing)))
        return done(cpu, INSN_vmptrld, pa, 0, vmx_fail(cpu, VM_ERROR_vmptrld_wrong_revision));
    cpu->vmx.current = vmcs_activate(cpu, pa);
    return done(cpu, INSN_vmptrld, pa, 0, VMX_SUCCEED);
}

uint64_t vmx_vmptrst(const struct cpu *cpu)
{
    return cpu->vmx.current ? cpu->vmx.current->pa : ~0ull;
}

unsigned vmx_field_error(const struct cpu *cpu, uint64_t encoding, bool write)
{
    if (encoding >> 32 || vmcs_find(cpu->model, (uint32_t)encoding) == VMCS_FIELD_COUNT)
        return VM_ERROR_unsupported_field;
    if (write && VMCS_ENCODING_TYPE(encoding) == VMCS_TYPE_EXIT_INFORMATION &&
        !(cpu->model->capability.misc & CAPABILITY_VMWRITE_ANY))
        return VM_ERROR_vmwrite_read_only;
    return 0;
}

vmx_result vmx_field_for(struct cpu *cpu, uint64_t encoding, bool write, enum vmcs_field *field)
{
    const unsigned error = vmx_field_error(cpu, encoding, write);

    *field = error ? VMCS_FIELD_COUNT : vmcs_find(cpu->model, (uint32_t)encoding);
    return error ? vmx_fail(cpu, error) : VMX_SUCCEED;
}

vmx_result vmx_vmread(struct cpu *cpu, uint64_t encoding, uint64_t *value)
{
    enum vmcs_field field;
    vmx_result result;

    if (!cpu->vmx.current)
        return done(cpu, INSN_vmread, encoding, 0, VMX_FAIL_INVALID);
    result = vmx_field_for(cpu, encoding, false, &field);
    if (result != VMX_SUCCEED)
        return done(cpu, INSN_vmread, encoding, 0, result);
    *value = cpu->vmx.current->field[field] >> (VMCS_ENCODING_HIGH(encoding) ? 32 : 0);
    return done(cpu, INSN_vmread, encoding, *value, VMX_SUCCEED);
}

vmx_result vmx_vmwrite(struct cpu *cpu, uint64_t encoding, uint64_t value)
{
    enum vmcs_field field;
    vmx_result result;

    if (!cpu->vmx.current)
        return done(cpu, INSN_vmwrite, encoding, value, VMX_FAIL_INVALID);
    result = vmx_field_for(cpu, encoding, true, &field);
    if (result == VMX_SUCCEED) {
        vmcs_set_field(cpu->vmx.current, field, VMCS_ENCODING_HIGH(encoding), value);
        vmcs_note_writer(cpu->vmx.current, field, cpu->rip);
    }
    return done(cpu, INSN_vmwrite, encoding, value, result);
}

/* SDM Vol. 3, 31.3, INVEPT: types 1 (single-context) and 2 (global), where the processor has them. */
vmx_result vmx_invept(struct cpu *cpu, uint64_t type, uint64_t eptp)
{
    if (!capability_invept_type(&cpu->model->capability, type))
        return done(cpu, INSN_invept, type, eptp, vmx_fail(cpu, VM_ERROR_invept_invvpid_operand));
    if (type == 1 && !check_eptp(cpu, eptp))
        return done(cpu, INSN_invept, type, eptp, vmx_fail(cpu, VM_ERROR_invept_invvpid_operand));
    if (type == 1)
        tlb_invept(cpu, eptp);
    else
        tlb_invept_all(cpu);
    vmx_notify(cpu, NOTICE_INVALIDATE, INSN_invept, type, eptp, 0);
    return VMX_SUCCEED;
}

/* SDM Vol. 3, 31.3, INVVPID: individual address, single context, all contexts, single context but for global pages. */
vmx_result vmx_invvpid(struct cpu *cpu, uint64_t type, uint16_t vpid, uint64_t linear)
{
    if (!capability_invvpid_type(&cpu->model->capability, type) || (type != 2 && !vpid) || (type == 0 && !register_canonical(cpu, linear)))
        return done(cpu, INSN_invvpid, type, vpid, vmx_fail(cpu, VM_ERROR_invept_invvpid_operand));
    if (type == 0)
        tlb_invvpid_address(cpu, vpid, linear);
    else if (type == 2)
        tlb_invvpid_all(cpu);
    else
        tlb_invvpid(cpu, vpid, type == 3);
    vmx_notify(cpu, NOTICE_INVALIDATE, INSN_invvpid, type, vpid, linear);
    return VMX_SUCCEED;
}
