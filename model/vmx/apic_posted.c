/* SPDX-License-Identifier: MIT */
/*
 * Posted interrupts: SDM Vol. 3, 30.6. The descriptor, 64 bytes in memory: posted-interrupt requests (PIR) in bits
 * 255:0, outstanding notification (ON) in bit 256. Processors take turns here, so every update of it is atomic.
 */
#include "model/vmx/apic_parts.h"

#include "model/cpu/raise.h"
#include "model/cpu/walk.h"

enum { REQUEST_WORDS = 8, NOTIFICATION_OFFSET = 32, NOTIFICATION_ON = 1 };

static uint32_t take(struct cpu *cpu, uint64_t pa)
{
    uint32_t word = memory_read32(&cpu->model->memory, pa), none = 0;

    if (word)
        physical_write(cpu, pa, &none, sizeof none);
    return word;
}

/* PIR into VIRR. The highest vector that was posted, or 0. */
static uint8_t take_requests(struct cpu *cpu, uint64_t descriptor)
{
    uint8_t highest = 0;

    for (unsigned i = 0; i < REQUEST_WORDS; i++) {
        uint32_t word = take(cpu, descriptor + 4 * i), offset = APIC_IRR + 16 * i;

        if (!word)
            continue;
        apic_page_write(cpu, offset, apic_page_read(cpu, offset) | word);
        highest = (uint8_t)(32 * i + 31u - (unsigned)__builtin_clz(word));
    }
    return highest;
}

bool apic_posted_process(struct cpu *cpu, uint8_t vector)
{
    const struct vmcs *v = cpu->vmx.current;
    const struct bus *bus = &cpu->model->bus;
    uint64_t descriptor = VMCS(v, posted_interrupt_descriptor_address);
    uint8_t highest, notification;

    if (!(cpu_pin_controls(cpu) & PIN_process_posted_interrupts) ||
        vector != VMCS(v, posted_interrupt_notification_vector))
        return false;
    memory_read(&cpu->model->memory, descriptor + NOTIFICATION_OFFSET, &notification, 1);
    notification &= (uint8_t)~NOTIFICATION_ON;
    physical_write(cpu, descriptor + NOTIFICATION_OFFSET, &notification, 1);
    if (bus->interrupt_end)
        bus->interrupt_end(bus->context, cpu);
    highest = take_requests(cpu, descriptor);
    if (highest > apic_requesting(cpu))
        apic_set_requesting(cpu, highest);
    apic_evaluate(cpu);
    return true;
}
