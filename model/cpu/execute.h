/* SPDX-License-Identifier: MIT */
/* The sensitive instructions: intercept, fault or execute, in the order SDM Vol. 3, 26.1.1 gives. */
#ifndef SESQUI_MODEL_EXECUTE_H
#define SESQUI_MODEL_EXECUTE_H

#include "model/cpu/cpu.h"

/*
 * Executes `insn` at cpu->rip. STATUS_OK: done, RIP advanced. STATUS_EVENT: it faulted, nothing changed. STATUS_VM_EXIT:
 * it was intercepted, or VM-entry-like effects ended in an exit. STATUS_VM_ENTRY: VMLAUNCH or VMRESUME succeeded.
 * STATUS_NATIVE: the CPU engine shall execute it now (its stop bit in cpu->intercepts is then clear).
 */
enum status execute(struct cpu *cpu, const struct insn *insn);

/*
 * What is due between two instructions, by priority (SDM Vol. 3, 6.9, 26.2, 27.7): VM exits by MTF, timer and windows;
 * NMIs and external interrupts as exits or as cpu->event. STATUS_OK: nothing, go on.
 */
enum status boundary(struct cpu *cpu);
/* Would boundary() act as soon as RFLAGS.IF were 1 without blocking?  The engine then stops when that happens. */
bool boundary_awaits_interrupt_window(const struct cpu *cpu);
/*
 * The clock at which boundary() must be asked again at the latest; ~0 if none: the preemption timer, or, where something
 * waits for one instruction to end (monitor trap flag, an NMI behind IRET or MOV SS), cpu->clock + 1: one instruction must
 * be run and no more. cpu->clock or less: cpu->event, if valid, must be delivered and no instruction run.
 */
uint64_t boundary_deadline(const struct cpu *cpu);

/* What an MMU fault of the CPU engine means: see translation_fault() in translate.h. */

/* MSRs without the instruction's privilege and intercept checks. False: #GP. */
bool msr_read(struct cpu *cpu, uint32_t index, uint64_t *value);
bool msr_write(struct cpu *cpu, uint32_t index, uint64_t value);
/* The same; NULL if it is done, else why not. */
struct refusal;
const struct refusal *msr_load(struct cpu *cpu, uint32_t index, uint64_t *value);
const struct refusal *msr_store(struct cpu *cpu, uint32_t index, uint64_t value);
/* Slot of an MSR index, or MSR_COUNT. */
enum msr_slot msr_find(uint32_t index);
const char *msr_name(uint32_t index);

/* CPUID as software sees it on this machine: SDM Vol. 2, CPUID. */
/* The revision that IA32_BIOS_SIGN_ID[63:32] reports: no processor's own, above every minimum that software is known to ask for. */
#define MICROCODE_REVISION 0x0f000000ull
/* The instruction: leaf 1 also puts the revision into IA32_BIOS_SIGN_ID (SDM Vol. 3, 10.11.7.1). */
void cpuid_execute(struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
void cpuid_read(const struct cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

/* Control registers without intercepts: checks first (false: #GP), then loads, with TLB and mode effects. */
bool cr0_write(struct cpu *cpu, uint64_t value);
bool cr4_write(struct cpu *cpu, uint64_t value);
bool xcr_write(struct cpu *cpu, uint32_t index, uint64_t value);
enum status cr3_write(struct cpu *cpu, uint64_t value);
uint64_t cr4_allowed(const struct cpu *cpu);        /* bits of CR4 that may be 1 */
uint64_t cr4_visible(const struct cpu *cpu);        /* CR4 as MOV from CR4 sees it in non-root operation */
uint64_t cr0_visible(const struct cpu *cpu);
uint64_t efer_allowed(const struct cpu *cpu);
uint64_t xcr0_allowed(const struct cpu *cpu);
uint64_t perf_global_ctrl_allowed(const struct cpu *cpu);
/* May bits 11:0 of IA32_S_CET and IA32_U_CET be these?  The address above them is another question. */
bool cet_bits_valid(uint64_t value);

#endif
