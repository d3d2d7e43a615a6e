/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps of L1 for L2: SDM Vol. 3, 25.6.4 (I/O), 25.6.9 (MSRs). L0 has no wishes about ports: hardware reads L1's I/O
 * bitmaps themselves, changes while L2 runs included, as it would without L0.
 *
 * Of the MSR bitmap hardware reads a private page, for L0's own MSRs are in it. It holds L1's bits of those MSRs that guests
 * use most, as they are at entry; accesses to all others exit, and L0 looks into L1's bitmap then. So an entry need not copy
 * the whole page.
 */
#include "hv/core.h"

/* What is not L1's reads as ones, like any memory that is absent. */
static physical_address io_bitmap(const struct hv_cpu *cpu, uint64_t address)
{
    return l1_owns(cpu->machine, address) ? PA(address) : cpu->nested.io_bitmap_absent;
}

/* Of the bitmap for RDMSR and that for WRMSR: MSRs 0 to 17FH, and C0000000H to C000013FH. */
static const struct { uint16_t offset, bytes; } piece[MSR_BITMAP_PIECES] = { { 0, 48 }, { 1024, 40 }, { 2048, 48 }, { 3072, 40 } };

/* What hardware's page holds changes only if L1's bits do. */
static void merge(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;

    for (unsigned i = 0; i < MSR_BITMAP_PIECES; i++)
        for (unsigned j = 0; j < piece[i].bytes; j++)
            n->buffer[piece[i].offset + j] = ((const uint8_t *)n->msr_bits12[i])[j];
    msr_bitmap_fill(n->buffer);
    for (unsigned i = 0; i < MSR_BITMAP_PIECES; i++)
        hal_pm_write(PA(n->msr_bitmap.value + piece[i].offset), n->buffer + piece[i].offset, piece[i].bytes);
}

static void copy_msr_bits(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;
    const uint64_t page = VMCS12(cpu, msr_bitmap_address);
    const bool owned = l1_owns(cpu->machine, page);
    uint64_t bits[MSR_BITMAP_PIECES][MSR_BITMAP_PIECE_WORDS], changed = !n->msr_bits_known;

    for (unsigned i = 0; i < MSR_BITMAP_PIECES; i++) {
        l1_read_in_page(HAL_DATUM_BITMAP, owned, page + piece[i].offset, bits[i], piece[i].bytes);
        for (unsigned j = 0; j < piece[i].bytes / sizeof bits[i][j]; j++)
            changed |= bits[i][j] ^ n->msr_bits12[i][j];
    }
    if (!changed)
        return;
    for (unsigned i = 0; i < MSR_BITMAP_PIECES; i++)
        for (unsigned j = 0; j < piece[i].bytes / sizeof bits[i][j]; j++)
            n->msr_bits12[i][j] = bits[i][j];
    n->msr_bits_known = true;
    merge(cpu);
}

void bitmap_choose(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;

    if (VMCS12(cpu, processor_based_controls) & PROC_use_io_bitmaps) {
        n->plan.io_bitmap_a = io_bitmap(cpu, VMCS12(cpu, io_bitmap_a_address));
        n->plan.io_bitmap_b = io_bitmap(cpu, VMCS12(cpu, io_bitmap_b_address));
    }
}

void bitmap_copy(struct hv_cpu *cpu)
{
    if (VMCS12(cpu, processor_based_controls) & PROC_use_msr_bitmaps)
        copy_msr_bits(cpu);
}

bool bitmap_wants_msr(const struct hv_cpu *cpu, uint32_t index, bool write)
{
    const uint32_t low = index & 0x1fff, high = index & ~0x1fffu, bit = low % 8;
    const uint32_t offset = (write ? 2048u : 0) + (high ? 1024 : 0) + low / 8;
    uint8_t byte;

    if (!(VMCS12(cpu, processor_based_controls) & PROC_use_msr_bitmaps) || (high && high != 0xc0000000))
        return true;
    for (unsigned i = 0; i < MSR_BITMAP_PIECES; i++)
        if (offset >= piece[i].offset && offset < piece[i].offset + piece[i].bytes)
            return ((const uint8_t *)cpu->nested.msr_bits12[i])[offset - piece[i].offset] >> bit & 1;
    l1_read(cpu->machine, HAL_DATUM_BITMAP, VMCS12(cpu, msr_bitmap_address) + offset, &byte, sizeof byte);
    return byte >> bit & 1;
}
