/* SPDX-License-Identifier: MIT */
/*
 * CPUID of L1: the processor's, with the bits that mirror CR4 taken from L1's CR4, and the one that is there in 64-bit mode alone by L1's mode
 * (SDM Vol. 2, CPUID), and without the features that L0 does not virtualise, or whose MSRs msrs.def hides.
 */
#include "hv/core.h"

#define LEAF_1_ECX_OSXSAVE (1u << 27)
#define LEAF_7_ECX_OSPKE (1u << 4)
#define LEAF_80000001_EDX_SYSCALL (1u << 11)
enum { ANY_SUBLEAF = -1 };

static const struct { uint32_t leaf; int subleaf; struct hal_cpuid bits; } hidden[] = {
    { 1, ANY_SUBLEAF, { .ecx = 1u << 2 | 1u << 4 | 1u << 6, .edx = 1u << 21 } },        /* DTES64, DS-CPL, SMX; DS: PEBS and BTS */
    { 6, ANY_SUBLEAF, { .eax = 1u << 19 | 1u << 23 } },                                 /* hardware feedback, thread director */
    { 7, 0, { .ebx = 1u << 25, .ecx = 1u << 13, .edx = 1u << 18 } },                    /* Intel PT; TME; PCONFIG */
    { 7, 1, { .eax = 1u << 26 | 1u << 27, .ecx = 1u << 5 } },                           /* LAM; RDMSRLIST and WRMSRLIST; RDMSR and WRMSRNS with immediate operands */
    { 0xd, 1, { .ecx = 1u << 8 } },                                                     /* state of Intel PT in IA32_XSS */
    { 0x14, ANY_SUBLEAF, { ~0u, ~0u, ~0u, ~0u } },                                      /* Intel PT */
    { 0x23, 0, { .eax = 1u << 4 | 1u << 5 } },                                          /* architectural PEBS */
};

static void hide(uint32_t leaf, uint32_t subleaf, struct hal_cpuid *id)
{
    for (unsigned i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        const struct hal_cpuid bits = hidden[i].bits;
        if (hidden[i].leaf == leaf && (hidden[i].subleaf == ANY_SUBLEAF || (uint32_t)hidden[i].subleaf == subleaf))
            *id = (struct hal_cpuid){ id->eax & ~bits.eax, id->ebx & ~bits.ebx, id->ecx & ~bits.ecx, id->edx & ~bits.edx };
    }
}

void cpuid_exit(struct hv_cpu *cpu)
{
    const uint32_t leaf = (uint32_t)guest_register(cpu, RAX), subleaf = (uint32_t)guest_register(cpu, RCX);
    const uint64_t cr4 = vmread(VMCS_guest_cr4);
    struct hal_cpuid id = hal_cpuid(leaf, subleaf);

    hide(leaf, subleaf, &id);
    if (leaf == 1) {
        id.ecx &= ~LEAF_1_ECX_OSXSAVE;
        id.ecx |= cr4 & CR4_OSXSAVE ? LEAF_1_ECX_OSXSAVE : 0;
    } else if (leaf == 7 && subleaf == 0) {
        id.ecx &= ~LEAF_7_ECX_OSPKE;
        id.ecx |= cr4 & CR4_PKE ? LEAF_7_ECX_OSPKE : 0;
    } else if (leaf == 0x80000001 && !guest_64bit()) {
        id.edx &= ~LEAF_80000001_EDX_SYSCALL;
    }
    guest_set_register(cpu, RAX, id.eax);
    guest_set_register(cpu, RBX, id.ebx);
    guest_set_register(cpu, RCX, id.ecx);
    guest_set_register(cpu, RDX, id.edx);
    guest_advance();
}
