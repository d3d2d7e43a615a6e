/* SPDX-License-Identifier: MIT */
/* The virtual-APIC page and the guest interrupt status: SDM Vol. 3, 30.1.1, 25.4.2. */
#include "model/vmx/apic_parts.h"

#include "model/cpu/walk.h"

enum { VECTOR_WORDS = 8, WORD_STRIDE = 16 };

static uint64_t place(const struct cpu *cpu, unsigned offset)
{
    return VMCS(cpu->vmx.current, virtual_apic_address) + offset;
}

uint32_t apic_page_read(const struct cpu *cpu, unsigned offset)
{
    return memory_read32(&cpu->model->memory, place(cpu, offset));
}

void apic_page_write(struct cpu *cpu, unsigned offset, uint32_t value)
{
    physical_write(cpu, place(cpu, offset), &value, sizeof value);
}

void apic_page_set_bit(struct cpu *cpu, unsigned base, uint8_t vector, bool value)
{
    unsigned offset = base + vector / 32u * WORD_STRIDE;
    uint32_t word = apic_page_read(cpu, offset), bit = 1u << vector % 32;

    apic_page_write(cpu, offset, value ? word | bit : word & ~bit);
}

uint8_t apic_page_highest(const struct cpu *cpu, unsigned base)
{
    for (unsigned i = VECTOR_WORDS; i-- > 0;) {
        uint32_t word = apic_page_read(cpu, base + i * WORD_STRIDE);

        if (word)
            return (uint8_t)(32 * i + 31u - (unsigned)__builtin_clz(word));
    }
    return 0;
}

/*
 *   15      8 7       0
 *  +---------+---------+
 *  |   SVI   |   RVI   |
 *  +---------+---------+
 */
uint8_t apic_requesting(const struct cpu *cpu)
{
    return (uint8_t)VMCS(cpu->vmx.current, guest_interrupt_status);
}

void apic_set_requesting(struct cpu *cpu, uint8_t vector)
{
    uint64_t *status = &VMCS(cpu->vmx.current, guest_interrupt_status);

    *status = (*status & 0xff00) | vector;
}

uint8_t apic_servicing(const struct cpu *cpu)
{
    return (uint8_t)(VMCS(cpu->vmx.current, guest_interrupt_status) >> 8);
}

void apic_set_servicing(struct cpu *cpu, uint8_t vector)
{
    uint64_t *status = &VMCS(cpu->vmx.current, guest_interrupt_status);

    *status = (*status & 0xff) | (uint64_t)vector << 8;
}
