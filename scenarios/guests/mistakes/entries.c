/* SPDX-License-Identifier: MIT */
/* VM entries that fail: fields written by functions that do nothing else, and controls that the processor does not offer. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

extern const uint8_t hlt_start[], hlt_end[];
__asm__("hlt_start: hlt\nhlt_end:\n");

/* One VMWRITE and nothing else, whatever the compiler thinks of it: with and without a frame, and as C++ libraries have it. */
void put_field(uint64_t field, uint64_t value);
void put_field_framed(uint64_t field, uint64_t value);
__asm__(".globl put_field\n.type put_field, @function\nput_field: vmwrite %rsi, %rdi\n ret\n.size put_field, . - put_field\n"
        ".globl put_field_framed\n.type put_field_framed, @function\n"
        "put_field_framed: push %rbp\n mov %rsp, %rbp\n sub $32, %rsp\n mov %rdi, -8(%rbp)\n mov %rsi, -16(%rbp)\n"
        " vmwrite -16(%rbp), %rdi\n setna %al\n mov %al, -17(%rbp)\n leave\n ret\n.size put_field_framed, . - put_field_framed\n");

static __attribute__((noinline)) void forget_rflags(void)
{
    start_guest(hlt_start, hlt_end);
    put_field(VMCS_guest_rflags, 0);
    guest_enter(&guest_of_mistakes);
}

static __attribute__((noinline)) void forget_rflags_framed(void)
{
    start_guest(hlt_start, hlt_end);
    put_field_framed(VMCS_guest_rflags, 0);
    guest_enter(&guest_of_mistakes);
}

/* Two VMWRITEs in one function: its caller is nobody's concern. */
static __attribute__((noinline)) void forget_inline(void)
{
    start_guest(hlt_start, hlt_end);
    __asm__ volatile("vmwrite %1, %0\n vmwrite %1, %2"
                     : : "r"((uint64_t)VMCS_guest_rflags), "r"(0ull), "r"((uint64_t)VMCS_guest_rsp) : "cc");
    guest_enter(&guest_of_mistakes);
}

static void control_unoffered(void)
{
    start_guest(hlt_start, hlt_end);
    put_field(VMCS_pin_based_controls, vmread(VMCS_pin_based_controls) | 1u << 20);
    guest_enter(&guest_of_mistakes);
}

static void cr4_smxe(void)
{
    start_guest(hlt_start, hlt_end);
    put_field(VMCS_guest_cr4, vmread(VMCS_guest_cr4) | CR4_SMXE);
    guest_enter(&guest_of_mistakes);
}

/* What the processor has, and the core does not offer to its guest. */
static void with_secondary(uint32_t control)
{
    start_guest(hlt_start, hlt_end);
    put_field(VMCS_secondary_processor_based_controls, vmread(VMCS_secondary_processor_based_controls) | control);
    guest_enter(&guest_of_mistakes);
}

static void vm_functions(void) { with_secondary(PROC2_enable_vm_functions); }
static void page_modification_log(void) { with_secondary(PROC2_enable_pml); }

static void unrestricted_not_activated(void)
{
    start_guest(hlt_start, hlt_end);
    put_field(VMCS_secondary_processor_based_controls, PROC2_enable_ept | PROC2_unrestricted_guest);
    put_field(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) & ~(uint64_t)PROC_activate_secondary_controls);
    put_field(VMCS_guest_cr0, CR0_ET | CR0_NE);
    guest_enter(&guest_of_mistakes);
}

/* VMWRITE in the order of another assembler. */
static void vmwrite_exchanged(void)
{
    start_guest(hlt_start, hlt_end);
    __asm__ volatile("vmwrite %0, %1" : : "r"((uint64_t)VMCS_pin_based_controls), "r"(0x3full) : "cc");
}

/* The same of VMREAD: what the variable holds is taken for the field, and the field's register is written. */
static __attribute__((noinline)) void read_into(uint64_t encoding, uint64_t variable)
{
    __asm__ volatile("vmread %1, %0" : "+r"(encoding) : "r"(variable) : "cc");
}

static void vmread_exchanged(void)
{
    start_guest(hlt_start, hlt_end);
    read_into(VMCS_exit_reason, 0);
    read_into(VMCS_guest_rip, 0);
}

static void vmread_exchanged_unknown(void)
{
    start_guest(hlt_start, hlt_end);
    read_into(VMCS_exit_reason, 0x123456);
}

/* The VPID, into a register that holds whatever it held. */
static void vmread_of_vpid(void)
{
    start_guest(hlt_start, hlt_end);
    for (unsigned i = 0; i < 3; i++)
        read_into(VMCS_exit_reason, VMCS_virtual_processor_identifier);
    read_into(0x1234567, VMCS_virtual_processor_identifier);
}

static void no_vmcs(void)
{
    start_vmx();
    for (unsigned i = 0; i < 2; i++) {
        __asm__ volatile("vmwrite %0, %0\n vmread %0, %0\n vmwrite %0, %0\n vmread %0, %0\n vmwrite %0, %0" : : "r"((uint64_t)VMCS_guest_rip) : "cc");
    }
}

const struct mistake mistakes_of_entries[] = {
    { "vm-functions", vm_functions }, { "page-modification-log", page_modification_log }, { "unrestricted-not-activated", unrestricted_not_activated },
    { "vmwrite-exchanged", vmwrite_exchanged }, { "no-vmcs", no_vmcs },
    { "vmread-exchanged", vmread_exchanged }, { "vmread-exchanged-unknown", vmread_exchanged_unknown }, { "vmread-of-vpid", vmread_of_vpid },
    { "rflags-forgotten", forget_rflags }, { "rflags-forgotten-framed", forget_rflags_framed }, { "rflags-inline", forget_inline },
    { "control-unoffered", control_unoffered }, { "cr4-smxe", cr4_smxe },
    { NULL, NULL },
};
