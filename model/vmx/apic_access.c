/* SPDX-License-Identifier: MIT */
/* The APIC-access page: which accesses are virtualized, and what writes mean. SDM Vol. 3, 30.4. */
#include "model/vmx/apic_parts.h"

#include "model/cpu/raise.h"

/* Bits 15:12 of the exit qualification: Table 28-6. */
enum access_type {
    TYPE_READ = 0, TYPE_WRITE = 1, TYPE_FETCH = 2, TYPE_EVENT = 3,
    TYPE_GUEST_PHYSICAL_EVENT = 10, TYPE_GUEST_PHYSICAL = 15,
};
#define ACCESS_TYPE(type) ((uint64_t)(type) << 12)

/* Of VICR_LO, for a self-IPI without an exit (30.4.3.2): only vector, destination mode and level may vary. */
#define ICR_SELF_IPI_MASK 0xffffb700u       /* 31:20, 17:16 and 13 (reserved), 19:18, 15, 12, 10:8 */
#define ICR_SHORTHAND_SELF 0x00040000u

uint64_t apic_access_linear(const struct cpu *cpu, enum access_kind kind, uint64_t offset)
{
    enum access_type type = cpu->event.valid ? TYPE_EVENT : kind == ACCESS_READ ? TYPE_READ
                          : kind == ACCESS_WRITE ? TYPE_WRITE : TYPE_FETCH;

    return ACCESS_TYPE(type) | (offset & 0xfff);
}

uint64_t apic_access_guest_physical(const struct cpu *cpu)
{
    return ACCESS_TYPE(cpu->event.valid ? TYPE_GUEST_PHYSICAL_EVENT : TYPE_GUEST_PHYSICAL);
}

/* Registers of which software has bits to write or to command with: the list of 30.4.3.1, which 30.4.2 shares. */
static bool writable(unsigned offset)
{
    switch (offset) {
    case APIC_ID: case APIC_TPR: case APIC_EOI: case APIC_LDR: case APIC_DFR: case APIC_SPURIOUS: case APIC_ESR:
    case APIC_ICR_LOW: case APIC_ICR_HIGH: case APIC_INITIAL_COUNT: case APIC_DIVIDE:
        return true;
    default:
        return offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR;
    }
}

static bool readable(unsigned offset)
{
    return writable(offset) || offset == APIC_VERSION || (offset >= APIC_ISR && offset < APIC_ESR);
}

/* 30.4.2: reads; 30.4.3: writes. `offset` is a register's. */
static bool virtualizes(const struct cpu *cpu, unsigned offset, bool write)
{
    uint32_t proc2 = cpu_proc2_controls(cpu);

    if (proc2 & PROC2_apic_register_virtualization)
        return write ? writable(offset) : readable(offset);
    if (offset == APIC_TPR)
        return true;
    return write && (proc2 & PROC2_virtual_interrupt_delivery) && (offset == APIC_EOI || offset == APIC_ICR_LOW);
}

bool apic_access_virtualized(const struct cpu *cpu, uint64_t offset, unsigned size, enum access_kind kind,
                             uint64_t *pa)
{
    unsigned at = offset & 0xf, reg = offset & 0xff0;

    /* All within the low 4 bytes of a naturally aligned 16-byte region. A second write of one instruction is not. */
    if (!(cpu_proc_controls(cpu) & PROC_use_tpr_shadow) || kind == ACCESS_FETCH || cpu->event.valid || at + size > 4 ||
        (cpu->vmx.apic_write && cpu->vmx.apic_write != reg) || !virtualizes(cpu, reg, kind == ACCESS_WRITE))
        return false;
    *pa = VMCS(cpu->vmx.current, virtual_apic_address) + (offset & 0xfff);
    return true;
}

void apic_access_written(struct cpu *cpu, uint64_t offset)
{
    cpu->vmx.apic_write = (uint16_t)(offset & 0xff0);
}

static enum status write_exit(struct cpu *cpu, unsigned offset)
{
    return cpu_vm_exit(cpu, &(struct exit_information){ .reason = EXIT_REASON_apic_write, .qualification = offset });
}

static bool is_self_ipi(uint32_t icr)
{
    return (icr & ICR_SELF_IPI_MASK) == ICR_SHORTHAND_SELF && (icr & 0xf0);
}

enum status apic_write_emulate(struct cpu *cpu)
{
    bool delivers = cpu_proc2_controls(cpu) & PROC2_virtual_interrupt_delivery;
    unsigned offset = cpu->vmx.apic_write;
    uint32_t value;

    cpu->vmx.apic_write = 0;
    switch (offset) {
    case 0:
        return STATUS_OK;
    case APIC_TPR:
        apic_page_write(cpu, APIC_TPR, apic_page_read(cpu, APIC_TPR) & 0xff);
        return apic_virtualize_tpr(cpu);
    case APIC_EOI:
        if (!delivers)
            break;
        apic_page_write(cpu, APIC_EOI, 0);
        return apic_virtualize_eoi(cpu);
    case APIC_ICR_HIGH:
        apic_page_write(cpu, APIC_ICR_HIGH, apic_page_read(cpu, APIC_ICR_HIGH) & 0xff000000);
        return STATUS_OK;
    case APIC_ICR_LOW:
        value = apic_page_read(cpu, APIC_ICR_LOW);
        if (!delivers || !is_self_ipi(value))
            break;
        apic_virtualize_self_ipi(cpu, (uint8_t)value);
        return STATUS_OK;
    case APIC_SELF_IPI:         /* WRMSR: there is no such register in xAPIC mode */
        value = apic_page_read(cpu, APIC_SELF_IPI);
        if (!(value & 0xf0))
            break;
        apic_virtualize_self_ipi(cpu, (uint8_t)value);
        return STATUS_OK;
    default:
        break;
    }
    return write_exit(cpu, offset);
}
