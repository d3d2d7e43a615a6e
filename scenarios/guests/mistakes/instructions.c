/* SPDX-License-Identifier: MIT */
/* VMX and other privileged instructions at the wrong time, with the wrong operand, on the wrong processor. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

enum { NOT_ALIGNED = 0x800 };
#define BEYOND_WIDTH (1ull << 50)
#define NOT_CANONICAL 0x4000000000000000ull

static _Alignas(PAGE) uint8_t region[PAGE], second_region[PAGE];

/* What must come before VMXON, done right but for what a mistake leaves out. */
static void enable(bool feature_control, bool ne, bool vmxe)
{
    if (feature_control && !(rdmsr(MSR_ia32_feature_control) & FEATURE_CONTROL_LOCK))
        wrmsr(MSR_ia32_feature_control, FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
    write_cr0(ne ? read_cr0() | CR0_NE : read_cr0() & ~CR0_NE);
    if (vmxe)
        write_cr4(read_cr4() | CR4_VMXE);
    *(uint32_t *)region = vmcs_revision();
}

static void vmxon_without_vmxe(void) { enable(true, true, false); vmxon((uintptr_t)region); }
static void vmxon_unlocked(void) { enable(false, true, true); vmxon((uintptr_t)region); }
static void vmxon_without_ne(void) { enable(true, false, true); vmxon((uintptr_t)region); }
static void vmxon_revision(void) { enable(true, true, true); *(uint32_t *)region = 1; vmxon((uintptr_t)region); }
static void vmxon_revision_zero(void) { enable(true, true, true); *(uint32_t *)region = 0; vmxon((uintptr_t)region); }
static void vmxon_bit_31(void) { enable(true, true, true); region[3] |= 0x80; vmxon((uintptr_t)region); }
static void vmxon_unaligned(void) { enable(true, true, true); vmxon((uintptr_t)region + NOT_ALIGNED); }
static void vmxon_width(void) { enable(true, true, true); vmxon(BEYOND_WIDTH); }
static void vmxon_operand(void)
{
    enable(true, true, true);
    __asm__ volatile("vmxon (%0)" : : "r"(NOT_CANONICAL) : "memory", "cc");
}

static void vmxon_twice(void) { start_vmx(); vmxon((uintptr_t)vmxon_region); }
static void vmxoff_outside(void) { vmxoff(); }
static void vmread_outside(void) { enable(true, true, true); vmread_result(VMCS_guest_rip); }
static void vmptrld_after_vmxoff(void)
{
    start_vmx();
    must(!vmxoff(), "VMXOFF");
    *(uint32_t *)region = vmcs_revision();
    vmptrld((uintptr_t)region);
}

static void make_region(void)
{
    start_vmx();
    *(uint32_t *)region = vmcs_revision();
    must(!vmclear((uintptr_t)region), "VMCLEAR");
}

static void make_current(void)
{
    make_region();
    must(!vmptrld((uintptr_t)region), "VMPTRLD");
}

static void vmptrld_revision(void) { start_vmx(); vmptrld((uintptr_t)region); }
static void vmptrld_unaligned(void) { make_current(); vmptrld((uintptr_t)region + NOT_ALIGNED); }
static void vmptrld_width(void) { make_current(); vmptrld(BEYOND_WIDTH); }
static void vmptrld_vmxon_region(void) { make_current(); vmptrld((uintptr_t)vmxon_region); }
static void vmclear_vmxon_region(void) { make_current(); vmclear((uintptr_t)vmxon_region); }
static void vmclear_unaligned(void) { make_current(); vmclear((uintptr_t)region + NOT_ALIGNED); }
static void vmclear_no_vmcs(void) { start_vmx(); vmclear((uintptr_t)region + 1); }

static void vmread_no_vmcs(void) { make_region(); vmread_result(VMCS_guest_rip); }
static void vmwrite_after_vmclear(void) { make_current(); vmclear((uintptr_t)region); vmwrite(VMCS_guest_rip, 0); }
static void vmwrite_unknown(void) { make_current(); vmwrite(0x6842, 1); }
static void vmread_unknown(void) { make_current(); vmread_result(0x4840); }
static void vmwrite_tsc_multiplier(void) { make_current(); vmwrite(VMCS_tsc_multiplier, 1); }
static void vmwrite_high_half(void) { make_current(); vmwrite(VMCS_guest_rip | 1, 1); }
static void vmread_index(void) { make_current(); vmread_result(0x10000); }
static void vmwrite_exit_reason(void) { make_current(); vmwrite(VMCS_exit_reason, 1); }

static vmx_result vmlaunch(void) { return VMX_INSTRUCTION("vmlaunch", "i"(0)); }
static vmx_result vmresume(void) { return VMX_INSTRUCTION("vmresume", "i"(0)); }

static void vmlaunch_no_vmcs(void) { make_region(); vmlaunch(); }
static void vmresume_first(void) { make_current(); vmresume(); }
static void vmlaunch_mov_ss(void) { make_current(); vmlaunch_after_mov_ss(); }
static void vmlaunch_outside(void) { vmlaunch(); }
static void vmcall_in_root(void) { make_current(); vmcall(); }
static void vmcall_outside(void) { vmcall(); }
static void vmfunc_in_root(void) { start_vmx(); __asm__ volatile("vmfunc" : : "a"(0), "c"(0)); }

/* Runs to a HLT. */
__asm__(".text\nhalt_start: hlt\nhalt_end:");
extern const uint8_t halt_start[], halt_end[];

static void vmlaunch_twice(void)
{
    start_guest(halt_start, halt_end);
    must(!guest_enter(&guest_of_mistakes), "VMLAUNCH");
    guest_of_mistakes.launched = false;
    guest_enter(&guest_of_mistakes);
}

static void vmresume_after_vmclear(void)
{
    start_guest(halt_start, halt_end);
    must(!guest_enter(&guest_of_mistakes), "VMLAUNCH");
    must(!vmclear((uintptr_t)guest_of_mistakes.vmcs) && !vmptrld((uintptr_t)guest_of_mistakes.vmcs), "VMPTRLD");
    guest_enter(&guest_of_mistakes);
}

static vmx_result invalidate_ept(uint64_t type, uint64_t eptp)
{
    struct invalidation descriptor = { eptp, 0 };
    return VMX_INSTRUCTION("invept %2, %3", "m"(descriptor), "r"(type));
}

static vmx_result invalidate_vpid(uint64_t type, uint64_t vpid, uint64_t linear)
{
    struct invalidation descriptor = { vpid, linear };
    return VMX_INSTRUCTION("invvpid %2, %3", "m"(descriptor), "r"(type));
}

static void invept_type(void) { make_current(); invalidate_ept(0, 0); }
static void invept_memory_type(void) { make_current(); invalidate_ept(INVEPT_SINGLE_CONTEXT, (uintptr_t)second_region | 3 << 3 | 3); }
static void invept_walk_length(void) { make_current(); invalidate_ept(INVEPT_SINGLE_CONTEXT, (uintptr_t)second_region | 6); }
static void invept_reserved(void) { make_current(); invalidate_ept(INVEPT_SINGLE_CONTEXT, (uintptr_t)second_region | 3 << 3 | 6 | 0x800); }
static void invvpid_type(void) { make_current(); invalidate_vpid(7, 1, 0); }
static void invvpid_zero(void) { make_current(); invalidate_vpid(INVVPID_SINGLE_CONTEXT, 0, 0); }
static void invvpid_reserved(void) { make_current(); invalidate_vpid(INVVPID_SINGLE_CONTEXT, 0x10001, 0); }
static void invvpid_canonical(void) { make_current(); invalidate_vpid(INVVPID_ADDRESS, 1, 1ull << 62); }
static void invept_outside(void) { invalidate_ept(INVEPT_ALL_CONTEXT, 0); }

static void cr4_clears_vmxe(void) { start_vmx(); write_cr4(read_cr4() & ~CR4_VMXE); }
static void cr0_clears_ne(void) { start_vmx(); write_cr0(read_cr0() & ~CR0_NE); }
static void cr0_clears_pg(void) { write_cr0(read_cr0() & ~CR0_PG); }
static void cr4_smxe(void) { write_cr4(read_cr4() | CR4_SMXE); }
static void cr4_pae(void) { write_cr4(read_cr4() & ~CR4_PAE); }
static void cr3_width(void) { write_cr3(read_cr3() | 1ull << 51); }
static void cr8_value(void) { __asm__ volatile("mov %0, %%cr8" : : "r"(0x20ull)); }
static void dr7_upper(void) { __asm__ volatile("mov %0, %%dr7" : : "r"(1ull << 32)); }
static void rdmsr_unknown(void) { rdmsr(0xc0010117); }
static void wrmsr_read_only(void) { wrmsr(MSR_ia32_vmx_basic, 0); }
static void wrmsr_feature_control(void) { enable(true, true, true); wrmsr(MSR_ia32_feature_control, 7); }
static void wrmsr_efer(void) { wrmsr(MSR_ia32_efer, rdmsr(MSR_ia32_efer) | 1 << 12); }
static void wrmsr_efer_lme(void) { wrmsr(MSR_ia32_efer, rdmsr(MSR_ia32_efer) & ~EFER_LME); }
static void wrmsr_pat(void) { wrmsr(MSR_ia32_pat, 0x0302); }
static void wrmsr_lstar(void) { wrmsr(MSR_ia32_lstar, NOT_CANONICAL); }
static void wrmsr_x2apic(void) { wrmsr(0x80b, 0); }
static void xsetbv_value(uint32_t index, uint64_t value)
{
    write_cr4(read_cr4() | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}
static void xsetbv_without_osxsave(void)
{
    write_cr4(read_cr4() & ~CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(0), "a"(1), "d"(0));
}
static void xsetbv_avx(void) { xsetbv_value(0, 7); }
static void xsetbv_x87(void) { xsetbv_value(0, 2); }
static void xsetbv_index(void) { xsetbv_value(1, 1); }
static void lgdt_base(void)
{
    struct descriptor_table table = { 7, NOT_CANONICAL };
    __asm__ volatile("lgdt %0" : : "m"(table));
}

/* What an assembler would not write. */
static void cr5(void) { __asm__ volatile(".byte 0x0f, 0x22, 0xe8" : : "a"(0)); }
static void dr8(void) { __asm__ volatile(".byte 0x44, 0x0f, 0x23, 0xc0" : : "a"(0)); }
static void lock_vmread(void) { enable(true, true, true); __asm__ volatile(".byte 0xf0, 0x0f, 0x78, 0xc0"); }
static void invept_register(void)
{
    start_vmx();
    __asm__ volatile(".byte 0x66, 0x0f, 0x38, 0x80, 0xc3");
}

/* A guest's MOV to CR0 and CR4, of whose bits the hypervisor owns none. */
extern const uint8_t clears_vmxe[], clears_vmxe_end[], clears_ne[], clears_ne_end[];
__asm__(".pushsection .rodata\n"
        "clears_vmxe: movl $0x20, %eax\n   movq %rax, %cr4\nclears_vmxe_end:\n"
        "clears_ne: movl $0x80000011, %eax\n   movq %rax, %cr0\nclears_ne_end:\n"
        ".popsection");

static void guest_clears_vmxe(void)
{
    start_guest(clears_vmxe, clears_vmxe_end);
    vmwrite(VMCS_cr4_guest_host_mask, 0);
    guest_enter(&guest_of_mistakes);
}

static void guest_clears_ne(void)
{
    start_guest(clears_ne, clears_ne_end);
    vmwrite(VMCS_secondary_processor_based_controls, vmread(VMCS_secondary_processor_based_controls) | PROC2_unrestricted_guest);
    guest_enter(&guest_of_mistakes);
}

#define MISTAKE(name) { #name, name }
const struct mistake mistakes_of_instructions[] = {
    MISTAKE(vmxon_without_vmxe), MISTAKE(vmxon_unlocked), MISTAKE(vmxon_without_ne), MISTAKE(vmxon_revision),
    MISTAKE(vmxon_revision_zero), MISTAKE(vmxon_bit_31), MISTAKE(vmxon_unaligned), MISTAKE(vmxon_width), MISTAKE(vmxon_operand),
    MISTAKE(vmxon_twice), MISTAKE(vmxoff_outside), MISTAKE(vmread_outside), MISTAKE(vmptrld_after_vmxoff),
    MISTAKE(vmptrld_revision), MISTAKE(vmptrld_unaligned), MISTAKE(vmptrld_width), MISTAKE(vmptrld_vmxon_region),
    MISTAKE(vmclear_vmxon_region), MISTAKE(vmclear_unaligned), MISTAKE(vmclear_no_vmcs), MISTAKE(vmread_no_vmcs),
    MISTAKE(vmwrite_after_vmclear), MISTAKE(vmwrite_unknown), MISTAKE(vmread_unknown), MISTAKE(vmwrite_tsc_multiplier),
    MISTAKE(vmwrite_high_half), MISTAKE(vmread_index), MISTAKE(vmwrite_exit_reason), MISTAKE(vmlaunch_no_vmcs),
    MISTAKE(vmresume_first), MISTAKE(vmlaunch_mov_ss), MISTAKE(vmlaunch_outside), MISTAKE(vmlaunch_twice),
    MISTAKE(vmresume_after_vmclear), MISTAKE(vmcall_in_root), MISTAKE(vmcall_outside), MISTAKE(vmfunc_in_root),
    MISTAKE(invept_type), MISTAKE(invept_memory_type), MISTAKE(invept_walk_length), MISTAKE(invept_reserved),
    MISTAKE(invept_outside), MISTAKE(invvpid_type), MISTAKE(invvpid_zero), MISTAKE(invvpid_reserved), MISTAKE(invvpid_canonical),
    MISTAKE(cr4_clears_vmxe), MISTAKE(cr0_clears_ne), MISTAKE(cr0_clears_pg), MISTAKE(cr4_smxe), MISTAKE(cr4_pae),
    MISTAKE(cr3_width), MISTAKE(cr8_value), MISTAKE(dr7_upper), MISTAKE(rdmsr_unknown), MISTAKE(wrmsr_read_only),
    MISTAKE(wrmsr_feature_control), MISTAKE(wrmsr_efer), MISTAKE(wrmsr_efer_lme), MISTAKE(wrmsr_pat), MISTAKE(wrmsr_lstar),
    MISTAKE(wrmsr_x2apic), MISTAKE(xsetbv_without_osxsave), MISTAKE(xsetbv_avx), MISTAKE(xsetbv_x87), MISTAKE(xsetbv_index),
    MISTAKE(lgdt_base), MISTAKE(cr5), MISTAKE(dr8), MISTAKE(lock_vmread), MISTAKE(invept_register), MISTAKE(guest_clears_vmxe),
    MISTAKE(guest_clears_ne), { NULL, NULL },
};
