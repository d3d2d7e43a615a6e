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
    return index != MSR_ia32_fs_base && index != MSR_ia32_gs_base && index != MSR_ia32_bios_sign_id;
}

const char *msr_area_rule(const struct vmx_capability *capability, unsigned number, const uint64_t entry[2], bool store)
{
    if (number > CAPABILITY_MSR_LIST(capability->misc))
        return "the area has more entries than IA32_VMX_MISC[27:25] recommends [A.6]";
    if (entry[0] >> 32)
        return "bits 63:32 of the entry are not 0";
    if (x2apic((uint32_t)entry[0]))
        return "MSRs 0x800 to 0x8ff, the x2APIC's, may not stand in an area";
    if (!store && !loadable((uint32_t)entry[0]))
        return "IA32_FS_BASE, IA32_GS_BASE and IA32_BIOS_SIGN_ID are not loaded from an area; the VMCS has fields for the bases";
    return NULL;
}

unsigned msr_area_load(struct cpu *cpu, uint64_t address, uint64_t count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t entry[2];

        if (!memory_read(&cpu->model->memory, address + 16ull * i, entry, sizeof(entry)) ||
            msr_area_rule(&cpu->model->capability, i + 1, entry, false) || !msr_write(cpu, (uint32_t)entry[0], entry[1]))
            return i + 1;
    }
    return 0;
}

unsigned msr_area_store(struct cpu *cpu, uint64_t address, uint64_t count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = address + 16ull * i, entry[2] = { 0, 0 }, value;

        if (!memory_read(&cpu->model->memory, at, entry, 8) || msr_area_rule(&cpu->model->capability, i + 1, entry, true) ||
            !msr_read(cpu, (uint32_t)entry[0], &value))
            return i + 1;
        memory_write64(&cpu->model->memory, at + 8, value);
    }
    return 0;
}
