/* SPDX-License-Identifier: MIT */
/* The local APIC is L1's, and L0 leaves it alone but for this: an INIT, which L0 emulates, resets it. */
#include "hv/core.h"

enum { APIC_VERSION = 0x30, X2APIC_MSRS = 0x800 };
enum { MODE_BOTH, MODE_XAPIC };                 /* in x2APIC mode DFR does not exist, and LDR is read-only */

/*
 * SDM Vol. 3, "Local APIC State After It Receives an INIT Reset": what is not here (IRR, ISR, TMR, ICR) software cannot write.
 * `lvt`: the number of the LVT entry, by which the processor may lack it (version register, 23:16).
 */
static const struct { uint16_t offset; uint8_t mode, lvt; uint32_t value; } after_init[] = {
    { 0x380, MODE_BOTH, 0, 0 },                 /* initial count: the timer stops */
    { 0x320, MODE_BOTH, 0, 0x10000 },           /* timer, LINT0, LINT1, error, performance counters, thermal sensor, CMCI */
    { 0x350, MODE_BOTH, 1, 0x10000 },
    { 0x360, MODE_BOTH, 2, 0x10000 },
    { 0x370, MODE_BOTH, 3, 0x10000 },
    { 0x340, MODE_BOTH, 4, 0x10000 },
    { 0x330, MODE_BOTH, 5, 0x10000 },
    { 0x2f0, MODE_BOTH, 6, 0x10000 },
    { 0x3e0, MODE_BOTH, 0, 0 },                 /* divide configuration */
    { 0x080, MODE_BOTH, 0, 0 },                 /* task priority */
    { 0x0d0, MODE_XAPIC, 0, 0 },                /* logical destination, and its format */
    { 0x0e0, MODE_XAPIC, 0, 0xffffffff },
    { 0x0f0, MODE_BOTH, 0, 0xff },              /* spurious vector; the APIC is disabled by software */
};

static void write(uint64_t base, unsigned offset, uint32_t value)
{
    if (base & APIC_BASE_X2APIC)
        hal_wrmsr(X2APIC_MSRS + offset / 16, value);
    else
        hal_mmio_write32(PA((base & APIC_BASE_ADDRESS) + offset), value);
}

static uint32_t read(uint64_t base, unsigned offset)
{
    uint64_t value = 0;
    uint32_t low = 0;

    if (base & APIC_BASE_X2APIC)
        return hal_rdmsr(X2APIC_MSRS + offset / 16, &value) ? (uint32_t)value : 0;
    return hal_mmio_read32(PA((base & APIC_BASE_ADDRESS) + offset), &low) ? low : 0;
}

/* L0 sends by it. Its page lies below 4 GB, and is no RAM. */
bool hv_apic_reached(uint64_t base)
{
    const struct hv_machine *m = hal_machine_local();
    const uint64_t page = base & APIC_BASE_ADDRESS;

    if (!(base & APIC_BASE_ENABLE) || base & APIC_BASE_X2APIC)
        return true;
    for (unsigned i = 0; i < m->ram_count; i++)
        if (page - m->ram[i].base.value < m->ram[i].size)
            return false;
    return !(page >> 32) && page - m->pool.base.value >= m->pool.size;
}

/*
 * The rest goes by disabling and enabling it: then it "may return to the state after power-up" (SDM Vol. 3, "Enabling or
 * Disabling the Local APIC"). It stays in the mode it was in. The registers above do not depend on that "may".
 */
void apic_init(void)
{
    const uint64_t mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    uint64_t base;

    if (!hal_rdmsr(MSR_ia32_apic_base, &base) || !(base & APIC_BASE_ENABLE))
        return;
    for (unsigned i = 0; i < sizeof after_init / sizeof *after_init; i++)
        if (after_init[i].lvt <= (read(base, APIC_VERSION) >> 16 & 0xff) &&
            (after_init[i].mode == MODE_BOTH || !(base & APIC_BASE_X2APIC)))
            write(base, after_init[i].offset, after_init[i].value);
    hal_wrmsr(MSR_ia32_apic_base, base & ~mode);
    hal_wrmsr(MSR_ia32_apic_base, base & ~(uint64_t)APIC_BASE_X2APIC);
    if (base & APIC_BASE_X2APIC)
        hal_wrmsr(MSR_ia32_apic_base, base);
}
