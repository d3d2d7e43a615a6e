/* SPDX-License-Identifier: MIT */
/* Messages between processors, and how the others are started: SDM Vol. 3, 9.4.4, 11.6.1. */
#include "hv/x86/x86.h"

enum { ICR_LOW = 0x300, ICR_HIGH = 0x310, ICR_X2APIC = 0x830 };
enum { ICR_PENDING = 1 << 12, ICR_ASSERT = 1 << 14, ICR_OTHERS = 3 << 18 };
enum { DELAY_PORT = 0x80 };                     /* an access takes about a microsecond on a PC */
enum { INIT_DELAY = 10000, STARTUP_DELAY = 200, ARRIVAL_DELAY = 20000 };

extern uint8_t trampoline[], trampoline_end[], boot_gdt_pointer[];

/* SDM Vol. 3, 9.4.5; Vol. 2, CPUID leaves 1 and 0BH. */
unsigned apic_id(void)
{
    if (hal_cpuid(0, 0).eax >= 0xb && hal_cpuid(0xb, 0).ebx)
        return hal_cpuid(0xb, 0).edx;
    return hal_cpuid(1, 0).ebx >> 24;
}

/* The high half of the command register is L1's again afterwards; the low half says what was sent (docs/limits.md). */
bool apic_send(enum apic_target target, unsigned id, unsigned message)
{
    const uint32_t low = message | ICR_ASSERT | (target == APIC_OTHERS ? ICR_OTHERS : 0);
    uint64_t base = 0;

    if (!hal_rdmsr(MSR_ia32_apic_base, &base) || !(base & APIC_BASE_ENABLE))
        return false;
    if (!hv_apic_reached(base))                 /* the guest has moved it, before L0 was there */
        return false;
    if (base & APIC_BASE_X2APIC)
        return hal_wrmsr(ICR_X2APIC, (uint64_t)id << 32 | low);
    volatile uint32_t *apic = at(base & APIC_BASE_ADDRESS);
    while (apic[ICR_LOW / 4] & ICR_PENDING)
        hal_pause();
    const uint32_t high = apic[ICR_HIGH / 4];
    apic[ICR_HIGH / 4] = id << 24;
    apic[ICR_LOW / 4] = low;
    while (apic[ICR_LOW / 4] & ICR_PENDING)
        hal_pause();
    apic[ICR_HIGH / 4] = high;
    return true;
}

bool hal_kick(unsigned cpu, enum hal_kick kind)
{
    return cpu < processor_blocks &&
           apic_send(APIC_ONE, processors[cpu].apic_id, kind == HAL_KICK_INIT ? APIC_INIT : APIC_NMI);
}

static void delay(unsigned microseconds)
{
    while (microseconds--)
        port_out(DELAY_PORT, 0);
}

static volatile uint32_t *word(unsigned offset) { return at(TRAMPOLINE + offset); }

/* The table is that of the image where the boot loader put it, which the code leaves before anything else comes there. */
static void trampoline_write(void)
{
    uint8_t *page = at(TRAMPOLINE);

    memcpy(page, trampoline, (size_t)(trampoline_end - trampoline));
    memcpy(page + TRAMPOLINE_GDT, boot_gdt_pointer, 6);
    *word(TRAMPOLINE_COUNT) = *word(TRAMPOLINE_CR3) = 0;
}

unsigned processors_start(void)
{
    trampoline_write();
    apic_send(APIC_OTHERS, 0, APIC_INIT);
    delay(INIT_DELAY);
    for (unsigned i = 0; i < 2; i++) {
        apic_send(APIC_OTHERS, 0, APIC_STARTUP | TRAMPOLINE >> 12);
        delay(STARTUP_DELAY);
    }
    delay(ARRIVAL_DELAY);
    return *word(TRAMPOLINE_COUNT) + 1;
}

void processors_release(void)
{
    const uint32_t all = *word(TRAMPOLINE_COUNT) + 1;

    processor_blocks = all < PROCESSORS ? all : PROCESSORS;
    *word(TRAMPOLINE_CR3) = (uint32_t)paging_root(false);
    while (*(volatile uint32_t *)&processor_count < all)
        hal_pause();
    for (unsigned i = 1; i < processor_blocks; i++)     /* out of the page, which will be no code any more */
        while (!*(struct processor *volatile *)&processors[i].self)
            hal_pause();
}

void processors_stop(void)
{
    apic_send(APIC_OTHERS, 0, APIC_INIT);
    delay(INIT_DELAY);
}
