/* SPDX-License-Identifier: MIT */
/* CPUID of L1: the processor's, with the bits that mirror CR4 taken from L1's CR4 (SDM Vol. 2, CPUID). */
#include "hv/core.h"

#define LEAF_1_ECX_SMX (1u << 6)
#define LEAF_1_ECX_OSXSAVE (1u << 27)
#define LEAF_7_ECX_OSPKE (1u << 4)

void cpuid_exit(struct hv_cpu *cpu)
{
    const uint32_t leaf = (uint32_t)guest_register(cpu, RAX), subleaf = (uint32_t)guest_register(cpu, RCX);
    const uint64_t cr4 = vmread(VMCS_guest_cr4);
    struct hal_cpuid id = hal_cpuid(leaf, subleaf);

    if (leaf == 1) {
        id.ecx &= ~(LEAF_1_ECX_SMX | LEAF_1_ECX_OSXSAVE);   /* GETSEC is not virtualised */
        id.ecx |= cr4 & CR4_OSXSAVE ? LEAF_1_ECX_OSXSAVE : 0;
    } else if (leaf == 7 && subleaf == 0) {
        id.ecx &= ~LEAF_7_ECX_OSPKE;
        id.ecx |= cr4 & CR4_PKE ? LEAF_7_ECX_OSPKE : 0;
    }
    guest_set_register(cpu, RAX, id.eax);
    guest_set_register(cpu, RBX, id.ebx);
    guest_set_register(cpu, RCX, id.ecx);
    guest_set_register(cpu, RDX, id.edx);
    guest_advance();
}
