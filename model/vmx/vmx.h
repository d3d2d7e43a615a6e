/* SPDX-License-Identifier: MIT */
/*
 * VMX operation. Two doors lead to the same functions: execute() for instructions of guest code and scripts, with their
 * privilege checks, operands and flags; and the vmx_* functions below for an L0 in native code (emu/native/).
 */
#ifndef SESQUI_MODEL_VMX_H
#define SESQUI_MODEL_VMX_H

#include "model/cpu/cpu.h"
#include "model/vmx/vmcs.h"

struct check;

/* Result of a VMX instruction (SDM Vol. 3, 31.2): 0 VMsucceed, -1 VMfailInvalid, n > 0 VMfailValid with error n. */
typedef int vmx_result;
enum { VMX_SUCCEED = 0, VMX_FAIL_INVALID = -1 };

/* VMfail(n): VMfailValid if there is a current VMCS (its VM-instruction error field is set), else VMfailInvalid. */
vmx_result vmx_fail(struct cpu *cpu, enum vm_instruction_error error);

/* Where VMXON or VMXOFF would fault, these two report VMfailInvalid: execute() has raised the fault before. */
vmx_result vmx_vmxon(struct cpu *cpu, uint64_t pa);
vmx_result vmx_vmxoff(struct cpu *cpu);
vmx_result vmx_vmclear(struct cpu *cpu, uint64_t pa);
vmx_result vmx_vmptrld(struct cpu *cpu, uint64_t pa);
uint64_t vmx_vmptrst(const struct cpu *cpu);    /* all ones if no VMCS is current */
vmx_result vmx_vmread(struct cpu *cpu, uint64_t encoding, uint64_t *value);
vmx_result vmx_vmwrite(struct cpu *cpu, uint64_t encoding, uint64_t value);
vmx_result vmx_invept(struct cpu *cpu, uint64_t type, uint64_t eptp);
vmx_result vmx_invvpid(struct cpu *cpu, uint64_t type, uint64_t vpid, uint64_t linear);     /* vpid: all 64 bits */

/*
 * VM entry (SDM Vol. 3, ch. 27). STATUS_VM_ENTRY: the processor holds the guest state; cpu->event the injected event.
 * STATUS_VM_EXIT: the entry failed late (exit reason with bit 31): host state is loaded. STATUS_OK: it failed early, with
 * *result set to a VMfail.
 */
enum status vmx_enter(struct cpu *cpu, bool launch, vmx_result *result);

/* What a VM exit reports (SDM Vol. 3, 28.2). */
struct exit_information {
    uint32_t reason;                /* enum exit_reason, perhaps with EXIT_REASON_ENTRY_FAILURE */
    uint64_t qualification;
    uint64_t guest_linear_address, guest_physical_address;
    uint32_t interruption_information, interruption_error_code;
    uint32_t instruction_length, instruction_information;
};
/* VM exit: saves the guest state, records `information` and IDT-vectoring, stores and loads MSRs, loads the host state
 * (SDM Vol. 3, 28.2-28.6). Always STATUS_VM_EXIT, or STATUS_SHUTDOWN on a VMX abort. */
enum status vmx_exit(struct cpu *cpu, const struct exit_information *information);

/* An event in the format of the interruption-information fields; 0 if it is not valid. */
uint32_t vectoring_information(const struct event *event);

/* Does `insn` cause a VM exit in the present state?  Answers before privilege checks; fills reason, qualification and
 * instruction information (SDM Vol. 3, 26.1.2, 26.1.3, 28.2.1, 28.2.5). */
bool vmx_intercepts(struct cpu *cpu, const struct insn *insn, struct exit_information *information);
/* Does `event` (an exception, NMI or external interrupt) cause a VM exit? */
bool vmx_intercepts_event(struct cpu *cpu, const struct event *event);
/* Recomputes cpu->intercepts. */
void vmx_update_intercepts(struct cpu *cpu);

/* Executes the VMX instructions proper (VMXON ... INVVPID, VMFUNC, VMCALL) on behalf of execute(). */
enum status vmx_execute(struct cpu *cpu, const struct insn *insn);

/* msr_area.c: why entry `number` (from 1) of an area of MSRs to be loaded, or stored, may not be there, whatever RDMSR and WRMSR say
 * (27.4, 28.4, 28.6); NULL: it may. */
const char *msr_area_rule(const struct vmx_capability *capability, unsigned number, const uint64_t entry[2], bool store);

/* VMX-abort indicators (28.7). */
enum { ABORT_SAVING_MSRS = 1, ABORT_HOST_PDPTE = 2, ABORT_LOADING_MSRS = 4, ABORT_IA32E_MODE = 6 };

/* Names for traces and messages; NULL for unknown numbers. */
const char *exit_reason_text(uint32_t basic_reason);
const char *exit_reason_name(uint32_t basic_reason);
const char *vm_error_text(int error);

#endif
