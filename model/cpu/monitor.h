/* SPDX-License-Identifier: MIT */
/* MONITOR and MWAIT: SDM Vol. 2, MONITOR, MWAIT; Vol. 3, 9.10.4, 26.3. */
#ifndef SESQUI_MODEL_MONITOR_H
#define SESQUI_MODEL_MONITOR_H

#include "model/cpu/cpu.h"

/* IA32_MISC_ENABLE bit 18: without it the instructions are undefined, and CPUID does not name them. */
bool monitor_enabled(const struct cpu *cpu);
/* What the instructions do when they are neither undefined nor intercepted; STATUS_OK or a fault. */
enum status monitor_arm(struct cpu *cpu, const struct insn *insn);
enum status monitor_wait(struct cpu *cpu, const struct insn *insn);
/* Between two instructions, behind boundary(): does MWAIT still wait?  If not, the wait is over. */
bool monitor_waits(struct cpu *cpu);
/* May the processor, which waits in HLT or MWAIT, be woken by an interrupt? */
bool interrupts_wake(const struct cpu *cpu);

#endif
