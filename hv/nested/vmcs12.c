/* SPDX-License-Identifier: MIT */
/*
 * L1's VMCSs. The current one lives in struct nested; the others in L1's pages, in a format of the core's own. A page
 * is read once and whole when its VMCS becomes current; what L1 writes there meanwhile counts for nothing.
 */
#include "hv/core.h"

struct region {
    uint32_t revision, abort;
    uint32_t launched, reserved;
    uint64_t field[FIELD_COUNT];
};
_Static_assert(sizeof(struct region) <= 4096, "vmcs12 fits its page");

void vmcs12_release(struct hv_cpu *cpu)
{
    const struct vmcs12 *vmcs12 = &cpu->nested.vmcs12;
    struct region region = { .launched = vmcs12->launched };
    const size_t start = offsetof(struct region, launched);

    if (cpu->nested.current == NO_VMCS)
        return;
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        region.field[i] = vmcs12->field[i];
    /* Revision identifier and abort indicator stay as they are in memory. */
    l1_write(cpu->machine, cpu->nested.current + start, (const uint8_t *)&region + start, sizeof region - start);
    cpu->nested.current = NO_VMCS;
}

bool vmcs12_load(struct hv_cpu *cpu, uint64_t address)
{
    struct vmcs12 *vmcs12 = &cpu->nested.vmcs12;
    struct region region;

    if (address == cpu->nested.current)         /* active already: memory has nothing to say */
        return l1_read32(cpu->machine, address) == VMCS12_REVISION;
    l1_read(cpu->machine, address, &region, sizeof region);
    if (region.revision != VMCS12_REVISION)     /* bit 31 would make it a shadow VMCS: not offered */
        return false;
    vmcs12_release(cpu);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        vmcs12->field[i] = field_cut((enum field_index)i, region.field[i]);
    vmcs12->launched = region.launched == 1;
    cpu->nested.current = address;
    return true;
}

void vmcs12_clear_page(struct hv_cpu *cpu, uint64_t address)
{
    const uint32_t launched = 0;

    l1_write(cpu->machine, address + offsetof(struct region, launched), &launched, sizeof launched);
}

uint32_t vmcs12_secondary(const struct hv_cpu *cpu)
{
    return VMCS12(cpu, processor_based_controls) & PROC_activate_secondary_controls
               ? VMCS12_32(cpu, secondary_processor_based_controls) : 0;
}

bool vmcs12_ept(const struct hv_cpu *cpu)
{
    return vmcs12_secondary(cpu) & PROC2_enable_ept;
}
