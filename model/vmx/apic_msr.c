/* SPDX-License-Identifier: MIT */
/* CR8 and the x2APIC MSRs in non-root operation: SDM Vol. 3, 30.3 "Virtualizing CR8-Based TPR Accesses", 30.5. */
#include "model/vmx/apic_parts.h"

#include "model/cpu/raise.h"
#include "model/cpu/walk.h"

enum { X2APIC_FIRST = 0x800, X2APIC_LAST = 0x8ff, X2APIC_TPR = 0x808, X2APIC_EOI = 0x80b, X2APIC_SELF_IPI = 0x83f };

bool apic_shadows_cr8(const struct cpu *cpu)
{
    return cpu_proc_controls(cpu) & PROC_use_tpr_shadow;
}

uint64_t apic_cr8_read(const struct cpu *cpu)
{
    return apic_page_read(cpu, APIC_TPR) >> 4 & 15;
}

void apic_cr8_write(struct cpu *cpu, uint64_t value)
{
    apic_page_write(cpu, APIC_TPR, (uint32_t)(value & 15) << 4);
    apic_access_written(cpu, APIC_TPR);
}

static unsigned page_offset(uint32_t index)
{
    return (index & 0xff) << 4;
}

bool apic_virtualizes_msr(const struct cpu *cpu, uint32_t index, bool write)
{
    uint32_t proc2 = cpu_proc2_controls(cpu);

    if (!(proc2 & PROC2_virtualize_x2apic_mode) || index < X2APIC_FIRST || index > X2APIC_LAST)
        return false;
    if (index == X2APIC_TPR)
        return true;
    if (!write)
        return proc2 & PROC2_apic_register_virtualization;
    return (proc2 & PROC2_virtual_interrupt_delivery) && (index == X2APIC_EOI || index == X2APIC_SELF_IPI);
}

/* Eight bytes of the page, whatever mode the local APIC is in. */
uint64_t apic_msr_read(const struct cpu *cpu, uint32_t index)
{
    return memory_read64(&cpu->model->memory, VMCS(cpu->vmx.current, virtual_apic_address) + page_offset(index));
}

bool apic_msr_write(struct cpu *cpu, uint32_t index, uint64_t value)
{
    uint64_t writable = index == X2APIC_EOI ? 0 : 0xff;

    if (value & ~writable)
        return false;
    physical_write(cpu, VMCS(cpu->vmx.current, virtual_apic_address) + page_offset(index), &value, sizeof value);
    apic_access_written(cpu, page_offset(index));
    return true;
}
