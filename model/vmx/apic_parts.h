/* SPDX-License-Identifier: MIT */
/* What the files of APIC virtualization share with each other. */
#ifndef SESQUI_MODEL_VMX_APIC_PARTS_H
#define SESQUI_MODEL_VMX_APIC_PARTS_H

#include "model/vmx/apic.h"
#include "model/vmx/internal.h"

/* apic_page.c: the registers of the virtual-APIC page, by offset. */
uint32_t apic_page_read(const struct cpu *cpu, unsigned offset);
void apic_page_write(struct cpu *cpu, unsigned offset, uint32_t value);
/* The 256-bit registers at APIC_ISR and APIC_IRR. Highest vector whose bit is set, or 0. */
void apic_page_set_bit(struct cpu *cpu, unsigned base, uint8_t vector, bool value);
uint8_t apic_page_highest(const struct cpu *cpu, unsigned base);

/* Guest interrupt status (25.4.2): requesting and servicing virtual interrupt. They stay in the VMCS all the time. */
uint8_t apic_requesting(const struct cpu *cpu);
void apic_set_requesting(struct cpu *cpu, uint8_t vector);
uint8_t apic_servicing(const struct cpu *cpu);
void apic_set_servicing(struct cpu *cpu, uint8_t vector);

/* apic_interrupt.c (30.1.2-30.1.5, 30.2.1). */
enum status apic_virtualize_tpr(struct cpu *cpu);
enum status apic_virtualize_eoi(struct cpu *cpu);
void apic_virtualize_self_ipi(struct cpu *cpu, uint8_t vector);
void apic_evaluate(struct cpu *cpu);

#endif
