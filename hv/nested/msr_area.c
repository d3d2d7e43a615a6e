/* SPDX-License-Identifier: MIT */
/*
 * L1's MSR areas: SDM Vol. 3, 27.4, 28.4, 28.6. Hardware applies the entry list, from a private copy, as only it knows
 * when guest state has passed its checks. The exit lists belong to reflected exits alone, so L0 applies them.
 */
#include "hv/core.h"

struct entry { uint32_t index, reserved; uint64_t value; };

/* Reads a list into the buffer. NULL: it is too long. */
static struct entry *read_list(struct hv_cpu *cpu, enum hal_datum datum, uint64_t address, uint64_t count)
{
    _Static_assert(MSR_AREA_MAX * sizeof(struct entry) <= sizeof cpu->nested.buffer, "a list fits the buffer");
    if (count > MSR_AREA_MAX)
        return NULL;
    l1_read(cpu->machine, datum, address, cpu->nested.buffer, count * sizeof(struct entry));
    return (struct entry *)(void *)cpu->nested.buffer;
}

uint32_t msr_area_copy_entry_list(struct hv_cpu *cpu)
{
    const uint32_t count = VMCS12_32(cpu, entry_msr_load_count);
    struct entry *list = read_list(cpu, HAL_DATUM_ENTRY_MSR_LIST, VMCS12(cpu, entry_msr_load_address), count);

    if (!list)
        return MSR_AREA_MAX + 1;
    for (uint32_t i = 0; i < count; i++) {
        if (!msr_listed(list[i].index, list[i].value))
            list[i].reserved = ~0u;             /* not 0: hardware fails there, when it gets there (27.4) */
        else if (list[i].index == MSR_ia32_apic_base && !list[i].reserved)
            cpu->nested.plan.apic_base_loaded = true;
    }
    hal_pm_write(cpu->nested.entry_msr_area, list, count * sizeof *list);
    return count;
}

/*
 * While the list is loaded the local APIC may be disabled, and accept no INIT: until L0 looks again this processor is out of reach, and of
 * L0's INITs none may be on its way.
 */
bool msr_area_before_entry(struct hv_cpu *cpu)
{
    bool may = true;

    if (!cpu->nested.plan.apic_base_loaded)
        return true;
    hal_lock(&cpu->machine->lock);
    may = !init_on_its_way(cpu);
    if (may)
        init_reachable(cpu, false);
    hal_unlock(&cpu->machine->lock);
    return may;
}

void msr_area_after_entry(struct hv_cpu *cpu)
{
    uint64_t base;

    if (!cpu->nested.plan.apic_base_loaded)
        return;
    cpu->nested.plan.apic_base_loaded = false;
    hal_lock(&cpu->machine->lock);
    init_reachable(cpu, hal_rdmsr(MSR_ia32_apic_base, &base) && base & APIC_BASE_ENABLE);
    hal_unlock(&cpu->machine->lock);
}

/* The private copy is read: it is what hardware had. */
void msr_area_loaded(struct hv_cpu *cpu, uint64_t count, uint64_t *pat, uint64_t *efer)
{
    const struct entry *list = (const struct entry *)(void *)cpu->nested.buffer;

    if (count > MSR_AREA_MAX || !hal_pm_read(cpu->nested.entry_msr_area, cpu->nested.buffer, count * sizeof *list))
        return;
    for (uint64_t i = 0; i < count; i++) {
        if (list[i].index == MSR_ia32_pat)
            *pat = list[i].value;
        else if (list[i].index == MSR_ia32_efer)
            *efer = (list[i].value & ~EFER_LMA) | (*efer & EFER_LMA);
    }
}

static bool x2apic(uint32_t index) { return index >> 8 == 0x8; }

bool nested_msr_store(struct hv_cpu *cpu)
{
    const uint64_t address = VMCS12(cpu, exit_msr_store_address), count = VMCS12(cpu, exit_msr_store_count);
    const struct entry *list = read_list(cpu, HAL_DATUM_EXIT_MSR_STORE_LIST, address, count);

    if (!list)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t value;
        if (list[i].reserved || x2apic(list[i].index) || !guest_read_msr(cpu, list[i].index, &value))
            return false;
        l1_write(cpu->machine, address + i * sizeof *list + offsetof(struct entry, value), &value, sizeof value);
    }
    return true;
}

bool nested_msr_load(struct hv_cpu *cpu)
{
    const uint64_t count = VMCS12(cpu, exit_msr_load_count);
    const struct entry *list = read_list(cpu, HAL_DATUM_EXIT_MSR_LOAD_LIST, VMCS12(cpu, exit_msr_load_address), count);

    if (!list)
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (list[i].reserved || !msr_listed(list[i].index, list[i].value) || !guest_write_msr(cpu, list[i].index, list[i].value))
            return false;
    return true;
}
