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

vmx_result vmx_refused(struct cpu *cpu, const struct attempt *a, const struct refusal *refusal)
{
    refusal_notify(a, refusal);
    return refusal->outcome > 0 ? vmx_fail(cpu, (enum vm_instruction_error)refusal->outcome) : VMX_FAIL_INVALID;
}

/* The same with what NOTICE_VMX_INSTRUCTION tells. */
static vmx_result refused(struct cpu *cpu, const struct attempt *a, const struct refusal *refusal)
{
    return done(cpu, a->id, a->operand, a->value, vmx_refused(cpu, a, refusal));
}

/* Another processor in VMX operation with the same VMXON region; if there is none, this one. */
static unsigned shares_region(const struct cpu *cpu, uint64_t pa)
{
    const struct model *model = cpu->model;

    for (unsigned i = 0; i < model->cpu_count; i++)
        if (i != cpu->index && model->cpu[i].vmx.operation && model->cpu[i].vmx.vmxon_pointer == pa)
            return i;
    return cpu->index;
}

vmx_result vmx_vmxon(struct cpu *cpu, uint64_t pa)
{
    const struct attempt attempt = vmx_attempt(cpu, INSN_vmxon, pa);
    const struct refusal *refusal = vmx_refuses(REFUSALS_vmxon, &attempt);
    struct vmx *vmx = &cpu->vmx;

    if (!refusal)
        refusal = vmx_refuses(REFUSALS_vmxon_region, &attempt);
    if (refusal)
        return refused(cpu, &attempt, refusal);
    *vmx = (struct vmx){ .operation = true, .vmxon_pointer = pa, .preemption_deadline = ~0ull };
    vmxon_region_used(cpu, pa, shares_region(cpu, pa), cpu->rip);
    return done(cpu, INSN_vmxon, pa, 0, VMX_SUCCEED);
}

/* VMCSs that were not VMCLEARed stay active: the instruction writes none of them back (25.11.1). */
vmx_result vmx_vmxoff(struct cpu *cpu)
{
    struct vmx *vmx = &cpu->vmx;

    if (!vmx->operation)
        return done(cpu, INSN_vmxoff, 0, 0, VMX_FAIL_INVALID);
    vmcs_at_vmxoff(cpu);
    vmxon_region_left(cpu, vmx->vmxon_pointer, shares_region(cpu, vmx->vmxon_pointer) != cpu->index);
    *vmx = (struct vmx){ .preemption_deadline = ~0ull };
    return done(cpu, INSN_vmxoff, 0, 0, VMX_SUCCEED);
}

vmx_result vmx_vmclear(struct cpu *cpu, uint64_t pa)
{
    const struct attempt attempt = vmx_attempt(cpu, INSN_vmclear, pa);
    const struct refusal *refusal = vmx_refuses(REFUSALS_vmclear, &attempt);

    if (refusal)
        return refused(cpu, &attempt, refusal);
    vmcs_clear(cpu, pa);
    return done(cpu, INSN_vmclear, pa, 0, VMX_SUCCEED);
}

vmx_result vmx_vmptrld(struct cpu *cpu, uint64_t pa)
{
    const struct attempt attempt = vmx_attempt(cpu, INSN_vmptrld, pa);
    const struct refusal *refusal = vmx_refuses(REFUSALS_vmptrld, &attempt);

    if (refusal)
        return refused(cpu, &attempt, refusal);
    cpu->vmx.current = vmcs_activate(cpu, pa);
    return done(cpu, INSN_vmptrld, pa, 0, VMX_SUCCEED);
}

uint64_t vmx_vmptrst(const struct cpu *cpu)
{
    return cpu->vmx.current ? cpu->vmx.current->pa : ~0ull;
}

vmx_result vmx_vmread(struct cpu *cpu, uint64_t encoding, uint64_t *value)
{
    const struct attempt attempt = field_attempt(cpu, INSN_vmread, encoding);
    const struct refusal *refusal = vmx_refuses(REFUSALS_field_access, &attempt);

    if (refusal)
        return refused(cpu, &attempt, refusal);
    *value = cpu->vmx.current->field[attempt.field] >> (VMCS_ENCODING_HIGH(encoding) ? 32 : 0);
    return done(cpu, INSN_vmread, encoding, *value, VMX_SUCCEED);
}

vmx_result vmx_vmwrite(struct cpu *cpu, uint64_t encoding, uint64_t value)
{
    struct attempt attempt = field_attempt(cpu, INSN_vmwrite, encoding);
    const struct refusal *refusal = vmx_refuses(REFUSALS_field_access, &attempt);

    attempt.value = value;
    if (refusal)
        return refused(cpu, &attempt, refusal);
    vmcs_set_field(cpu->vmx.current, attempt.field, VMCS_ENCODING_HIGH(encoding), value);
    vmcs_note_writer(cpu->vmx.current, attempt.field, cpu->rip);
    return done(cpu, INSN_vmwrite, encoding, value, VMX_SUCCEED);
}

/* SDM Vol. 3, 31.3, INVEPT: types 1 (single-context) and 2 (global), where the processor has them. */
vmx_result vmx_invept(struct cpu *cpu, uint64_t type, uint64_t eptp)
{
    struct attempt attempt = vmx_attempt(cpu, INSN_invept, type);
    const struct refusal *refusal = vmx_refuses(REFUSALS_invept_type, &attempt);

    attempt.value = eptp;
    if (!refusal)
        refusal = vmx_refuses(REFUSALS_invept, &attempt);
    if (refusal)
        return refused(cpu, &attempt, refusal);
    if (type == 1)
        tlb_invept(cpu, eptp);
    else
        tlb_invept_all(cpu);
    vmx_notify(cpu, NOTICE_INVALIDATE, INSN_invept, type, eptp, 0);
    return VMX_SUCCEED;
}

/* SDM Vol. 3, 31.3, INVVPID: individual address, single context, all contexts, single context but for global pages. */
vmx_result vmx_invvpid(struct cpu *cpu, uint64_t type, uint64_t vpid, uint64_t linear)
{
    struct attempt attempt = vmx_attempt(cpu, INSN_invvpid, type);
    const struct refusal *refusal = vmx_refuses(REFUSALS_invvpid_type, &attempt);

    attempt.value = vpid;
    attempt.second = linear;
    if (!refusal)
        refusal = vmx_refuses(REFUSALS_invvpid, &attempt);
    if (refusal)
        return refused(cpu, &attempt, refusal);
    if (type == 0)
        tlb_invvpid_address(cpu, (uint16_t)vpid, linear);
    else if (type == 2)
        tlb_invvpid_all(cpu);
    else
        tlb_invvpid(cpu, (uint16_t)vpid, type == 3);
    vmx_notify(cpu, NOTICE_INVALIDATE, INSN_invvpid, type, vpid, linear);
    return VMX_SUCCEED;
}
