/* SPDX-License-Identifier: MIT */
/* L1's half of the 64-bit guest's conversation: what each exit must report, and the answer. The other: l2_long.S. */
#include "scenarios/guests/turnstile/guests.h"

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/turnstile/apic.h"
#include "scenarios/guests/turnstile/transcript.h"

enum { LAZY_PAGE = 0x10000, MISCONFIGURED_PAGE = 0x11000, NOT_PRESENT = 0x200000 };
enum { CPUID_LEAF = 0x4000ca11, SYSENTER_CS_VALUE = 0xcafe, SYSENTER_ESP_VALUE = 0x5e9, IN_VALUE = 0x7e57,
       TSC_VALUE = 1042 };
enum { VECTOR_INJECTED = 0x51, VECTOR_PENDING = 0x52, VECTOR_WINDOW = 0x53, TICKS = 20000 };
#define MISCONFIGURED_PATTERN 0x600dda7au

extern const uint8_t l2_long_start[], l2_long_end[];
extern const uint8_t l2_long_cpuid[], l2_long_out[], l2_long_in[], l2_long_hello[], l2_long_rdmsr[], l2_long_wrmsr[],
    l2_long_msr[], l2_long_cr4[], l2_long_cr3[], l2_long_invlpg[], l2_long_rdtsc[], l2_long_dr7[], l2_long_ept_read[],
    l2_long_ept_write[], l2_long_misconfigured[], l2_long_mapped[], l2_long_page_fault[], l2_long_ud[],
    l2_long_ud_taken[], l2_long_await[], l2_long_waiting[], l2_long_waiting_end[], l2_long_interrupted[],
    l2_long_await_pending[], l2_long_pending[], l2_long_pending_end[], l2_long_window[], l2_long_window_open[],
    l2_long_window_taken[], l2_long_halt[], l2_long_on_page_fault[], l2_long_on_ud[], l2_long_on_interrupt[];

static _Alignas(PAGE) uint8_t io_bitmap[2 * PAGE], msr_bitmap[PAGE];
static _Alignas(PAGE) uint64_t lazy_page[PAGE / 8], misconfigured_page[PAGE / 8];

static const struct controls controls = {
    .pin = PIN_external_interrupt_exiting,
    .proc = PROC_hlt_exiting | PROC_invlpg_exiting | PROC_rdtsc_exiting | PROC_cr3_load_exiting | PROC_mov_dr_exiting |
            PROC_use_io_bitmaps | PROC_use_msr_bitmaps,
    .exit = EXIT_acknowledge_interrupt_on_exit,
    .entry = ENTRY_ia32e_mode_guest,
};

static void inject(uint32_t interruption)
{
    vmwrite(VMCS_entry_interruption_information, interruption);
}

/* ---- instructions ---- */

static void answer_cpuid(struct guest *guest)
{
    check("CPUID leaf", guest->gpr[RAX], CPUID_LEAF);
    guest->gpr[RAX] = 0x1000;
    guest->gpr[RBX] = 0x200;
    guest->gpr[RCX] = 0x30;
    guest->gpr[RDX] = 4;
    skip_instruction();
}

static void take_output(struct guest *guest)
{
    check("value of OUT", guest->gpr[RAX], 0x1234);
    skip_instruction();
}

static void give_input(struct guest *guest)
{
    guest->gpr[RAX] = (guest->gpr[RAX] & ~0xffffull) | IN_VALUE;
    skip_instruction();
}

static void check_input(struct guest *guest)
{
    check("value of IN", guest->gpr[RBX], IN_VALUE);
    skip_instruction();
}

static void give_msr(struct guest *guest)
{
    check("MSR", guest->gpr[RCX], MSR_ia32_sysenter_cs);
    guest->gpr[RAX] = SYSENTER_CS_VALUE;
    guest->gpr[RDX] = 0;
    skip_instruction();
}

static void take_msr(struct guest *guest)
{
    check("value of WRMSR", guest->gpr[RDX] << 32 | (uint32_t)guest->gpr[RAX], SYSENTER_CS_VALUE + 1);
    check("IA32_SYSENTER_CS", vmread(VMCS_guest_ia32_sysenter_cs), 0);
    skip_instruction();
}

static void check_msr(struct guest *guest)
{
    check("RDMSR without exit", guest->gpr[RAX], SYSENTER_ESP_VALUE);
    check("IA32_SYSENTER_ESP", vmread(VMCS_guest_ia32_sysenter_esp), SYSENTER_ESP_VALUE);
    skip_instruction();
}

static void refuse_cr4(struct guest *guest)
{
    check("CR4.VMXE as the guest sees it", guest->gpr[RBX] & CR4_VMXE, 0);
    skip_instruction();
}

static void load_cr3(struct guest *guest)
{
    vmwrite(VMCS_guest_cr3, guest->gpr[RCX]);
    report("INVVPID single-context", invvpid(INVVPID_SINGLE_CONTEXT, guest->vpid, 0), 0);
    skip_instruction();
}

static void give_tsc(struct guest *guest)
{
    guest->gpr[RAX] = TSC_VALUE;
    guest->gpr[RDX] = 0;
    skip_instruction();
}

/* ---- EPT ---- */

static void set_ept(struct guest *guest, uint64_t address, uint64_t entry)
{
    *guest_ept_entry(guest, address) = entry;
    check("INVEPT", (uint64_t)guest_invept(guest), 0);
}

static void check_addresses(uint64_t address)
{
    check("guest-physical address", vmread(VMCS_guest_physical_address), address);
    check("guest-linear address", vmread(VMCS_guest_linear_address), address);
}

static void grant_read(struct guest *guest)
{
    check_addresses(LAZY_PAGE);
    set_ept(guest, LAZY_PAGE, ept_entry(lazy_page, EPT_READ));
}

static void grant_write(struct guest *guest)
{
    check_addresses(LAZY_PAGE);
    set_ept(guest, LAZY_PAGE, ept_entry(lazy_page, EPT_READ | EPT_WRITE));
}

static void grant_execute(struct guest *guest)
{
    check_addresses(LAZY_PAGE);
    check("the page as L2 wrote it", lazy_page[0], 0xc3);
    set_ept(guest, LAZY_PAGE, ept_entry(lazy_page, EPT_RIGHTS));
}

static void mend_entry(struct guest *guest)
{
    check("guest-physical address", vmread(VMCS_guest_physical_address), MISCONFIGURED_PAGE + 8);
    misconfigured_page[1] = MISCONFIGURED_PATTERN;
    set_ept(guest, MISCONFIGURED_PAGE, ept_entry(misconfigured_page, EPT_READ));
}

static void check_mended(struct guest *guest)
{
    check("the page as L1 wrote it", guest->gpr[RBP], MISCONFIGURED_PATTERN);
    skip_instruction();
}

/* ---- exceptions and interrupts ---- */

static void check_page_fault(struct guest *guest)
{
    check("CR2", guest->gpr[RAX], NOT_PRESENT);
    check("error code", guest->gpr[RBX], PF_WRITE);
    vmwrite(VMCS_exception_bitmap, 1u << VECTOR_UD);
    skip_instruction();
}

static void inject_ud(struct guest *guest)
{
    uint32_t interruption = (uint32_t)vmread(VMCS_exit_interruption_information);

    (void)guest;
    check("interruption information", interruption, INTERRUPTION(VECTOR_UD, EVENT_HARDWARE_EXCEPTION));
    inject(INTERRUPTION(VECTOR_UD, EVENT_HARDWARE_EXCEPTION));
}

static void check_ud(struct guest *guest)
{
    check("#UD counted by L2", guest->gpr[RBX], 1);
    skip_instruction();
}

static void arm_injected(struct guest *guest)
{
    (void)guest;
    apic_timer(VECTOR_INJECTED, TICKS);
    skip_instruction();
}

/* The interrupt is L2's now; but its IDT is out of reach, so that delivery itself exits. */
static void inject_without_idt(struct guest *guest)
{
    check("interruption information", vmread(VMCS_exit_interruption_information),
          INTERRUPTION(VECTOR_INJECTED, EVENT_EXTERNAL_INTERRUPT));
    apic_end_of_interrupt();
    set_ept(guest, GUEST_IDT, 0);
    inject(INTERRUPTION(VECTOR_INJECTED, EVENT_EXTERNAL_INTERRUPT));
}

static void inject_again(struct guest *guest)
{
    uint32_t vectoring = (uint32_t)vmread(VMCS_idt_vectoring_information);

    check_addresses(GUEST_IDT + 16 * VECTOR_INJECTED);
    check("IDT-vectoring information", vectoring, INTERRUPTION(VECTOR_INJECTED, EVENT_EXTERNAL_INTERRUPT));
    set_ept(guest, GUEST_IDT, ept_entry(guest->memory + GUEST_IDT, EPT_RIGHTS));
    inject(vectoring);
}

static void check_interrupted(struct guest *guest)
{
    check("interrupts counted by L2", guest->gpr[RBX], 1);
    skip_instruction();
}

static void arm_pending(struct guest *guest)
{
    (void)guest;
    vmwrite(VMCS_exit_controls, vmread(VMCS_exit_controls) & ~(uint64_t)EXIT_acknowledge_interrupt_on_exit);
    apic_timer(VECTOR_PENDING, TICKS);
    skip_instruction();
}

static void take_pending(struct guest *guest)
{
    check("interruption information", vmread(VMCS_exit_interruption_information) & INTERRUPTION_VALID, 0);
    check("interrupts taken by L1", interrupts_taken[VECTOR_PENDING], 0);
    __asm__ volatile("sti; nop; cli" : : : "memory");
    check("interrupts taken by L1", interrupts_taken[VECTOR_PENDING], 1);
    apic_end_of_interrupt();
    guest->gpr[RAX] = 1;
}

static void ask_for_window(struct guest *guest)
{
    (void)guest;
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) | PROC_interrupt_window_exiting);
    skip_instruction();
}

static void use_window(struct guest *guest)
{
    (void)guest;
    vmwrite(VMCS_processor_based_controls,
            vmread(VMCS_processor_based_controls) & ~(uint64_t)PROC_interrupt_window_exiting);
    check("RFLAGS.IF in the window", vmread(VMCS_guest_rflags) & RFLAGS_IF, RFLAGS_IF);
    check("interruptibility in the window", vmread(VMCS_guest_interruptibility_state), 0);
    inject(INTERRUPTION(VECTOR_WINDOW, EVENT_EXTERNAL_INTERRUPT));
}

static void check_window(struct guest *guest)
{
    check("interrupts counted by L2", guest->gpr[RBX], 2);
    skip_instruction();
}

#define CR_ACCESS(number, gpr) ((uint64_t)(number) | (uint64_t)(gpr) << 8)      /* MOV to CR: Table 28-3 */
#define IO(port, size, in, immediate) ((uint64_t)(port) << 16 | (immediate) << 6 | (in) << 3 | ((size) - 1))
#define RIGHTS(r) ((uint64_t)(r) << EPT_VIOLATION_RIGHTS_SHIFT)
#define DATA (EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_TRANSLATION)

static const struct step steps[] = {
    { EXIT_REASON_cpuid, 0, l2_long_cpuid, NULL, answer_cpuid },
    { EXIT_REASON_io_instruction, IO(0x99, 4, 0, 1), l2_long_out, NULL, take_output },
    { EXIT_REASON_io_instruction, IO(0x1234, 2, 1, 0), l2_long_in, NULL, give_input },
    { EXIT_REASON_vmcall, 0, l2_long_hello, NULL, check_input },
    { EXIT_REASON_rdmsr, 0, l2_long_rdmsr, NULL, give_msr },
    { EXIT_REASON_wrmsr, 0, l2_long_wrmsr, NULL, take_msr },
    { EXIT_REASON_vmcall, 0, l2_long_msr, NULL, check_msr },
    { EXIT_REASON_cr_access, CR_ACCESS(4, RAX), l2_long_cr4, NULL, refuse_cr4 },
    { EXIT_REASON_cr_access, CR_ACCESS(3, RCX), l2_long_cr3, NULL, load_cr3 },
    { EXIT_REASON_invlpg, NOT_PRESENT, l2_long_invlpg, NULL, NULL },
    { EXIT_REASON_rdtsc, 0, l2_long_rdtsc, NULL, give_tsc },
    { EXIT_REASON_mov_dr, CR_ACCESS(7, RAX), l2_long_dr7, NULL, NULL },

    { EXIT_REASON_ept_violation, DATA | EPT_VIOLATION_READ, l2_long_ept_read, NULL, grant_read },
    { EXIT_REASON_ept_violation, DATA | EPT_VIOLATION_WRITE | RIGHTS(EPT_READ), l2_long_ept_write, NULL, grant_write },
    { EXIT_REASON_ept_violation, DATA | EPT_VIOLATION_FETCH | RIGHTS(EPT_READ | EPT_WRITE),
      l2_long_start + (LAZY_PAGE - GUEST_CODE), NULL, grant_execute },
    { EXIT_REASON_ept_misconfiguration, 0, l2_long_misconfigured, NULL, mend_entry },
    { EXIT_REASON_vmcall, 0, l2_long_mapped, NULL, check_mended },

    { EXIT_REASON_vmcall, 0, l2_long_page_fault, NULL, check_page_fault },
    { EXIT_REASON_exception_or_nmi, 0, l2_long_ud, NULL, inject_ud },
    { EXIT_REASON_vmcall, 0, l2_long_ud_taken, NULL, check_ud },

    { EXIT_REASON_vmcall, 0, l2_long_await, NULL, arm_injected },
    { EXIT_REASON_external_interrupt, 0, l2_long_waiting, l2_long_waiting_end, inject_without_idt },
    { EXIT_REASON_ept_violation, DATA | EPT_VIOLATION_READ, l2_long_waiting, l2_long_waiting_end, inject_again },
    { EXIT_REASON_vmcall, 0, l2_long_interrupted, NULL, check_interrupted },
    { EXIT_REASON_vmcall, 0, l2_long_await_pending, NULL, arm_pending },
    { EXIT_REASON_external_interrupt, 0, l2_long_pending, l2_long_pending_end, take_pending },
    { EXIT_REASON_vmcall, 0, l2_long_window, NULL, ask_for_window },
    { EXIT_REASON_interrupt_window, 0, l2_long_window_open, NULL, use_window },
    { EXIT_REASON_vmcall, 0, l2_long_window_taken, NULL, check_window },
    { EXIT_REASON_hlt, 0, l2_long_halt, NULL, NULL },
};

/* SDM Vol. 3, 25.6.9: bit n of the low half's read and write bitmaps. */
static void intercept_msr(uint32_t index)
{
    msr_bitmap[index / 8] |= (uint8_t)(1u << index % 8);
    msr_bitmap[2048 + index / 8] |= (uint8_t)(1u << index % 8);
}

static uint64_t handler_address(const uint8_t *label)
{
    return (uint64_t)(label - l2_long_start) + GUEST_CODE;
}

const char *long_guest_create(struct guest *guest)
{
    const char *missing = guest_create(guest, 1, &controls, l2_long_start, l2_long_end);

    if (missing)
        return missing;
    guest_long_mode(guest);
    memset(io_bitmap, 0xff, sizeof(io_bitmap));
    intercept_msr(MSR_ia32_sysenter_cs);
    vmwrite(VMCS_io_bitmap_a_address, (uint64_t)io_bitmap);
    vmwrite(VMCS_io_bitmap_b_address, (uint64_t)io_bitmap + PAGE);
    vmwrite(VMCS_msr_bitmap_address, (uint64_t)msr_bitmap);
    guest_gate(guest, VECTOR_PF, handler_address(l2_long_on_page_fault));
    guest_gate(guest, VECTOR_UD, handler_address(l2_long_on_ud));
    guest_gate(guest, VECTOR_INJECTED, handler_address(l2_long_on_interrupt));
    guest_gate(guest, VECTOR_WINDOW, handler_address(l2_long_on_interrupt));
    *guest_ept_entry(guest, MISCONFIGURED_PAGE) = ept_entry(misconfigured_page, EPT_WRITE); /* write-only: 29.3.3.1 */
    return NULL;
}

void long_guest_run(struct guest *guest)
{
    print("-- 64-bit guest\n");
    follow(guest, l2_long_start, steps, sizeof(steps) / sizeof(*steps));
}
