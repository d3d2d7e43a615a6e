/* SPDX-License-Identifier: MIT */
/* What lets a processor run for ever, or wait for what never comes; and what only looks like it. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

enum { PIC1_COMMAND = 0x20, PIC1_MASK = 0x21, TIMER_VECTOR = 0x40 };
enum { APIC_EOI = 0xb0, APIC_SPURIOUS = 0xf0, APIC_TIMER = 0x320, APIC_INITIAL = 0x380, APIC_CURRENT = 0x390 };
#define TIMER_PERIODIC (1u << 17)
#define TIMER_MASKED (1u << 16)

static void apic_write(unsigned offset, uint32_t value) { *(volatile uint32_t *)(0xfee00000ull + offset) = value; }
static uint32_t apic_read(unsigned offset) { return *(volatile uint32_t *)(0xfee00000ull + offset); }

static void timer_start(uint32_t mode, uint32_t count)
{
    apic_write(APIC_SPURIOUS, 0x1ff);
    apic_write(APIC_TIMER, mode | TIMER_VECTOR);
    apic_write(APIC_INITIAL, count);
}

/* ---- loops ---- */

static void jump_to_itself(void) { __asm__ volatile("1: jmp 1b"); }

static volatile bool done;
static void wait_for_flag(void)
{
    while (!done)
        __asm__ volatile("pause");
}

static void wait_for_keyboard(void)
{
    while (!(inb(0x64) & 1))
        ;
}

void returns(void);
__asm__(".globl returns\nreturns: iretq\n");

static void handler_returns(void)
{
    static uint64_t gate[2 * 32];
    struct descriptor_table pointer = { sizeof gate - 1, (uint64_t)gate };
    uint64_t handler = (uint64_t)returns;

    gate[2 * 6] = (handler & 0xffff) | 8 << 16 | 0x8eull << 40 | (handler >> 16 & 0xffff) << 48;
    gate[2 * 6 + 1] = handler >> 32;
    __asm__ volatile("lidt %0\n\tud2" : : "m"(pointer));
}

static void jump_to_zeros(void) { __asm__ volatile("movl $0x8000000, %%eax\n\tjmp *%%rax" : : : "rax"); }

static void jump_to_nops(void)
{
    __asm__ volatile("movl $0x8000000, %%edi\n\tmovl $0x100000, %%ecx\n\tmovb $0x90, %%al\n\trep stosb\n\tmovl $0x8000000, %%eax\n\tjmp *%%rax"
                     : : : "rax", "rcx", "rdi", "memory");
}

/* ---- halts ---- */

static void halt_without_interrupts(void) { __asm__ volatile("cli; hlt"); }
static void halt_without_timer(void) { wait_for_interrupt(); }
static void halt_with_masked_timer(void) { timer_start(TIMER_MASKED | TIMER_PERIODIC, 100000); wait_for_interrupt(); }

static void halt_with_apic_off(void)
{
    apic_write(APIC_SPURIOUS, 0xff);
    apic_write(APIC_INITIAL, 100000);
    wait_for_interrupt();
}

static void end_of_interrupt_forgotten(void)
{
    timer_start(TIMER_PERIODIC, 100000);
    for (;;)
        wait_for_interrupt();
}

static void end_of_interrupt_of_8259_forgotten(void)
{
    static const uint8_t start[] = { 0x11, 0x20, 0x04, 0x01 };

    outb(PIC1_COMMAND, start[0]);
    for (unsigned i = 1; i < sizeof start; i++)
        outb(PIC1_MASK, start[i]);
    outb(PIC1_MASK, 0xfe);
    for (;;)
        wait_for_interrupt();
}

static void priority_too_high(void)
{
    timer_start(TIMER_PERIODIC, 100000);
    __asm__ volatile("movq %0, %%cr8" : : "r"(15ull));
    wait_for_interrupt();
}

/* The task-priority class of the vector itself holds it back; the one below does not. */
static void priority_of_its_class(void)
{
    timer_start(TIMER_PERIODIC, 100000);
    __asm__ volatile("movq %0, %%cr8" : : "r"((uint64_t)TIMER_VECTOR >> 4));
    wait_for_interrupt();
}

/* ---- guests ---- */

extern const uint8_t guest_cpuid[], guest_cpuid_end[], guest_hlt[], guest_hlt_end[], guest_ud2[], guest_ud2_end[], guest_spin[], guest_spin_end[];
__asm__("guest_cpuid: cpuid\n jmp guest_cpuid\nguest_cpuid_end:\n"
        "guest_hlt: hlt\n jmp guest_hlt\nguest_hlt_end:\n"
        "guest_ud2: ud2\nguest_ud2_end:\n"
        "guest_spin: jmp guest_spin\nguest_spin_end:\n");

static void enter_for_ever(void)
{
    for (;;)
        guest_enter(&guest_of_mistakes);
}

static void rip_not_advanced(void) { start_guest(guest_cpuid, guest_cpuid_end); enter_for_ever(); }
static void hlt_not_advanced(void) { start_guest(guest_hlt, guest_hlt_end); enter_for_ever(); }

static void exception_not_injected(void)
{
    start_guest(guest_ud2, guest_ud2_end);
    vmwrite(VMCS_exception_bitmap, 1u << 6);
    enter_for_ever();
}

/* Injected again each time; the guest has no IDT. */
static void exception_injected_for_ever(void)
{
    start_guest(guest_ud2, guest_ud2_end);
    vmwrite(VMCS_exception_bitmap, ~0u);
    vmwrite(VMCS_guest_idtr_limit, 0);
    for (;;) {
        guest_enter(&guest_of_mistakes);
        vmwrite(VMCS_entry_interruption_information, vmread(VMCS_exit_interruption_information) & ~0x1000u);
        vmwrite(VMCS_entry_exception_error_code, vmread(VMCS_exit_interruption_error_code));
    }
}

static void start_with_interrupts(const uint8_t *code, const uint8_t *end)
{
    start_guest(code, end);
    vmwrite(VMCS_guest_rflags, 0x202);
}

static void interrupt_not_acknowledged(void)
{
    timer_start(0, 1000);
    start_with_interrupts(guest_cpuid, guest_cpuid_end);
    vmwrite(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | PIN_external_interrupt_exiting);
    while (apic_read(APIC_CURRENT))
        ;
    enter_for_ever();
}

static void interrupt_window_left_open(void)
{
    start_with_interrupts(guest_cpuid, guest_cpuid_end);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) | PROC_interrupt_window_exiting);
    enter_for_ever();
}

static void nmi_window_left_open(void)
{
    start_guest(guest_cpuid, guest_cpuid_end);
    vmwrite(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | PIN_nmi_exiting | PIN_virtual_nmis);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) | PROC_nmi_window_exiting);
    enter_for_ever();
}

static void preemption_timer_zero(void)
{
    start_guest(guest_cpuid, guest_cpuid_end);
    vmwrite(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | PIN_activate_preemption_timer);
    vmwrite(VMCS_preemption_timer_value, 0);
    enter_for_ever();
}

/* The guest's virtual APIC has priority 0. */
static void tpr_threshold_left(void)
{
    static _Alignas(PAGE) uint8_t virtual_apic[PAGE], apic[PAGE];

    start_guest(guest_cpuid, guest_cpuid_end);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) | PROC_use_tpr_shadow);
    vmwrite(VMCS_secondary_processor_based_controls, vmread(VMCS_secondary_processor_based_controls) | PROC2_virtualize_apic_accesses);
    vmwrite(VMCS_virtual_apic_address, (uintptr_t)virtual_apic);
    vmwrite(VMCS_apic_access_address, (uintptr_t)apic);
    vmwrite(VMCS_tpr_threshold, 5);
    enter_for_ever();
}

extern const uint8_t guest_later[], guest_later_end[];
__asm__("guest_later: nop\n nop\n cpuid\nguest_later_end:\n");

static void rip_moved_back(void)
{
    start_guest(guest_later, guest_later_end);
    for (;;) {
        guest_enter(&guest_of_mistakes);
        vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) - vmread(VMCS_exit_instruction_length));
    }
}

static void entry_tried_again(void)
{
    start_guest(guest_cpuid, guest_cpuid_end);
    vmwrite(VMCS_cr3_target_count, 5);
    enter_for_ever();
}

static void guest_spins(void) { start_guest(guest_spin, guest_spin_end); guest_enter(&guest_of_mistakes); }

/* ---- what is right ---- */

static void timer_ends_loop(void)
{
    timer_start(0, 20000000);
    __asm__ volatile("sti");
    while (!interrupts_taken[TIMER_VECTOR])
        ;
    apic_write(APIC_EOI, 0);
    __asm__ volatile("cli");
}

static void timer_is_polled(void)
{
    timer_start(TIMER_MASKED, 20000000);
    while (apic_read(APIC_CURRENT))
        ;
}

static void idle(void)
{
    timer_start(TIMER_PERIODIC, 1000);
    for (unsigned i = 0; i < 30000; i++) {
        wait_for_interrupt();
        apic_write(APIC_EOI, 0);
    }
}

static void counting(void)
{
    static volatile uint64_t counter;

    for (uint64_t i = 0; i < 3000000; i++)
        counter++;
}

static void cpuid_many_times(void)
{
    start_guest(guest_cpuid, guest_cpuid_end);
    for (unsigned i = 0; i < 30000; i++) {
        guest_enter(&guest_of_mistakes);
        vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + vmread(VMCS_exit_instruction_length));
    }
}

/* A guest that is ended by each tick, and each is taken: it gets on between them. A halted guest is woken by each. */
static void timer_exits(void)
{
    timer_start(TIMER_PERIODIC, 400);
    start_with_interrupts(guest_spin, guest_spin_end);
    vmwrite(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | PIN_external_interrupt_exiting);
    for (unsigned i = 0; i < 24000; i++) {
        vmwrite(VMCS_guest_activity_state, i < 12000 ? 0 : 1);
        guest_enter(&guest_of_mistakes);
        __asm__ volatile("sti\n\tnop\n\tcli");
        apic_write(APIC_EOI, 0);
    }
}

/* The guest waits in HLT, and is entered there again and again, until the timer's interrupt comes; its handler ends the run. */
static void idle_hypervisor(void)
{
    start_guest(guest_hlt, guest_hlt_end);
    timer_start(0, 2000000);
    while (!interrupts_taken[TIMER_VECTOR]) {
        must(!guest_enter(&guest_of_mistakes) && vmread(VMCS_exit_reason) == EXIT_REASON_hlt, "HLT");
        __asm__ volatile("sti\n\tnop\n\tcli");
    }
    vmclear((uintptr_t)guest_of_mistakes.vmcs);
    vmxoff();
}

/* Exits of the hypervisor's own timer come between. */
static void rip_not_advanced_with_timer(void)
{
    timer_start(TIMER_PERIODIC, 2000);
    start_guest(guest_cpuid, guest_cpuid_end);
    vmwrite(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | PIN_external_interrupt_exiting);
    for (;;) {
        guest_enter(&guest_of_mistakes);
        if (vmread(VMCS_exit_reason) == EXIT_REASON_external_interrupt) {
            __asm__ volatile("sti\n\tnop\n\tcli");
            apic_write(APIC_EOI, 0);
        }
    }
}

/* Nothing of the guest's exits by HLT, and nobody injects an event: the hypervisor's timer goes on, and the guest stays halted. */
static void guest_left_in_hlt(void)
{
    timer_start(TIMER_PERIODIC, 2000);
    start_guest(guest_hlt, guest_hlt_end);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) & ~(uint64_t)PROC_hlt_exiting);
    vmwrite(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | PIN_external_interrupt_exiting);
    for (;;) {
        guest_enter(&guest_of_mistakes);
        __asm__ volatile("sti\n\tnop\n\tcli");
        apic_write(APIC_EOI, 0);
    }
}

static void faults_many_times(void)
{
    int vector;

    for (unsigned i = 0; i < 30000; i++)
        ATTEMPT("ud2", vector);
    (void)vector;
}

static void display(void)
{
    (void)*(volatile uint16_t *)0xb8000;
    *(volatile uint16_t *)0xb8000 = 0x741;
    *(volatile uint16_t *)0xb8002 = 0x742;
}

const struct mistake mistakes_of_hangs[] = {
    { "jump-to-itself", jump_to_itself }, { "guest-left-in-hlt", guest_left_in_hlt }, { "wait-for-flag", wait_for_flag }, { "wait-for-keyboard", wait_for_keyboard },
    { "handler-returns", handler_returns }, { "jump-to-zeros", jump_to_zeros }, { "jump-to-nops", jump_to_nops },
    { "halt-without-interrupts", halt_without_interrupts }, { "halt-without-timer", halt_without_timer },
    { "halt-with-masked-timer", halt_with_masked_timer }, { "halt-with-apic-off", halt_with_apic_off },
    { "eoi-forgotten", end_of_interrupt_forgotten }, { "eoi-of-8259-forgotten", end_of_interrupt_of_8259_forgotten },
    { "priority-too-high", priority_too_high }, { "rip-not-advanced", rip_not_advanced }, { "hlt-not-advanced", hlt_not_advanced },
    { "exception-not-injected", exception_not_injected }, { "entry-tried-again", entry_tried_again }, { "guest-spins", guest_spins },
    { "timer-ends-loop", timer_ends_loop }, { "timer-is-polled", timer_is_polled }, { "idle", idle }, { "counting", counting },
    { "cpuid-many-times", cpuid_many_times }, { "faults-many-times", faults_many_times }, { "display", display },
    { "exception-injected-for-ever", exception_injected_for_ever }, { "interrupt-not-acknowledged", interrupt_not_acknowledged },
    { "interrupt-window-left-open", interrupt_window_left_open }, { "nmi-window-left-open", nmi_window_left_open },
    { "priority-of-its-class", priority_of_its_class }, { "preemption-timer-zero", preemption_timer_zero },
    { "tpr-threshold-left", tpr_threshold_left },
    { "idle-hypervisor", idle_hypervisor }, { "rip-not-advanced-with-timer", rip_not_advanced_with_timer }, { "rip-moved-back", rip_moved_back }, { "timer-exits", timer_exits },
    { NULL, NULL },
};
