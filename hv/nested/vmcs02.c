/* SPDX-License-Identifier: MIT */
/* The VMCS on which L2 runs: L1's vmcs12, with L0's needs. Which field goes how: field_classes.def. */
#include "hv/core.h"

#include "hv/nested/shadow.h"

void carry_state(struct hv_cpu *cpu)
{
    struct carried_state *state = &cpu->nested.plan.carried;

    state->efer = vmread(VMCS_guest_ia32_efer);
    state->pat = vmread(VMCS_guest_ia32_pat);
    if (!(VMCS12(cpu, entry_controls) & ENTRY_load_debug_controls)) {
        state->dr7 = vmread(VMCS_guest_dr7);
        state->debugctl = vmread(VMCS_guest_ia32_debugctl);
    }
}

void vmcs02_prepare(struct hv_cpu *cpu)
{
    const struct nested *n = &cpu->nested;

    vmcs_write_host_state(cpu);
    vmwrite(VMCS_msr_bitmap_address, n->msr_bitmap.value);
    vmwrite(VMCS_entry_msr_load_address, n->entry_msr_area.value);
    vmwrite(VMCS_exit_msr_store_count, 0);
    vmwrite(VMCS_exit_msr_load_count, 0);
    vmwrite(VMCS_vmcs_link_pointer, ~0ull);
}

void vmcs12_to_hardware(const struct vmcs12 *vmcs12, unsigned field)
{
    vmwrite((enum vmcs_encoding)field_table[field].encoding, vmcs12->field[field]);
}

void vmcs12_from_hardware(struct vmcs12 *vmcs12, unsigned field)
{
    vmcs12->field[field] = vmread((enum vmcs_encoding)field_table[field].encoding);
}

void fields_to_hardware(const struct hv_cpu *cpu, const struct vmcs12 *vmcs12, enum field_set_id id)
{
    const struct field_set *set = &cpu->machine->field_set[id];

    for (const struct field_row *row = set->row, *end = row + set->count; row < end; row++)
        vmwrite((enum vmcs_encoding)row->encoding, vmcs12->field[row->field]);
}

void fields_from_hardware(const struct hv_cpu *cpu, struct vmcs12 *vmcs12, enum field_set_id id)
{
    const struct field_set *set = &cpu->machine->field_set[id];

    for (const struct field_row *row = set->row, *end = row + set->count; row < end; row++)
        vmcs12->field[row->field] = vmread((enum vmcs_encoding)row->encoding);
}

void vmcs02_found(struct hv_cpu *cpu, enum kept_field kept, uint64_t value)
{
    cpu->vmcs02->kept[kept] = value;
    cpu->vmcs02->kept_known[kept] = true;
}

void vmcs02_keep(struct hv_cpu *cpu, enum kept_field kept, enum vmcs_encoding field, uint64_t value)
{
    const struct hardware_vmcs *vmcs = cpu->vmcs02;

    if (vmcs->kept_known[kept] && vmcs->kept[kept] == value)
        return;
    vmwrite(field, value);
    vmcs02_found(cpu, kept, value);
}

uint32_t vmcs02_processor_based_controls(const struct hv_cpu *cpu)
{
    return control_adjust(cpu->machine->physical.proc,
                          VMCS12_32(cpu, processor_based_controls) | PROC_activate_secondary_controls |
                          (virtual_apic_absent(cpu) ? PROC_cr8_load_exiting : 0));
}

uint32_t vmcs02_entry_controls(const struct hv_cpu *cpu)
{
    return control_adjust(cpu->machine->physical.entry,
                          (VMCS12_32(cpu, entry_controls) & ENTRY_ia32e_mode_guest) | ENTRY_load_debug_controls |
                          ENTRY_load_ia32_efer | ENTRY_load_ia32_pat);
}

/* The exit goes to L0 with its host state; it must not lose what L2 had, whatever L1 wants saved. */
static uint32_t exit_controls(const struct hv_cpu *cpu)
{
    uint32_t controls = EXIT_host_address_space_size | EXIT_save_debug_controls | EXIT_save_ia32_efer |
                        EXIT_load_ia32_efer | EXIT_save_ia32_pat | EXIT_load_ia32_pat;

    controls |= VMCS12_32(cpu, exit_controls) & EXIT_acknowledge_interrupt_on_exit;
    if (VMCS12(cpu, pin_based_controls) & PIN_activate_preemption_timer)
        controls |= EXIT_save_preemption_timer;     /* exits that L0 handles must not restart it */
    return control_adjust(cpu->machine->physical.exit, controls);
}

static void write_pages(struct hv_cpu *cpu)
{
    const struct settled *settled = &cpu->nested.vmcs12->settled;

    if (VMCS12(cpu, processor_based_controls) & PROC_use_io_bitmaps) {
        vmcs02_keep(cpu, KEPT_IO_A, VMCS_io_bitmap_a_address, settled->io_bitmap_a.value);
        vmcs02_keep(cpu, KEPT_IO_B, VMCS_io_bitmap_b_address, settled->io_bitmap_b.value);
    }
    if (VMCS12(cpu, processor_based_controls) & PROC_use_tpr_shadow)
        vmcs02_keep(cpu, KEPT_VIRTUAL_APIC, VMCS_virtual_apic_address, settled->virtual_apic.value);
}

void vmcs02_choose_pages(struct hv_cpu *cpu)
{
    bitmap_choose(cpu);
    virtual_apic_choose(cpu);
    write_pages(cpu);
    shadow_controls(cpu, vmcs02_processor_based_controls(cpu) | nmi_controls(cpu));
}

/* Where nothing is settled, or another vmcs12's is in hardware. */
static void write_settled(struct hv_cpu *cpu)
{
    const struct capability *c = &cpu->machine->physical;

    vmcs02_keep(cpu, KEPT_PIN, VMCS_pin_based_controls, control_adjust(c->pin, VMCS12_32(cpu, pin_based_controls)));
    vmcs02_keep(cpu, KEPT_PROC2, VMCS_secondary_processor_based_controls,
                control_adjust(c->proc2, vmcs12_secondary(cpu) | PROC2_enable_ept | PROC2_enable_vpid));
    vmcs02_keep(cpu, KEPT_EXIT, VMCS_exit_controls, exit_controls(cpu));
    write_pages(cpu);
}

void vmcs02_write_controls(struct hv_cpu *cpu)
{
    const struct entry_plan *plan = &cpu->nested.plan;

    if (!plan->settled || !cpu->vmcs02->kept_known[KEPT_PIN])
        write_settled(cpu);
    vmcs02_keep(cpu, KEPT_ENTRY, VMCS_entry_controls, cpu->nested.vmcs12->settled.entry02);
    vmcs02_keep(cpu, KEPT_VPID, VMCS_virtual_processor_identifier, plan->vpid);
    vmcs02_keep(cpu, KEPT_EPTP, VMCS_ept_pointer, plan->eptp);
    vmcs02_keep(cpu, KEPT_MSR_COUNT, VMCS_entry_msr_load_count, plan->msr_count);
}

/*
 * SDM Vol. 3, 27.3.2.1: without "load IA32_EFER" LMA follows "IA-32e mode guest", and LME too if paging is on, as it is in
 * IA-32e mode.
 */
static uint64_t entry_efer(const struct hv_cpu *cpu)
{
    const uint64_t controls = VMCS12(cpu, entry_controls);
    uint64_t efer = cpu->nested.plan.carried.efer & ~EFER_LMA;

    if (controls & ENTRY_load_ia32_efer)
        return VMCS12(cpu, guest_ia32_efer);
    if (controls & ENTRY_ia32e_mode_guest)
        return efer | EFER_LMA | EFER_LME;
    return VMCS12(cpu, guest_cr0) & CR0_PG ? efer & ~EFER_LME : efer;
}

bool vmcs02_conditional_stays(const struct hv_cpu *cpu)
{
    const uint64_t saved = VMCS12(cpu, exit_controls), loaded = VMCS12(cpu, entry_controls);

    return (!(saved & EXIT_save_debug_controls) || loaded & ENTRY_load_debug_controls) &&
           (!(saved & EXIT_save_ia32_pat) || loaded & ENTRY_load_ia32_pat) &&
           (!(saved & EXIT_save_ia32_efer) || loaded & ENTRY_load_ia32_efer);
}

/* Without EPT of L1's, PAE paging takes the PDPTEs from memory at each entry; hardware judges them (27.3.1.6). */
static void write_pdptes(struct hv_cpu *cpu, bool late, vmcs_writer *write)
{
    const struct vmcs12 *vmcs12 = cpu->nested.vmcs12;

    if (vmcs12_ept(cpu)) {
        for (unsigned i = FIELD_guest_pdpte0; i <= FIELD_guest_pdpte3 && !late; i++)
            write((enum vmcs_encoding)field_table[i].encoding, vmcs12->field[i]);
    } else if (VMCS12(cpu, guest_cr0) & CR0_PG && VMCS12(cpu, guest_cr4) & CR4_PAE) {
        pdptes_copy(cpu->machine, VMCS12(cpu, guest_cr3));
    }
}

void vmcs02_write_conditional(struct hv_cpu *cpu, vmcs_writer *write)
{
    const struct carried_state *carried = &cpu->nested.plan.carried;
    const uint64_t controls = VMCS12(cpu, entry_controls), saved = VMCS12(cpu, exit_controls);
    const bool debug = controls & ENTRY_load_debug_controls, pat = controls & ENTRY_load_ia32_pat;
    const bool late = cpu->nested.vmcs12->late;

    if (!late || !(saved & EXIT_save_debug_controls)) {
        write(VMCS_guest_dr7, debug ? VMCS12(cpu, guest_dr7) : carried->dr7);
        write(VMCS_guest_ia32_debugctl, debug ? VMCS12(cpu, guest_ia32_debugctl) : carried->debugctl);
    }
    if (!late || !(saved & EXIT_save_ia32_pat))
        write(VMCS_guest_ia32_pat, pat ? VMCS12(cpu, guest_ia32_pat) : carried->pat);
    if (!late || !(saved & EXIT_save_ia32_efer))
        vmcs02_keep(cpu, KEPT_EFER, VMCS_guest_ia32_efer, entry_efer(cpu));
    if (VMCS12(cpu, pin_based_controls) & PIN_activate_preemption_timer)
        vmcs12_to_hardware(cpu->nested.vmcs12, FIELD_preemption_timer_value);
    if (!(controls & ENTRY_ia32e_mode_guest))
        write_pdptes(cpu, late, write);
}

/*
 * IA32_VMX_MISC[5]: exits store EFER.LMA in "IA-32e mode guest" (SDM Vol. 3, 28.2); and they clear the valid bit of the
 * VM-entry interruption information.
 */
void vmcs02_save_mode(struct hv_cpu *cpu)
{
    const uint64_t controls = vmread(VMCS_entry_controls), mode = ENTRY_ia32e_mode_guest;

    vmcs02_found(cpu, KEPT_ENTRY, controls);
    VMCS12(cpu, entry_controls) = (VMCS12(cpu, entry_controls) & ~mode) | (controls & mode);
    VMCS12(cpu, entry_interruption_information) &= ~(uint64_t)INTERRUPTION_VALID;
    if (VMCS12(cpu, exit_controls) & EXIT_save_preemption_timer)
        vmcs12_from_hardware(cpu->nested.vmcs12, FIELD_preemption_timer_value);
}

void vmcs02_save_conditional(struct vmcs12 *vmcs12)
{
    const uint64_t controls = vmcs12->field[FIELD_exit_controls];
    const bool ia32e = vmcs12->field[FIELD_entry_controls] & ENTRY_ia32e_mode_guest;

    vmcs12->late = false;
    if (controls & EXIT_save_debug_controls) {
        vmcs12_from_hardware(vmcs12, FIELD_guest_dr7);
        vmcs12_from_hardware(vmcs12, FIELD_guest_ia32_debugctl);
    }
    if (controls & EXIT_save_ia32_pat)
        vmcs12_from_hardware(vmcs12, FIELD_guest_ia32_pat);
    if (controls & EXIT_save_ia32_efer)
        vmcs12_from_hardware(vmcs12, FIELD_guest_ia32_efer);
    if (vmcs12_uses_ept(vmcs12) && !ia32e)      /* without PAE paging their values are undefined (28.3.4) */
        for (unsigned i = FIELD_guest_pdpte0; i <= FIELD_guest_pdpte3; i++)
            vmcs12_from_hardware(vmcs12, i);
}
