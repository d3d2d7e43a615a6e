/* SPDX-License-Identifier: MIT */
/* Instructions and accesses that a hypervisor emulates, but not all of what they do; and guests that begin in the wrong place. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

extern const uint8_t invalidator[], invalidator_end[], switcher[], switcher_end[], flusher[], flusher_end[], process_flusher[], process_flusher_end[], device[], device_end[], spinner[],
    spinner_end[], real_loop[], real_loop_end[], real_int[], real_int_end[], ends[];
__asm__(".pushsection .rodata\n"
        "invalidator: movl 0xa000, %ecx\n   invlpg 0xa000\n   hlt\ninvalidator_end:\n"
        "switcher: movl 0xa000, %ecx\n   movq %rax, %cr3\n   hlt\nswitcher_end:\n"
        "flusher: movl 0xa000, %ecx\n   movq %rax, %cr4\n   hlt\nflusher_end:\n"
        /* The type is in RSI, the descriptor on the stack */
        "process_flusher: movl 0xa000, %ecx\n   pushq $0xa000\n   pushq $0\n   invpcid (%rsp), %rsi\n   hlt\nprocess_flusher_end:\n"
        "device: movl $0xb000, %ebx\n   movl (%rbx), %ecx\n   hlt\ndevice_end:\n"
        "spinner: sti\n1: jmp 1b\nspinner_end:\n"
        "real_loop: hlt\nreal_loop_end:\n"
        ".code16\nreal_int: xorw %bx, %bx\n   xorw %si, %si\n   movb $0, %al\n   int $0x21\nreal_int_end:\n.code64\n"
        ".popsection\n"
        "ends: xorl %eax, %eax\n   outl %eax, $0xf4\n   hlt\n");

static struct guest *const guest = &guest_of_mistakes;

static void set_bits(uint32_t field, uint64_t bits) { vmwrite(field, vmread(field) | bits); }
static void pass(void) { vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + vmread(VMCS_exit_instruction_length)); }

static void enter_until(unsigned reason)
{
    must(!guest_enter(guest) && vmread(VMCS_exit_reason) == reason, "another VM exit");
}

static void leave(void)
{
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

/* ---- what invalidates translations ---- */

enum cure { NONE, INVVPID, OTHER_VPID };

static void go_on(enum cure cure, unsigned long type)
{
    if (cure == INVVPID)
        must(!invvpid(type, guest->vpid, 0xa000), "INVVPID");
    if (cure == OTHER_VPID)
        vmwrite(VMCS_virtual_processor_identifier, guest->vpid + 1u);
    pass();
    enter_until(EXIT_REASON_hlt);
    leave();
}

static void invlpg_exits(enum cure cure)
{
    start_guest(invalidator, invalidator_end);
    set_bits(VMCS_processor_based_controls, PROC_invlpg_exiting);
    enter_until(EXIT_REASON_invlpg);
    go_on(cure, INVVPID_ADDRESS);
}

static void cr3_exits(enum cure cure)
{
    start_guest(switcher, switcher_end);
    set_bits(VMCS_processor_based_controls, PROC_cr3_load_exiting);
    guest->gpr[RAX] = GUEST_ROOT;
    enter_until(EXIT_REASON_cr_access);
    vmwrite(VMCS_guest_cr3, GUEST_ROOT);
    go_on(cure, INVVPID_RETAINING_GLOBALS);
}

static void cr4_exits(enum cure cure)
{
    start_guest(flusher, flusher_end);
    set_bits(VMCS_cr4_guest_host_mask, CR4_PGE);
    vmwrite(VMCS_cr4_read_shadow, vmread(VMCS_guest_cr4) & ~(uint64_t)(CR4_PGE | CR4_VMXE));
    guest->gpr[RAX] = vmread(VMCS_cr4_read_shadow) | CR4_PGE;
    enter_until(EXIT_REASON_cr_access);
    set_bits(VMCS_cr4_read_shadow, CR4_PGE);
    set_bits(VMCS_guest_cr4, CR4_PGE);
    go_on(cure, INVVPID_SINGLE_CONTEXT);
}

static void invpcid_exits(enum cure cure, uint64_t type)
{
    start_guest(process_flusher, process_flusher_end);
    set_bits(VMCS_secondary_processor_based_controls, PROC2_enable_invpcid);
    set_bits(VMCS_processor_based_controls, PROC_invlpg_exiting);
    guest->gpr[RSI] = type;
    enter_until(EXIT_REASON_invpcid);
    go_on(cure, type ? INVVPID_RETAINING_GLOBALS : INVVPID_ADDRESS);
}

static void invpcid_of_address(void) { invpcid_exits(NONE, 0); }
static void invpcid_of_process(void) { invpcid_exits(NONE, 1); }
static void invpcid_emulated(void) { invpcid_exits(INVVPID, 0); }

static void invlpg_passed_over(void) { invlpg_exits(NONE); }
static void cr3_passed_over(void) { cr3_exits(NONE); }
static void cr4_passed_over(void) { cr4_exits(NONE); }
static void invlpg_emulated(void) { invlpg_exits(INVVPID); }
static void cr3_emulated(void) { cr3_exits(INVVPID); }
static void cr4_emulated(void) { cr4_exits(INVVPID); }
static void cr3_with_other_vpid(void) { cr3_exits(OTHER_VPID); }

/* ---- devices ---- */

/* A device's register: RIP is moved on by a length that an EPT violation does not have. */
static void length_of_violation(void)
{
    start_guest(device, device_end);
    *guest_ept_entry(guest, 0xb000) = 0;
    for (unsigned i = 0; i < 4; i++) {
        enter_until(EXIT_REASON_ept_violation);
        pass();
    }
}

/* The entry is misconfigured on purpose; the access is emulated, or the page mapped. */
static void marked_by_misconfiguration(void)
{
    start_guest(device, device_end);
    *guest_ept_entry(guest, 0xb000) = EPT_WRITE | EPT_EXECUTE;
    enter_until(EXIT_REASON_ept_misconfiguration);
    *guest_ept_entry(guest, 0xb000) = ept_entry(guest->memory + 0xb000, EPT_RIGHTS);
    enter_until(EXIT_REASON_hlt);
    leave();
}

/* ---- physical addresses where nothing is ---- */

#define NO_MEMORY 0x7f00000000ull

static void ept_beyond_memory(void)
{
    start_guest(device, device_end);
    *guest_ept_entry(guest, 0xb000) = NO_MEMORY | EPT_RIGHTS;
    enter_until(EXIT_REASON_hlt);
    leave();
}

static void bitmap_beyond_memory(void)
{
    start_guest(device, device_end);
    set_bits(VMCS_processor_based_controls, PROC_use_msr_bitmaps);
    vmwrite(VMCS_msr_bitmap_address, NO_MEMORY);
    enter_until(EXIT_REASON_hlt);
    leave();
}

static void stack_beyond_memory(void)
{
    start_guest(device, device_end);
    vmwrite(VMCS_host_rsp, 0xfee02000);
    vmwrite(VMCS_host_rip, (uintptr_t)ends);
    __asm__ volatile("vmlaunch" : : : "memory");
}

static void nobody_at_all(void)
{
    volatile uint32_t *nowhere = (volatile uint32_t *)0x90000000ull;

    must(*nowhere == ~0u, "ones");
    *nowhere = 1;
}

/* ---- where a guest begins ---- */

static void create_in_real_mode(const uint8_t *start, const uint8_t *end)
{
    static const struct controls controls = { .proc = PROC_hlt_exiting, .proc2 = PROC2_unrestricted_guest };
    const char *missing;

    start_vmx();
    missing = guest_create(guest, 1, &controls, start, end);
    must(!missing, missing);
    guest_real_mode();
}

static void begin_in_real_mode(uint16_t selector, uint64_t base)
{
    create_in_real_mode(real_loop, real_loop_end);
    vmwrite(VMCS_guest_cs_selector, selector);
    vmwrite(VMCS_guest_cs_base, base);
    vmwrite(VMCS_guest_rip, GUEST_CODE - base);
    enter_until(EXIT_REASON_hlt);
    leave();
}

/* INT 21H, whose vector nobody has set, or which leads to the HLT at 100H. */
static void interrupt_in_real_mode(uint32_t entry)
{
    create_in_real_mode(real_int, real_int_end);
    ((uint32_t *)guest->memory)[0x21] = entry;
    guest->memory[0x100] = 0xf4;
    enter_until(EXIT_REASON_hlt);
    must(vmread(VMCS_guest_rip) == 0x100, "the HLT at 100H");
    leave();
}

static void real_mode_vector_empty(void) { interrupt_in_real_mode(0); }
static void real_mode_vector_set(void) { interrupt_in_real_mode(0x100); }

static void real_mode_base(void) { begin_in_real_mode(0x7c0, 0); }
static void real_mode_right(void) { begin_in_real_mode(0x7c0, 0x7c00); }

/* ---- interrupts ---- */

static void timer(void)
{
    *(volatile uint32_t *)0xfee000f0 = 0x1ff;
    *(volatile uint32_t *)0xfee00320 = 1u << 17 | 0x40;
    *(volatile uint32_t *)0xfee00380 = 20000;
}

/* The hypervisor's timer, and no "external-interrupt exiting": the guest has no gate for it, or a gate. */
static void interrupt_in_guest(bool gate)
{
    start_guest(spinner, spinner_end);
    if (gate)
        guest_gate(guest, 0x40, GUEST_CODE + 3);
    ((uint8_t *)guest->memory)[GUEST_CODE + 3] = 0xf4;      /* HLT: the handler */
    vmwrite(VMCS_exception_bitmap, ~0u);
    timer();
    guest_enter(guest);
    leave();
}

static void interrupt_without_exit(void) { interrupt_in_guest(false); }
static void interrupt_passed_on(void) { interrupt_in_guest(true); }

const struct mistake mistakes_of_emulation[] = {
    { "invpcid-of-address", invpcid_of_address }, { "invpcid-of-process", invpcid_of_process }, { "invpcid-emulated", invpcid_emulated },
    { "invlpg-passed-over", invlpg_passed_over }, { "cr3-passed-over", cr3_passed_over }, { "cr4-passed-over", cr4_passed_over },
    { "invlpg-emulated", invlpg_emulated }, { "cr3-emulated", cr3_emulated }, { "cr4-emulated", cr4_emulated },
    { "cr3-with-other-vpid", cr3_with_other_vpid }, { "length-of-violation", length_of_violation },
    { "marked-by-misconfiguration", marked_by_misconfiguration }, { "real-mode-base", real_mode_base }, { "real-mode-right", real_mode_right },
    { "real-mode-vector-empty", real_mode_vector_empty }, { "real-mode-vector-set", real_mode_vector_set },
    { "ept-beyond-memory", ept_beyond_memory }, { "bitmap-beyond-memory", bitmap_beyond_memory }, { "stack-beyond-memory", stack_beyond_memory },
    { "nobody-at-all", nobody_at_all }, { "interrupt-without-exit", interrupt_without_exit }, { "interrupt-passed-on", interrupt_passed_on },
    { NULL, NULL },
};
