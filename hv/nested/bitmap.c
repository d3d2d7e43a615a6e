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

/*
 * Of the bitmap for RDMSR and that for WRMSR: MSRs 0 to 17FH, 800H to 83FH (the local APIC), and C0000080H to C000013FH; byte offsets
 * in the page, and lengths. msr_bits12 has one behind the other.
 */
#define BITMAP_PIECES(X) X(0, 48) X(256, 8) X(1040, 24) X(2048, 48) X(2304, 8) X(3088, 24)
static const struct { uint16_t offset, bytes; } piece[] = {
#define X(offset, bytes) { offset, bytes },
    BITMAP_PIECES(X)
#undef X
};
enum { PIECES = sizeof piece / sizeof *piece };
#define X(offset, bytes) + bytes
_Static_assert(MSR_BITMAP_WORDS * 8 == 0 BITMAP_PIECES(X), "the pieces fill the words");
#undef X

/* What hardware's page holds changes only if L1's bits do. */
static void merge(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;
    const uint8_t *bits = (const uint8_t *)n->msr_bits12;

    for (unsigned i = 0; i < PIECES; i++)
        for (unsigned j = 0; j < piece[i].bytes; j++)
            n->buffer[piece[i].offset + j] = *bits++;
    msr_bitmap_fill(n->buffer);
    for (unsigned i = 0; i < PIECES; i++)
        hal_pm_write(PA(n->msr_bitmap.value + piece[i].offset), n->buffer + piece[i].offset, piece[i].bytes);
}

static bool same_bits(const uint64_t a[MSR_BITMAP_WORDS], const uint64_t b[MSR_BITMAP_WORDS])
{
    uint64_t changed = 0;

    for (unsigned i = 0; i < MSR_BITMAP_WORDS; i += 4)
        changed |= (a[i] ^ b[i]) | (a[i + 1] ^ b[i + 1]) | (a[i + 2] ^ b[i + 2]) | (a[i + 3] ^ b[i + 3]);
    return !changed;
}

void bitmap_copy(struct hv_cpu *cpu)
{
    struct nested *n = &cpu->nested;
    const uint64_t page = VMCS12(cpu, msr_bitmap_address);
    uint64_t bits[MSR_BITMAP_WORDS], *to = bits;

    hal_reading(HAL_DATUM_BITMAP);
    if (n->vmcs12->settled.msr_bitmap) {
#define X(offset, bytes)                                                                                            \
        l1_read_owned(page + (offset), to, (bytes));                                                                \
        to += (bytes) / sizeof *to;
        BITMAP_PIECES(X)
#undef X
    } else {
        l1_read_absent(bits, sizeof bits);
    }
    if (n->msr_bits_known && same_bits(bits, n->msr_bits12))
        return;
    for (unsigned i = 0; i < MSR_BITMAP_WORDS; i++)
        n->msr_bits12[i] = bits[i];
    n->msr_bits_known = true;
    merge(cpu);
}

void bitmap_choose(struct hv_cpu *cpu)
{
    struct settled *settled = &cpu->nested.vmcs12->settled;

    if (VMCS12(cpu, processor_based_controls) & PROC_use_io_bitmaps) {
        settled->io_bitmap_a = io_bitmap(cpu, VMCS12(cpu, io_bitmap_a_address));
        settled->io_bitmap_b = io_bitmap(cpu, VMCS12(cpu, io_bitmap_b_address));
    }
    settled->msr_bitmap = VMCS12(cpu, processor_based_controls) & PROC_use_msr_bitmaps && l1_owns(cpu->machine, VMCS12(cpu, msr_bitmap_address));
}

bool bitmap_wants_msr(const struct hv_cpu *cpu, uint32_t index, bool write)
{
    const uint32_t low = index & 0x1fff, high = index & ~0x1fffu, bit = low % 8;
    const uint32_t offset = (write ? 2048u : 0) + (high ? 1024 : 0) + low / 8;
    const uint8_t *bits = (const uint8_t *)cpu->nested.msr_bits12;
    uint8_t byte;

    if (!(VMCS12(cpu, processor_based_controls) & PROC_use_msr_bitmaps) || (high && high != 0xc0000000))
        return true;
    for (unsigned i = 0; i < PIECES; bits += piece[i++].bytes)
        if (offset >= piece[i].offset && offset < piece[i].offset + piece[i].bytes)
            return bits[offset - piece[i].offset] >> bit & 1;
    l1_read(cpu->machine, HAL_DATUM_BITMAP, VMCS12(cpu, msr_bitmap_address) + offset, &byte, sizeof byte);
    return byte >> bit & 1;
}
