/* SPDX-License-Identifier: MIT */
/* The second life of a processor: what INIT resets (SDM Vol. 3, Table 10-1, and "Local APIC State After It Receives an INIT Reset"). */
#include "scenarios/guests/storm/storm.h"

enum { REGISTER_TPR = 0x08, REGISTER_SPURIOUS = 0x0f, REGISTER_ISR = 0x10, REGISTER_IRR = 0x20, REGISTER_TIMER = 0x32,
       REGISTER_INITIAL = 0x38, REGISTER_CURRENT = 0x39, REGISTER_DIVIDE = 0x3e, REGISTER_SELF = 0x3f, X2APIC_MSRS = 0x800 };
enum { VECTOR = 0x45, MASKED = 1 << 16, ENABLED = 0x1ff, PERIODIC = 1 << 17 };

static volatile int life;
static bool x2apic;
static volatile struct { uint64_t dr[4], dr6, dr7, base, tpr, spurious, timer, initial, current, divide, requested; } found;

static uint64_t read(unsigned index)
{
    return x2apic ? rdmsr(X2APIC_MSRS + index) : ((volatile uint32_t *)0xfee00000ull)[index * 4];
}

static void write(unsigned index, uint32_t value)
{
    if (x2apic)
        wrmsr(X2APIC_MSRS + index, value);
    else
        ((volatile uint32_t *)0xfee00000ull)[index * 4] = value;
}

#define READ_DR(n, to) do { uint64_t value_; __asm__ volatile("mov %%dr" #n ", %0" : "=r"(value_)); (to) = value_; } while (0)
#define WRITE_DR(n, value) __asm__ volatile("mov %0, %%dr" #n : : "r"((uint64_t)(value)))

static void first_life(void)
{
    WRITE_DR(0, 0x1234);
    WRITE_DR(1, 0x2345);
    WRITE_DR(2, 0x3456);
    WRITE_DR(3, 0x4567);
    WRITE_DR(6, 0xffff0ff1);
    WRITE_DR(7, 0x401);
    if (x2apic)
        wrmsr(MSR_ia32_apic_base, rdmsr(MSR_ia32_apic_base) | APIC_BASE_X2APIC);
    write(REGISTER_SPURIOUS, ENABLED);
    write(REGISTER_TPR, 0x90);                  /* what comes is requested, and waits */
    if (x2apic)
        write(REGISTER_SELF, VECTOR);
    else
        ((volatile uint32_t *)0xfee00000ull)[0x300 / 4] = 0x40000 | VECTOR;
    write(REGISTER_DIVIDE, 0xb);
    write(REGISTER_TIMER, PERIODIC | VECTOR);
    write(REGISTER_INITIAL, 0x40000000);
    life = 1;
    for (;;)
        __asm__ volatile("pause");
}

static void second_life(void)
{
    READ_DR(0, found.dr[0]);
    READ_DR(1, found.dr[1]);
    READ_DR(2, found.dr[2]);
    READ_DR(3, found.dr[3]);
    READ_DR(6, found.dr6);
    READ_DR(7, found.dr7);
    found.base = rdmsr(MSR_ia32_apic_base);
    found.tpr = read(REGISTER_TPR);
    found.spurious = read(REGISTER_SPURIOUS);
    found.timer = read(REGISTER_TIMER);
    found.initial = read(REGISTER_INITIAL);
    found.current = read(REGISTER_CURRENT);
    found.divide = read(REGISTER_DIVIDE);
    found.requested = read(REGISTER_IRR + VECTOR / 32);
}

static void live(unsigned number)
{
    (void)number;
    if (!life)
        first_life();
    second_life();
}

static void reborn(bool in_x2apic_mode)
{
    x2apic = in_x2apic_mode;
    others_start(live);
    WAIT_UNTIL(life);
    others_start(live);
    others_await(1);
    for (unsigned i = 0; i < 4; i++)
        expect("DR0 to DR3", found.dr[i], 0);
    expect("DR6", found.dr6, 0xffff0ff0);
    expect("DR7", found.dr7, 0x400);
    expect("IA32_APIC_BASE keeps the mode", found.base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC | APIC_BASE_BSP),
           APIC_BASE_ENABLE | (x2apic ? APIC_BASE_X2APIC : 0));
    expect("task priority", found.tpr, 0);
    expect("spurious vector", found.spurious, 0xff);
    expect("LVT of the timer", found.timer, MASKED);
    expect("initial count", found.initial, 0);
    expect("current count", found.current, 0);
    expect("divide configuration", found.divide, 0);
    expect("requested interrupts", found.requested, 0);
}

void case_reborn(void) { reborn(false); }
void case_reborn_x2apic(void) { reborn(true); }

/* ---- INIT of a processor that has just started, or has an NMI waiting ---- */

enum { PARKED = 0x9000, ICR_INIT_OTHERS = 0xc4500, ICR_STARTUP_OTHERS = 0xc4600, ICR_NMI_OTHERS = 0xc4400 };

static void command(uint32_t value)
{
    ((volatile uint32_t *)0xfee00300ull)[0] = value;
    for (volatile int i = 0; i < 100000; i++)
        ;
}

static void nothing(unsigned number) { (void)number; }

void case_parked(void)
{
    *(volatile uint16_t *)PARKED = 0xfeeb;      /* 1: jmp 1b */
    for (unsigned i = 0; i < 2; i++) {
        command(ICR_INIT_OTHERS);
        command(ICR_STARTUP_OTHERS | PARKED >> 12);
    }
    others_start(nothing);
    others_await(1);
}

static volatile unsigned there;

static void stay(void)
{
    there = 1;
    for (;;)
        __asm__ volatile("pause");
}

static void life_with_nmi(unsigned number)
{
    (void)number;
    if (there)
        return;
    idt_load();
    nmis_count();
    nmi_action = stay;
    there = 2;
    for (;;)
        __asm__ volatile("pause");
}

/* The processor is in its handler; one more NMI waits. In its next life the vector table of real mode counts. */
void case_forgotten(void)
{
    static const uint8_t code[] = { 0x2e, 0xff, 0x06, 0x10, 0x00, 0xcf };       /* incw %cs:0x10; iret */
    volatile uint8_t *const page = (volatile uint8_t *)PARKED;

    for (unsigned i = 0; i < sizeof code; i++)
        page[i] = code[i];
    *(volatile uint16_t *)(PARKED + 0x10) = 0;
    __asm__ volatile("movl %0, 8" : : "r"(PARKED >> 4 << 16) : "memory");
    others_start(life_with_nmi);
    WAIT_UNTIL(there == 2);
    command(ICR_NMI_OTHERS);
    WAIT_UNTIL(there == 1);
    command(ICR_NMI_OTHERS);
    others_start(life_with_nmi);
    others_await(1);
    expect("NMIs of the next life", *(volatile uint16_t *)(PARKED + 0x10), 0);
}
