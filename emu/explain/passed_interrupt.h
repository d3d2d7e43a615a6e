/* SPDX-License-Identifier: MIT */
/*
 * Interrupts and NMIs of the machine that a guest takes in its hypervisor's stead: without "external-interrupt exiting", "NMI exiting", they go
 * through the guest's IDT.
 * That is told where the guest has no handler for one: who passes interrupts on means to, and gives the guest their sources.
 */
#ifndef SESQUI_EMU_PASSED_INTERRUPT_H
#define SESQUI_EMU_PASSED_INTERRUPT_H

struct cpu;
struct machine;
struct notice;

/* NOTICE_INJECT of an external interrupt or NMI. */
void passed_interrupt_explain(struct machine *machine, struct cpu *cpu, const struct notice *notice);

#endif
