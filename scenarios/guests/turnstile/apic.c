/* SPDX-License-Identifier: MIT */
/* The local APIC: see apic.h. A register has the same number in both modes: MMIO offset / 16 = MSR - 0x800. */
#include "scenarios/guests/turnstile/apic.h"

#include "arch/vmx.h"
#include "scenarios/guests/lib/processor.h"

enum apic_register { APIC_ID = 0x02, APIC_EOI = 0x0b, APIC_SPURIOUS = 0x0f, APIC_ICR = 0x30,
                     APIC_LVT_TIMER = 0x32, APIC_INITIAL_COUNT = 0x38, APIC_DIVIDE = 0x3e, APIC_SELF_IPI = 0x3f };
enum { X2APIC_MSRS = 0x800, SPURIOUS_VECTOR = 0xff, SOFTWARE_ENABLE = 1 << 8, DIVIDE_BY_1 = 0xb,
       ICR_NMI = 4 << 8 | 1 << 14 };
#define CPUID_ECX_X2APIC (1u << 21)

static void apic_write(enum apic_register index, uint32_t value)
{
    uint64_t base = rdmsr(MSR_ia32_apic_base);

    if (base & APIC_BASE_X2APIC)
        wrmsr(X2APIC_MSRS + index, value);
    else
        *(volatile uint32_t *)((base & APIC_BASE_ADDRESS) + index * 16) = value;
}

bool apic_has_x2apic(void)
{
    return cpuid(1, 0).ecx & CPUID_ECX_X2APIC;
}

void apic_enable(bool x2apic)
{
    wrmsr(MSR_ia32_apic_base, rdmsr(MSR_ia32_apic_base) | APIC_BASE_ENABLE | (x2apic ? APIC_BASE_X2APIC : 0));
    apic_write(APIC_SPURIOUS, SOFTWARE_ENABLE | SPURIOUS_VECTOR);
}

void apic_timer(uint8_t vector, uint32_t ticks)
{
    apic_write(APIC_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_LVT_TIMER, vector);
    apic_write(APIC_INITIAL_COUNT, ticks);
}

void apic_self_ipi(uint8_t vector)
{
    apic_write(APIC_SELF_IPI, vector);
}

/* No NMI goes by the shorthand "self" (11.6.1): it is sent to our own identifier. */
void apic_self_nmi(void)
{
    wrmsr(X2APIC_MSRS + APIC_ICR, rdmsr(X2APIC_MSRS + APIC_ID) << 32 | ICR_NMI);
}

void apic_end_of_interrupt(void)
{
    apic_write(APIC_EOI, 0);
}
