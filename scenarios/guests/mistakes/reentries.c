/* SPDX-License-Identifier: MIT */
/* What hypervisors do wrong between a VM exit and the next VM entry, and faults of exit paths. */
#include <stddef.h>

#include "scenarios/guests/lib/second.h"
#include "scenarios/guests/mistakes/mistakes.h"

extern const uint8_t undefined[], undefined_end[], reader[], reader_end[], long_next[], long_next_end[], waits[], waits_end[], spins[],
    spins_end[], breaks[], breaks_end[];
__asm__(".pushsection .rodata\n"
        "undefined: ud2\n   hlt\nundefined_end:\n"
        "reader: movl 0x600000, %eax\n   hlt\nreader_end:\n"
        "long_next: cpuid\n   movl $0x12345678, %esi\n   hlt\nlong_next_end:\n"
        "waits: hlt\n   jmp waits\nwaits_end:\n"
        "breaks: int3\n   hlt\nbreaks_end:\n"
        "spins: hlt\n1: jmp 1b\nspins_end:\n"
        ".popsection");

static struct guest *const guest = &guest_of_mistakes;
static uint8_t other_region[PAGE] __attribute__((aligned(PAGE)));
static struct guest other_guest;

static unsigned enter(void)
{
    must(!guest_enter(guest), "VM entry");
    return (unsigned)vmread(VMCS_exit_reason);
}

static void leave(void)
{
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

static void wait_some(void)
{
    for (unsigned i = 0; i < 100; i++)
        __asm__ volatile("pause");
}

/* ---- injection ---- */

static void injection_not_valid(void)
{
    start_guest(undefined, undefined_end);
    vmwrite(VMCS_exception_bitmap, 1u << VECTOR_UD);
    must(enter() == EXIT_REASON_exception_or_nmi, "#UD");
    vmwrite(VMCS_entry_interruption_information, VECTOR_UD | EVENT_HARDWARE_EXCEPTION << 8);
    enter();
    leave();
}

static void page_fault(uint64_t cr2)
{
    start_guest(reader, reader_end);
    vmwrite(VMCS_exception_bitmap, 1u << VECTOR_PF);
    must(enter() == EXIT_REASON_exception_or_nmi && vmread(VMCS_exit_qualification) == 0x600000, "#PF");
    __asm__ volatile("movq %0, %%cr2" : : "r"(cr2));
    vmwrite(VMCS_entry_interruption_information, INTERRUPTION(VECTOR_PF, EVENT_HARDWARE_EXCEPTION) | INTERRUPTION_ERROR_CODE_VALID);
    vmwrite(VMCS_entry_exception_error_code, 0);
    vmwrite(VMCS_exception_bitmap, 0);
    enter();
    leave();
}

static void cr2_not_loaded(void) { page_fault(0x1234); }
static void cr2_loaded(void) { page_fault(0x600000); }

/* An event is handed on with another's type. */
static void breakpoint_as_exception(void)
{
    start_guest(breaks, breaks_end);
    vmwrite(VMCS_exception_bitmap, 1u << VECTOR_BP);
    must(enter() == EXIT_REASON_exception_or_nmi, "#BP");
    guest_gate(guest, VECTOR_BP, GUEST_CODE + 1);
    vmwrite(VMCS_entry_interruption_information, INTERRUPTION(VECTOR_BP, EVENT_HARDWARE_EXCEPTION));
    enter();
    leave();
}

static void breakpoint_handed_on(void)
{
    start_guest(breaks, breaks_end);
    vmwrite(VMCS_exception_bitmap, 1u << VECTOR_BP);
    must(enter() == EXIT_REASON_exception_or_nmi, "#BP");
    guest_gate(guest, VECTOR_BP, GUEST_CODE + 1);
    vmwrite(VMCS_entry_interruption_information, vmread(VMCS_exit_interruption_information));
    vmwrite(VMCS_entry_instruction_length, vmread(VMCS_exit_instruction_length));
    enter();
    leave();
}

static void nmi_as_exception(void)
{
    start_guest(waits, waits_end);
    guest_gate(guest, VECTOR_NMI, GUEST_CODE);
    vmwrite(VMCS_entry_interruption_information, INTERRUPTION(VECTOR_NMI, EVENT_HARDWARE_EXCEPTION));
    enter();
    leave();
}

/* An interrupt ends the guest's HLT, whose exit came before it. */
static void woken(unsigned ahead)
{
    start_guest(waits, waits_end);
    guest_gate(guest, 0x51, GUEST_CODE);
    vmwrite(VMCS_guest_rflags, RFLAGS_FIXED | RFLAGS_IF);
    must(enter() == EXIT_REASON_hlt, "HLT");
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + ahead);
    vmwrite(VMCS_entry_interruption_information, INTERRUPTION(0x51, EVENT_EXTERNAL_INTERRUPT));
    must(enter() == EXIT_REASON_hlt, "HLT of the handler");
    leave();
}

static void woken_at_hlt(void) { woken(0); }
static void woken_behind_hlt(void) { woken(1); }

/* The page of the guest's IDT is away while an interrupt is delivered. */
static void interrupted_delivery(bool again)
{
    uint64_t *entry;

    start_guest(waits, waits_end);
    entry = guest_ept_entry(guest, GUEST_IDT);
    guest_gate(guest, 0x51, GUEST_CODE);
    *entry = 0;
    vmwrite(VMCS_guest_rflags, RFLAGS_FIXED | RFLAGS_IF);
    vmwrite(VMCS_entry_interruption_information, INTERRUPTION(0x51, EVENT_EXTERNAL_INTERRUPT));
    must(enter() == EXIT_REASON_ept_violation && vmread(VMCS_idt_vectoring_information) & INTERRUPTION_VALID, "an EPT violation during delivery");
    *entry = ept_entry(guest->memory + GUEST_IDT, EPT_RIGHTS);
    if (again)
        vmwrite(VMCS_entry_interruption_information, vmread(VMCS_idt_vectoring_information));
    for (unsigned i = 0; i < 8; i++) {
        must(enter() == EXIT_REASON_hlt, "HLT");
        vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 1);
    }
    leave();
}

static void interrupt_lost(void) { interrupted_delivery(false); }
static void interrupt_injected_again(void) { interrupted_delivery(true); }

/* The same of an exception that the hypervisor injects: nothing raises it again. */
static void exception_delivery(uint64_t then)
{
    uint64_t *entry;

    start_guest(waits, waits_end);
    entry = guest_ept_entry(guest, GUEST_IDT);
    guest_gate(guest, VECTOR_UD, GUEST_CODE);
    guest_gate(guest, VECTOR_DF, GUEST_CODE);
    *entry = 0;
    vmwrite(VMCS_entry_interruption_information, INTERRUPTION(VECTOR_UD, EVENT_HARDWARE_EXCEPTION));
    must(enter() == EXIT_REASON_ept_violation && vmread(VMCS_idt_vectoring_information) & INTERRUPTION_VALID, "an EPT violation during delivery");
    *entry = ept_entry(guest->memory + GUEST_IDT, EPT_RIGHTS);
    if (then) {
        vmwrite(VMCS_entry_interruption_information, then);
        vmwrite(VMCS_entry_exception_error_code, 0);
    }
    must(enter() == EXIT_REASON_hlt, "HLT");
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 1);
    must(enter() == EXIT_REASON_hlt, "HLT");
    leave();
}

static void exception_lost(void) { exception_delivery(0); }
static void exception_injected_again(void) { exception_delivery(INTERRUPTION(VECTOR_UD, EVENT_HARDWARE_EXCEPTION)); }
static void exception_replaced(void) { exception_delivery(INTERRUPTION(VECTOR_DF, EVENT_HARDWARE_EXCEPTION) | INTERRUPTION_ERROR_CODE_VALID); }

/* ---- the instruction length ---- */

static void advance(void) { vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + vmread(VMCS_exit_instruction_length)); }

static void length_after_fault(void)
{
    start_guest(undefined, undefined_end);
    vmwrite(VMCS_exception_bitmap, 1u << VECTOR_UD);
    must(enter() == EXIT_REASON_exception_or_nmi, "#UD");
    advance();
    vmwrite(VMCS_exception_bitmap, 0);
    enter();
    leave();
}

static void length_after_breakpoint(void)
{
    start_guest(breaks, breaks_end);
    vmwrite(VMCS_exception_bitmap, 1u << VECTOR_BP);
    must(enter() == EXIT_REASON_exception_or_nmi, "#BP");
    advance();
    must(enter() == EXIT_REASON_hlt, "HLT");
    leave();
}

static void length_after_violation(void)
{
    uint64_t *entry;

    start_guest(waits, waits_end);
    entry = guest_ept_entry(guest, GUEST_CODE);
    *entry = 0;
    must(enter() == EXIT_REASON_ept_violation, "an EPT violation");
    *entry = ept_entry(guest->memory + GUEST_CODE, EPT_RIGHTS);
    advance();
    enter();
    leave();
}

/* Traces read all there is; some write RIP back as it was, long after. */
static void length_only_read(void)
{
    uint64_t *entry, rip;

    start_guest(waits, waits_end);
    entry = guest_ept_entry(guest, GUEST_CODE);
    *entry = 0;
    must(enter() == EXIT_REASON_ept_violation, "an EPT violation");
    *entry = ept_entry(guest->memory + GUEST_CODE, EPT_RIGHTS);
    rip = vmread(VMCS_guest_rip);
    vmread(VMCS_exit_instruction_length);
    wait_some();
    vmwrite(VMCS_guest_rip, rip);
    enter();
    leave();
}

static void length_after_single_step(void)
{
    start_guest(waits, waits_end);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) | PROC_monitor_trap_flag);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) & ~(uint64_t)PROC_hlt_exiting);
    vmwrite(VMCS_guest_rip, GUEST_CODE + 1);
    must(enter() == EXIT_REASON_monitor_trap_flag, "a single step");
    advance();
    must(enter() == EXIT_REASON_monitor_trap_flag || true, "a single step");
    leave();
}

static void address_after_hlt(void)
{
    start_guest(waits, waits_end);
    must(enter() == EXIT_REASON_hlt, "HLT");
    vmread(VMCS_guest_physical_address);
    vmread(VMCS_guest_linear_address);
    advance();
    enter();
    leave();
}

/* ---- RIP ---- */

static void go_on_by(unsigned bytes)
{
    start_guest(long_next, long_next_end);
    must(enter() == EXIT_REASON_cpuid, "CPUID");
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + bytes);
    enter();
    leave();
}

static void rip_advanced_twice(void) { go_on_by(4); }
static void rip_advanced_by_one(void) { go_on_by(1); }
static void rip_skips_two(void) { go_on_by(7); }

/* ---- exit paths ---- */

/* The guest exits to `to`, where the stack is off by 8. */
static void exit_to(const uint8_t *to)
{
    static uint8_t stack[PAGE] __attribute__((aligned(16)));

    start_guest(waits, waits_end);
    vmwrite(VMCS_host_rip, (uintptr_t)to);
    vmwrite(VMCS_host_rsp, (uintptr_t)stack + sizeof stack - 8);
    __asm__ volatile("vmlaunch\n"
                     ".globl exit_saves\nexit_saves: nop\n nop\n movaps %%xmm0, -16(%%rsp)\n ud2\n" : : : "memory");
}

extern const uint8_t exit_saves[];
static void exit_path_misaligned(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR);
    exit_to(exit_saves);
}

static void exit_path_without_osfxsr(void)
{
    write_cr4(read_cr4() & ~(uint64_t)CR4_OSFXSR);
    exit_to(exit_saves);
}

static void guest_in_shutdown(void)
{
    start_guest(waits, waits_end);
    vmwrite(VMCS_guest_activity_state, ACTIVITY_SHUTDOWN);
    enter();
}

/* ---- two processors ---- */

static volatile uint64_t task_of_first;
static uint8_t one_stack[PAGE] __attribute__((aligned(16)));

static void second_enters(void)
{
    static const struct controls controls = { .proc = PROC_hlt_exiting, .entry = ENTRY_ia32e_mode_guest };

    must(!vmx_start_on(other_region), "VMX on the second processor");
    must(!guest_create(&other_guest, 2, &controls, spins, spins_end), "the second guest");
    guest_long_mode(&other_guest);
    vmwrite(VMCS_host_rsp, (uintptr_t)one_stack + sizeof one_stack);
    vmwrite(VMCS_host_tr_selector, task_of_first);
    vmwrite(VMCS_guest_rip, GUEST_CODE + 1);
    __asm__ volatile("vmlaunch" : : : "memory");
}

static void same_host_rsp(void)
{
    start_guest(spins, spins_end);
    must(enter() == EXIT_REASON_hlt, "HLT");
    vmwrite(VMCS_guest_rip, GUEST_CODE + 1);
    task_of_first = vmread(VMCS_host_tr_selector);
    vmwrite(VMCS_host_rsp, (uintptr_t)one_stack + sizeof one_stack);
    second_wake();
    second_does = second_enters;
    __asm__ volatile("vmresume" : : : "memory");
}

/* The second processor's exits load the first one's base of GS. */
static uint64_t area_of_first[8], area_of_second[8];

static void second_enters_with_gs(void)
{
    static const struct controls controls = { .proc = PROC_hlt_exiting, .entry = ENTRY_ia32e_mode_guest };

    wrmsr(MSR_ia32_gs_base, (uintptr_t)area_of_second);
    must(!vmx_start_on(other_region), "VMX on the second processor");
    must(!guest_create(&other_guest, 2, &controls, spins, spins_end), "the second guest");
    guest_long_mode(&other_guest);
    vmwrite(VMCS_host_tr_selector, task_of_first);
    vmwrite(VMCS_host_gs_base, (uintptr_t)area_of_first);
    guest_enter(&other_guest);
    vmclear((uintptr_t)other_guest.vmcs);
    vmxoff();
}

static void gs_base_of_first(void)
{
    wrmsr(MSR_ia32_gs_base, (uintptr_t)area_of_first);
    start_guest(spins, spins_end);
    must(enter() == EXIT_REASON_hlt, "HLT");
    task_of_first = vmread(VMCS_host_tr_selector);
    second_wake();
    second_does = second_enters_with_gs;
    while (second_does)
        __asm__ volatile("pause");
    leave();
}

const struct mistake mistakes_of_reentries[] = {
    { "breakpoint-as-exception", breakpoint_as_exception }, { "breakpoint-handed-on", breakpoint_handed_on },
    { "nmi-as-exception", nmi_as_exception }, { "gs-base-of-first", gs_base_of_first },
    { "injection-not-valid", injection_not_valid }, { "cr2-not-loaded", cr2_not_loaded }, { "cr2-loaded", cr2_loaded },
    { "woken-at-hlt", woken_at_hlt }, { "woken-behind-hlt", woken_behind_hlt },
    { "interrupt-lost", interrupt_lost }, { "interrupt-injected-again", interrupt_injected_again },
    { "exception-lost", exception_lost }, { "exception-injected-again", exception_injected_again }, { "exception-replaced", exception_replaced },
    { "length-after-fault", length_after_fault }, { "length-after-breakpoint", length_after_breakpoint },
    { "length-after-violation", length_after_violation }, { "length-only-read", length_only_read },
    { "length-after-single-step", length_after_single_step }, { "address-after-hlt", address_after_hlt },
    { "rip-advanced-twice", rip_advanced_twice }, { "rip-advanced-by-one", rip_advanced_by_one }, { "rip-skips-two", rip_skips_two },
    { "exit-path-misaligned", exit_path_misaligned }, { "exit-path-without-osfxsr", exit_path_without_osfxsr },
    { "guest-in-shutdown", guest_in_shutdown }, { "same-host-rsp", same_host_rsp },
    { NULL, NULL },
};
