/* SPDX-License-Identifier: MIT */
/* What surrounds a processor: ports, device memory, local APIC, the time. Installed by the embedder (emu/). */
#ifndef SESQUI_MODEL_BUS_H
#define SESQUI_MODEL_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

struct bus {
    void *context;
    uint32_t (*port_in)(void *context, struct cpu *cpu, uint16_t port, unsigned size);
    void (*port_out)(void *context, struct cpu *cpu, uint16_t port, unsigned size, uint32_t value);
    /* Device memory: any physical address that is no RAM. Sizes 1, 2, 4, 8. Unclaimed addresses read as ones. */
    uint64_t (*mmio_read)(void *context, struct cpu *cpu, uint64_t pa, unsigned size);
    void (*mmio_write)(void *context, struct cpu *cpu, uint64_t pa, unsigned size, uint64_t value);
    /* MSRs of kind APIC and 0x800-0x8ff. False: #GP. */
    bool (*apic_read_msr)(void *context, struct cpu *cpu, uint32_t index, uint64_t *value);
    bool (*apic_write_msr)(void *context, struct cpu *cpu, uint32_t index, uint64_t value);
    /* The local APIC's task priority seen as CR8 (0-15). */
    uint64_t (*apic_read_cr8)(void *context, struct cpu *cpu);
    void (*apic_write_cr8)(void *context, struct cpu *cpu, uint64_t value);
    /* Is an external interrupt requested (PIC or local APIC, priority considered)?  Then: acknowledge it, get its vector. */
    bool (*interrupt_requested)(void *context, struct cpu *cpu);
    uint8_t (*interrupt_acknowledge)(void *context, struct cpu *cpu);
    /* The local APIC's EOI, as if software had written its register. */
    void (*interrupt_end)(void *context, struct cpu *cpu);
};

#endif
