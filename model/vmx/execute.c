/* SPDX-License-Identifier: MIT */
/*
 * The VMX instructions as guest code and scripts execute them: #UD, VM exit, #GP(0), operands, RFLAGS. SDM Vol. 3, 31.2
 * "Conventions", 31.3, in its order: a VM exit comes before the privilege check.
 */
#include "model/cpu/translate.h"
#include "model/vmx/internal.h"

/* VMsucceed, VMfailInvalid, VMfailValid: the instruction is complete. */
static enum status finish(struct cpu *cpu, const struct insn *insn, vmx_result result)
{
    cpu->rflags &= ~RFLAGS_ARITHMETIC;
    if (result == VMX_FAIL_INVALID)
        cpu->rflags |= RFLAGS_CF;
    else if (result > 0)
        cpu->rflags |= RFLAGS_ZF;
    cpu_retire(cpu, insn->length);
    return STATUS_OK;
}

static unsigned operand_size(const struct cpu *cpu)
{
    return cpu_64bit(cpu) ? 8 : 4;
}

static uint64_t register_operand(const struct cpu *cpu, const struct insn *insn)
{
    uint64_t value = cpu->gpr[insn->reg & 15];

    return cpu_64bit(cpu) ? value : value & 0xffffffff;
}

static enum status with_address(struct cpu *cpu, const struct insn *insn,
                                vmx_result (*instruction)(struct cpu *cpu, uint64_t pa))
{
    uint64_t pa;

    TRY(operand_read(cpu, insn, 8, &pa));
    return finish(cpu, insn, instruction(cpu, pa));
}

static enum status vmxon(struct cpu *cpu, const struct insn *insn)
{
    const struct attempt attempt = vmx_attempt(cpu, INSN_vmxon, 0);
    const struct refusal *refusal = vmx_refuses(REFUSALS_vmxon, &attempt);

    if (refusal && refusal->outcome == OUTCOME_GP)
        return refusal_raise(cpu, &attempt, refusal);
    return refusal ? finish(cpu, insn, vmx_vmxon(cpu, 0)) : with_address(cpu, insn, vmx_vmxon);
}

static enum status vmptrst(struct cpu *cpu, const struct insn *insn)
{
    TRY(operand_write(cpu, insn, 8, vmx_vmptrst(cpu)));
    return finish(cpu, insn, VMX_SUCCEED);
}

/* In non-root operation these two get here only where VMCS shadowing lets them (shadow.c). */
static enum status vmread(struct cpu *cpu, const struct insn *insn)
{
    uint64_t encoding = register_operand(cpu, insn), value = 0;
    vmx_result result = cpu->vmx.non_root ? shadow_vmread(cpu, encoding, &value) : vmx_vmread(cpu, encoding, &value);

    if (encoding == VMCS_exit_instruction_length)
        cpu->vmx.length_read = cpu->instructions;
    if (result == VMX_SUCCEED)
        TRY(operand_write(cpu, insn, operand_size(cpu), value));
    return finish(cpu, insn, result);
}

/* Errors are told before the source is read, and faults (31.3, VMWRITE). */
static enum status vmwrite(struct cpu *cpu, const struct insn *insn)
{
    uint64_t encoding = register_operand(cpu, insn), value = 0;
    const struct attempt attempt = field_attempt(cpu, INSN_vmwrite, encoding);

    if (!vmx_refuses(REFUSALS_field_access, &attempt))
        TRY(operand_read(cpu, insn, operand_size(cpu), &value));
    if (encoding == VMCS_guest_rip)
        cpu->vmx.rip_written = cpu->instructions;
    return finish(cpu, insn, cpu->vmx.non_root ? shadow_vmwrite(cpu, encoding, value)
                                               : vmx_vmwrite(cpu, encoding, value));
}

static enum status descriptor(struct cpu *cpu, const struct insn *insn, uint64_t descriptor[2])
{
    uint64_t linear;

    TRY(operand_linear(cpu, insn, 16, false, &linear));
    return linear_read(cpu, linear, descriptor, 16, false);
}

/* A type that is not supported is told before the descriptor is read. */
static enum status invept(struct cpu *cpu, const struct insn *insn)
{
    uint64_t type = register_operand(cpu, insn), operand[2] = { 0 };

    if (capability_invept_type(&cpu->model->capability, type))
        TRY(descriptor(cpu, insn, operand));
    return finish(cpu, insn, vmx_invept(cpu, type, operand[0]));
}

static enum status invvpid(struct cpu *cpu, const struct insn *insn)
{
    uint64_t type = register_operand(cpu, insn), operand[2] = { 0 };

    if (capability_invvpid_type(&cpu->model->capability, type))
        TRY(descriptor(cpu, insn, operand));
    return finish(cpu, insn, vmx_invvpid(cpu, type, operand[0], operand[1]));
}

static enum status enter(struct cpu *cpu, const struct insn *insn, bool launch)
{
    vmx_result result;
    enum status status = vmx_enter(cpu, launch, &result);

    return status == STATUS_OK ? finish(cpu, insn, result) : status;
}

static enum status vmcall(struct cpu *cpu, const struct insn *insn)
{
    const struct attempt attempt = vmx_attempt(cpu, INSN_vmcall, 0);

    return finish(cpu, insn, vmx_refused(cpu, &attempt, vmx_refuses(REFUSALS_vmcall, &attempt)));
}

enum status vmx_execute(struct cpu *cpu, const struct insn *insn)
{
    struct attempt attempt = vmx_attempt(cpu, insn->id, 0);
    const struct refusal *refusal;
    struct exit_information information;

    attempt.insn = insn;
    refusal = vmx_undefined(&attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    if (vmx_intercepts(cpu, insn, &information)) {
        cpu->vmx.exited = *insn;
        return vmx_exit(cpu, &information);
    }
    if (insn->id == INSN_vmfunc) {      /* at any privilege level; flags stay */
        function_invoke(cpu);
        cpu_retire(cpu, insn->length);
        return STATUS_OK;
    }
    refusal = vmx_refuses(REFUSALS_vmx_privilege, &attempt);
    if (refusal)
        return refusal_raise(cpu, &attempt, refusal);
    switch (insn->id) {
    case INSN_vmcall:
        return vmcall(cpu, insn);
    case INSN_vmclear:
        return with_address(cpu, insn, vmx_vmclear);
    case INSN_vmlaunch:
        return enter(cpu, insn, true);
    case INSN_vmptrld:
        return with_address(cpu, insn, vmx_vmptrld);
    case INSN_vmptrst:
        return vmptrst(cpu, insn);
    case INSN_vmread:
        return vmread(cpu, insn);
    case INSN_vmresume:
        return enter(cpu, insn, false);
    case INSN_vmwrite:
        return vmwrite(cpu, insn);
    case INSN_vmxoff:
        return finish(cpu, insn, vmx_vmxoff(cpu));
    case INSN_vmxon:
        return vmxon(cpu, insn);
    case INSN_invept:
        return invept(cpu, insn);
    case INSN_invvpid:
        return invvpid(cpu, insn);
    default:
        return model_refuse(cpu, "vmx_execute() was given an instruction that is no VMX instruction");
    }
}
