/* SPDX-License-Identifier: MIT */
/* VM entries with fields that are wrong, before and after the guest has run. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

extern const uint8_t halter[], halter_end[];
__asm__(".pushsection .rodata\n"
        "halter: hlt\n"
        "   jmp halter\n"
        "halter_end:\n"
        ".popsection");

static struct guest *const guest = &guest_of_mistakes;

/* The first entry, or one after an exit. */
static void enter_with(unsigned long field, uint64_t value)
{
    vmwrite(field, value);
    guest_enter(guest);
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

static void wrong_control(void)
{
    start_guest(halter, halter_end);
    enter_with(VMCS_cr3_target_count, 5);
}

static void wrong_host_state(void)
{
    start_guest(halter, halter_end);
    enter_with(VMCS_host_tr_selector, 0);
}

static void wrong_guest_state(void)
{
    start_guest(halter, halter_end);
    enter_with(VMCS_guest_cs_access_rights, 0xa08b);
}

/* RFLAGS is a field that strategies with a shadow VMCS have written without an exit. */
static void wrong_after_exit(void)
{
    start_guest(halter, halter_end);
    must(!guest_enter(guest) && vmread(VMCS_exit_reason) == EXIT_REASON_hlt, "the guest does not halt");
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 1);
    enter_with(VMCS_guest_rflags, 0);
}

/* What the machine has, and the core does not offer. */
static void without_core(unsigned long field, uint64_t set)
{
    start_guest(halter, halter_end);
    enter_with(field, vmread(field) | set);
}

static void hidden_vm_functions(void) { without_core(VMCS_secondary_processor_based_controls, PROC2_enable_vm_functions); }

static void hidden_walk_length(void)
{
    start_guest(halter, halter_end);
    enter_with(VMCS_ept_pointer, (vmread(VMCS_ept_pointer) & ~0x38ull) | 4 << 3);       /* 5 levels, less 1 */
}

static void hidden_shutdown(void) { without_core(VMCS_guest_activity_state, ACTIVITY_SHUTDOWN); }

static _Alignas(16) uint64_t msr_area[4];

/* The second of two entries cannot be loaded. */
static void load_msr(unsigned long address, unsigned long count, uint32_t index, uint64_t value)
{
    start_guest(halter, halter_end);
    msr_area[0] = MSR_ia32_pat;
    msr_area[1] = rdmsr(MSR_ia32_pat);
    msr_area[2] = index;
    msr_area[3] = value;
    vmwrite(address, (uintptr_t)msr_area);
    enter_with(count, 2);
}

static void msr_not_loaded(void)
{
    load_msr(VMCS_entry_msr_load_address, VMCS_entry_msr_load_count, MSR_ia32_fs_base, 0);
}

static void msr_value(void)
{
    load_msr(VMCS_entry_msr_load_address, VMCS_entry_msr_load_count, MSR_ia32_pat, 2);
}

static void msr_exchanged(void)
{
    load_msr(VMCS_entry_msr_load_address, VMCS_entry_msr_load_count, 5, MSR_ia32_star);
}

static void host_msr_value(void)
{
    load_msr(VMCS_exit_msr_load_address, VMCS_exit_msr_load_count, MSR_ia32_lstar, 1ull << 62);
}

static void host_msr_stored(void)
{
    load_msr(VMCS_exit_msr_store_address, VMCS_exit_msr_store_count, 0x1234, 0);
}

/* Without EPT, so that the entries are looked for in memory. */
static void ia32e_guest_forgotten(void)
{
    static _Alignas(PAGE) uint64_t table[PAGE / 8] = { 0x103003 };

    start_guest(halter, halter_end);
    vmwrite(VMCS_secondary_processor_based_controls, 0);
    vmwrite(VMCS_guest_cr3, (uintptr_t)table);
    enter_with(VMCS_entry_controls, vmread(VMCS_entry_controls) & ~(uint64_t)ENTRY_ia32e_mode_guest);
}

static void link_pointer_forgotten(void)
{
    start_guest(halter, halter_end);
    enter_with(VMCS_vmcs_link_pointer, 0);
}

/* A VMCS is copied while it is active: what is entered with is what memory shows of it. */
static void copied_while_active(void)
{
    static _Alignas(PAGE) uint8_t copy[PAGE];

    start_guest(halter, halter_end);
    for (unsigned i = 0; i < PAGE; i++)
        copy[i] = ((volatile uint8_t *)guest->vmcs)[i];
    vmptrld((uintptr_t)copy);
    guest_enter(guest);
    vmxoff();
}

/* A cleared VMCS is copied, which is allowed; then one field of the copy is wrong. With `change`, a byte of the copy, too, as memory. */
static void copy_cleared(bool change)
{
    static _Alignas(PAGE) uint8_t copy[PAGE];

    start_guest(halter, halter_end);
    vmclear((uintptr_t)guest->vmcs);
    vmclear((uintptr_t)copy);
    for (unsigned i = 0; i < PAGE; i++)
        copy[i] = ((volatile uint8_t *)guest->vmcs)[i];
    copy[0x50] ^= change ? 0x10 : 0;
    vmptrld((uintptr_t)copy);
    vmwrite(VMCS_guest_cs_access_rights, 0xa090);
    guest_enter(guest);
    vmxoff();
}

static void copied_when_cleared(void) { copy_cleared(false); }
static void changed_as_memory(void) { copy_cleared(true); }

const struct mistake mistakes_of_failed_entries[] = {
    { "wrong-control", wrong_control },
    { "wrong-host-state", wrong_host_state },
    { "wrong-guest-state", wrong_guest_state },
    { "wrong-after-exit", wrong_after_exit },
    { "hidden-vm-functions", hidden_vm_functions },
    { "hidden-walk-length", hidden_walk_length },
    { "hidden-shutdown", hidden_shutdown },
    { "msr-not-loaded", msr_not_loaded },
    { "msr-value", msr_value }, { "msr-exchanged", msr_exchanged },
    { "host-msr-value", host_msr_value },
    { "host-msr-stored", host_msr_stored },
    { "ia32e-guest-forgotten", ia32e_guest_forgotten },
    { "link-pointer-forgotten", link_pointer_forgotten },
    { "copied-while-active", copied_while_active },
    { "copied-when-cleared", copied_when_cleared },
    { "changed-as-memory", changed_as_memory },
    { NULL, NULL },
};
