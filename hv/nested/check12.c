/* SPDX-License-Identifier: MIT */
/*
 * Checks of vmcs12 at L1's VM entry that hardware cannot make on vmcs02: of fields it never sees, or sees merged (SDM
 * Vol. 3, 27.2, 27.3.1). All others it makes, and its refusal becomes L1's: event injection, NMI controls, CR3-target
 * count, guest state.
 */
#include "hv/core.h"

static bool all(const bool *row, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (!row[i])
            return false;
    return true;
}

static bool within(const struct hv_cpu *cpu, uint64_t address)
{
    return !(address >> cpu->machine->physical_address_width);
}

static bool page_ok(const struct hv_cpu *cpu, uint64_t address)
{
    return !(address & PAGE_OFFSET) && within(cpu, address);
}

/* 27.2.1.2: the list is 16-byte aligned, and its last byte exists. */
static bool area_ok(const struct hv_cpu *cpu, uint64_t address, uint64_t count)
{
    return !count || (!(address & 15) && within(cpu, address) && within(cpu, address + count * 16 - 1));
}

/* 27.2.1. Ownership needs no row: what is not L1's is absent memory to it (memory.c). */
bool check12_controls(const struct hv_cpu *cpu)
{
    const struct capability *c = &cpu->machine->offered;
    const uint32_t pin = VMCS12_32(cpu, pin_based_controls), proc = VMCS12_32(cpu, processor_based_controls);
    const uint32_t proc2 = vmcs12_secondary(cpu), exit = VMCS12_32(cpu, exit_controls);
    const bool row[] = {
        control_legal(c->pin, pin),
        control_legal(c->proc, proc),
        !(proc & PROC_activate_secondary_controls) || control_legal(c->proc2, proc2),
        control_legal(c->exit, exit),
        control_legal(c->entry, VMCS12_32(cpu, entry_controls)),
        !(proc & PROC_use_io_bitmaps) || page_ok(cpu, VMCS12(cpu, io_bitmap_a_address)),
        !(proc & PROC_use_io_bitmaps) || page_ok(cpu, VMCS12(cpu, io_bitmap_b_address)),
        !(proc & PROC_use_msr_bitmaps) || page_ok(cpu, VMCS12(cpu, msr_bitmap_address)),
        !(proc & PROC_use_tpr_shadow) || page_ok(cpu, VMCS12(cpu, virtual_apic_address)),
        !(proc2 & PROC2_enable_vpid) || VMCS12(cpu, virtual_processor_identifier),
        !(proc2 & PROC2_enable_ept) ||
            eptp_valid(c, cpu->machine->physical_address_width, VMCS12(cpu, ept_pointer)),
        !(proc2 & PROC2_unrestricted_guest) || proc2 & PROC2_enable_ept,
        !(proc2 & PROC2_mode_based_execute_control) || proc2 & PROC2_enable_ept,
        !(exit & EXIT_save_preemption_timer) || pin & PIN_activate_preemption_timer,
        area_ok(cpu, VMCS12(cpu, exit_msr_store_address), VMCS12(cpu, exit_msr_store_count)),
        area_ok(cpu, VMCS12(cpu, exit_msr_load_address), VMCS12(cpu, exit_msr_load_count)),
        area_ok(cpu, VMCS12(cpu, entry_msr_load_address), VMCS12(cpu, entry_msr_load_count)),
    };

    return all(row, sizeof row / sizeof *row);
}

/* 27.2.2: host control registers and MSRs. */
static bool host_registers(const struct hv_cpu *cpu)
{
    const struct capability *c = &cpu->machine->offered;
    const uint64_t cr0 = VMCS12(cpu, host_cr0), cr4 = VMCS12(cpu, host_cr4), exit = VMCS12(cpu, exit_controls);
    const uint64_t efer = VMCS12(cpu, host_ia32_efer);
    const bool host64 = exit & EXIT_host_address_space_size, loads_efer = exit & EXIT_load_ia32_efer;
    const bool row[] = {
        !(c->cr0_fixed0 & ~cr0) && !(cr0 & ~c->cr0_fixed1),
        !(c->cr4_fixed0 & ~cr4) && !(cr4 & ~c->cr4_fixed1),
        !(cr4 & CR4_CET) || cr0 & CR0_WP,
        within(cpu, VMCS12(cpu, host_cr3)),
        canonical_in_register(cpu, VMCS12(cpu, host_ia32_sysenter_esp)),
        canonical_in_register(cpu, VMCS12(cpu, host_ia32_sysenter_eip)),
        !(exit & EXIT_load_ia32_pat) || pat_valid(VMCS12(cpu, host_ia32_pat)),
        !loads_efer || !(efer & ~cpu->machine->efer_allowed),
        !loads_efer || !!(efer & EFER_LMA) == host64,
        !loads_efer || !!(efer & EFER_LME) == host64,
    };

    return all(row, sizeof row / sizeof *row);
}

/* 27.2.3: host segment and descriptor-table registers. */
static bool host_segments(const struct hv_cpu *cpu)
{
    const uint64_t selectors = VMCS12(cpu, host_es_selector) | VMCS12(cpu, host_cs_selector) |
                               VMCS12(cpu, host_ss_selector) | VMCS12(cpu, host_ds_selector) |
                               VMCS12(cpu, host_fs_selector) | VMCS12(cpu, host_gs_selector) |
                               VMCS12(cpu, host_tr_selector);
    const bool host64 = VMCS12(cpu, exit_controls) & EXIT_host_address_space_size;
    const bool row[] = {
        !(selectors & 7),
        VMCS12(cpu, host_cs_selector),
        VMCS12(cpu, host_tr_selector),
        host64 || VMCS12(cpu, host_ss_selector),
        canonical_in_register(cpu, VMCS12(cpu, host_fs_base)),
        canonical_in_register(cpu, VMCS12(cpu, host_gs_base)),
        canonical_in_register(cpu, VMCS12(cpu, host_gdtr_base)),
        canonical_in_register(cpu, VMCS12(cpu, host_idtr_base)),
        canonical_in_register(cpu, VMCS12(cpu, host_tr_base)),
    };

    return all(row, sizeof row / sizeof *row);
}

/* 27.2.4: address-space size, and L1's own mode. */
static bool host_size(const struct hv_cpu *cpu)
{
    const bool host64 = VMCS12(cpu, exit_controls) & EXIT_host_address_space_size;
    const bool guest64 = VMCS12(cpu, entry_controls) & ENTRY_ia32e_mode_guest;
    const bool now64 = cpu->nested.plan.carried.efer & EFER_LMA;
    const uint64_t cr4 = VMCS12(cpu, host_cr4), rip = VMCS12(cpu, host_rip);

    if (host64 != now64 || (guest64 && !host64))
        return false;
    return host64 ? cr4 & CR4_PAE && canonical_under(cr4, rip) : !(cr4 & CR4_PCIDE) && !(rip >> 32);
}

bool check12_host_state(const struct hv_cpu *cpu)
{
    return host_registers(cpu) && host_segments(cpu) && host_size(cpu);
}

/* 27.3.1.5: activity states are those that L1 is offered; the link pointer names an ordinary VMCS, if any. */
bool check12_guest_state(const struct hv_cpu *cpu, uint64_t *qualification)
{
    const uint64_t activity = VMCS12(cpu, guest_activity_state), link = VMCS12(cpu, vmcs_link_pointer);
    const uint64_t misc = cpu->machine->offered.misc;
    const bool activity_ok = activity == ACTIVITY_ACTIVE || (activity == ACTIVITY_HLT && misc & MISC_ACTIVITY_HLT) ||
                             (activity == ACTIVITY_WAIT_FOR_SIPI && misc & MISC_ACTIVITY_WAIT_FOR_SIPI);

    *qualification = activity_ok ? 4 : 0;
    return activity_ok && (link == ~0ull || (page_ok(cpu, link) && link != cpu->nested.current &&
                                             l1_read_revision(cpu->machine, link) == VMCS12_REVISION));
}
