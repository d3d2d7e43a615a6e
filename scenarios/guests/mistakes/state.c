/* SPDX-License-Identifier: MIT */
/* State that VM entries and exits load without a complaint, and with which no code can go on; events that nobody asked to exit. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

extern const uint8_t stops[], stops_end[], asks_once[], asks_once_end[], interrupts_itself[], interrupts_itself_end[];
__asm__(".pushsection .rodata\n"
        "stops: hlt\n   jmp stops\nstops_end:\n"
        "asks_once: cpuid\n   hlt\nasks_once_end:\n"
        /* An NMI to local APIC ID 0, by the x2APIC's command register */
        "interrupts_itself: movl $0x830, %ecx\n   movl $0x4400, %eax\n   xorl %edx, %edx\n   wrmsr\n   hlt\ninterrupts_itself_end:\n"
        ".popsection");

enum { PAGING_ENTRY = 3, PAGING_LARGE = 0x83 };
static struct guest *const guest = &guest_of_mistakes;
static _Alignas(PAGE) uint64_t tables[3][PAGE / 8];

static void run(void)
{
    guest_enter(guest);
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

/* ---- the guest's ---- */

static void start_unrestricted(void)
{
    static const struct controls controls = { .proc = PROC_hlt_exiting, .proc2 = PROC2_unrestricted_guest };

    start_vmx();
    const char *missing = guest_create(guest, 1, &controls, stops, stops_end);
    must(!missing, missing ? missing : "");
}

static void long_code_without_ia32e(void)
{
    start_unrestricted();
    guest_protected_mode(guest, GUEST_PAGING_32, false);
    vmwrite(VMCS_guest_cs_access_rights, (vmread(VMCS_guest_cs_access_rights) & ~(uint64_t)AR_DB) | AR_L);
    run();
}

static void rip_beyond_limit(void)
{
    start_unrestricted();
    guest_real_mode();
    vmwrite(VMCS_guest_cs_selector, 0);
    vmwrite(VMCS_guest_cs_base, 0);
    vmwrite(VMCS_guest_cs_limit, GUEST_CODE - 1);
    vmwrite(VMCS_guest_rip, GUEST_CODE);
    run();
}

static void rip_not_canonical(void)
{
    start_guest(stops, stops_end);
    vmwrite(VMCS_guest_rip, 1ull << 48 | GUEST_CODE);
    run();
}

static void hlt_not_exiting(void)
{
    start_guest(stops, stops_end);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) & ~(uint64_t)PROC_hlt_exiting);
    run();
}

static void nmi_not_exiting(void)
{
    enum { X2APIC = 1u << 10, SPURIOUS_MSR = 0x80f };
    static _Alignas(PAGE) uint8_t bitmap[PAGE];

    wrmsr(MSR_ia32_apic_base, rdmsr(MSR_ia32_apic_base) | X2APIC);
    wrmsr(SPURIOUS_MSR, 0x1ff);
    start_guest(interrupts_itself, interrupts_itself_end);
    vmwrite(VMCS_processor_based_controls, vmread(VMCS_processor_based_controls) | PROC_use_msr_bitmaps);
    vmwrite(VMCS_msr_bitmap_address, (uintptr_t)bitmap);
    run();
}

/* ---- the host's ---- */

static void with_host(uint32_t field, uint64_t value)
{
    start_guest(stops, stops_end);
    vmwrite(field, value);
    run();
}

static void host_cs_data(void) { with_host(VMCS_host_cs_selector, 0x10); }
static void host_ss_code(void) { with_host(VMCS_host_ss_selector, 8); }
static void host_ds_beyond(void) { with_host(VMCS_host_ds_selector, 0x180); }
static void host_gdtr_elsewhere(void) { with_host(VMCS_host_gdtr_base, (uintptr_t)tables); }

/* Page tables that map what is used below 1 GB, and 1 GB at 64 GB as well. */
static uint64_t wider_tables(void)
{
    tables[0][0] = (uintptr_t)tables[1] | PAGING_ENTRY;
    for (unsigned i = 0; i < 64; i++)
        tables[1][i] = (uint64_t)i << 30 | PAGING_LARGE;
    tables[1][64] = PAGING_LARGE;
    return (uintptr_t)tables[0];
}

static void host_cr3_of_before(void)
{
    start_guest(stops, stops_end);
    write_cr3(wider_tables());
    guest_enter(guest);
    *(volatile uint64_t *)(64ull << 30);
}

/* Page tables for exits alone: nothing is wrong. */
static void host_cr3_of_its_own(void)
{
    start_guest(stops, stops_end);
    vmwrite(VMCS_host_cr3, wider_tables());
    run();
}

const struct mistake mistakes_of_state[] = {
    { "long-code-without-ia32e", long_code_without_ia32e }, { "rip-beyond-limit", rip_beyond_limit }, { "rip-not-canonical", rip_not_canonical },
    { "hlt-not-exiting", hlt_not_exiting }, { "nmi-not-exiting", nmi_not_exiting },
    { "host-cs-data", host_cs_data }, { "host-ss-code", host_ss_code }, { "host-ds-beyond", host_ds_beyond },
    { "host-gdtr-elsewhere", host_gdtr_elsewhere }, { "host-cr3-of-before", host_cr3_of_before }, { "host-cr3-of-its-own", host_cr3_of_its_own },
    { NULL, NULL },
};
