/* SPDX-License-Identifier: MIT */
/*
 * The MSR areas of VM entry and VM exit: SDM Vol. 3, 25.7.2, 27.4 "Loading MSRs", 28.4 "Saving MSRs", 28.6.
 *
 *   entry of 16 bytes:   31:0 index   63:32 reserved, 0   127:64 data
 */
#include "model/cpu/execute.h"
#include "model/vmx/internal.h"

static bool x2apic(uint32_t index)
{
    return index >> 8 == 0x8;
}

/* MSRs that the areas may not load although WRMSR may write them. */
static bool loadable(uint32_t index)
{
    return index != MSR_ia32_fs_base && index != MSR_ia32_gs_base && index != MSR_ia32_bios_sign_id && !x2apic(index);
}

unsigned msr_area_load(struct cpu *cpu, uint64_t address, uint64_t count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t entry[2];

        if (i == CAPABILITY_MSR_LIST(cpu->model->capability.misc) || !memory_read(&cpu->model->memory, address + 16ull * i, entry, sizeof(entry)) ||
            entry[0] >> 32 || !loadable((uint32_t)entry[0]) || !msr_write(cpu, (uint32_t)entry[0], entry[1]))
            return i + 1;
    }
    return 0;
}

unsigned msr_area_store(struct cpu *cpu, uint64_t address, uint64_t count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t entry = address + 16ull * i, index, value;

        if (i == CAPABILITY_MSR_LIST(cpu->model->capability.misc) || !memory_read(&cpu->model->memory, entry, &index, 8) || index >> 32 ||
            x2apic((uint32_t)index) || !msr_read(cpu, (uint32_t)index, &value))
            return i + 1;
        memory_write64(&cpu->model->memory, entry + 8, value);
    }
    return 0;
}
