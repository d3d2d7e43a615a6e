/* SPDX-License-Identifier: MIT */
/* The virtual interrupt flag (CR4.VME, CR4.PVI) and software interrupts of virtual-8086 mode. */
#ifndef SESQUI_MODEL_VIRTUAL_H
#define SESQUI_MODEL_VIRTUAL_H

#include "model/cpu/cpu.h"
#include "model/insn.h"

/* Do CLI and STI change VIF, as the processor is now?  In virtual-8086 mode PUSHF, POPF and IRET use it, too. */
bool virtual_flag_used(const struct cpu *cpu);
enum status virtual_flag_change(struct cpu *cpu, const struct insn *insn);      /* CLI, STI */
enum status virtual_flags_move(struct cpu *cpu, const struct insn *insn);       /* PUSHF, POPF */

/* FLAGS as PUSHF and INT n push them: VIF in the place of IF, IOPL 3. */
uint64_t virtual_flags_image(const struct cpu *cpu);
/* May POPF or IRET load this image?  Not with TF, nor with IF while VIP is 1: both are #GP(0). */
bool virtual_flags_allowed(const struct cpu *cpu, uint64_t image);
void virtual_flags_load(struct cpu *cpu, uint64_t image);

/*
 * INT n in virtual-8086 mode, cpu->event: #GP(0) where IOPL is too low, else delivered through the interrupt table at linear address 0
 * (*delivered), or left to the IDT. SDM Vol. 3, Table 21-2.
 */
enum status virtual_interrupt(struct cpu *cpu, uint8_t vector, uint64_t return_rip, bool *delivered);

#endif
