/* SPDX-License-Identifier: MIT */
/* Failures on purpose: VM-instruction errors (SDM Vol. 3, 31.4) and VM-entry failures (27.8). */
#include "scenarios/guests/turnstile/guests.h"

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/turnstile/transcript.h"

enum { NO_SUCH_FIELD = 0x6ffe };
#define BEYOND_PHYSICAL_MEMORY (1ull << 62)
#define MISC_VMWRITE_ANY_FIELD (1ull << 29)     /* IA32_VMX_MISC: SDM Vol. 3, A.6 */

static _Alignas(PAGE) uint8_t other_vmcs[PAGE];
/* A VM-entry MSR-load list that must fail at its first entry: SDM Vol. 3, Table 25-15, 27.4. */
static _Alignas(16) struct { uint32_t index, reserved; uint64_t value; } msr_list[1] = { { MSR_ia32_fs_base, 0, 0 } };

/* Enters with `field` set to `value`, which must not get into the guest, and puts the old value back. */
static vmx_result enter_with(struct guest *guest, unsigned long field, uint64_t value)
{
    uint64_t before = vmread(field);
    vmx_result result;

    vmwrite(field, value);
    result = guest_enter(guest);
    vmwrite(field, before);
    return result;
}

void provoke_instruction_errors(struct guest *guest)
{
    uint64_t vmcs = (uintptr_t)guest->vmcs, region = (uintptr_t)vmxon_region;
    bool any_field = rdmsr(MSR_ia32_vmx_misc) & MISC_VMWRITE_ANY_FIELD;

    print("-- VM-instruction errors\n");
    check("current VMCS", vmptrst(), vmcs);
    report("VMCALL in root operation", vmcall(), VM_ERROR_vmcall_in_root);
    report("VMXON in root operation", vmxon(region), VM_ERROR_vmxon_in_root);
    report("VMCLEAR of an unaligned address", vmclear(vmcs + 8), VM_ERROR_vmclear_invalid_address);
    report("VMCLEAR beyond the physical address width", vmclear(BEYOND_PHYSICAL_MEMORY),
           VM_ERROR_vmclear_invalid_address);
    report("VMCLEAR of the VMXON region", vmclear(region), VM_ERROR_vmclear_vmxon_pointer);
    report("VMPTRLD of an unaligned address", vmptrld(vmcs + 8), VM_ERROR_vmptrld_invalid_address);
    report("VMPTRLD of the VMXON region", vmptrld(region), VM_ERROR_vmptrld_vmxon_pointer);
    *(uint32_t *)other_vmcs = vmcs_revision() ^ 1;
    report("VMPTRLD of another revision", vmptrld((uintptr_t)other_vmcs), VM_ERROR_vmptrld_wrong_revision);
    check("current VMCS", vmptrst(), vmcs);
    report("VMREAD of no field", vmread_result(NO_SUCH_FIELD), VM_ERROR_unsupported_field);
    report("VMWRITE to no field", vmwrite(NO_SUCH_FIELD, 0), VM_ERROR_unsupported_field);
    check("VMWRITE to a read-only field", (uint64_t)vmwrite(VMCS_exit_qualification, 0),
          any_field ? 0 : VM_ERROR_vmwrite_read_only);
    report("INVEPT of an unknown type", invept(0, guest->eptp), VM_ERROR_invept_invvpid_operand);
    report("INVVPID of an unknown type", invvpid(4, 1, 0), VM_ERROR_invept_invvpid_operand);
    report("INVVPID of VPID 0", invvpid(INVVPID_SINGLE_CONTEXT, 0, 0), VM_ERROR_invept_invvpid_operand);
    report("INVEPT all-context", invept(INVEPT_ALL_CONTEXT, 0), 0);
    report("INVVPID all-context", invvpid(INVVPID_ALL_CONTEXT, 0, 0), 0);

    guest->launched = true;
    report("VMRESUME of a clear VMCS", guest_enter(guest), VM_ERROR_vmresume_not_launched);
    guest->launched = false;
    report("VMLAUNCH after MOV SS", vmlaunch_after_mov_ss(), VM_ERROR_entry_blocked_by_mov_ss);
    report("VMLAUNCH with 5 CR3 targets", enter_with(guest, VMCS_cr3_target_count, 5), VM_ERROR_entry_invalid_control);
    report("VMLAUNCH with host TR 0", enter_with(guest, VMCS_host_tr_selector, 0), VM_ERROR_entry_invalid_host_state);

    check("VMCLEAR", (uint64_t)vmclear(vmcs), 0);
    check("no current VMCS", vmptrst(), ~0ull);
    report("VMLAUNCH without current VMCS", guest_enter(guest), VMX_INVALID);
    report("VMREAD without current VMCS", vmread_result(VMCS_guest_rip), VMX_INVALID);
    report("VMPTRLD of an unaligned address without current VMCS", vmptrld(vmcs + 8), VMX_INVALID);
    report("VMPTRLD", vmptrld(vmcs), 0);
}

void provoke_entry_failures(struct guest *guest)
{
    uint64_t system_segment = vmread(VMCS_guest_cs_access_rights) & ~(uint64_t)AR_S;

    print("-- VM-entry failures\n");
    check("VM entry", (uint64_t)enter_with(guest, VMCS_guest_cs_access_rights, system_segment), 0);
    report_entry_failure("guest CS a system segment", EXIT_REASON_entry_failure_guest_state, 0);
    check("VM entry", (uint64_t)enter_with(guest, VMCS_guest_rflags, 0), 0);
    report_entry_failure("guest RFLAGS without bit 1", EXIT_REASON_entry_failure_guest_state, 0);
    check("VM entry", (uint64_t)enter_with(guest, VMCS_vmcs_link_pointer, (uintptr_t)other_vmcs + 8), 0);
    report_entry_failure("VMCS link pointer unaligned", EXIT_REASON_entry_failure_guest_state, 4);
    vmwrite(VMCS_entry_msr_load_address, (uintptr_t)msr_list);
    check("VM entry", (uint64_t)enter_with(guest, VMCS_entry_msr_load_count, 1), 0);
    report_entry_failure("IA32_FS_BASE in the MSR list", EXIT_REASON_entry_failure_msr_loading, 1);
}
