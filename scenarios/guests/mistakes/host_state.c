/* SPDX-License-Identifier: MIT */
/* What a hypervisor has when it enters its guest, and what the VM exit does not bring back. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

extern const uint8_t asks[], asks_end[];
__asm__(".pushsection .rodata\n"
        "asks: cpuid\n   jmp asks\nasks_end:\n"
        ".popsection");

static struct guest *const guest = &guest_of_mistakes;

static void enter(void)
{
    must(!guest_enter(guest) && vmread(VMCS_exit_reason) == EXIT_REASON_cpuid, "VM entry");
}

/* The VMCS is filled, then CR4 changes. */
static void with_cr4(uint64_t bit, bool follows)
{
    write_cr4(read_cr4() & ~bit);
    start_guest(asks, asks_end);
    write_cr4(read_cr4() | bit);
    if (follows)
        vmwrite(VMCS_host_cr4, read_cr4());
    enter();
}

static void host_cr4_stale(void) { with_cr4(CR4_OSFXSR, false); __asm__ volatile("movq %rax, %xmm0"); }
static void host_cr4_no_osxsave(void) { with_cr4(CR4_OSXSAVE, false); enter(); enter(); __asm__ volatile("xgetbv" : : "c"(0) : "rax", "rdx"); }
static void host_cr4_no_fsgsbase(void) { with_cr4(CR4_FSGSBASE, false); __asm__ volatile("rdgsbase %%rax" : : : "rax"); }
static void host_cr4_follows(void) { with_cr4(CR4_OSXSAVE, true); __asm__ volatile("xgetbv" : : "c"(0) : "rax", "rdx"); }
static void host_cr4_never_set(void) { with_cr4(0, false); write_cr4(read_cr4() & ~(uint64_t)CR4_OSXSAVE); __asm__ volatile("xgetbv" : : "c"(0) : "rax", "rdx"); }

static void with_efer(uint64_t bit)
{
    start_guest(asks, asks_end);
    vmwrite(VMCS_exit_controls, vmread(VMCS_exit_controls) | EXIT_load_ia32_efer);
    vmwrite(VMCS_host_ia32_efer, rdmsr(MSR_ia32_efer) & ~bit);
    wrmsr(MSR_ia32_efer, rdmsr(MSR_ia32_efer) | bit);
    enter();
}

static void host_efer_no_sce(void) { with_efer(EFER_SCE); __asm__ volatile("syscall" : : : "rcx", "r11"); }

/* All that is mapped at 1 GB and up becomes data. */
static void host_efer_no_nxe(void)
{
    uint64_t *table = (uint64_t *)(*(uint64_t *)(read_cr3() & ~(uint64_t)(PAGE - 1)) & ~(uint64_t)(PAGE - 1));

    with_efer(EFER_NXE);
    table[1] |= 1ull << 63;
    write_cr3(read_cr3());
    __asm__ volatile("movl %0, %%eax" : : "m"(*(volatile uint32_t *)0x40001000) : "rax");
}

static void host_cr0_ts(void)
{
    start_guest(asks, asks_end);
    vmwrite(VMCS_host_cr0, vmread(VMCS_host_cr0) | CR0_TS);
    enter();
    __asm__ volatile("fninit");
}

/* guest_create() gives HOST_GS_BASE and HOST_FS_BASE the bases of the moment. */
static uint64_t area[8] = { 0, 77 };

static void with_base(uint32_t msr, uint32_t field, bool written)
{
    start_guest(asks, asks_end);
    wrmsr(msr, (uintptr_t)area);
    if (written)
        vmwrite(field, (uintptr_t)area);
    enter();
    enter();
    enter();
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

/* What guest_create() has written stays behind with its VMCS: all but one field are written into another. */
static _Alignas(PAGE) uint8_t region[PAGE];
static const uint32_t fields[] = {
#define FIELD(name, encoding, exists) encoding,
#include "arch/vmcs_fields.def"
};

static void without(uint32_t msr, uint32_t field, bool by_hand)
{
    static uint64_t value[sizeof fields / sizeof fields[0]];

    start_guest(asks, asks_end);
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++)
        value[i] = VMCS_ENCODING_TYPE(fields[i]) == VMCS_TYPE_EXIT_INFORMATION ? 0 : vmread(fields[i]);
    must(vmclear((uintptr_t)guest->vmcs) == 0, "VMCLEAR");
    *(uint32_t *)region = vmcs_revision();
    must(vmclear((uintptr_t)region) == 0 && vmptrld((uintptr_t)region) == 0, "VMCLEAR and VMPTRLD");
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (value[i] && fields[i] != field)
            vmwrite(fields[i], value[i]);
    for (unsigned i = 0; i < 4; i++) {
        if (by_hand || i == 0)
            wrmsr(msr, (uintptr_t)area);
        guest_enter(guest);
    }
    vmclear((uintptr_t)region);
    vmxoff();
}

static void host_gs_forgotten(void) { without(MSR_ia32_gs_base, VMCS_host_gs_base, false); }
static void host_fs_forgotten(void) { without(MSR_ia32_fs_base, VMCS_host_fs_base, false); }
static void host_gs_by_hand(void) { without(MSR_ia32_gs_base, VMCS_host_gs_base, true); }
static void host_gs_right(void) { with_base(MSR_ia32_gs_base, VMCS_host_gs_base, true); }
static void host_gs_zero(void) { with_base(MSR_ia32_gs_base, VMCS_host_gs_base, false); }

/* ---- tables ---- */

static void with_idt(uint64_t base)
{
    idt_load();
    start_guest(asks, asks_end);
    vmwrite(VMCS_host_idtr_base, base);
    enter();
}

static void host_idt_forgotten(void) { with_idt(0); }

static void host_idt_copied(void)
{
    static _Alignas(16) uint8_t copy[PAGE];
    struct descriptor_table table;

    idt_load();
    table = store_idtr();
    for (unsigned i = 0; i <= table.limit; i++)
        copy[i] = ((const uint8_t *)table.base)[i];
    with_idt((uintptr_t)copy);
}

/* The base of the TSS, as its descriptor has it: below 4 GB. */
static uint64_t tss_base(void)
{
    uint16_t selector;
    uint64_t low;

    __asm__ volatile("str %0" : "=r"(selector));
    low = *(uint64_t *)(store_gdtr().base + selector);
    return (low >> 16 & 0xffffff) | low >> 56 << 24;
}

static void with_tss(uint64_t base, uint64_t rsp0)
{
    *(volatile uint32_t *)(tss_base() + 4) = (uint32_t)rsp0;
    start_guest(asks, asks_end);
    vmwrite(VMCS_host_tr_base, base);
    enter();
}

static void host_tss_forgotten(void) { with_tss(0, 0x70000); }
static void host_tss_unused(void) { with_tss(0, 0); }
static void host_tss_right(void) { with_tss(tss_base(), 0x70000); }

static void with_tr(uint64_t selector)
{
    start_guest(asks, asks_end);
    vmwrite(VMCS_host_tr_selector, selector);
    enter();
}

static void host_tr_beyond(void) { with_tr(0x7f8); }
static void host_tr_is_data(void)
{
    uint16_t data;

    __asm__ volatile("movw %%ds, %0" : "=r"(data));
    with_tr(data);
}

const struct mistake mistakes_of_host_state[] = {
    { "host-tr-beyond", host_tr_beyond }, { "host-tr-is-data", host_tr_is_data },
    { "host-idt-forgotten", host_idt_forgotten }, { "host-idt-copied", host_idt_copied }, { "host-tss-forgotten", host_tss_forgotten },
    { "host-tss-unused", host_tss_unused }, { "host-tss-right", host_tss_right },
    { "host-cr4-stale", host_cr4_stale }, { "host-cr4-no-osxsave", host_cr4_no_osxsave }, { "host-cr4-no-fsgsbase", host_cr4_no_fsgsbase },
    { "host-cr4-follows", host_cr4_follows }, { "host-cr4-never-set", host_cr4_never_set },
    { "host-efer-no-sce", host_efer_no_sce }, { "host-efer-no-nxe", host_efer_no_nxe }, { "host-cr0-ts", host_cr0_ts },
    { "host-gs-forgotten", host_gs_forgotten }, { "host-fs-forgotten", host_fs_forgotten }, { "host-gs-by-hand", host_gs_by_hand },
    { "host-gs-right", host_gs_right }, { "host-gs-zero", host_gs_zero }, { NULL, NULL },
};
