/* SPDX-License-Identifier: MIT */
/* Into VMX operation: SDM Vol. 3, 24.6 to 24.8. */
#include "scenarios/guests/lib/guest.h"

#include <stddef.h>

#include "scenarios/guests/lib/processor.h"

enum { CPUID_FEATURES = 1 };
#define CPUID_ECX_VMX (1u << 5)

_Alignas(PAGE) uint8_t vmxon_region[PAGE];

uint32_t vmcs_revision(void)
{
    return (uint32_t)rdmsr(MSR_ia32_vmx_basic) & 0x7fffffffu;
}

const char *vmx_start_on(uint8_t *region)
{
    uint64_t feature_control;

    if (!(cpuid(CPUID_FEATURES, 0).ecx & CPUID_ECX_VMX))
        return "VMX";
    feature_control = rdmsr(MSR_ia32_feature_control);
    if (!(feature_control & FEATURE_CONTROL_LOCK)) {
        wrmsr(MSR_ia32_feature_control, feature_control | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
        feature_control = rdmsr(MSR_ia32_feature_control);
    }
    if (!(feature_control & FEATURE_CONTROL_VMX_OUTSIDE_SMX))
        return "VMX outside SMX";
    write_cr0((read_cr0() | rdmsr(MSR_ia32_vmx_cr0_fixed0)) & rdmsr(MSR_ia32_vmx_cr0_fixed1));
    write_cr4((read_cr4() | CR4_VMXE | rdmsr(MSR_ia32_vmx_cr4_fixed0)) & rdmsr(MSR_ia32_vmx_cr4_fixed1));
    *(uint32_t *)region = vmcs_revision();
    return vmxon((uintptr_t)region) ? "VMXON" : NULL;
}

const char *vmx_start(void)
{
    return vmx_start_on(vmxon_region);
}
