/* SPDX-License-Identifier: MIT */
/*
 * Virtual interrupts: SDM Vol. 3, 30.1.2-30.1.5 (virtualization of TPR, PPR, EOI and self-IPI), 30.2 (evaluation and
 * delivery). A virtual interrupt is recognized by an evaluation, and by nothing else; a VM exit forgets it.
 */
#include "model/vmx/apic_parts.h"

#include "model/cpu/raise.h"

static unsigned class_of(uint32_t priority)
{
    return priority >> 4 & 15u;
}

static bool delivers(const struct cpu *cpu)
{
    return cpu_proc2_controls(cpu) & PROC2_virtual_interrupt_delivery;
}

static enum status exit_with(struct cpu *cpu, enum exit_reason reason, uint64_t qualification)
{
    return cpu_vm_exit(cpu, &(struct exit_information){ .reason = reason, .qualification = qualification });
}

/* 30.2.1 "Evaluation of Pending Virtual Interrupts". */
void apic_evaluate(struct cpu *cpu)
{
    cpu->vmx.virtual_interrupt = !(cpu_proc_controls(cpu) & PROC_interrupt_window_exiting) &&
                                 class_of(apic_requesting(cpu)) > class_of(apic_page_read(cpu, APIC_PPR));
}

/* 30.1.3 "PPR Virtualization". */
static void virtualize_ppr(struct cpu *cpu)
{
    uint32_t tpr = apic_page_read(cpu, APIC_TPR) & 0xff, serving = apic_servicing(cpu);

    apic_page_write(cpu, APIC_PPR, class_of(tpr) >= class_of(serving) ? tpr : serving & 0xf0);
}

static bool tpr_below_threshold(const struct cpu *cpu)
{
    return (VMCS(cpu->vmx.current, tpr_threshold) & 15) > class_of(apic_page_read(cpu, APIC_TPR));
}

/* 30.1.2 "TPR Virtualization". */
enum status apic_virtualize_tpr(struct cpu *cpu)
{
    if (!delivers(cpu))
        return tpr_below_threshold(cpu) ? exit_with(cpu, EXIT_REASON_tpr_below_threshold, 0) : STATUS_OK;
    virtualize_ppr(cpu);
    apic_evaluate(cpu);
    return STATUS_OK;
}

static bool eoi_exits(const struct cpu *cpu, uint8_t vector)
{
    return cpu->vmx.current->field[FIELD_eoi_exit_bitmap_0 + vector / 64] >> vector % 64 & 1;
}

/* 30.1.4 "EOI Virtualization". */
enum status apic_virtualize_eoi(struct cpu *cpu)
{
    uint8_t vector = apic_servicing(cpu);

    apic_page_set_bit(cpu, APIC_ISR, vector, false);
    apic_set_servicing(cpu, apic_page_highest(cpu, APIC_ISR));
    virtualize_ppr(cpu);
    if (eoi_exits(cpu, vector))
        return exit_with(cpu, EXIT_REASON_virtualized_eoi, vector);
    apic_evaluate(cpu);
    return STATUS_OK;
}

/* 30.1.5 "Self-IPI Virtualization". */
void apic_virtualize_self_ipi(struct cpu *cpu, uint8_t vector)
{
    apic_page_set_bit(cpu, APIC_IRR, vector, true);
    if (vector > apic_requesting(cpu))
        apic_set_requesting(cpu, vector);
    apic_evaluate(cpu);
}

bool apic_interrupt_recognized(const struct cpu *cpu)
{
    return cpu->vmx.virtual_interrupt;
}

/* 30.2.2 "Virtual-Interrupt Delivery". */
enum status apic_interrupt_deliver(struct cpu *cpu)
{
    uint8_t vector = apic_requesting(cpu);
    struct event event = { .valid = true, .vector = vector, .type = EVENT_EXTERNAL_INTERRUPT };

    apic_page_set_bit(cpu, APIC_ISR, vector, true);
    apic_set_servicing(cpu, vector);
    apic_page_write(cpu, APIC_PPR, vector & 0xf0u);
    apic_page_set_bit(cpu, APIC_IRR, vector, false);
    apic_set_requesting(cpu, apic_page_highest(cpu, APIC_IRR));
    cpu->vmx.virtual_interrupt = false;
    return cpu_deliver(cpu, &event);
}

void apic_enter(struct cpu *cpu)
{
    const struct vmcs *v = cpu->vmx.current;
    uint32_t proc2 = proc2_controls(v);

    cpu->vmx.apic_accesses = proc2 & PROC2_virtualize_apic_accesses;
    cpu->vmx.apic_access_page = VMCS(v, apic_access_address);
    cpu->vmx.apic_write = 0;
    cpu->vmx.virtual_interrupt = cpu->vmx.tpr_exit = false;
    if (delivers(cpu)) {
        virtualize_ppr(cpu);
        apic_evaluate(cpu);
    } else if (cpu->vmx.apic_accesses && (proc_controls(v) & PROC_use_tpr_shadow)) {
        cpu->vmx.tpr_exit = tpr_below_threshold(cpu);       /* 27.7.7 */
    }
}

void apic_leave(struct cpu *cpu)
{
    cpu->vmx.apic_accesses = false;
    cpu->vmx.apic_write = 0;
    cpu->vmx.virtual_interrupt = cpu->vmx.tpr_exit = false;
}
