/* SPDX-License-Identifier: MIT */
/*
 * Data breakpoints of L1 on the operands that L0 reads and writes for it: SDM Vol. 3, 18.2.4, 18.2.5, 18.3.1.2. VM exits leave DR0 to DR3 as
 * they are, so the addresses are L1's while L0 runs; DR7 is in the VMCS. The debug exception is a trap: it comes behind the instruction, and
 * not at all if the instruction faults.
 */
#include "hv/core.h"

enum { BREAK_WRITE = 1, BREAK_ACCESS = 3 };

void breakpoints_meet(struct hv_cpu *cpu, uint64_t linear, size_t length, bool write)
{
    static const uint8_t bytes[4] = { 1, 2, 8, 4 };
    const uint64_t dr7 = vmread(VMCS_guest_dr7);

    for (unsigned i = 0; i < 4; i++) {
        const unsigned kind = dr7 >> (16 + 4 * i) & 3;
        const uint64_t size = bytes[dr7 >> (18 + 4 * i) & 3];
        if (!(dr7 >> 2 * i & 3) || (kind != BREAK_ACCESS && (kind != BREAK_WRITE || !write)))
            continue;
        const uint64_t from = hal_read_dr(i) & ~(size - 1);
        if (linear - from < size || from - linear < length)     /* both ranges may end at the top of the address space */
            cpu->breakpoints_met |= 1u << i;
    }
}

void breakpoints_due(struct hv_cpu *cpu)
{
    if (cpu->breakpoints_met)
        vmwrite(VMCS_guest_pending_debug_exceptions,
                vmread(VMCS_guest_pending_debug_exceptions) | PENDING_DEBUG_ENABLED | cpu->breakpoints_met);
}
