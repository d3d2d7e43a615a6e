/* SPDX-License-Identifier: MIT */
/* Leaving the program: what the files of model/cpu/ share about events and VM exits. */
#ifndef SESQUI_MODEL_RAISE_H
#define SESQUI_MODEL_RAISE_H

#include "model/cpu/cpu.h"
#include "model/observer.h"

struct exit_information;

/* vmx_exit(), with cpu->event as the event whose delivery the exit interrupts: it becomes vmx.delivering and, for software
 * interrupts and exceptions, lends its instruction length (SDM Vol. 3, 28.2.4, 28.2.5). cpu->event is valid no more. */
enum status cpu_vm_exit(struct cpu *cpu, const struct exit_information *information);
/* Triple fault: a VM exit in non-root operation, else shutdown. */
enum status cpu_triple_fault(struct cpu *cpu);
/* Puts `event` into cpu->event without asking whether it is intercepted, with what delivery does to the processor's own
 * flags, and tells the observer. Returns STATUS_EVENT. */
enum status cpu_deliver(struct cpu *cpu, const struct event *event);
/* Is an IRET under way, at cpu->rip, that removed blocking by NMI (28.2.3, "NMI unblocking due to IRET")? */
bool cpu_iret_unblocked_nmi(const struct cpu *cpu);

void cpu_notify(const struct cpu *cpu, const struct notice *notice);

/* The controls in force; 0 in root operation. */
uint32_t cpu_pin_controls(const struct cpu *cpu);
uint32_t cpu_proc_controls(const struct cpu *cpu);
uint32_t cpu_proc2_controls(const struct cpu *cpu);

#endif
