/* SPDX-License-Identifier: MIT */
/* I/O bitmaps and MSR bitmaps: SDM Vol. 3, 25.6.4 "I/O-Bitmap Addresses", 25.6.9 "MSR-Bitmap Address". */
#include "model/vmx/internal.h"

/* Bitmaps that lie in no RAM read as ones: everything in them exits. */
static bool bit(const struct cpu *cpu, uint64_t bitmap, uint64_t number)
{
    uint8_t byte = 0xff;

    memory_read(&cpu->model->memory, bitmap + number / 8, &byte, 1);
    return byte >> (number & 7) & 1;
}

/*
 * The page:  0 read, MSRs 0-1fff   0x400 read, c0000000-c0001fff   0x800 write, low   0xc00 write, high
 */
bool bitmap_intercepts_msr(const struct cpu *cpu, const struct vmcs *vmcs, uint32_t index, bool write)
{
    uint64_t bitmap = VMCS(vmcs, msr_bitmap_address) + (write ? 0x800 : 0);

    if (!(proc_controls(vmcs) & PROC_use_msr_bitmaps))
        return true;
    if (index <= 0x1fff)
        return bit(cpu, bitmap, index);
    if (index >= 0xc0000000 && index <= 0xc0001fff)
        return bit(cpu, bitmap + 0x400, index & 0x1fff);
    return true;
}

/* An access exits if it touches a port whose bit is set, or if it wraps around the 16-bit port space (26.1.3). */
bool bitmap_intercepts_io(const struct cpu *cpu, const struct vmcs *vmcs, uint16_t port, unsigned size)
{
    uint32_t proc = proc_controls(vmcs);

    if (!(proc & PROC_use_io_bitmaps))
        return proc & PROC_unconditional_io_exiting;
    if (port + size > 0x10000)
        return true;
    for (unsigned p = port; p < port + size; p++)
        if (bit(cpu, p < 0x8000 ? VMCS(vmcs, io_bitmap_a_address) : VMCS(vmcs, io_bitmap_b_address), p & 0x7fff))
            return true;
    return false;
}
