/* SPDX-License-Identifier: MIT */
/* The VMCS on which L1 runs: as few intercepts as the architecture and safety allow. */
#include "hv/core.h"

/* Secondary controls without which instructions of L1 would be #UD. */
#define PROC2_PASSED                                                                                                \
    (PROC2_enable_rdtscp | PROC2_enable_invpcid | PROC2_enable_xsaves_xrstors | PROC2_enable_user_wait_and_pause)

static void write_controls(const struct hv_cpu *cpu)
{
    const struct hv_machine *m = cpu->machine;
    const struct capability *c = &m->physical;

    vmwrite(VMCS_pin_based_controls, control_adjust(c->pin, 0));
    vmwrite(VMCS_processor_based_controls,
            control_adjust(c->proc, PROC_use_msr_bitmaps | PROC_activate_secondary_controls));
    vmwrite(VMCS_secondary_processor_based_controls,
            control_adjust(c->proc2, PROC2_enable_ept | PROC2_enable_vpid | PROC2_unrestricted_guest | PROC2_PASSED));
    vmwrite(VMCS_exit_controls,
            control_adjust(c->exit, EXIT_host_address_space_size | EXIT_save_debug_controls | EXIT_save_ia32_efer |
                                    EXIT_load_ia32_efer | EXIT_save_ia32_pat | EXIT_load_ia32_pat));
    vmwrite(VMCS_exception_bitmap, 0);
    vmwrite(VMCS_page_fault_error_code_mask, 0);
    vmwrite(VMCS_page_fault_error_code_match, 0);
    vmwrite(VMCS_cr3_target_count, 0);
    vmwrite(VMCS_exit_msr_store_count, 0);
    vmwrite(VMCS_exit_msr_load_count, 0);
    vmwrite(VMCS_entry_msr_load_count, 0);
    vmwrite(VMCS_entry_interruption_information, 0);
    vmwrite(VMCS_msr_bitmap_address, m->msr_bitmap01.value);
    vmwrite(VMCS_virtual_processor_identifier, VPID_L1);
    vmwrite(VMCS_ept_pointer, ept_pointer(&m->ept01));
    vmwrite(VMCS_vmcs_link_pointer, ~0ull);
    if (c->proc2.allowed & PROC2_enable_xsaves_xrstors)
        vmwrite(VMCS_xss_exiting_bitmap, 0);
}

void vmcs01_set_long_mode(struct hv_cpu *cpu, bool long_mode)
{
    vmwrite(VMCS_entry_controls,
          control_adjust(cpu->machine->physical.entry, ENTRY_load_debug_controls | ENTRY_load_ia32_efer |
                         ENTRY_load_ia32_pat | (long_mode ? ENTRY_ia32e_mode_guest : 0)));
}

/*
 * VMX operation fixes bits of CR0 and CR4 (SDM Vol. 3, 24.8): NE and VMXE are set whatever L1 believes. PE and PG are
 * free thanks to "unrestricted guest", but not while L1 itself is in VMX operation.
 */
void vmcs01_update_masks(struct hv_cpu *cpu)
{
    const struct capability *c = &cpu->machine->physical;
    uint64_t fixed0 = c->cr0_fixed0 & ~(CR0_PE | CR0_PG);
    uint64_t cr0 = guest_visible_cr0(), cr4 = guest_visible_cr4();

    if (cpu->nested.on)
        fixed0 |= c->cr0_fixed0;
    vmwrite(VMCS_cr0_guest_host_mask, fixed0);
    vmwrite(VMCS_cr0_read_shadow, cr0);
    vmwrite(VMCS_cr4_guest_host_mask, c->cr4_fixed0 | (c->cr4_fixed1 & ~cpu->machine->offered.cr4_fixed1));
    vmwrite(VMCS_cr4_read_shadow, cr4);
}

static void write_real_segment(enum segment_register segment, uint16_t selector, uint64_t base, uint32_t access_rights)
{
    vmcs_write_segment(segment, (struct hal_guest_segment){ selector, access_rights, 0xffff, base });
}

/* A TR that software has not loaded yet: a busy 32-bit TSS, the one type that is legal in every mode (27.3.1.2). */
static void write_unloaded_tr(void)
{
    write_real_segment(SEG_TR, 0, 0, 0xb | AR_PRESENT);
}

void vmcs01_build(struct hv_cpu *cpu, const struct hal_capture *s)
{
    const struct capability *c = &cpu->machine->physical;

    vmcs_write_host_state(cpu);
    write_controls(cpu);
    cpu->vmcs01.nmi_window = false;
    vmcs01_set_long_mode(cpu, s->efer & EFER_LMA);
    vmwrite(VMCS_guest_cr0, s->cr0 | (c->cr0_fixed0 & ~(CR0_PE | CR0_PG)));
    vmwrite(VMCS_guest_cr4, s->cr4 | c->cr4_fixed0);
    vmwrite(VMCS_cr0_guest_host_mask, ~0ull);   /* what is visible now: the captured values */
    vmwrite(VMCS_cr4_guest_host_mask, ~0ull);
    vmwrite(VMCS_cr0_read_shadow, s->cr0);
    vmwrite(VMCS_cr4_read_shadow, s->cr4);
    vmcs01_update_masks(cpu);
    vmwrite(VMCS_guest_cr3, s->cr3);
    vmwrite(VMCS_guest_dr7, s->dr7);
    vmwrite(VMCS_guest_ia32_debugctl, s->debugctl);
    vmwrite(VMCS_guest_ia32_efer, s->efer);
    vmwrite(VMCS_guest_ia32_pat, s->pat);
    vmwrite(VMCS_guest_ia32_sysenter_cs, s->sysenter_cs);
    vmwrite(VMCS_guest_ia32_sysenter_esp, s->sysenter_esp);
    vmwrite(VMCS_guest_ia32_sysenter_eip, s->sysenter_eip);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        vmcs_write_segment((enum segment_register)i, s->segment[i]);
    if (!s->segment[SEG_TR].selector)
        write_unloaded_tr();
    vmwrite(VMCS_guest_gdtr_base, s->gdtr.base);
    vmwrite(VMCS_guest_gdtr_limit, s->gdtr.limit);
    vmwrite(VMCS_guest_idtr_base, s->idtr.base);
    vmwrite(VMCS_guest_idtr_limit, s->idtr.limit);
    vmwrite(VMCS_guest_rip, s->rip);
    vmwrite(VMCS_guest_rsp, s->rsp);
    vmwrite(VMCS_guest_rflags, s->rflags);
    vmwrite(VMCS_guest_interruptibility_state, 0);
    vmwrite(VMCS_guest_pending_debug_exceptions, 0);
    vmwrite(VMCS_guest_activity_state, s->activity);
    cpu->waits_for_sipi = s->activity == ACTIVITY_WAIT_FOR_SIPI;
    cpu->registers = s->registers;
    if (s->cr0 & CR0_PG && s->cr4 & CR4_PAE && !(s->efer & EFER_LMA) && !pdptes_load(cpu->machine, s->cr3))
        hal_fail_stop("the captured guest's PDPTEs are invalid");
}

#define DR6_AFTER_INIT 0xffff0ff0ull

/*
 * SDM Vol. 3, 10.1.1, Table 10-1, column INIT. CR0.CD and NW, XCR0 and most MSRs stay as they were; NMIs that wait are gone. The bootstrap processor goes on at
 * FFFFFFF0H, in its firmware, others wait for a SIPI (9.4.1).
 */
void vmcs01_init(struct hv_cpu *cpu)
{
    const struct capability *c = &cpu->machine->physical;
    uint64_t cr0 = CR0_ET | (vmread(VMCS_guest_cr0) & (CR0_CD | CR0_NW)), base;

    cpu->waits_for_sipi = !hal_rdmsr(MSR_ia32_apic_base, &base) || !(base & APIC_BASE_BSP);

    write_real_segment(SEG_CS, 0xf000, 0xffff0000, 0xb | AR_S | AR_PRESENT);
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        if (i != SEG_CS)
            write_real_segment((enum segment_register)i, 0, 0, 3 | AR_S | AR_PRESENT);
    write_real_segment(SEG_LDTR, 0, 0, 2 | AR_PRESENT);
    write_unloaded_tr();
    vmcs01_set_long_mode(cpu, false);
    vmwrite(VMCS_guest_cr0, cr0 | (c->cr0_fixed0 & ~(CR0_PE | CR0_PG)));
    vmwrite(VMCS_cr0_read_shadow, cr0);
    vmwrite(VMCS_guest_cr3, 0);
    vmwrite(VMCS_guest_cr4, c->cr4_fixed0);
    vmwrite(VMCS_cr4_read_shadow, 0);
    vmwrite(VMCS_guest_ia32_efer, 0);
    vmwrite(VMCS_guest_dr7, 0x400);
    vmwrite(VMCS_guest_gdtr_base, 0);
    vmwrite(VMCS_guest_gdtr_limit, 0xffff);
    vmwrite(VMCS_guest_idtr_base, 0);
    vmwrite(VMCS_guest_idtr_limit, 0xffff);
    vmwrite(VMCS_guest_rip, 0xfff0);
    vmwrite(VMCS_guest_rsp, 0);
    vmwrite(VMCS_guest_rflags, RFLAGS_FIXED);
    vmwrite(VMCS_guest_interruptibility_state, 0);
    vmwrite(VMCS_guest_pending_debug_exceptions, 0);
    vmwrite(VMCS_guest_activity_state, cpu->waits_for_sipi ? ACTIVITY_WAIT_FOR_SIPI : ACTIVITY_ACTIVE);
    vmwrite(VMCS_entry_interruption_information, 0);
    hal_write_cr2(0);
    for (unsigned i = 0; i < 4; i++)
        hal_write_dr(i, 0);
    hal_write_dr(6, DR6_AFTER_INIT);
    cpu->registers = (struct hal_registers){ .gpr[RDX] = hal_cpuid(1, 0).eax };
    hal_forget_nmi();
    cpu->due &= (uint8_t)~HAL_NMI;
    hal_invvpid(INVVPID_SINGLE, VPID_L1, 0);
}

/* SDM Vol. 3, 9.4.3: the processor starts at vector * 4096 in real mode. */
void vmcs01_startup(struct hv_cpu *cpu, uint8_t vector)
{
    cpu->due |= DUE_TRIAL;                      /* an INIT that was blocked until now comes out before the first instruction, and no other: init.c */
    write_real_segment(SEG_CS, (uint16_t)(vector << 8), (uint64_t)vector << 12, 0xb | AR_S | AR_PRESENT);
    vmwrite(VMCS_guest_rip, 0);
    vmwrite(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
}

/* After a triple fault or a VMX abort of L1 the processor shuts down, as it would have without L0. */
void vmcs01_shutdown(struct hv_cpu *cpu)
{
    if (!(cpu->machine->physical.misc & MISC_ACTIVITY_SHUTDOWN))
        hal_fail_stop("the guest shut down, and this processor has no shutdown state for guests");
    vmcs_select(cpu, 1);
    vmwrite(VMCS_entry_interruption_information, 0);
    vmwrite(VMCS_guest_interruptibility_state,
            vmread32(VMCS_guest_interruptibility_state) & ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS));
    vmwrite(VMCS_guest_activity_state, ACTIVITY_SHUTDOWN);
}
