/* SPDX-License-Identifier: MIT */
/*
 * L1's VMCSs. The current one lives in struct nested, and with it as many as the strategy keeps of those that were
 * current before: they are active, as the processor would have it. The others live in L1's pages, in a format of the
 * core's own. A page is read once and whole when its VMCS becomes active; what L1 writes there meanwhile counts for
 * nothing.
 */
#include "hv/core.h"

#include "hv/nested/shadow.h"

struct region {
    uint32_t revision, abort;
    uint32_t launched, reserved;
    uint64_t field[FIELD_COUNT];
};
_Static_assert(sizeof(struct region) <= 4096, "vmcs12 fits its page");

static struct vmcs12 *find(struct hv_cpu *cpu, uint64_t address)
{
    struct nested *n = &cpu->nested;

    for (unsigned i = 0; i < n->slots; i++)
        if (n->slot[i].address == address)
            return &n->slot[i];
    return NULL;
}

/* Writes a VMCS back to L1's page; then it is no longer kept here. */
static void release(struct hv_cpu *cpu, struct vmcs12 *vmcs12)
{
    const size_t start = offsetof(struct region, launched);
    struct region region;

    shadow_release(cpu, vmcs12);
    region = (struct region){ .launched = vmcs12->launched };
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        region.field[i] = vmcs12->field[i];
    /* Revision identifier and abort indicator stay as they are in memory. */
    l1_write(cpu->machine, vmcs12->address + start, (const uint8_t *)&region + start, sizeof region - start);
    if (vmcs12->address == cpu->nested.current)
        cpu->nested.current = NO_VMCS;
    vmcs12->address = NO_VMCS;
}

void vmcs12_release_all(struct hv_cpu *cpu)
{
    for (unsigned i = 0; i < cpu->nested.slots; i++)
        if (cpu->nested.slot[i].address != NO_VMCS)
            release(cpu, &cpu->nested.slot[i]);
}

/* A slot that is free, or that of the VMCS whose last use is longest ago. */
static struct vmcs12 *take_slot(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;
    struct vmcs12 *oldest = find(cpu, NO_VMCS);

    if (oldest)
        return oldest;
    oldest = &n->slot[0];
    for (unsigned i = 1; i < n->slots; i++)
        if (n->slot[i].last_use < oldest->last_use)
            oldest = &n->slot[i];
    release(cpu, oldest);
    return oldest;
}

static struct vmcs12 *read_page(struct hv_cpu *cpu, uint64_t address)
{
    struct vmcs12 *vmcs12;
    struct region region;

    l1_read(cpu->machine, HAL_DATUM_REGION, address, &region, sizeof region);
    if (region.revision != VMCS12_REVISION)     /* bit 31 would make it a shadow VMCS: not offered */
        return NULL;
    vmcs12 = take_slot(cpu);
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        vmcs12->field[i] = field_cut((enum field_index)i, region.field[i]);
    vmcs12->launched = region.launched == 1;
    vmcs12->settled.known = false;
    vmcs12->address = address;
    return vmcs12;
}

bool vmcs12_load(struct hv_cpu *cpu, uint64_t address)
{
    struct nested *n = &cpu->nested;
    struct vmcs12 *vmcs12 = find(cpu, address);

    if (!vmcs12)
        vmcs12 = read_page(cpu, address);
    else if (l1_read_revision(cpu->machine, address) != VMCS12_REVISION)   /* active already: memory has no more to say */
        return false;
    if (!vmcs12)
        return false;
    vmcs12->last_use = ++n->use_clock;
    if (address == n->current)
        return true;
    n->vmcs12 = vmcs12;
    n->current = address;
    shadow_load(cpu);
    return true;
}

void vmcs12_clear(struct hv_cpu *cpu, uint64_t address)
{
    struct vmcs12 *vmcs12 = find(cpu, address);
    const uint32_t launched = 0;

    if (vmcs12) {
        vmcs12->launched = false;
        release(cpu, vmcs12);
    } else {
        l1_write(cpu->machine, address + offsetof(struct region, launched), &launched, sizeof launched);
    }
}

static uint32_t secondary(const struct vmcs12 *vmcs12)
{
    return vmcs12->field[FIELD_processor_based_controls] & PROC_activate_secondary_controls
               ? (uint32_t)vmcs12->field[FIELD_secondary_processor_based_controls] : 0;
}

uint32_t vmcs12_secondary(const struct hv_cpu *cpu) { return secondary(cpu->nested.vmcs12); }

bool vmcs12_uses_ept(const struct vmcs12 *vmcs12) { return secondary(vmcs12) & PROC2_enable_ept; }

bool vmcs12_ept(const struct hv_cpu *cpu) { return vmcs12_uses_ept(cpu->nested.vmcs12); }
