/* SPDX-License-Identifier: MIT */
/* Interrupt commands, INIT and IOAPIC pins whose interrupts nobody gets. */
#include <stddef.h>

#include "scenarios/guests/lib/second.h"
#include "scenarios/guests/mistakes/mistakes.h"

enum { APIC_SPURIOUS = 0xf0, APIC_LOW = 0x300, APIC_HIGH = 0x310, APIC_TIMER = 0x320, APIC_INITIAL = 0x380 };
enum { FIXED = 0x4000, INIT = 0x4500, TO_OTHERS = 3 << 18 };
enum { PIN = 5, PIN_PORT = 0x2000 + PIN, PIN_ENTRY = 0x10 + 2 * PIN, LEVEL = 0x8000, PIN_VECTOR = 0x50 };

static void apic_write(unsigned offset, uint32_t value) { *(volatile uint32_t *)(0xfee00000ull + offset) = value; }

static void ioapic_write(unsigned index, uint32_t value)
{
    *(volatile uint32_t *)0xfec00000ull = index;
    *(volatile uint32_t *)0xfec00010ull = value;
}

static void command(uint32_t high, uint32_t low)
{
    apic_write(APIC_SPURIOUS, 0x1ff);
    apic_write(APIC_HIGH, high);
    apic_write(APIC_LOW, low);
}

static void ipi_of_low_vector(void) { command(0, FIXED | 9); }
static void init_to_self(void) { command(1, INIT); }

static void reset(void) { outb(0x64, 0xfe); }

static void wait(void) { __asm__ volatile("sti\n\thlt"); }

static void timer_of_low_vector(void)
{
    apic_write(APIC_SPURIOUS, 0x1ff);
    apic_write(APIC_TIMER, 0xf);
    apic_write(APIC_INITIAL, 1000);
    wait();
}

static void pin_of(uint32_t destination)
{
    apic_write(APIC_SPURIOUS, 0x1ff);
    ioapic_write(PIN_ENTRY + 1, destination << 24);
    ioapic_write(PIN_ENTRY, LEVEL | PIN_VECTOR);
    outb(PIN_PORT, 1);
    wait();
}

static void pin_to_nobody(void) { pin_of(9); }

/* The handler of idt_load() takes it, and writes no EOI. */
static void pin_without_eoi(void) { pin_of(0); wait(); }

enum { TIMER_VECTOR = 0x50, PERIODIC = 1 << 17, PERIOD = 100000, LONG = 10000000 };

static void start_timer(uint32_t mode)
{
    apic_write(APIC_SPURIOUS, 0x1ff);
    apic_write(APIC_TIMER, mode | TIMER_VECTOR);
    apic_write(APIC_INITIAL, PERIOD);
}

static void works_for_long(void)
{
    __asm__ volatile("sti\n1: decl %%ecx\n\tjnz 1b\n\tcli" : : "c"(LONG) : "memory");
}

static void timer_without_eoi(void)
{
    start_timer(PERIODIC);
    works_for_long();
}

/* Nothing waits for its end. */
static void one_timer_without_eoi(void)
{
    start_timer(0);
    works_for_long();
}

/* The guest works, the timer's VM exit acknowledges the interrupt. */
extern const uint8_t worker[], worker_end[];
__asm__(".pushsection .rodata\nworker: movl $10000000, %ecx\n1: decl %ecx\n   jnz 1b\n   hlt\nworker_end:\n.popsection");

static void run_worker(bool with_eoi)
{
    enum { APIC_EOI = 0xb0 };

    start_guest(worker, worker_end);
    vmwrite(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | PIN_external_interrupt_exiting);
    vmwrite(VMCS_exit_controls, vmread(VMCS_exit_controls) | EXIT_acknowledge_interrupt_on_exit);
    start_timer(PERIODIC);
    do {
        must(!guest_enter(&guest_of_mistakes), "VM entry");
        if (with_eoi && vmread(VMCS_exit_reason) == EXIT_REASON_external_interrupt)
            apic_write(APIC_EOI, 0);
    } while (vmread(VMCS_exit_reason) == EXIT_REASON_external_interrupt);
    vmclear((uintptr_t)guest_of_mistakes.vmcs);
    vmxoff();
}

static void exit_without_eoi(void) { run_worker(false); }
static void exit_with_eoi(void) { run_worker(true); }

static void spin(void)
{
    for (;;)
        __asm__ volatile("pause");
}

/* One processor of two shuts down, and the other one goes on. */
static void shutdown_of_one(void)
{
    static const struct { uint16_t limit; uint64_t base; } __attribute__((packed)) none = { 0, 0 };

    second_wake();
    second_does = spin;
    __asm__ volatile("lidt %0\n\tud2" : : "m"(none));
}

/* ---- what is right ---- */

static void messages(void)
{
    apic_write(APIC_SPURIOUS, 0x1ff);
    command(0, INIT | TO_OTHERS);
    command(0, FIXED | 0x41 | TO_OTHERS);
    second_wake();
}

const struct mistake mistakes_of_messages[] = {
    { "timer-without-eoi", timer_without_eoi }, { "one-timer-without-eoi", one_timer_without_eoi },
    { "exit-without-eoi", exit_without_eoi }, { "exit-with-eoi", exit_with_eoi },
    { "ipi-of-low-vector", ipi_of_low_vector }, { "init-to-self", init_to_self }, { "reset", reset },
    { "timer-of-low-vector", timer_of_low_vector }, { "pin-to-nobody", pin_to_nobody }, { "pin-without-eoi", pin_without_eoi },
    { "shutdown-of-one", shutdown_of_one }, { "messages", messages },
    { NULL, NULL },
};
