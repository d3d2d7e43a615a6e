/* SPDX-License-Identifier: MIT */
/*
 * The tables of refusals: every row has a case here (one without does not compile) in which an instruction is executed as guest
 * code would, and that row, and no other, refuses it with the outcome that it names.
 */
#include "model/refusal.h"

#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

enum { OPERAND = 0x50000 };

static struct vmx_fixture f;
static const struct refusal *refused;
static unsigned refusals;
static unsigned moved;          /* the register of move() */
static bool by_number;          /* msr() has filled RCX, RAX and RDX */

/* Messages name the register or port, and what was to be written to it. */
static void told(const struct attempt *a)
{
    const uint64_t *gpr = f.cpu->gpr;
    uint64_t value = (uint32_t)gpr[RAX] | gpr[RDX] << 32;

    if (a->id == INSN_rdmsr || a->id == INSN_wrmsr || a->id == INSN_rdpmc || a->id == INSN_xsetbv)
        if (cpu_cpl(f.cpu) == 0 && !f.cpu->vmx.non_root && !(a->insn && a->insn->lock) && by_number)
            ck_assert_uint_eq(a->operand, (uint32_t)gpr[RCX]);
    if ((a->id == INSN_wrmsr || a->id == INSN_xsetbv) && by_number && cpu_cpl(f.cpu) == 0)
        ck_assert_uint_eq(a->value, value);
    if (a->id == INSN_in && a->insn && a->insn->port && cpu_cpl(f.cpu) == 3)
        ck_assert_uint_eq(a->operand, a->insn->port);
}

static void notify(void *context, const struct notice *notice)
{
    if (notice->kind == NOTICE_REFUSED) {
        ck_assert_ptr_eq(notice->attempt->cpu, f.cpu);
        refused = notice->refusal;
        if (notice->attempt->id == INSN_mov_to_cr || notice->attempt->id == INSN_mov_to_dr)    /* of which the message names it */
            ck_assert_uint_eq(notice->attempt->operand, moved);
        told(notice->attempt);
        refusals++;
    }
    fixture_notify(context, notice);
}

static void setup(void)
{
    fixture_open(&f);
    f.model->observer.notify = notify;
}

static void teardown(void) { fixture_close(&f); }

/* ---- how the cases say it ---- */

static struct cpu *cpu(void) { return f.cpu; }
static struct vmx_capability *capability(void) { return &f.model->capability; }

static struct insn plain(enum insn_id id)
{
    return (struct insn){ .id = id, .length = 3, .operand_size = 8, .address_size = 8, .base = NO_REGISTER, .index = NO_REGISTER,
                          .segment = SEG_DS, .kind = OPERAND_REGISTER, .reg = RBX };
}

static struct insn memory(enum insn_id id)
{
    struct insn insn = plain(id);

    insn.kind = OPERAND_MEMORY;
    insn.displacement = OPERAND;
    return insn;
}

static void execute_it(struct insn insn)
{
    f.cpu->event.valid = false;
    execute(f.cpu, &insn);
}

static void with_operand(enum insn_id id, uint64_t value)
{
    fixture_store64(&f, OPERAND, value);
    execute_it(memory(id));
}

static void with_register(enum insn_id id, uint64_t value)
{
    f.cpu->gpr[RBX] = value;
    execute_it(plain(id));
}

static void invalidate(enum insn_id id, uint64_t type, uint64_t first, uint64_t second)
{
    fixture_store64(&f, OPERAND, first);
    fixture_store64(&f, OPERAND + 8, second);
    f.cpu->gpr[RBX] = type;
    execute_it(memory(id));
}

static void outside(void) { ck_assert_int_eq(vmx_vmxoff(f.cpu), VMX_SUCCEED); }
static void real_mode(void) { f.cpu->cr0 &= ~(CR0_PE | CR0_PG); CPU_MSR(f.cpu, ia32_efer) = 0; f.cpu->seg[SEG_CS].access_rights = 0x9b; }
static void virtual_8086(void)
{
    CPU_MSR(f.cpu, ia32_efer) = 0;
    f.cpu->seg[SEG_CS].access_rights = 0xf3;
    f.cpu->rflags |= RFLAGS_VM;
}
static void compatibility(void) { f.cpu->seg[SEG_CS].access_rights = 0xc09b; }
static void protected_32(void) { CPU_MSR(f.cpu, ia32_efer) = 0; f.cpu->cr0 &= ~CR0_PG; f.cpu->seg[SEG_CS].access_rights = 0xc09b; }
static void user_mode(void) { f.cpu->seg[SEG_SS].access_rights |= 3 << 5; }
static void no_vmx(void) { capability_init(capability(), &(struct vmx_lacks){ .vmx = true }); f.cpu->vmx.operation = false; }

static void guest(uint32_t proc2)
{
    VMCS(f.cpu->vmx.current, secondary_processor_based_controls) = proc2;
    fixture_enter(&f);
}

static void move(enum insn_id id, unsigned number, uint64_t value)
{
    struct insn insn = plain(id);

    moved = number;
    insn.reg = (uint8_t)number;
    insn.rm = RAX;
    f.cpu->gpr[RAX] = value;
    execute_it(insn);
}

static void msr(enum insn_id id, uint32_t index, uint64_t value)
{
    f.cpu->gpr[RCX] = index;
    f.cpu->gpr[RAX] = (uint32_t)value;
    f.cpu->gpr[RDX] = value >> 32;
    by_number = true;
    execute_it(plain(id));
    by_number = false;
}

static bool apic_read(void *context, struct cpu *c, uint32_t index, uint64_t *value)
{
    (void)context, (void)c;
    *value = f.ram[0];          /* 4: x2APIC mode */
    *value <<= 8;
    return index == MSR_ia32_apic_base;
}
static bool apic_write(void *context, struct cpu *c, uint32_t index, uint64_t value)
{
    (void)context, (void)c, (void)index, (void)value;
    return false;
}
static void apic(bool x2apic)
{
    f.model->bus.apic_read_msr = apic_read;
    f.model->bus.apic_write_msr = apic_write;
    f.ram[0] = x2apic ? 4 : 0;
}

static void load_table(uint64_t base)
{
    struct insn insn = memory(INSN_lgdt);

    fixture_store64(&f, OPERAND, base << 16);
    fixture_store64(&f, OPERAND + 8, base >> 48);
    execute_it(insn);
}

static void enter_long_mode(void)
{
    CPU_MSR(f.cpu, ia32_efer) = EFER_LME;
    f.cpu->cr0 &= ~CR0_PG;
    f.cpu->seg[SEG_CS].access_rights = 0xc09b;
    outside();
}

/* ---- the cases ---- */

#define CASE(row, ...) static void case_##row(void) { __VA_ARGS__; }

CASE(instruction_lock, struct insn insn = plain(INSN_vmcall); insn.lock = true; execute_it(insn))
CASE(getsec_smx, execute_it(plain(INSN_getsec)))
CASE(rsm_smm, execute_it(plain(INSN_rsm)))
CASE(monitor_disabled, CPU_MSR(cpu(), ia32_misc_enable) = 1; execute_it(plain(INSN_mwait)))
CASE(monitor_cpl, user_mode(); execute_it(plain(INSN_monitor)))
CASE(monitor_extensions, msr(INSN_monitor, 1, 0))
CASE(mwait_extensions, msr(INSN_mwait, 3, 0))
CASE(rdtscp_control, guest(0); execute_it(plain(INSN_rdtscp)))
CASE(invpcid_register_operand, execute_it(plain(INSN_invpcid)))
CASE(invpcid_control, guest(0); execute_it(memory(INSN_invpcid)))
CASE(wrmsr_upper_half, msr(INSN_wrmsr, MSR_ia32_tsc_aux, 1ull << 32))
CASE(segment_base_fsgsbase, cpu()->cr4 &= ~CR4_FSGSBASE; execute_it((struct insn){ .id = INSN_wrfsbase, .kind = OPERAND_REGISTER, .operand_size = 8, .length = 5 }))
CASE(segment_base_canonical, cpu()->cr4 |= CR4_FSGSBASE; cpu()->gpr[RAX] = 1ull << 60;
     execute_it((struct insn){ .id = INSN_wrgsbase, .kind = OPERAND_REGISTER, .operand_size = 8, .length = 5 }))
CASE(xsetbv_osxsave, cpu()->gpr[RCX] = 0; execute_it(plain(INSN_xsetbv)))
CASE(cr_number, move(INSN_mov_to_cr, 5, 0))
CASE(dr_number, move(INSN_mov_to_dr, 8, 0))
CASE(dr_de, cpu()->cr4 |= CR4_DE; move(INSN_mov_from_dr, 4, 0))
CASE(ldtr_protected, real_mode(); execute_it(plain(INSN_lldt)))
CASE(ldtr_virtual_8086, virtual_8086(); execute_it(plain(INSN_ltr)))
CASE(memory_register_operand, execute_it(plain(INSN_lgdt)))
CASE(privilege_cpl, user_mode(); execute_it(plain(INSN_hlt)))
CASE(privilege_tsd, user_mode(); cpu()->cr4 |= CR4_TSD; execute_it(plain(INSN_rdtsc)))
CASE(privilege_pce, user_mode(); execute_it(plain(INSN_rdpmc)))
CASE(privilege_umip, user_mode(); cpu()->cr4 |= CR4_UMIP; execute_it(plain(INSN_smsw)))
CASE(cr0_upper, move(INSN_mov_to_cr, 0, 1ull << 32 | FIXTURE_CR0))
CASE(cr0_paging_unprotected, move(INSN_mov_to_cr, 0, FIXTURE_CR0 & ~CR0_PE))
CASE(cr0_not_write_through, move(INSN_mov_to_cr, 0, FIXTURE_CR0 | CR0_NW))
CASE(cr0_long_pae, enter_long_mode(); cpu()->cr4 &= ~CR4_PAE; move(INSN_mov_to_cr, 0, FIXTURE_CR0))
CASE(cr0_long_code_segment, enter_long_mode(); cpu()->seg[SEG_CS].access_rights = 0xa09b; move(INSN_mov_to_cr, 0, FIXTURE_CR0))
CASE(cr0_long_tss, enter_long_mode(); cpu()->seg[SEG_TR].access_rights = 0x83; move(INSN_mov_to_cr, 0, FIXTURE_CR0))
CASE(cr0_paging_64bit, outside(); move(INSN_mov_to_cr, 0, FIXTURE_CR0 & ~CR0_PG))
CASE(cr0_paging_pcid, outside(); compatibility(); cpu()->cr4 |= CR4_PCIDE; move(INSN_mov_to_cr, 0, FIXTURE_CR0 & ~CR0_PG))
CASE(cr0_write_protect_cet, cpu()->cr4 |= CR4_CET; move(INSN_mov_to_cr, 0, FIXTURE_CR0 & ~CR0_WP))
CASE(cr0_fixed0_guest, guest(PROC2_enable_ept | PROC2_unrestricted_guest); move(INSN_mov_to_cr, 0, FIXTURE_CR0 & ~CR0_NE))
CASE(cr0_fixed0, move(INSN_mov_to_cr, 0, FIXTURE_CR0 & ~CR0_NE))
CASE(cr0_fixed1, capability()->cr0_fixed1 &= ~CR0_AM; move(INSN_mov_to_cr, 0, FIXTURE_CR0 | CR0_AM))
CASE(cr4_no_vmx, no_vmx(); cpu()->cr4 = CR4_PAE; move(INSN_mov_to_cr, 4, CR4_PAE | CR4_VMXE))
CASE(cr4_reserved, move(INSN_mov_to_cr, 4, FIXTURE_CR4 | CR4_SMXE))
CASE(cr4_long_pae, move(INSN_mov_to_cr, 4, FIXTURE_CR4 & ~CR4_PAE))
CASE(cr4_long_la57, move(INSN_mov_to_cr, 4, FIXTURE_CR4 | CR4_LA57))
CASE(cr4_cet_write_protect, cpu()->cr0 &= ~CR0_WP; move(INSN_mov_to_cr, 4, FIXTURE_CR4 | CR4_CET))
CASE(cr4_pcid_long, protected_32(); move(INSN_mov_to_cr, 4, FIXTURE_CR4 | CR4_PCIDE))
CASE(cr4_pcid_cr3, cpu()->cr3 |= 8; move(INSN_mov_to_cr, 4, FIXTURE_CR4 | CR4_PCIDE))
CASE(cr4_fixed0_guest, guest(0); move(INSN_mov_to_cr, 4, FIXTURE_CR4 & ~CR4_VMXE))
CASE(cr4_fixed0, move(INSN_mov_to_cr, 4, FIXTURE_CR4 & ~CR4_VMXE))
CASE(cr3_width, move(INSN_mov_to_cr, 3, 1ull << 52))
CASE(pdpte_reserved, outside(); CPU_MSR(cpu(), ia32_efer) = 0; compatibility(); fixture_store64(&f, FIXTURE_PDPTES + 8, 3);
     move(INSN_mov_to_cr, 3, FIXTURE_PDPTES))
CASE(cr8_reserved, move(INSN_mov_to_cr, 8, 16))
CASE(dr_upper, move(INSN_mov_to_dr, 7, 1ull << 32))
CASE(rdmsr_unknown, msr(INSN_rdmsr, 0x12345, 0))
CASE(rdmsr_no_vmx, no_vmx(); msr(INSN_rdmsr, MSR_ia32_vmx_basic, 0))
CASE(rdmsr_capability, capability()->proc2.allowed &= ~PROC2_enable_vm_functions; msr(INSN_rdmsr, MSR_ia32_vmx_vmfunc, 0))
CASE(rdmsr_hwp, msr(INSN_rdmsr, MSR_ia32_hwp_request, 0))
CASE(rdmsr_cet, capability()->cr4_fixed1 &= ~CR4_CET; msr(INSN_rdmsr, MSR_ia32_s_cet, 0))
CASE(wrmsr_unknown, msr(INSN_wrmsr, 0x12345, 0))
CASE(wrmsr_no_vmx, no_vmx(); msr(INSN_wrmsr, MSR_ia32_feature_control, 5))
CASE(wrmsr_cet, capability()->cr4_fixed1 &= ~CR4_CET; msr(INSN_wrmsr, MSR_ia32_pl3_ssp, 0))
CASE(wrmsr_hwp, msr(INSN_wrmsr, MSR_ia32_hwp_status, 0))
CASE(wrmsr_mtrr_range, msr(INSN_wrmsr, MSR_ia32_mtrr_physbase7, 2))
CASE(wrmsr_machine_check, msr(INSN_wrmsr, MSR_ia32_mc3_status, 1))
CASE(wrmsr_energy_bias, msr(INSN_wrmsr, MSR_ia32_energy_perf_bias, 16))
CASE(wrmsr_pm_enable, msr(INSN_wrmsr, MSR_ia32_pm_enable, 2))
CASE(wrmsr_read_only, msr(INSN_wrmsr, MSR_ia32_vmx_misc, 0))
CASE(wrmsr_canonical, msr(INSN_wrmsr, MSR_ia32_gs_base, 1ull << 62))
CASE(wrmsr_pat, msr(INSN_wrmsr, MSR_ia32_pat, 2))
CASE(wrmsr_mtrr, msr(INSN_wrmsr, MSR_ia32_mtrr_fix64k_00000, 7ull << 56))
CASE(wrmsr_mtrr_def_type, msr(INSN_wrmsr, MSR_ia32_mtrr_def_type, 0xd06))
CASE(wrmsr_cst_config_locked, msr(INSN_wrmsr, MSR_msr_pkg_cst_config_control, 0))
CASE(wrmsr_feature_control_locked, msr(INSN_wrmsr, MSR_ia32_feature_control, 5))
CASE(wrmsr_feature_control_reserved, CPU_MSR(cpu(), ia32_feature_control) = 0; msr(INSN_wrmsr, MSR_ia32_feature_control, 7))
CASE(wrmsr_debugctl, msr(INSN_wrmsr, MSR_ia32_debugctl, 4))
CASE(wrmsr_perf_global_ctrl, msr(INSN_wrmsr, MSR_ia32_perf_global_ctrl, 0x10))
CASE(wrmsr_cet_value, msr(INSN_wrmsr, MSR_ia32_u_cet, 0x40))
CASE(wrmsr_ssp, msr(INSN_wrmsr, MSR_ia32_pl0_ssp, 2))
CASE(wrmsr_efer_reserved, msr(INSN_wrmsr, MSR_ia32_efer, EFER_LME | EFER_LMA | 1ull << 12))
CASE(wrmsr_efer_paging, msr(INSN_wrmsr, MSR_ia32_efer, EFER_LMA))
CASE(apic_msr_none, msr(INSN_rdmsr, 0x802, 0))
CASE(apic_msr_base, apic(false); msr(INSN_wrmsr, MSR_ia32_apic_base, 1))
CASE(apic_msr_mode, apic(false); msr(INSN_rdmsr, 0x802, 0))
CASE(apic_msr_refused, apic(true); msr(INSN_wrmsr, 0x80b, 1))
CASE(apic_msr_virtual, VMCS(cpu()->vmx.current, processor_based_controls) |= PROC_use_tpr_shadow | PROC_use_msr_bitmaps;
     VMCS(cpu()->vmx.current, virtual_apic_address) = OPERAND; guest(PROC2_virtualize_x2apic_mode); msr(INSN_wrmsr, 0x808, 0x100))
CASE(xsetbv_index, cpu()->cr4 |= CR4_OSXSAVE; msr(INSN_xsetbv, 1, 1))
CASE(xsetbv_x87, cpu()->cr4 |= CR4_OSXSAVE; msr(INSN_xsetbv, 0, 2))
CASE(xsetbv_components, cpu()->cr4 |= CR4_OSXSAVE; msr(INSN_xsetbv, 0, 7))
CASE(rdpmc_index, msr(INSN_rdpmc, 0, 0))
CASE(invpcid_type, invalidate(INSN_invpcid, 4, 0, 0))
CASE(invpcid_reserved, invalidate(INSN_invpcid, 2, 0x1000, 0))
CASE(invpcid_pcid, invalidate(INSN_invpcid, 1, 1, 0))
CASE(invpcid_canonical, invalidate(INSN_invpcid, 0, 0, 1ull << 62))
CASE(table_canonical, load_table(1ull << 62))
CASE(port_permission, user_mode(); cpu()->seg[SEG_TR].limit = 0x20; execute_it((struct insn){ .id = INSN_in, .length = 1, .operand_size = 1, .port = 0x60 }))
CASE(operand_canonical, struct insn insn = memory(INSN_vmclear); insn.displacement = 1ll << 62; execute_it(insn))
CASE(operand_segment, protected_32(); cpu()->seg[SEG_DS].access_rights = AR_UNUSABLE; execute_it(memory(INSN_vmclear)))
CASE(operand_limit, protected_32(); cpu()->seg[SEG_SS].limit = 0xfff; struct insn insn = memory(INSN_vmclear); insn.segment = SEG_SS;
     execute_it(insn))

CASE(vmx_absent, no_vmx(); with_operand(INSN_vmclear, FIXTURE_VMCS))
CASE(vmx_operation, outside(); with_operand(INSN_vmptrld, FIXTURE_VMCS))
CASE(vmx_protected, real_mode(); execute_it(plain(INSN_vmxoff)))
CASE(vmx_virtual_8086, virtual_8086(); execute_it(plain(INSN_vmlaunch)))
CASE(vmx_compatibility, compatibility(); execute_it(plain(INSN_vmread)))
CASE(vmx_register_operand, execute_it(plain(INSN_invvpid)))
CASE(invept_absent, capability()->ept_vpid &= ~(1ull << EPT_VPID_invept); invalidate(INSN_invept, 2, 0, 0))
CASE(invvpid_absent, capability()->ept_vpid &= ~(1ull << EPT_VPID_invvpid); invalidate(INSN_invvpid, 2, 0, 0))
CASE(vmxon_absent, no_vmx(); with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_protected, outside(); real_mode(); with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_vmxe, outside(); cpu()->cr4 &= ~CR4_VMXE; with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_virtual_8086, outside(); virtual_8086(); with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_compatibility, outside(); compatibility(); with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmcall_operation, outside(); execute_it(plain(INSN_vmcall)))
CASE(vmcall_virtual_8086, virtual_8086(); execute_it(plain(INSN_vmcall)))
CASE(vmcall_compatibility, compatibility(); execute_it(plain(INSN_vmcall)))
CASE(vmfunc_root, execute_it(plain(INSN_vmfunc)))
CASE(vmfunc_control, guest(0); execute_it(plain(INSN_vmfunc)))
CASE(vmfunc_number, guest(PROC2_enable_ept | PROC2_enable_vm_functions); cpu()->gpr[RAX] = 64; execute_it(plain(INSN_vmfunc)))
CASE(vmx_privilege, user_mode(); with_operand(INSN_vmclear, FIXTURE_VMCS))
CASE(vmxon_root, with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_cr0_fixed0, outside(); cpu()->cr0 &= ~CR0_NE; with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_cr0_fixed1, outside(); capability()->cr0_fixed1 &= ~CR0_WP; with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_cr4_fixed0, outside(); capability()->cr4_fixed0 |= CR4_SMEP; with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_cr4_fixed1, outside(); capability()->cr4_fixed1 &= ~CR4_PAE; with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_unlocked, outside(); CPU_MSR(cpu(), ia32_feature_control) = 0; with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_locked_off, outside(); CPU_MSR(cpu(), ia32_feature_control) = 1; with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_aligned, outside(); with_operand(INSN_vmxon, FIXTURE_VMXON + 8))
CASE(vmxon_width, outside(); with_operand(INSN_vmxon, 1ull << 52))
CASE(vmxon_indicator, outside(); fixture_region(&f, FIXTURE_VMXON, VMCS_REVISION | VMCS_SHADOW_INDICATOR);
     with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmxon_revision, outside(); fixture_region(&f, FIXTURE_VMXON, 0); with_operand(INSN_vmxon, FIXTURE_VMXON))
CASE(vmclear_aligned, with_operand(INSN_vmclear, 8))
CASE(vmclear_width, with_operand(INSN_vmclear, 1ull << 52))
CASE(vmclear_vmxon_pointer, with_operand(INSN_vmclear, FIXTURE_VMXON))
CASE(vmptrld_aligned, with_operand(INSN_vmptrld, 8))
CASE(vmptrld_width, with_operand(INSN_vmptrld, 1ull << 52))
CASE(vmptrld_vmxon_pointer, with_operand(INSN_vmptrld, FIXTURE_VMXON))
CASE(vmptrld_revision, with_operand(INSN_vmptrld, FIXTURE_LINKED))
CASE(vmptrld_indicator, capability()->proc2.allowed &= ~PROC2_vmcs_shadowing;
     fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR); with_operand(INSN_vmptrld, FIXTURE_LINKED))
CASE(field_no_vmcs, vmx_vmclear(cpu(), FIXTURE_VMCS); with_register(INSN_vmread, VMCS_guest_rip))
CASE(field_no_linked_vmcs, guest(PROC2_vmcs_shadowing); with_register(INSN_vmread, VMCS_guest_rip))
CASE(field_wide, with_register(INSN_vmwrite, 1ull << 32 | VMCS_guest_rip))
CASE(field_reserved, with_register(INSN_vmread, 0x8000 | VMCS_guest_rip))
CASE(field_high, with_register(INSN_vmread, VMCS_guest_rip | 1))
CASE(field_unknown, with_register(INSN_vmread, 0x6bfe))
CASE(field_absent, capability()->proc2.allowed &= ~PROC2_use_tsc_scaling; with_register(INSN_vmread, VMCS_tsc_multiplier))
CASE(vmwrite_read_only, capability()->misc &= ~CAPABILITY_VMWRITE_ANY; with_register(INSN_vmwrite, VMCS_exit_reason))
CASE(invept_type, invalidate(INSN_invept, 3, 0, 0))
CASE(invept_memory_type, invalidate(INSN_invept, 1, FIXTURE_EPT | 3 << 3 | 5, 0))
CASE(invept_walk_length, invalidate(INSN_invept, 1, FIXTURE_EPT | 6, 0))
CASE(invept_accessed_dirty, capability()->ept_vpid &= ~CAPABILITY_EPT_ACCESSED_DIRTY; invalidate(INSN_invept, 1, FIXTURE_EPTP | 64, 0))
CASE(invept_reserved, invalidate(INSN_invept, 1, FIXTURE_EPTP | 0x800, 0))
CASE(invept_width, invalidate(INSN_invept, 1, FIXTURE_EPTP | 1ull << 52, 0))
CASE(invvpid_type, invalidate(INSN_invvpid, 4, 1, 0))
CASE(invvpid_reserved, invalidate(INSN_invvpid, 1, 0x10001, 0))
CASE(invvpid_vpid_0, invalidate(INSN_invvpid, 1, 0, 0))
CASE(invvpid_canonical, invalidate(INSN_invvpid, 0, 1, 1ull << 62))
CASE(entry_no_vmcs, vmx_vmclear(cpu(), FIXTURE_VMCS); execute_it(plain(INSN_vmlaunch)))
CASE(entry_shadow, fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR); vmx_vmptrld(cpu(), FIXTURE_LINKED);
     execute_it(plain(INSN_vmlaunch)))
CASE(entry_mov_ss, cpu()->interruptibility = BLOCKING_BY_MOV_SS; execute_it(plain(INSN_vmlaunch)))
CASE(entry_launched, fixture_enter(&f); fixture_exit(&f, EXIT_REASON_cpuid); execute_it(plain(INSN_vmlaunch)))
CASE(entry_not_launched, execute_it(plain(INSN_vmresume)))
CASE(vmcall_root, execute_it(plain(INSN_vmcall)))

static void (*const cases[REFUSAL_COUNT])(void) = {
#define REFUSAL(instruction, name, outcome, section, text, refused) [REFUSED_##instruction##_##name] = case_##instruction##_##name,
#include "model/cpu/refusals.def"
#define REFUSAL(instruction, name, outcome, section, text, refused) [REFUSED_##instruction##_##name] = case_##instruction##_##name,
#include "model/vmx/refusals.def"
};

static unsigned exception(int outcome)
{
    return outcome == OUTCOME_UD ? VECTOR_UD : VECTOR_GP;
}

START_TEST(rows)
{
    const struct refusal *row = &refusal_table[_i];
    bool in_ss = _i == REFUSED_operand_limit;

    refusals = 0;
    refused = NULL;
    cases[_i]();
    ck_assert_msg(refused == row, "%s: refused by %s", row->id, refused ? refused->id : "nothing");
    ck_assert_uint_eq(refusals, 1);
    if (row->outcome > 0 || row->outcome == OUTCOME_INVALID) {
        ck_assert(!f.cpu->event.valid);
        ck_assert_uint_eq(f.cpu->rflags & (RFLAGS_CF | RFLAGS_ZF), row->outcome > 0 ? RFLAGS_ZF : RFLAGS_CF);
        if (row->outcome > 0)
            ck_assert_int_eq((int)VMCS(f.cpu->vmx.current, vm_instruction_error), row->outcome);
    } else {
        ck_assert(f.cpu->event.valid);
        ck_assert_uint_eq(f.cpu->event.vector, in_ss ? VECTOR_SS : exception(row->outcome));
    }
}
END_TEST

/* ---- bits: each one alone ---- */

static void make_pcid(uint64_t bits) { cpu()->cr3 |= bits; move(INSN_mov_to_cr, 4, FIXTURE_CR4 | CR4_PCIDE); }
static void load_cr0(uint64_t bits) { move(INSN_mov_to_cr, 0, FIXTURE_CR0 | bits); }
static void load_cr3(uint64_t bits) { move(INSN_mov_to_cr, 3, FIXTURE_CR3 | bits); }
static void load_cr3_pcid(uint64_t bits) { cpu()->cr4 |= CR4_PCIDE; load_cr3(bits); }
static void load_cr3_compatibility(uint64_t bits) { compatibility(); load_cr3(bits); }
static void load_cr3_legacy(uint64_t bits) { outside(); protected_32(); load_cr3(bits); }
static void load_cr8(uint64_t bits) { move(INSN_mov_to_cr, 8, bits); }
static void load_dr6(uint64_t bits) { move(INSN_mov_to_dr, 6, bits); }
static void load_dr7(uint64_t bits) { move(INSN_mov_to_dr, 7, bits); }
static void load_dr0(uint64_t bits) { move(INSN_mov_to_dr, 0, bits); }
static void read_field(uint64_t bits) { with_register(INSN_vmread, VMCS_guest_rip | bits); }
static void invept_1(uint64_t bits) { invalidate(INSN_invept, 1, FIXTURE_EPTP | bits, 0); }
static void invept_2(uint64_t bits) { invalidate(INSN_invept, 2, bits, 0); }
static void invept_2_wrong(uint64_t bits) { invalidate(INSN_invept, 2, ~bits, 0); }
static void invvpid_0(uint64_t bits) { invalidate(INSN_invvpid, 0, 1 | bits, 0); }
static void invvpid_1(uint64_t bits) { invalidate(INSN_invvpid, 1, 1 | bits, 0); }
static void invvpid_2(uint64_t bits) { invalidate(INSN_invvpid, 2, 1 | bits, 0); }
static void invvpid_3(uint64_t bits) { invalidate(INSN_invvpid, 3, 1 | bits, 0); }
static void invvpid_address(uint64_t bits) { invalidate(INSN_invvpid, 0, 1, bits); }
static void invvpid_address_1(uint64_t bits) { invalidate(INSN_invvpid, 1, 1, bits); }
static void invpcid_0(uint64_t bits) { cpu()->cr4 |= CR4_PCIDE; invalidate(INSN_invpcid, 0, bits, 0); }
static void invpcid_1(uint64_t bits) { cpu()->cr4 |= CR4_PCIDE; invalidate(INSN_invpcid, 1, bits, 0); }
static void invpcid_2(uint64_t bits) { invalidate(INSN_invpcid, 2, bits, 0); }
static void invpcid_3(uint64_t bits) { invalidate(INSN_invpcid, 3, bits, 0); }
static void invpcid_address(uint64_t bits) { invalidate(INSN_invpcid, 0, 0, bits); }
static void clear_region(uint64_t bits) { with_operand(INSN_vmclear, FIXTURE_VMCS | bits); }
static void load_region(uint64_t bits) { with_operand(INSN_vmptrld, FIXTURE_VMCS | bits); }
static void turn_on(uint64_t bits) { outside(); with_operand(INSN_vmxon, FIXTURE_VMXON | bits); }
static void write_tsc_aux(uint64_t bits) { msr(INSN_wrmsr, MSR_ia32_tsc_aux, bits); }
static void write_gs_base(uint64_t bits) { msr(INSN_wrmsr, MSR_ia32_gs_base, bits); }

enum { NO_ROW = REFUSAL_COUNT, WIDTH = 40 };
#define FROM(bit) (~0ull << (bit))
#define ABOVE_WIDTH FROM(WIDTH)
#define NOT_CANONICAL FROM(56)              /* of one bit alone, where there is LA57 */

/* The bits that a row is about: each of them alone is refused by the row, and no other bit is. NO_ROW: nothing refuses any. */
static const struct { unsigned row; uint64_t bits; void (*execute)(uint64_t bits); } bits[] = {
    { REFUSED_cr0_upper, FROM(32), load_cr0 }, { REFUSED_cr4_pcid_cr3, 0xfff, make_pcid }, { REFUSED_cr3_width, ABOVE_WIDTH, load_cr3 },
    { REFUSED_cr3_width, ABOVE_WIDTH & ~(1ull << 63), load_cr3_pcid }, { NO_ROW, 0, load_cr3_compatibility }, { NO_ROW, 0, load_cr3_legacy },
    { REFUSED_cr8_reserved, ~15ull, load_cr8 }, { REFUSED_dr_upper, FROM(32), load_dr6 }, { REFUSED_dr_upper, FROM(32), load_dr7 },
    { NO_ROW, 0, load_dr0 },
    { REFUSED_field_wide, FROM(32), read_field }, { REFUSED_field_reserved, 0xffff9000, read_field },
    { REFUSED_invept_reserved, 0xf80, invept_1 }, { REFUSED_invept_width, ABOVE_WIDTH, invept_1 }, { NO_ROW, 0, invept_2 },
    { NO_ROW, 0, invept_2_wrong },
    { REFUSED_invvpid_reserved, FROM(16), invvpid_0 }, { REFUSED_invvpid_reserved, FROM(16), invvpid_1 },
    { REFUSED_invvpid_reserved, FROM(16), invvpid_2 }, { REFUSED_invvpid_reserved, FROM(16), invvpid_3 },
    { REFUSED_invvpid_canonical, NOT_CANONICAL, invvpid_address }, { NO_ROW, 0, invvpid_address_1 },
    { REFUSED_invpcid_reserved, FROM(12), invpcid_0 }, { REFUSED_invpcid_reserved, FROM(12), invpcid_1 },
    { REFUSED_invpcid_reserved, FROM(12), invpcid_2 }, { REFUSED_invpcid_reserved, FROM(12), invpcid_3 },
    { REFUSED_invpcid_canonical, NOT_CANONICAL, invpcid_address },
    { REFUSED_vmclear_aligned, 0xfff, clear_region }, { REFUSED_vmclear_width, ABOVE_WIDTH, clear_region },
    { REFUSED_vmptrld_aligned, 0xfff, load_region }, { REFUSED_vmptrld_width, ABOVE_WIDTH, load_region },
    { REFUSED_vmxon_aligned, 0xfff, turn_on }, { REFUSED_vmxon_width, ABOVE_WIDTH, turn_on },
    { REFUSED_wrmsr_upper_half, FROM(32), write_tsc_aux }, { REFUSED_wrmsr_canonical, NOT_CANONICAL, write_gs_base },
};
enum { BITS = sizeof(bits) / sizeof(bits[0]) };

START_TEST(bits_of_a_row)
{
    for (unsigned bit = 0; bit < 64; bit++) {
        bool due = bits[_i].bits >> bit & 1;

        fixture_close(&f);
        setup();
        f.model->physical_address_width = WIDTH;
        refused = NULL;
        bits[_i].execute(1ull << bit);
        if (bits[_i].row == NO_ROW)
            ck_assert_msg(!refused, "entry %d, bit %u: refused by %s", _i, bit, refused ? refused->id : "");
        else
            ck_assert_msg((refused == &refusal_table[bits[_i].row]) == due, "%s: bit %u alone is%s refused by %s", refusal_table[bits[_i].row].id, bit,
                          due ? " not" : "", refused ? refused->id : "it");
    }
}
END_TEST

/* ---- several reasons at once ---- */

static void make_no_vmcs(void) { if (cpu()->vmx.operation) vmx_vmclear(cpu(), FIXTURE_VMCS); }
static void make_shadow(void)
{
    if (!cpu()->vmx.current)
        return;
    fixture_region(&f, FIXTURE_LINKED, VMCS_REVISION | VMCS_SHADOW_INDICATOR);
    vmx_vmptrld(cpu(), FIXTURE_LINKED);
}
static void make_mov_ss(void) { cpu()->interruptibility = BLOCKING_BY_MOV_SS; }
static void make_launched(void) { if (cpu()->vmx.current) cpu()->vmx.current->launch_state = LAUNCH_LAUNCHED; }
static void make_nothing(void) { }
static void make_no_vmxe(void) { cpu()->cr4 &= ~CR4_VMXE; }
static void make_no_ne(void) { cpu()->cr0 &= ~CR0_NE; }
static void make_unlocked(void) { CPU_MSR(cpu(), ia32_feature_control) = 0; }

static uint64_t operand;
static void make_operand_odd(void) { operand |= 8; }
static void make_operand_vmxon(void) { operand = FIXTURE_VMXON; fixture_region(&f, FIXTURE_VMXON, 0); }
static void make_field_wide(void) { operand = 1ull << 32; }
static void make_field_read_only(void) { capability()->misc &= ~CAPABILITY_VMWRITE_ANY; operand = VMCS_exit_reason; }
static void make_type_unknown(void) { operand = 7; }
static void make_index_unknown(void) { operand = 0x12345; }

static void run_vmlaunch(void) { execute_it(plain(INSN_vmlaunch)); }
static void run_vmresume(void) { execute_it(plain(INSN_vmresume)); }
static void run_vmxon(void) { with_operand(INSN_vmxon, FIXTURE_VMXON | operand); }
static void run_vmptrld(void) { with_operand(INSN_vmptrld, operand ? operand : FIXTURE_VMCS); }
static void run_vmread(void) { with_register(INSN_vmread, VMCS_guest_rip | operand); }
static void run_vmwrite(void) { with_register(INSN_vmwrite, operand ? operand : VMCS_guest_rip); }
static void run_invept(void) { invalidate(INSN_invept, operand ? operand : 1, operand ? 0 : FIXTURE_EPTP | 0x80, 0); }
static void run_rdmsr(void) { msr(INSN_rdmsr, operand ? (uint32_t)operand : MSR_ia32_vmx_basic, 0); }

/* Reasons to refuse an instruction, in the order of 27.1 and 31.3: #UD, #GP, VMfailInvalid, VMfailValid. The last one may be there always. */
enum { REASONS_MAX = 5 };
static const struct {
    void (*before)(void), (*run)(void);
    struct { unsigned row; void (*make)(void); } reason[REASONS_MAX];
} several[] = {
    { make_nothing, run_vmlaunch, { { REFUSED_vmx_privilege, user_mode }, { REFUSED_entry_no_vmcs, make_no_vmcs }, { REFUSED_entry_shadow, make_shadow },
                                    { REFUSED_entry_mov_ss, make_mov_ss }, { REFUSED_entry_launched, make_launched } } },
    { make_nothing, run_vmresume, { { REFUSED_vmx_privilege, user_mode }, { REFUSED_entry_no_vmcs, make_no_vmcs }, { REFUSED_entry_shadow, make_shadow },
                                    { REFUSED_entry_mov_ss, make_mov_ss }, { REFUSED_entry_not_launched, NULL } } },
    { outside, run_vmxon, { { REFUSED_vmxon_vmxe, make_no_vmxe }, { REFUSED_vmx_privilege, user_mode }, { REFUSED_vmxon_cr0_fixed0, make_no_ne },
                            { REFUSED_vmxon_unlocked, make_unlocked }, { REFUSED_vmxon_aligned, make_operand_odd } } },
    { make_nothing, run_vmptrld, { { REFUSED_vmx_operation, outside }, { REFUSED_vmx_privilege, user_mode },
                                   { REFUSED_vmptrld_vmxon_pointer, make_operand_vmxon } } },
    { make_nothing, run_vmread, { { REFUSED_vmx_operation, outside }, { REFUSED_vmx_privilege, user_mode }, { REFUSED_field_no_vmcs, make_no_vmcs },
                                  { REFUSED_field_wide, make_field_wide } } },
    { make_nothing, run_vmwrite, { { REFUSED_vmx_operation, outside }, { REFUSED_vmx_privilege, user_mode }, { REFUSED_field_no_vmcs, make_no_vmcs },
                                   { REFUSED_vmwrite_read_only, make_field_read_only } } },
    { make_nothing, run_invept, { { REFUSED_vmx_operation, outside }, { REFUSED_vmx_privilege, user_mode }, { REFUSED_invept_type, make_type_unknown },
                                  { REFUSED_invept_reserved, NULL } } },
    { make_nothing, run_rdmsr, { { REFUSED_privilege_cpl, user_mode }, { REFUSED_rdmsr_unknown, make_index_unknown } } },
};
enum { SEVERAL = sizeof(several) / sizeof(several[0]) };

/* Of each set of reasons the first decides. */
START_TEST(the_first_reason_decides)
{
    unsigned count = 0;

    while (count < REASONS_MAX && several[_i].reason[count].row)
        count++;
    for (unsigned set = 1; set < 1u << count; set++) {
        unsigned first = NO_ROW;

        fixture_close(&f);
        setup();
        operand = 0;
        several[_i].before();
        for (unsigned i = 0; i < count; i++) {
            bool always = !several[_i].reason[i].make;

            if (!always && !(set >> i & 1))
                continue;
            first = first == NO_ROW ? several[_i].reason[i].row : first;
            if (!always)
                several[_i].reason[i].make();
        }
        if (first == NO_ROW)
            continue;
        refused = NULL;
        several[_i].run();
        ck_assert_msg(refused == &refusal_table[first], "entry %d, set 0x%x: refused by %s, not %s", _i, set, refused ? refused->id : "nothing",
                      refusal_table[first].id);
    }
}
END_TEST

/* Nothing is told where nothing fails. */
START_TEST(success_is_silent)
{
    refusals = 0;
    with_operand(INSN_vmptrld, FIXTURE_VMCS);
    with_register(INSN_vmread, VMCS_guest_rip);
    invalidate(INSN_invept, 2, 0, 0);
    invalidate(INSN_invvpid, 2, 0, 0);
    move(INSN_mov_to_cr, 0, FIXTURE_CR0);
    move(INSN_mov_to_cr, 4, FIXTURE_CR4);
    msr(INSN_rdmsr, MSR_ia32_vmx_basic, 0);
    msr(INSN_wrmsr, MSR_ia32_pat, FIXTURE_PAT);
    ck_assert_uint_eq(refusals, 0);
}
END_TEST

/* Vol. 2: RDMSR, WRMSR, moves to and from control and debug registers, XSETBV and what is privileged refuse by #GP; by #UD what is not there. */
START_TEST(outcomes)
{
    static const char *const undefined[] = {
        "instruction.lock", "vmx.register_operand", "getsec.smx", "rsm.smm", "monitor.disabled", "monitor.cpl", "rdtscp.control", "invpcid.register_operand", "invpcid.control",
        "xsetbv.osxsave", "segment_base.fsgsbase", "cr.number", "dr.number", "dr.de", "ldtr.protected", "ldtr.virtual_8086", "memory.register_operand",
        "vmx.absent", "vmx.operation", "vmx.protected", "vmx.virtual_8086", "vmx.compatibility", "invept.absent",
        "invvpid.absent", "vmxon.absent", "vmxon.protected", "vmxon.vmxe", "vmxon.virtual_8086", "vmxon.compatibility",
        "vmcall.operation", "vmcall.virtual_8086", "vmcall.compatibility", "vmfunc.root", "vmfunc.control", "vmfunc.number",
    };

    for (unsigned i = 0; i < REFUSAL_COUNT; i++) {
        const struct refusal *r = &refusal_table[i];
        bool ud = false;

        for (unsigned u = 0; u < sizeof undefined / sizeof undefined[0]; u++)
            ud |= !strcmp(r->id, undefined[u]);
        ck_assert_msg((r->outcome == OUTCOME_UD) == ud, "%s", r->id);
        if (!strncmp(r->id, "rdmsr.", 6) || !strncmp(r->id, "wrmsr.", 6) || !strncmp(r->id, "cr0.", 4) || !strncmp(r->id, "cr3.", 4) ||
            !strncmp(r->id, "cr4.", 4) || !strncmp(r->id, "privilege.", 10))
            ck_assert_msg(r->outcome == OUTCOME_GP, "%s", r->id);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("refusal");
    TCase *table = tcase_create("table");

    tcase_add_checked_fixture(table, setup, teardown);
    tcase_add_loop_test(table, rows, 0, REFUSAL_COUNT);
    tcase_add_loop_test(table, bits_of_a_row, 0, BITS);
    tcase_add_loop_test(table, the_first_reason_decides, 0, SEVERAL);
    tcase_add_test(table, outcomes);
    tcase_add_test(table, success_is_silent);
    suite_add_tcase(suite, table);
    return suite_run(suite);
}
