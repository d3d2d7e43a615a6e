/* SPDX-License-Identifier: MIT */
/*
 * What a processor leaks, and what keeps it from that, by CPUID.(7,0):EDX and IA32_ARCH_CAPABILITIES (SDM Vol. 4, ch. 2). L1 sees to its L2s as on
 * bare hardware, before its VMLAUNCH or VMRESUME; but L0 handles L1's data behind that, so L0 does it again before each entry to L2. From L1 L0
 * has nothing to hide. What L2 taught the predictors does not steer L1: nested/reflect.c.
 */
#include "hv/core.h"

enum { MSR_IA32_ARCH_CAPABILITIES = 0x10a, LEAF_7_EDX_ARCH_CAPABILITIES = 1 << 29 };

static const struct {
    uint32_t edx;                               /* the processor can do it */
    uint16_t any, all;                          /* and need not, with one of these, or all of those */
    enum barrier barrier;
} rows[] = {
    /* Stale data in buffers (MDS, TAA, stale data of MMIO): MDS_NO, TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO. */
    { 1 << 10, 0, 1 << 5 | 1 << 8 | 1 << 13 | 1 << 14 | 1 << 15, BARRIER_BUFFERS },
    /* The L1 data cache past a page that is not present (L1TF): RDCL_NO, SKIP_L1DFL_VMENTRY. */
    { 1 << 28, 1 << 0 | 1 << 3, 0, BARRIER_L1D },
};

unsigned barriers_needed(void)
{
    const uint32_t edx = hal_cpuid(0, 0).eax >= 7 ? hal_cpuid(7, 0).edx : 0;
    uint64_t capabilities = 0;
    unsigned needed = 0;

    if (edx & LEAF_7_EDX_ARCH_CAPABILITIES)
        hal_rdmsr(MSR_IA32_ARCH_CAPABILITIES, &capabilities);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (edx & rows[i].edx && !(capabilities & rows[i].any) && (!rows[i].all || ~capabilities & rows[i].all))
            needed |= rows[i].barrier;
    return needed;
}

void barriers_before_l2(const struct hv_cpu *cpu)
{
    if (cpu->machine->barriers & BARRIER_L1D)
        hal_flush_l1d();
    if (cpu->machine->barriers & BARRIER_BUFFERS)
        hal_clear_buffers();
}
