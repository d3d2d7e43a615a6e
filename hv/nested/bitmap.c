/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps of L1 for L2. Hardware reads private copies, made at entry: L1 could change its own pages while L2 runs. SDM
 * Vol. 3, 25.6.4 (I/O), 25.6.9 (MSRs).
 */
#include "hv/core.h"

static void copy_page(struct hv_cpu *cpu, uint64_t from, physical_address to)
{
    l1_read(cpu->machine, from, cpu->nested.buffer, PAGE_SIZE);
    hal_pm_write(to, cpu->nested.buffer, PAGE_SIZE);
}

void bitmap_copy(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;
    const uint64_t controls = VMCS12(cpu, processor_based_controls);

    if (controls & PROC_use_io_bitmaps) {
        copy_page(cpu, VMCS12(cpu, io_bitmap_a_address), n->io_bitmap_a);
        copy_page(cpu, VMCS12(cpu, io_bitmap_b_address), n->io_bitmap_b);
    }
    if (controls & PROC_use_msr_bitmaps) {
        l1_read(cpu->machine, VMCS12(cpu, msr_bitmap_address), n->msr_bitmap12, PAGE_SIZE);
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
