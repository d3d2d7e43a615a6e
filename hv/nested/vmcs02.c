/* SPDX-License-Identifier: MIT */
/* The VMCS on which L2 runs: L1's vmcs12, with L0's needs. Which field goes how: field_classes.def. */
#include "hv/core.h"

struct carried_state carried_state(const struct hv_cpu *cpu)
{
    const bool debug = VMCS12(cpu, entry_controls) & ENTRY_load_debug_controls;
    struct carried_state state = { .efer = vmread(VMCS_guest_ia32_efer), .pat = vmread(VMCS_guest_ia32_pat) };

    if (!debug) {
        state.dr7 = vmread(VMCS_guest_dr7);
        state.debugctl = vmread(VMCS_guest_ia32_debugctl);
    }
    return state;
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

static void to_hardware(const struct hv_cpu *cpu, unsigned field)
{
    vmcs12_to_hardware(cpu->nested.vmcs12, field);
}

static void from_hardware(struct hv_cpu *cpu, unsigned field)
{
    vmcs12_from_hardware(cpu->nested.vmcs12, field);
}

static bool is(const struct hv_cpu *cpu, unsigned field, enum field_class class)
{
    return field_table[field].class == class && field_offered(&cpu->machine->offered, (enum field_index)field);
}

void vmcs02_write_verbatim(struct hv_cpu *cpu, bool late)
{
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if ((is(cpu, i, CLASS_GUEST) || is(cpu, i, CLASS_CONTROL_VERBATIM)) && (late || field_table[i].copy != COPY_L))
            to_hardware(cpu, i);
}

/* Exit information comes from the record of the exit: reflect.c. */
void vmcs02_save_verbatim(struct hv_cpu *cpu)
{
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (is(cpu, i, CLASS_GUEST) && field_table[i].copy != COPY_L)
            from_hardware(cpu, i);
    VMCS12(cpu, entry_interruption_information) &= ~(uint64_t)INTERRUPTION_VALID;
}

void vmcs02_save_late(struct hv_cpu *cpu)
{
    for (unsigned i = 0; i < FIELD_COUNT; i++)
        if (is(cpu, i, CLASS_GUEST) && field_table[i].copy == COPY_L)
            from_hardware(cpu, i);
}

void vmcs02_keep(struct hv_cpu *cpu, enum kept_control control, enum vmcs_encoding field, uint64_t value)
{
    struct hardware_vmcs *vmcs = cpu->vmcs02;

    if (vmcs->kept_known[control] && vmcs->kept[control] == value)
        return;
    vmwrite(field, value);
    vmcs->kept[control] = value;
    vmcs->kept_known[control] = true;
}

uint32_t vmcs02_processor_based_controls(const struct hv_cpu *cpu)
{
    return control_adjust(cpu->machine->physical.proc,
                          VMCS12_32(cpu, processor_based_controls) | PROC_activate_secondary_controls);
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

void vmcs02_write_controls(struct hv_cpu *cpu, vmcs_writer *write)
{
    const struct capability *c = &cpu->machine->physical;
    const struct entry_plan *plan = &cpu->nested.plan;
    const uint32_t entry = VMCS12_32(cpu, entry_controls) & ENTRY_ia32e_mode_guest;

    vmcs02_keep(cpu, KEPT_PIN, VMCS_pin_based_controls, control_adjust(c->pin, VMCS12_32(cpu, pin_based_controls)));
    vmcs02_keep(cpu, KEPT_PROC2, VMCS_secondary_processor_based_controls,
                control_adjust(c->proc2, vmcs12_secondary(cpu) | PROC2_enable_ept | PROC2_enable_vpid));
    vmcs02_keep(cpu, KEPT_EXIT, VMCS_exit_controls, exit_controls(cpu));
    write(VMCS_entry_controls, control_adjust(c->entry, entry | ENTRY_load_debug_controls | ENTRY_load_ia32_efer |
                                                            ENTRY_load_ia32_pat));
    vmcs02_keep(cpu, KEPT_VPID, VMCS_virtual_processor_identifier, plan->vpid);
    vmcs02_keep(cpu, KEPT_EPTP, VMCS_ept_pointer, plan->eptp);
    if (VMCS12(cpu, processor_based_controls) & PROC_use_io_bitmaps) {
        vmcs02_keep(cpu, KEPT_IO_A, VMCS_io_bitmap_a_address, plan->io_bitmap_a.value);
        vmcs02_keep(cpu, KEPT_IO_B, VMCS_io_bitmap_b_address, plan->io_bitmap_b.value);
    }
    if (VMCS12(cpu, processor_based_controls) & PROC_use_tpr_shadow)
        vmcs02_keep(cpu, KEPT_VIRTUAL_APIC, VMCS_virtual_apic_address, plan->virtual_apic.value);
    write(VMCS_entry_msr_load_count, plan->msr_count);
}

/* SDM Vol. 3, 27.3.2.1: without "load IA32_EFER" LMA follows "IA-32e mode guest", and LME too if paging is on. */
static uint64_t entry_efer(const struct hv_cpu *cpu)
{
    const uint64_t controls = VMCS12(cpu, entry_controls);
    uint64_t efer = cpu->nested.plan.carried.efer & ~EFER_LMA;

    if (controls & ENTRY_load_ia32_efer)
        return VMCS12(cpu, guest_ia32_efer);
    if (VMCS12(cpu, guest_cr0) & CR0_PG)
        efer &= ~EFER_LME;
    return efer | (controls & ENTRY_ia32e_mode_guest ? EFER_LMA | EFER_LME : 0);
}

/* Without EPT of L1's, PAE paging takes the PDPTEs from memory at each entry; hardware judges them (27.3.1.6). */
void vmcs02_write_conditional(struct hv_cpu *cpu, vmcs_writer *write)
{
    const struct carried_state *carried = &cpu->nested.plan.carried;
    const uint64_t controls = VMCS12(cpu, entry_controls);
    const bool debug = controls & ENTRY_load_debug_controls, pat = controls & ENTRY_load_ia32_pat;

    write(VMCS_guest_dr7, debug ? VMCS12(cpu, guest_dr7) : carried->dr7);
    write(VMCS_guest_ia32_debugctl, debug ? VMCS12(cpu, guest_ia32_debugctl) : carried->debugctl);
    write(VMCS_guest_ia32_pat, pat ? VMCS12(cpu, guest_ia32_pat) : carried->pat);
    write(VMCS_guest_ia32_efer, entry_efer(cpu));
    if (VMCS12(cpu, pin_based_controls) & PIN_activate_preemption_timer)
        to_hardware(cpu, FIELD_preemption_timer_value);
    if (controls & ENTRY_ia32e_mode_guest)      /* no PDPTEs */
        return;
    if (vmcs12_ept(cpu))
        for (unsigned i = FIELD_guest_pdpte0; i <= FIELD_guest_pdpte3; i++)
            write((enum vmcs_encoding)field_table[i].encoding, cpu->nested.vmcs12->field[i]);
    else if (VMCS12(cpu, guest_cr0) & CR0_PG && VMCS12(cpu, guest_cr4) & CR4_PAE)
        pdptes_copy(cpu->machine, VMCS12(cpu, guest_cr3));
}

void vmcs02_save_conditional(struct hv_cpu *cpu)
{
    const uint64_t controls = VMCS12(cpu, exit_controls), mode = vmread(VMCS_entry_controls) & ENTRY_ia32e_mode_guest;

    if (controls & EXIT_save_debug_controls) {
        from_hardware(cpu, FIELD_guest_dr7);
        from_hardware(cpu, FIELD_guest_ia32_debugctl);
    }
    if (controls & EXIT_save_ia32_pat)
        from_hardware(cpu, FIELD_guest_ia32_pat);
    if (controls & EXIT_save_ia32_efer)
        from_hardware(cpu, FIELD_guest_ia32_efer);
    if (controls & EXIT_save_preemption_timer)
        from_hardware(cpu, FIELD_preemption_timer_value);
    if (vmcs12_ept(cpu) && !mode)               /* without PAE paging their values are undefined (28.3.4) */
        for (unsigned i = FIELD_guest_pdpte0; i <= FIELD_guest_pdpte3; i++)
            from_hardware(cpu, i);
    /* IA32_VMX_MISC[5]: exits store EFER.LMA in "IA-32e mode guest" (SDM Vol. 3, 28.2). */
    VMCS12(cpu, entry_controls) = (VMCS12(cpu, entry_controls) & ~(uint64_t)ENTRY_ia32e_mode_guest) | mode;
}
