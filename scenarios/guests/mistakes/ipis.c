/* SPDX-License-Identifier: MIT */
/* Inter-processor interrupts that reach nobody, or start a processor in the wrong place. */
#include <stddef.h>

#include "scenarios/guests/lib/second.h"
#include "scenarios/guests/mistakes/mistakes.h"

enum { ICR_LOW = 0x300, ICR_HIGH = 0x310, SPURIOUS = 0xf0 };
enum { ICR_NMI = 0x4400, ICR_INIT = 0x4500, ICR_SIPI = 0x4600, ICR_FIXED = 0x4000, ICR_SELF = 1 << 18 };

static volatile uint32_t *apic(unsigned offset) { return (volatile uint32_t *)(0xfee00000ull + offset); }

static __attribute__((noinline)) void send(uint32_t high, uint32_t low)
{
    *apic(ICR_HIGH) = high;
    *apic(ICR_LOW) = low;
}

static void wait(unsigned rounds)
{
    for (volatile unsigned i = 0; i < rounds; i++)
        __asm__ volatile("pause");
}

static void start_at(unsigned vector)
{
    send(1u << 24, ICR_INIT);
    wait(100);
    send(1u << 24, ICR_SIPI | vector);
    wait(200000);
}

static void sipi_to_zeros(void) { start_at(0x90); }
static void init_to_nobody(void) { send(7u << 24, ICR_INIT); }
static void interrupt_to_disabled(void)
{
    *apic(SPURIOUS) = 0x1ff;
    send(1u << 24, ICR_FIXED | 0x55);
}
static void nmi_to_self(void) { send(0, ICR_SELF | ICR_NMI); }
static void init_unshifted(void) { send(1, ICR_INIT); }
static void all_is_well(void)
{
    second_wake();
    send(1u << 24, ICR_INIT);
    send(1u << 24, ICR_SIPI | 8);       /* the second one: the processor has begun */
}

const struct mistake mistakes_of_ipis[] = {
    { "sipi-to-zeros", sipi_to_zeros }, { "init-to-nobody", init_to_nobody }, { "interrupt-to-disabled", interrupt_to_disabled },
    { "nmi-to-self", nmi_to_self }, { "init-unshifted", init_unshifted }, { "second-is-woken", all_is_well },
    { NULL, NULL },
};
