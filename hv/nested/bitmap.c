/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps of L1 for L2: SDM Vol. 3, 25.6.4 (I/O), 25.6.9 (MSRs). Hardware reads a private copy of the MSR bitmap, made
 * at entry, for L0's own MSRs are in it and L1 could change its page while L2 runs. L0 has no wishes about ports:
 * hardware reads L1's I/O bitmaps themselves, changes while L2 runs included, as it would without L0.
 */
#include "hv/core.h"

/* What is not L1's reads as ones, like any memory that is absent. */
static physical_address io_bitmap(const struct hv_cpu *cpu, uint64_t address)
{
    return l1_owns(cpu->machine, address) ? PA(address) : cpu->nested.io_bitmap_absent;
}

void bitmap_copy(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;
    const uint64_t controls = VMCS12(cpu, processor_based_controls);

    if (controls & PROC_use_io_bitmaps) {
        n->plan.io_bitmap_a = io_bitmap(cpu, VMCS12(cpu, io_bitmap_a_address));
        n->plan.io_bitmap_b = io_bitmap(cpu, VMCS12(cpu, io_bitmap_b_address));
    }
    if (controls & PROC_use_msr_bitmaps) {
        l1_read(cpu->machine, HAL_DATUM_BITMAP, VMCS12(cpu, msr_bitmap_address), n->msr_bitmap12, PAGE_SIZE);
        for (unsigned i = 0; i < PAGE_SIZE; i++)
            n->buffer[i] = n->msr_bitmap12[i];
        msr_bitmap_fill(n->buffer);
        hal_pm_write(n->msr_bitmap, n->buffer, PAGE_SIZE);
    }
}

bool bitmap_wants_msr(const struct hv_cpu *cpu, uint32_t index, bool write)
{
    const uint32_t low = index & 0x1fff, high = index & ~0x1fffu;
    uint32_t offset = (write ? 2048u : 0) + low / 8;

    if (!(VMCS12(cpu, processor_based_controls) & PROC_use_msr_bitmaps) || (high && high != 0xc0000000))
        return true;
    if (high)
        offset += 1024;
    return cpu->nested.msr_bitmap12[offset] >> low % 8 & 1;
}
