/* SPDX-License-Identifier: MIT */
/*
 * A case for every row of the table of VM-entry checks: what the fixture enters with keeps the row, and a few changes break
 * it, and it alone. And unusual states that are right. Used by the unit test, and as vectors for other machines.
 */
#ifndef SESQUI_TESTS_CHECK_CASES_H
#define SESQUI_TESTS_CHECK_CASES_H

#include "tests/model/vmx_fixture.h"

/* From which valid state a case starts; bits combine. */
enum {
    HOST64 = 0,
    PAE = 1 << 0,               /* 32-bit guest with PAE paging */
    V86 = 1 << 1,               /* with PAE: virtual-8086 guest */
    UNRESTRICTED = 1 << 2,      /* EPT and unrestricted guest */
    REAL = 1 << 3,              /* with PAE and UNRESTRICTED: CR0.PE = CR0.PG = 0 */
    HOST32 = 1 << 4,            /* with PAE: the processor is outside IA-32e mode, the host is 32-bit */
    OFFERED = 1 << 5,           /* every control is offered */
    NO_AD = 1 << 6,             /* EPT without accessed and dirty flags */
    NO_MTF = 1 << 7,
    NO_LENGTH_0 = 1 << 8,
    NEEDS_RDTSCP = 1 << 9,      /* enable RDTSCP is a secondary control that must be 1 */
    EPT = 1 << 10,
    SHADOWING = 1 << 11,
    APIC = 1 << 12,             /* with OFFERED: TPR shadow, virtual-interrupt delivery, posted interrupts */
    WITH_IN_IA32E = 1 << 13,    /* "host.size.in_ia32e" fails with it: the SDM says the same twice */
};

enum operation { END, SET, TOGGLE, STORE };
enum { CASE_CHANGES = 6 };
struct change {
    enum operation operation;
    uint32_t where;             /* field, or address for STORE (32 bits) */
    uint64_t value;
};
#define S(name, value) { SET, FIELD_##name, (value) }
#define X(name, value) { TOGGLE, FIELD_##name, (value) }
#define M(address, value) { STORE, (address), (value) }

struct row_case {
    const char *id;
    unsigned base;
    struct change change[CASE_CHANGES];
};

#define INJECT(type, vector) S(entry_interruption_information, INTERRUPTION_VALID | (type) << 8 | (vector))
#define INJECT_CODE(type, vector)                                                                                   \
    S(entry_interruption_information, INTERRUPTION_VALID | INTERRUPTION_ERROR_CODE_VALID | (type) << 8 | (vector))
#define PROC(bit) X(processor_based_controls, PROC_##bit)
#define PROC2(bit) X(secondary_processor_based_controls, PROC2_##bit)
#define PIN(bit) X(pin_based_controls, PIN_##bit)
#define EXIT_(bit) X(exit_controls, EXIT_##bit)
#define ENTRY_(bit) X(entry_controls, ENTRY_##bit)
#define WIDE (1ull << 50)
#define LAST_ENTRY ((1ull << 40) - 16)  /* of a 40-bit physical-address space */
#define NONCANONICAL 0x0100000000000000ull           /* with 57 bits of linear address */

static const struct row_case row_cases[] = {
    { "control.pin.must_be_1", 0, { X(pin_based_controls, 1 << 1) } },
    { "control.pin.must_be_0", 0, { X(pin_based_controls, 1u << 31) } },
    { "control.proc.must_be_1", 0, { X(processor_based_controls, 1 << 1) } },
    { "control.proc.must_be_0", 0, { X(processor_based_controls, 1 << 0) } },
    { "control.proc2.must_be_1", NEEDS_RDTSCP, { PROC2(enable_rdtscp) } },
    { "control.proc2.must_be_0", 0, { X(secondary_processor_based_controls, 1u << 31) } },
    { "control.cr3_target_count", 0, { S(cr3_target_count, 5) } },
    { "control.io_bitmap_a.aligned", 0, { PROC(use_io_bitmaps), S(io_bitmap_a_address, 0x4800) } },
    { "control.io_bitmap_a.width", 0, { PROC(use_io_bitmaps), S(io_bitmap_a_address, WIDE) } },
    { "control.io_bitmap_b.aligned", 0, { PROC(use_io_bitmaps), S(io_bitmap_b_address, 0x4001) } },
    { "control.io_bitmap_b.width", 0, { PROC(use_io_bitmaps), S(io_bitmap_b_address, WIDE) } },
    { "control.msr_bitmap.aligned", 0, { PROC(use_msr_bitmaps), S(msr_bitmap_address, 0x4010) } },
    { "control.msr_bitmap.width", 0, { PROC(use_msr_bitmaps), S(msr_bitmap_address, WIDE) } },
    { "control.virtual_apic.aligned", OFFERED, { PROC(use_tpr_shadow), S(virtual_apic_address, 8) } },
    { "control.virtual_apic.width", OFFERED, { PROC(use_tpr_shadow), S(virtual_apic_address, WIDE) } },
    { "control.tpr_threshold.reserved", OFFERED, { PROC(use_tpr_shadow), S(tpr_threshold, 0x10) } },
    { "control.tpr_threshold.vtpr", OFFERED, { PROC(use_tpr_shadow), S(tpr_threshold, 3), M(0x80, 0x20) } },
    { "control.virtual_nmis.nmi_exiting", 0, { PIN(virtual_nmis) } },
    { "control.nmi_window.virtual_nmis", 0, { PROC(nmi_window_exiting) } },
    { "control.apic_access.aligned", OFFERED, { PROC2(virtualize_apic_accesses), S(apic_access_address, 8) } },
    { "control.apic_access.width", OFFERED, { PROC2(virtualize_apic_accesses), S(apic_access_address, WIDE) } },
    { "control.x2apic.tpr_shadow", OFFERED, { PROC2(virtualize_x2apic_mode) } },
    { "control.apic_register.tpr_shadow", OFFERED, { PROC2(apic_register_virtualization) } },
    { "control.virtual_interrupts.tpr_shadow", OFFERED,
      { PROC2(virtual_interrupt_delivery), PIN(external_interrupt_exiting) } },
    { "control.x2apic.apic_accesses", OFFERED,
      { PROC(use_tpr_shadow), PROC2(virtualize_x2apic_mode), PROC2(virtualize_apic_accesses) } },
    { "control.virtual_interrupts.external", OFFERED, { PROC(use_tpr_shadow), PROC2(virtual_interrupt_delivery) } },
    { "control.posted_interrupts.virtual_interrupts", APIC | OFFERED, { PROC2(virtual_interrupt_delivery) } },
    { "control.posted_interrupts.acknowledge", APIC | OFFERED, { EXIT_(acknowledge_interrupt_on_exit) } },
    { "control.posted_interrupts.vector", APIC | OFFERED, { S(posted_interrupt_notification_vector, 0x100) } },
    { "control.posted_interrupts.aligned", APIC | OFFERED, { S(posted_interrupt_descriptor_address, 0x20) } },
    { "control.posted_interrupts.width", APIC | OFFERED, { S(posted_interrupt_descriptor_address, WIDE) } },
    { "control.vpid.nonzero", 0, { PROC2(enable_vpid), S(virtual_processor_identifier, 0) } },
    { "control.eptp.memory_type", EPT, { S(ept_pointer, FIXTURE_EPT | 3 << 3 | MEMORY_WT) } },
    { "control.eptp.walk_length", EPT, { S(ept_pointer, FIXTURE_EPT | 5 << 3 | MEMORY_WB) } },
    { "control.eptp.accessed_dirty", EPT | NO_AD, { X(ept_pointer, EPTP_ACCESSED_DIRTY) } },
    { "control.eptp.reserved", EPT, { X(ept_pointer, 1 << 7) } },
    { "control.eptp.width", EPT, { X(ept_pointer, WIDE) } },
    { "control.pml.ept", OFFERED, { PROC2(enable_pml) } },
    { "control.pml.aligned", OFFERED | EPT, { PROC2(enable_pml), S(pml_address, 8) } },
    { "control.pml.width", OFFERED | EPT, { PROC2(enable_pml), S(pml_address, WIDE) } },
    { "control.unrestricted_guest.ept", 0, { PROC2(unrestricted_guest) } },
    { "control.mode_based_execute.ept", OFFERED, { PROC2(mode_based_execute_control) } },
    { "control.sub_page.ept", OFFERED, { PROC2(sub_page_write_permissions) } },
    { "control.pt_guest_physical.ept", OFFERED, { PROC2(pt_uses_guest_physical) } },
    { "control.vm_functions.reserved", OFFERED, { PROC2(enable_vm_functions), S(vm_function_controls, 2) } },
    { "control.eptp_switching.ept", OFFERED, { PROC2(enable_vm_functions), S(vm_function_controls, 1) } },
    { "control.eptp_switching.aligned", OFFERED | EPT,
      { PROC2(enable_vm_functions), S(vm_function_controls, 1), S(eptp_list_address, 8) } },
    { "control.eptp_switching.width", OFFERED | EPT,
      { PROC2(enable_vm_functions), S(vm_function_controls, 1), S(eptp_list_address, WIDE) } },
    { "control.vmread_bitmap.aligned", SHADOWING, { X(vmread_bitmap_address, 0x10) } },
    { "control.vmread_bitmap.width", SHADOWING, { X(vmread_bitmap_address, WIDE) } },
    { "control.vmwrite_bitmap.aligned", SHADOWING, { X(vmwrite_bitmap_address, 0x10) } },
    { "control.vmwrite_bitmap.width", SHADOWING, { X(vmwrite_bitmap_address, WIDE) } },
    { "control.virtualization_exception.aligned", OFFERED | EPT,
      { PROC2(ept_violation_ve), S(virtualization_exception_address, 8) } },
    { "control.virtualization_exception.width", OFFERED | EPT,
      { PROC2(ept_violation_ve), S(virtualization_exception_address, WIDE) } },
    { "control.tsc_multiplier", 0, { PROC2(use_tsc_scaling) } },

    { "control.exit.must_be_1", 0, { X(exit_controls, 1 << 0) } },
    { "control.exit.must_be_0", 0, { EXIT_(clear_ia32_bndcfgs) } },
    { "control.exit.save_timer", 0, { EXIT_(save_preemption_timer) } },
    { "control.exit_msr_store.aligned", 0, { S(exit_msr_store_count, 1), S(exit_msr_store_address, 0x9008) } },
    { "control.exit_msr_store.width", 0, { S(exit_msr_store_count, 1), S(exit_msr_store_address, WIDE) } },
    { "control.exit_msr_load.aligned", 0, { S(exit_msr_load_count, 1), S(exit_msr_load_address, 0x9008) } },
    { "control.exit_msr_load.width", 0, { S(exit_msr_load_count, 1), S(exit_msr_load_address, WIDE) } },
    { "control.entry_msr_load.aligned", 0, { S(entry_msr_load_count, 1), S(entry_msr_load_address, 0x9008) } },
    { "control.entry_msr_load.width", 0, { S(entry_msr_load_count, 1), S(entry_msr_load_address, WIDE) } },
    /* Two entries where there is room for one. */
    { "control.exit_msr_store.end", 0, { S(exit_msr_store_count, 2), S(exit_msr_store_address, LAST_ENTRY) } },
    { "control.exit_msr_load.end", 0, { S(exit_msr_load_count, 2), S(exit_msr_load_address, LAST_ENTRY) } },
    { "control.entry_msr_load.end", 0, { S(entry_msr_load_count, 2), S(entry_msr_load_address, LAST_ENTRY) } },

    { "control.entry.must_be_1", 0, { X(entry_controls, 1 << 0) } },
    { "control.entry.must_be_0", 0, { ENTRY_(entry_to_smm) } },
    { "control.injection.type", 0, { INJECT(1, 0) } },
    { "control.injection.mtf", NO_MTF, { INJECT(EVENT_OTHER, 0) } },
    { "control.injection.nmi_vector", 0, { INJECT(EVENT_NMI, 3) } },
    { "control.injection.exception_vector", 0, { INJECT(EVENT_HARDWARE_EXCEPTION, 32) } },
    { "control.injection.other_vector", 0, { INJECT(EVENT_OTHER, 1) } },
    { "control.injection.error_code_missing", 0, { INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_GP) } },
    { "control.injection.error_code_missing", EPT, { PROC2(unrestricted_guest), INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_DF) } },
    { "control.injection.error_code_type", 0, { INJECT_CODE(EVENT_SOFTWARE_INTERRUPT, VECTOR_GP) } },
    { "control.injection.error_code_real_mode", PAE | UNRESTRICTED | REAL,
      { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_GP) } },
    { "control.injection.error_code_vector", 0, { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_UD) } },
    { "control.injection.reserved", 0, { S(entry_interruption_information, INTERRUPTION_VALID | 1 << 12 | 0x301) } },
    { "control.injection.error_code_reserved", 0,
      { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_GP), S(entry_exception_error_code, 0x10000) } },
    { "control.injection.length", 0, { INJECT(EVENT_SOFTWARE_INTERRUPT, 0x80), S(entry_instruction_length, 16) } },
    { "control.injection.length_0", NO_LENGTH_0, { INJECT(EVENT_SOFTWARE_INTERRUPT, 0x80) } },

    { "host.cr0.must_be_1", 0, { X(host_cr0, CR0_NE) } },
    { "host.cr0.must_be_0", 0, { X(host_cr0, 1ull << 32) } },
    { "host.cr4.must_be_1", 0, { X(host_cr4, CR4_VMXE) } },
    { "host.cr4.must_be_0", 0, { X(host_cr4, 1ull << 30) } },
    { "host.cr3.width", 0, { X(host_cr3, WIDE) } },
    { "host.sysenter_esp.canonical", 0, { S(host_ia32_sysenter_esp, NONCANONICAL) } },
    { "host.sysenter_eip.canonical", 0, { S(host_ia32_sysenter_eip, NONCANONICAL) } },
    { "host.pat", 0, { S(host_ia32_pat, 0x0007040600070402ull) } },
    { "host.perf_global_ctrl", 0, { EXIT_(load_ia32_perf_global_ctrl), S(host_ia32_perf_global_ctrl, 1 << 4) } },
    { "host.pkrs", OFFERED, { EXIT_(load_pkrs), S(host_ia32_pkrs, 1ull << 32) } },
    { "host.cr4.cet_wp", 0, { X(host_cr4, CR4_CET), X(host_cr0, CR0_WP) } },
    { "host.s_cet", 0, { EXIT_(load_cet_state), S(host_ia32_s_cet, 1 << 6) } },
    { "host.ssp.aligned", 0, { EXIT_(load_cet_state), S(host_ssp, 0x1002) } },
    { "host.interrupt_ssp_table.canonical", 0,
      { EXIT_(load_cet_state), S(host_ia32_interrupt_ssp_table, 1ull << 60) } },
    { "host.size.cet_high", PAE | HOST32, { EXIT_(load_cet_state), S(host_ssp, 1ull << 32) } },
    { "host.size.cet_canonical", 0, { EXIT_(load_cet_state), S(host_ssp, 1ull << 60) } },
    { "guest.perf_global_ctrl", 0, { ENTRY_(load_ia32_perf_global_ctrl), S(guest_ia32_perf_global_ctrl, 1ull << 35) } },
    { "guest.pkrs", OFFERED, { ENTRY_(load_pkrs), S(guest_ia32_pkrs, 1ull << 63) } },
    { "guest.bndcfgs.reserved", OFFERED, { ENTRY_(load_ia32_bndcfgs), S(guest_ia32_bndcfgs, 0x1004) } },
    { "guest.bndcfgs.canonical", OFFERED, { ENTRY_(load_ia32_bndcfgs), S(guest_ia32_bndcfgs, NONCANONICAL | 1) } },
    { "guest.s_cet", 0, { ENTRY_(load_cet_state), S(guest_ia32_s_cet, CET_SUPPRESS | CET_TRACKER) } },
    { "guest.interrupt_ssp_table.canonical", 0,
      { ENTRY_(load_cet_state), S(guest_ia32_interrupt_ssp_table, 1ull << 60) } },
    { "guest.ssp.aligned", 0, { ENTRY_(load_cet_state), S(guest_ssp, 1) } },
    { "guest.ssp.identical", 0, { ENTRY_(load_cet_state), S(guest_ssp, 1ull << 60) } },
    { "host.efer.reserved", 0, { X(host_ia32_efer, 1 << 1) } },
    { "host.efer.lma", 0, { X(host_ia32_efer, EFER_LMA) } },
    { "host.efer.lme", 0, { X(host_ia32_efer, EFER_LME) } },
    { "host.es.selector", 0, { S(host_es_selector, 0x13) } },
    { "host.cs.selector", 0, { S(host_cs_selector, 0x9) } },
    { "host.ss.selector", 0, { S(host_ss_selector, 0x14) } },
    { "host.ds.selector", 0, { S(host_ds_selector, 0x11) } },
    { "host.fs.selector", 0, { S(host_fs_selector, 0x12) } },
    { "host.gs.selector", 0, { S(host_gs_selector, 0x14) } },
    { "host.tr.selector", 0, { S(host_tr_selector, 0x1c) } },
    { "host.cs.nonzero", 0, { S(host_cs_selector, 0) } },
    { "host.tr.nonzero", 0, { S(host_tr_selector, 0) } },
    { "host.ss.nonzero", PAE | HOST32, { S(host_ss_selector, 0) } },
    { "host.fs.base", 0, { S(host_fs_base, NONCANONICAL) } },
    { "host.gs.base", 0, { S(host_gs_base, NONCANONICAL) } },
    { "host.tr.base", 0, { S(host_tr_base, NONCANONICAL) } },
    { "host.gdtr.base", 0, { S(host_gdtr_base, NONCANONICAL) } },
    { "host.idtr.base", 0, { S(host_idtr_base, NONCANONICAL) } },
    { "host.size.guest_outside_ia32e", PAE | HOST32, { ENTRY_(ia32e_mode_guest) } },
    { "host.size.outside_ia32e", PAE | HOST32, { EXIT_(host_address_space_size) } },
    { "host.size.in_ia32e", PAE, { EXIT_(host_address_space_size), EXIT_(load_ia32_efer) } },
    { "host.size.guest", WITH_IN_IA32E, { EXIT_(host_address_space_size), EXIT_(load_ia32_efer) } },
    { "host.size.pcide", PAE | HOST32, { X(host_cr4, CR4_PCIDE) } },
    { "host.size.rip_high", PAE | HOST32, { X(host_rip, 1ull << 32) } },
    { "host.size.pae", 0, { X(host_cr4, CR4_PAE) } },
    { "host.size.rip_canonical", 0, { S(host_rip, NONCANONICAL) } },

    { "guest.cr0.must_be_1", 0, { X(guest_cr0, CR0_NE) } },
    { "guest.cr0.must_be_0", 0, { X(guest_cr0, 1ull << 32) } },
    { "guest.cr0.pg_pe", UNRESTRICTED, { X(guest_cr0, CR0_PE) } },
    { "guest.cr4.must_be_1", 0, { X(guest_cr4, CR4_VMXE) } },
    { "guest.cr4.must_be_0", 0, { X(guest_cr4, 1ull << 30) } },
    { "guest.cr4.cet_wp", OFFERED, { X(guest_cr4, CR4_CET), X(guest_cr0, CR0_WP) } },
    { "guest.debugctl.reserved", 0, { S(guest_ia32_debugctl, 1 << 2) } },
    { "guest.ia32e.pg", UNRESTRICTED, { X(guest_cr0, CR0_PG) } },
    { "guest.ia32e.pae", 0, { X(guest_cr4, CR4_PAE) } },
    { "guest.ia32e.pcide", PAE, { X(guest_cr4, CR4_PCIDE) } },
    { "guest.cr3.width", 0, { X(guest_cr3, WIDE) } },
    { "guest.dr7.high", 0, { X(guest_dr7, 1ull << 32) } },
    { "guest.sysenter_esp.canonical", 0, { S(guest_ia32_sysenter_esp, NONCANONICAL) } },
    { "guest.sysenter_eip.canonical", 0, { S(guest_ia32_sysenter_eip, NONCANONICAL) } },
    { "guest.pat", 0, { S(guest_ia32_pat, 0x0803040600070406ull) } },
    { "guest.efer.reserved", 0, { X(guest_ia32_efer, 1 << 1) } },
    { "guest.efer.lma", 0, { X(guest_ia32_efer, EFER_LMA | EFER_LME) } },
    { "guest.efer.lme", 0, { X(guest_ia32_efer, EFER_LME) } },

    { "guest.tr.selector_ti", 0, { X(guest_tr_selector, 4) } },
    { "guest.ldtr.selector_ti", 0, { X(guest_ldtr_selector, 4) } },
    { "guest.ss.selector_rpl", 0,
      { X(guest_ss_selector, 3), X(guest_ss_access_rights, 3 << 5), X(guest_cs_access_rights, 4) } },
    { "guest.cs.v86_base", PAE | V86, { X(guest_cs_base, 0x10) } },
    { "guest.ss.v86_base", PAE | V86, { X(guest_ss_base, 0x10) } },
    { "guest.ds.v86_base", PAE | V86, { X(guest_ds_base, 0x10) } },
    { "guest.es.v86_base", PAE | V86, { X(guest_es_base, 0x10) } },
    { "guest.fs.v86_base", PAE | V86, { X(guest_fs_base, 0x10) } },
    { "guest.gs.v86_base", PAE | V86, { X(guest_gs_base, 0x10) } },
    { "guest.cs.v86_limit", PAE | V86, { S(guest_cs_limit, 0xfffff) } },
    { "guest.ss.v86_limit", PAE | V86, { S(guest_ss_limit, 0xfffe) } },
    { "guest.ds.v86_limit", PAE | V86, { S(guest_ds_limit, 0xfffff) } },
    { "guest.es.v86_limit", PAE | V86, { S(guest_es_limit, 0xfffff) } },
    { "guest.fs.v86_limit", PAE | V86, { S(guest_fs_limit, 0xfffff) } },
    { "guest.gs.v86_limit", PAE | V86, { S(guest_gs_limit, 0xfffff) } },
    { "guest.cs.v86_access_rights", PAE | V86, { S(guest_cs_access_rights, 0xfb) } },
    { "guest.ss.v86_access_rights", PAE | V86, { S(guest_ss_access_rights, 0x93) } },
    { "guest.ds.v86_access_rights", PAE | V86, { S(guest_ds_access_rights, 0x100f3) } },
    { "guest.es.v86_access_rights", PAE | V86, { S(guest_es_access_rights, 0xf1) } },
    { "guest.fs.v86_access_rights", PAE | V86, { S(guest_fs_access_rights, 0x73) } },
    { "guest.gs.v86_access_rights", PAE | V86, { S(guest_gs_access_rights, 0x40f3) } },
    { "guest.tr.base", 0, { S(guest_tr_base, NONCANONICAL) } },
    { "guest.fs.base", 0, { S(guest_fs_base, NONCANONICAL) } },
    { "guest.gs.base", 0, { S(guest_gs_base, NONCANONICAL) } },
    { "guest.ldtr.base", 0, { S(guest_ldtr_base, NONCANONICAL) } },
    { "guest.cs.base_high", 0, { S(guest_cs_base, 1ull << 32) } },
    { "guest.ss.base_high", 0, { S(guest_ss_base, 1ull << 32) } },
    { "guest.ds.base_high", 0, { S(guest_ds_base, 1ull << 32) } },
    { "guest.es.base_high", 0, { S(guest_es_base, 1ull << 32) } },
    { "guest.cs.type", 0, { S(guest_cs_access_rights, 0xa098) } },
    { "guest.ss.type", 0, { S(guest_ss_access_rights, 0xc091) } },
    { "guest.cs.dpl_data", UNRESTRICTED, { S(guest_cs_access_rights, 0xc0f3) } },
    { "guest.cs.dpl_nonconforming", 0, { S(guest_cs_access_rights, 0xa0fb) } },
    { "guest.cs.dpl_conforming", 0, { S(guest_cs_access_rights, 0xa0ff) } },
    { "guest.ss.dpl_rpl", 0, { S(guest_ss_access_rights, 0xc0f3), S(guest_cs_access_rights, 0xa09f) } },
    { "guest.ss.dpl_real_mode", PAE | UNRESTRICTED | REAL,
      { S(guest_ss_access_rights, 0xc0f3), S(guest_cs_access_rights, 0xc09f) } },
    { "guest.ss.dpl_cs_data", UNRESTRICTED, { S(guest_ss_access_rights, 0xc0f3), S(guest_cs_access_rights, 0xc093) } },
    { "guest.cs.db", 0, { S(guest_cs_access_rights, 0xe09b) } },

#define DATA_CASES(s)                                                                                               \
    { "guest." #s ".accessed", 0, { S(guest_##s##_access_rights, 0xc092) } },                                       \
    { "guest." #s ".readable", 0, { S(guest_##s##_access_rights, 0xc099) } },                                       \
    { "guest." #s ".dpl", 0, { S(guest_##s##_selector, 0x13) } },
    DATA_CASES(ds) DATA_CASES(es) DATA_CASES(fs) DATA_CASES(gs)
#define SEGMENT_CASES(s)                                                                                            \
    { "guest." #s ".s", 0, { X(guest_##s##_access_rights, AR_S) } },                                                \
    { "guest." #s ".present", 0, { X(guest_##s##_access_rights, AR_PRESENT) } },                                    \
    { "guest." #s ".reserved_low", 0, { X(guest_##s##_access_rights, 1 << 11) } },                                  \
    { "guest." #s ".reserved_high", 0, { X(guest_##s##_access_rights, 1 << 17) } },                                 \
    { "guest." #s ".granularity_0", 0, { S(guest_##s##_limit, 0xffffe) } },                                         \
    { "guest." #s ".granularity_1", 0, { X(guest_##s##_access_rights, AR_G) } },
    SEGMENT_CASES(cs) SEGMENT_CASES(ss) SEGMENT_CASES(ds) SEGMENT_CASES(es) SEGMENT_CASES(fs) SEGMENT_CASES(gs)
#define SYSTEM_CASES(s)                                                                                             \
    { "guest." #s ".s", 0, { X(guest_##s##_access_rights, AR_S) } },                                                \
    { "guest." #s ".present", 0, { X(guest_##s##_access_rights, AR_PRESENT) } },                                    \
    { "guest." #s ".reserved_low", 0, { X(guest_##s##_access_rights, 1 << 8) } },                                   \
    { "guest." #s ".reserved_high", 0, { X(guest_##s##_access_rights, 1u << 31) } },                                \
    { "guest." #s ".granularity_0", 0, { X(guest_##s##_access_rights, AR_G) } },                                    \
    { "guest." #s ".granularity_1", 0, { S(guest_##s##_limit, 0x100fff) } },
    SYSTEM_CASES(tr) SYSTEM_CASES(ldtr)
    { "guest.tr.type", 0, { S(guest_tr_access_rights, 0x83) } },
    { "guest.tr.usable", 0, { X(guest_tr_access_rights, AR_UNUSABLE) } },
    { "guest.ldtr.type", 0, { S(guest_ldtr_access_rights, 0x83) } },

    { "guest.gdtr.base", 0, { S(guest_gdtr_base, NONCANONICAL) } },
    { "guest.idtr.base", 0, { S(guest_idtr_base, NONCANONICAL) } },
    { "guest.gdtr.limit", 0, { S(guest_gdtr_limit, 0x10000) } },
    { "guest.idtr.limit", 0, { S(guest_idtr_limit, 0x10000) } },
    { "guest.rip.high", PAE, { X(guest_rip, 1ull << 32) } },
    { "guest.rip.identical", 0, { S(guest_rip, 1ull << 57) } },
    { "guest.rflags.reserved", 0, { X(guest_rflags, 1 << 3) } },
    { "guest.rflags.fixed", 0, { X(guest_rflags, RFLAGS_FIXED) } },
    { "guest.rflags.vm_ia32e", PAE | V86, { ENTRY_(ia32e_mode_guest) } },
    { "guest.rflags.vm_pe", PAE | V86 | UNRESTRICTED, { X(guest_cr0, CR0_PE | CR0_PG) } },
    { "guest.rflags.if_injection", 0, { INJECT(EVENT_EXTERNAL_INTERRUPT, 0x20), X(guest_rflags, RFLAGS_IF) } },
    { "guest.activity.supported", 0, { S(guest_activity_state, 4) } },
    { "guest.activity.hlt_dpl", 0,
      { S(guest_activity_state, ACTIVITY_HLT), X(guest_ss_selector, 3), X(guest_cs_selector, 3),
        X(guest_ss_access_rights, 3 << 5), X(guest_cs_access_rights, 3 << 5) } },
    { "guest.activity.blocking", 0,
      { S(guest_activity_state, ACTIVITY_HLT), S(guest_interruptibility_state, BLOCKING_BY_STI) } },
    { "guest.activity.hlt_injection", 0,
      { S(guest_activity_state, ACTIVITY_HLT), INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_UD) } },
    { "guest.activity.shutdown_injection", 0,
      { S(guest_activity_state, ACTIVITY_SHUTDOWN), INJECT(EVENT_EXTERNAL_INTERRUPT, 0x20) } },
    { "guest.activity.sipi_injection", 0,
      { S(guest_activity_state, ACTIVITY_WAIT_FOR_SIPI), INJECT(EVENT_NMI, 2) } },
    { "guest.interruptibility.reserved", 0, { S(guest_interruptibility_state, 1 << 5) } },
    { "guest.interruptibility.enclave", 0, { S(guest_interruptibility_state, 1 << 4) } },
    { "guest.interruptibility.sti_and_mov_ss", 0, { S(guest_interruptibility_state, 3) } },
    { "guest.interruptibility.sti_if", 0, { S(guest_interruptibility_state, 1), X(guest_rflags, RFLAGS_IF) } },
    { "guest.interruptibility.interrupt_sti", 0,
      { S(guest_interruptibility_state, 1), INJECT(EVENT_EXTERNAL_INTERRUPT, 0x20) } },
    { "guest.interruptibility.interrupt_mov_ss", 0,
      { S(guest_interruptibility_state, 2), INJECT(EVENT_EXTERNAL_INTERRUPT, 0x20) } },
    { "guest.interruptibility.nmi_mov_ss", 0, { S(guest_interruptibility_state, 2), INJECT(EVENT_NMI, 2) } },
    { "guest.interruptibility.smi", 0, { S(guest_interruptibility_state, 4) } },
    { "guest.interruptibility.nmi_virtual", 0,
      { S(guest_interruptibility_state, 8), INJECT(EVENT_NMI, 2), PIN(nmi_exiting), PIN(virtual_nmis) } },
    { "guest.interruptibility.nmi_sti", 0, { S(guest_interruptibility_state, 1), INJECT(EVENT_NMI, 2) } },
    { "guest.pending_debug.reserved", 0, { S(guest_pending_debug_exceptions, 1 << 4) } },
    { "guest.pending_debug.rtm", 0, { S(guest_pending_debug_exceptions, 1 << 16) } },
    { "guest.pending_debug.single_step", 0, { S(guest_interruptibility_state, 1), X(guest_rflags, RFLAGS_TF) } },
    { "guest.pending_debug.single_step", 0,
      { S(guest_interruptibility_state, 1), X(guest_rflags, RFLAGS_TF), S(guest_pending_debug_exceptions, 0x100f) } },
    { "guest.pending_debug.no_single_step", 0,
      { S(guest_interruptibility_state, 2), S(guest_pending_debug_exceptions, 1 << 14) } },
    { "guest.link.aligned", 0, { S(vmcs_link_pointer, FIXTURE_LINKED + 8) } },
    { "guest.link.width", 0, { S(vmcs_link_pointer, WIDE) } },
    { "guest.link.revision", 0, { S(vmcs_link_pointer, FIXTURE_LINKED), M(FIXTURE_LINKED, VMCS_REVISION ^ 1) } },
    { "guest.link.indicator", 0,
      { S(vmcs_link_pointer, FIXTURE_LINKED), M(FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR) } },
    { "guest.link.not_current", 0, { S(vmcs_link_pointer, FIXTURE_VMCS) } },
    { "guest.pdpte0.reserved", PAE, { M(FIXTURE_PDPTES, 0x13003) } },
    { "guest.pdpte1.reserved", PAE, { M(FIXTURE_PDPTES + 8, 0x13021) } },
    { "guest.pdpte2.reserved", PAE | EPT, { S(guest_pdpte2, 0x13101) } },
    { "guest.pdpte3.reserved", PAE | EPT, { S(guest_pdpte3, WIDE | 1) } },
};
enum { ROW_CASES = sizeof(row_cases) / sizeof(row_cases[0]) };

/* Unusual and right: every row holds. */
static const struct row_case accepted[] = {
    { "all controls off", 0, { S(secondary_processor_based_controls, ~0ull), PROC(activate_secondary_controls) } },
    { "addresses without their control", 0,
      { S(io_bitmap_a_address, 1), S(msr_bitmap_address, WIDE), S(ept_pointer, 0x777), S(vmread_bitmap_address, 3),
        S(virtual_processor_identifier, 0), S(exit_msr_load_address, WIDE | 1) } },
    { "no injection, whatever else the field says", 0, { S(entry_interruption_information, 0x7fffffff) } },
    { "four CR3 targets", 0, { S(cr3_target_count, 4) } },
    { "the last MSR entry of the address space", 0,
      { S(exit_msr_load_count, 1), S(exit_msr_load_address, LAST_ENTRY) } },
    { "NMI window", 0, { PIN(nmi_exiting), PIN(virtual_nmis), PROC(nmi_window_exiting) } },
    { "uncacheable EPT structures with A/D", EPT, { S(ept_pointer, FIXTURE_EPT | 3 << 3 | EPTP_ACCESSED_DIRTY) } },
    { "virtual-interrupt delivery, posted", APIC | OFFERED, { S(tpr_threshold, 0xfff) } },
    { "TPR threshold below VTPR", OFFERED, { PROC(use_tpr_shadow), S(tpr_threshold, 2), M(0x80, 0x20) } },
    { "the least TSC multiplier", 0, { PROC2(use_tsc_scaling), S(tsc_multiplier, 1) } },
    { "#DF", 0, { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_DF) } },
    { "#TS", 0, { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_TS) } },
    { "#NP", 0, { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_NP) } },
    { "#SS", 0, { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_SS) } },
    { "performance counters", 0,
      { EXIT_(load_ia32_perf_global_ctrl), ENTRY_(load_ia32_perf_global_ctrl),
        S(host_ia32_perf_global_ctrl, 0x70000000f), S(guest_ia32_perf_global_ctrl, 0x700000003) } },
    { "CET state", 0,
      { EXIT_(load_cet_state), ENTRY_(load_cet_state), S(host_ia32_s_cet, CET_SUPPRESS), S(guest_ia32_s_cet, 0x143f),
        S(guest_ssp, 0x7ffffffffff8), S(host_ssp, 0xffff800000000000ull) } },
    { "#PF", 0, { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_PF), S(entry_exception_error_code, 0xffff) } },
    { "#AC", 0, { INJECT_CODE(EVENT_HARDWARE_EXCEPTION, VECTOR_AC) } },
    { "#UD", 0, { INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_UD) } },
    { "#GP in real mode", PAE | UNRESTRICTED | REAL, { INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_GP) } },
    { "INT n of length 0", 0, { INJECT(EVENT_SOFTWARE_INTERRUPT, 255) } },
    { "INT1 of length 15", 0, { INJECT(EVENT_PRIVILEGED_SOFTWARE_EXCEPTION, 1), S(entry_instruction_length, 15) } },
    { "length of a hardware exception", 0,
      { INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_UD), S(entry_instruction_length, 99) } },
    { "HLT: external interrupt", 0, { S(guest_activity_state, ACTIVITY_HLT), INJECT(EVENT_EXTERNAL_INTERRUPT, 0x30) } },
    { "HLT: NMI", 0, { S(guest_activity_state, ACTIVITY_HLT), INJECT(EVENT_NMI, 2) } },
    { "HLT: #DB", 0, { S(guest_activity_state, ACTIVITY_HLT), INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_DB) } },
    { "HLT: #MC", 0, { S(guest_activity_state, ACTIVITY_HLT), INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_MC) } },
    { "HLT: MTF", 0, { S(guest_activity_state, ACTIVITY_HLT), INJECT(EVENT_OTHER, 0) } },
    { "shutdown: NMI", 0, { S(guest_activity_state, ACTIVITY_SHUTDOWN), INJECT(EVENT_NMI, 2) } },
    { "shutdown: #MC", 0,
      { S(guest_activity_state, ACTIVITY_SHUTDOWN), INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_MC) } },
    { "shutdown", 0, { S(guest_activity_state, ACTIVITY_SHUTDOWN) } },
    { "wait for SIPI", 0, { S(guest_activity_state, ACTIVITY_WAIT_FOR_SIPI) } },
    { "exception after MOV SS", 0,
      { S(guest_interruptibility_state, 2), INJECT(EVENT_HARDWARE_EXCEPTION, VECTOR_UD) } },
    { "NMI blocked, no virtual NMIs", 0, { S(guest_interruptibility_state, 8), INJECT(EVENT_NMI, 2) } },
    { "single step behind STI", 0,
      { S(guest_interruptibility_state, 1), X(guest_rflags, RFLAGS_TF), S(guest_pending_debug_exceptions, 1 << 14) } },
    { "branch trap behind STI", 0,
      { S(guest_interruptibility_state, 1), X(guest_rflags, RFLAGS_TF), S(guest_ia32_debugctl, 2) } },
    { "BS while nothing blocks", 0, { S(guest_pending_debug_exceptions, 1 << 14 | 1 << 12 | 15) } },
    { "TF while nothing blocks", 0, { X(guest_rflags, RFLAGS_TF) } },
    { "data in CS", UNRESTRICTED, { S(guest_cs_access_rights, 0xc093) } },
    { "RPLs that differ", UNRESTRICTED, { X(guest_ss_selector, 3), X(guest_ds_selector, 3) } },
    { "conforming CS", 0, { S(guest_cs_access_rights, 0xa09f) } },
    { "conforming CS.DPL below SS.DPL", 0,
      { S(guest_cs_access_rights, 0xa09f), X(guest_cs_selector, 3), X(guest_ss_selector, 3),
        X(guest_ss_access_rights, 3 << 5) } },
    { "expand-down SS", 0, { S(guest_ss_access_rights, 0xc097) } },
    { "readable code in DS", 0, { S(guest_ds_access_rights, 0xc09b) } },
    { "conforming code in ES with a high RPL", 0, { S(guest_es_access_rights, 0xc09f), X(guest_es_selector, 3) } },
    { "unusable segments hold anything", 0,
      { S(guest_ds_access_rights, 0xffff0fff), S(guest_ds_base, WIDE), S(guest_ds_selector, 0x13),
        S(guest_ldtr_access_rights, 0xffff0fff), S(guest_ldtr_base, NONCANONICAL), X(guest_ldtr_selector, 4) } },
    { "16-bit TSS", PAE, { S(guest_tr_access_rights, 0x83) } },
    { "virtual-8086 mode", PAE | V86, { S(guest_rflags, RFLAGS_FIXED | RFLAGS_VM) } },
    { "real mode", PAE | UNRESTRICTED | REAL, { S(guest_cs_access_rights, 0x9b), S(guest_cs_limit, 0xffff) } },
    { "EFER.LME without paging", PAE | UNRESTRICTED | REAL,
      { ENTRY_(load_ia32_efer), S(guest_ia32_efer, EFER_LME) } },
    { "RIP that is identical but not canonical", 0, { S(guest_rip, NONCANONICAL) } },
    { "reserved PDPTE bits without P", PAE, { M(FIXTURE_PDPTES, 0x13ffe) } },
    { "PDPTE fields do not matter without PAE paging", EPT, { S(guest_pdpte0, ~0ull) } },
    { "a linked ordinary VMCS", 0, { S(vmcs_link_pointer, FIXTURE_LINKED), M(FIXTURE_LINKED, VMCS_REVISION) } },
    { "a linked shadow VMCS", SHADOWING,
      { S(vmcs_link_pointer, FIXTURE_LINKED), M(FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR) } },
    { "32-bit host", PAE | HOST32, { S(host_cr4, FIXTURE_CR4) } },
};
enum { ACCEPTED = sizeof(accepted) / sizeof(accepted[0]) };

static inline void case_offer_all(struct vmx_capability *c)
{
    c->pin.allowed = c->proc.allowed = c->proc2.allowed = c->exit.allowed = c->entry.allowed = ~0u;
    c->cr4_fixed1 |= CR4_CET;
    c->vmfunc = 1;
}

static inline void case_segments_v86(struct vmcs *v)
{
    static const unsigned segments[] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

    for (unsigned i = 0; i < 6; i++) {
        v->field[FIELD_guest_es_base + segments[i]] = v->field[FIELD_guest_es_selector + segments[i]] << 4;
        v->field[FIELD_guest_es_limit + segments[i]] = 0xffff;
        v->field[FIELD_guest_es_access_rights + segments[i]] = 0xf3;
    }
}

/* The valid state `base`: capabilities, processor, memory and VMCS. */
static inline void case_base(struct vmx_fixture *f, unsigned base)
{
    const struct vmx vmx = f->cpu->vmx;
    struct vmcs *v = vmx.current;

    capability_init(&f->model->capability, NULL);
    fixture_processor(f, f->cpu);
    f->cpu->vmx = vmx;
    fixture_page_tables(f);
    fixture_fill(f, v);
    if (base & PAE) {
        VMCS(v, entry_controls) &= ~(uint64_t)(ENTRY_ia32e_mode_guest | ENTRY_load_ia32_efer);
        VMCS(v, guest_cr3) = FIXTURE_PDPTES;
        VMCS(v, guest_cs_access_rights) = 0xc09b;
    }
    if (base & V86) {
        VMCS(v, guest_rflags) |= RFLAGS_VM;
        case_segments_v86(v);
    }
    if (base & (UNRESTRICTED | EPT))
        VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept;
    if (base & UNRESTRICTED)
        VMCS(v, secondary_processor_based_controls) |= PROC2_unrestricted_guest;
    if (base & REAL)
        VMCS(v, guest_cr0) &= ~(CR0_PE | CR0_PG);
    if (base & HOST32) {
        CPU_MSR(f->cpu, ia32_efer) = 0;
        VMCS(v, exit_controls) &= ~(uint64_t)(EXIT_host_address_space_size | EXIT_load_ia32_efer);
    }
    if (base & OFFERED)
        case_offer_all(&f->model->capability);
    if (base & NO_AD)
        f->model->capability.ept_vpid &= ~CAPABILITY_EPT_ACCESSED_DIRTY;
    if (base & NO_MTF)
        f->model->capability.proc.allowed &= ~PROC_monitor_trap_flag;
    if (base & NO_LENGTH_0)
        f->model->capability.misc &= ~CAPABILITY_INJECT_LENGTH_0;
    if (base & NEEDS_RDTSCP)
        f->model->capability.proc2.required = PROC2_enable_rdtscp;
    if (base & SHADOWING)
        VMCS(v, secondary_processor_based_controls) |= PROC2_vmcs_shadowing;
    if (base & APIC) {
        VMCS(v, processor_based_controls) |= PROC_use_tpr_shadow;
        VMCS(v, secondary_processor_based_controls) |= PROC2_virtual_interrupt_delivery;
        VMCS(v, pin_based_controls) |= PIN_external_interrupt_exiting | PIN_process_posted_interrupts;
        VMCS(v, exit_controls) |= EXIT_acknowledge_interrupt_on_exit;
    }
    fixture_forget(f);
}

/* What the case changes. */
static inline void case_apply(struct vmx_fixture *f, const struct row_case *c)
{
    struct vmcs *v = f->cpu->vmx.current;

    for (unsigned i = 0; i < CASE_CHANGES; i++) {
        const struct change *change = &c->change[i];

        if (change->operation == SET)
            v->field[change->where] = change->value;
        else if (change->operation == TOGGLE)
            v->field[change->where] ^= change->value;
        else if (change->operation == STORE)
            memory_write32(&f->model->memory, change->where, (uint32_t)change->value);
    }
}

#endif
