/* SPDX-License-Identifier: MIT */
/* VM entry and VM exit: every guest field loaded and saved, host state, MSR areas, injection, timer, late failures. */
#include "model/cpu/translate.h"
#include "tests/model/vmx_fixture.h"

static struct vmx_fixture f;
static struct vmcs *v;
static struct cpu *cpu;

static void setup(void)
{
    fixture_open(&f);
    cpu = f.cpu;
    v = cpu->vmx.current;
}
static void teardown(void) { fixture_close(&f); }

static bool is(unsigned field, const char *part) { return strstr(vmcs_field_name(field), part) != NULL; }

/* ---- guest state ---- */

/* Each guest field gets a value of its own that the checks accept. */
static void distinct_guest(void)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        if (VMCS_ENCODING_TYPE(vmcs_encoding(i)) != VMCS_TYPE_GUEST)
            continue;
        if (is(i, "_selector"))
            v->field[i] = 0x100 + 8 * i;
        else if (is(i, "dtr_limit"))
            v->field[i] = 0x1000 + i;
        else if (is(i, "_base"))
            v->field[i] = 0x10000 * i;
        else if (is(i, "sysenter"))
            v->field[i] = 0x7000 + i;
    }
    VMCS(v, guest_cs_limit) = 0xfff0ffff;
    VMCS(v, guest_ds_limit) = 0x80000fff;
    VMCS(v, guest_es_limit) = 0x90000fff;
    VMCS(v, guest_es_access_rights) = 0xd093;
    VMCS(v, guest_ss_access_rights) = 0xc097;
    VMCS(v, guest_ds_access_rights) = AR_UNUSABLE | 0x5;
    VMCS(v, guest_fs_access_rights) = 0xc09b;
    VMCS(v, guest_gs_access_rights) = 0x1c0f3;
    VMCS(v, guest_ldtr_limit) = 0x2222;
    VMCS(v, guest_tr_limit) = 0x3333;
    VMCS(v, guest_gdtr_limit) = 0x1777;
    VMCS(v, guest_idtr_limit) = 0x1888;
    VMCS(v, guest_ia32_debugctl) = 1;
    VMCS(v, guest_ia32_pat) = 0x0006000600060006;
    VMCS(v, guest_ia32_efer) = EFER_LMA | EFER_LME | EFER_SCE | EFER_NXE;
    VMCS(v, guest_cr0) = FIXTURE_CR0 | CR0_TS | CR0_AM;
    VMCS(v, guest_cr3) = 0x1234000;
    VMCS(v, guest_cr4) = FIXTURE_CR4 | CR4_PGE | CR4_OSFXSR;
    VMCS(v, guest_dr7) = 0x755;
    VMCS(v, guest_rsp) = 0xfedcba9876543210;
    VMCS(v, guest_rip) = 0xffff800012345678;
    VMCS(v, guest_rflags) = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_CF | RFLAGS_OF;
    VMCS(v, guest_interruptibility_state) = BLOCKING_BY_STI | BLOCKING_BY_NMI;
    VMCS(v, guest_pending_debug_exceptions) = 1 << 12 | 3;
}

START_TEST(guest_state_is_loaded)
{
    distinct_guest();
    cpu->cr0 |= CR0_CD;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->cr0, FIXTURE_CR0 | CR0_TS | CR0_AM | CR0_CD);       /* CD is not loaded */
    ck_assert_uint_eq(cpu->cr3, 0x1234000);
    ck_assert_uint_eq(cpu->cr4, FIXTURE_CR4 | CR4_PGE | CR4_OSFXSR);
    ck_assert_uint_eq(cpu->dr7, 0x755);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        ck_assert_uint_eq(cpu->seg[i].selector, v->field[FIELD_guest_es_selector + i]);
        ck_assert_uint_eq(cpu->seg[i].base, v->field[FIELD_guest_es_base + i]);
        ck_assert_uint_eq(cpu->seg[i].limit, v->field[FIELD_guest_es_limit + i]);
        ck_assert_uint_eq(cpu->seg[i].access_rights, v->field[FIELD_guest_es_access_rights + i]);
    }
    ck_assert_uint_eq(cpu->gdtr.base, VMCS(v, guest_gdtr_base));
    ck_assert_uint_eq(cpu->idtr.base, VMCS(v, guest_idtr_base));
    ck_assert_uint_eq(cpu->gdtr.limit, 0x1777);
    ck_assert_uint_eq(cpu->idtr.limit, 0x1888);
    ck_assert_uint_eq(cpu->gpr[RSP], 0xfedcba9876543210);
    ck_assert_uint_eq(cpu->rip, 0xffff800012345678);
    ck_assert_uint_eq(cpu->rflags, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_CF | RFLAGS_OF);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_efer), EFER_LMA | EFER_LME | EFER_SCE | EFER_NXE);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_pat), 0x0006000600060006);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_debugctl), 1);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_sysenter_cs), VMCS(v, guest_ia32_sysenter_cs));
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_sysenter_esp), VMCS(v, guest_ia32_sysenter_esp));
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_sysenter_eip), VMCS(v, guest_ia32_sysenter_eip));
    ck_assert_uint_eq(cpu->interruptibility, BLOCKING_BY_STI | BLOCKING_BY_NMI);
    ck_assert_uint_eq(cpu->pending_debug, 1 << 12 | 3);
    ck_assert_uint_eq(cpu->activity, ACTIVITY_ACTIVE);
    ck_assert(!cpu->event.valid);
    ck_assert_uint_eq(f.entries, 1);
}
END_TEST

/* What was loaded comes back at the exit, field by field: the area is wiped in between. */
START_TEST(guest_state_is_saved)
{
    struct vmcs before;

    distinct_guest();
    before = *v;
    fixture_enter(&f);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (VMCS_ENCODING_TYPE(vmcs_encoding(i)) == VMCS_TYPE_GUEST)
            v->field[i] = 0x5a5a5a5a5a5a5a5a & vmcs_field_mask(i);
    fixture_exit(&f, EXIT_REASON_init_signal);          /* one of those that save pending debug exceptions, too */
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        if (VMCS_ENCODING_TYPE(vmcs_encoding(i)) != VMCS_TYPE_GUEST || vmcs_find(f.model, vmcs_encoding(i)) != i ||
            i == FIELD_vmcs_link_pointer || i == FIELD_guest_smbase || i == FIELD_preemption_timer_value ||
            i == FIELD_guest_interrupt_status || i == FIELD_guest_ia32_perf_global_ctrl || i == FIELD_pml_index ||
            is(i, "pdpte"))
            ck_assert_uint_eq(v->field[i], VMCS_ENCODING_TYPE(vmcs_encoding(i)) == VMCS_TYPE_GUEST
                                               ? 0x5a5a5a5a5a5a5a5a & vmcs_field_mask(i) : v->field[i]);
        else
            ck_assert_msg(v->field[i] == before.field[i], "%s: %lx, was %lx", vmcs_field_name(i),
                          (unsigned long)v->field[i], (unsigned long)before.field[i]);
    }
}
END_TEST

/* 28.3.4: clear for all exits but a few, and those in the shadow of MOV SS. */
START_TEST(pending_debug_exceptions_are_saved_by_few)
{
    static const struct {
        uint32_t reason, blocking;
        bool saved;
    } exits[] = {
        { EXIT_REASON_vmcall, 0, false },
        { EXIT_REASON_preemption_timer_expired, BLOCKING_BY_STI, false },
        { EXIT_REASON_preemption_timer_expired, BLOCKING_BY_MOV_SS, true },
        { EXIT_REASON_monitor_trap_flag, 0, true },
        { EXIT_REASON_tpr_below_threshold, 0, true },
        { EXIT_REASON_init_signal, 0, true },
    };

    for (unsigned i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
        v->launch_state = LAUNCH_CLEAR;
        VMCS(v, guest_pending_debug_exceptions) = 3;
        fixture_enter(&f);
        f.cpu->interruptibility = exits[i].blocking;
        fixture_exit(&f, exits[i].reason);
        ck_assert_msg(VMCS(v, guest_pending_debug_exceptions) == (exits[i].saved ? 3 : 0), "exit %u", exits[i].reason);
        VMCS(v, guest_interruptibility_state) = 0;
    }
}
END_TEST

START_TEST(save_and_load_controls_are_obeyed)
{
    uint64_t pat = CPU_MSR(cpu, ia32_pat);

    VMCS(v, entry_controls) &= ~(uint64_t)(ENTRY_load_debug_controls | ENTRY_load_ia32_pat | ENTRY_load_ia32_efer);
    VMCS(v, exit_controls) &= ~(uint64_t)(EXIT_save_debug_controls | EXIT_save_ia32_pat | EXIT_save_ia32_efer |
                                          EXIT_load_ia32_pat | EXIT_load_ia32_efer);
    VMCS(v, guest_dr7) = 0x5555;
    VMCS(v, guest_ia32_debugctl) = 2;
    VMCS(v, guest_ia32_pat) = 0;
    VMCS(v, guest_ia32_efer) = 0;
    cpu->dr7 = 0x401;
    CPU_MSR(cpu, ia32_efer) |= EFER_SCE;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->dr7, 0x401);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_debugctl), 0);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_pat), pat);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_efer), EFER_SCE | EFER_LMA | EFER_LME);
    CPU_MSR(cpu, ia32_pat) = 0x0606060606060606;
    CPU_MSR(cpu, ia32_efer) |= EFER_NXE;
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert_uint_eq(VMCS(v, guest_dr7), 0x5555);
    ck_assert_uint_eq(VMCS(v, guest_ia32_debugctl), 2);
    ck_assert_uint_eq(VMCS(v, guest_ia32_pat), 0);
    ck_assert_uint_eq(VMCS(v, guest_ia32_efer), 0);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_pat), 0x0606060606060606);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_efer), EFER_SCE | EFER_NXE | EFER_LMA | EFER_LME);
}
END_TEST

/* A 32-bit guest of a 64-bit host, EFER by the IA-32e control alone; a mode change is told by the same control. */
START_TEST(performance_and_cet_state)
{
    VMCS(v, entry_controls) |= ENTRY_load_ia32_perf_global_ctrl | ENTRY_load_cet_state;
    VMCS(v, exit_controls) |= EXIT_load_ia32_perf_global_ctrl | EXIT_load_cet_state;
    VMCS(v, guest_ia32_perf_global_ctrl) = 3;
    VMCS(v, host_ia32_perf_global_ctrl) = 0x700000000;
    VMCS(v, guest_ia32_s_cet) = 1;
    VMCS(v, guest_ssp) = 0x1000;
    VMCS(v, guest_ia32_interrupt_ssp_table) = 0x2000;
    VMCS(v, host_ia32_s_cet) = 4;
    VMCS(v, host_ssp) = 0x3000;
    VMCS(v, host_ia32_interrupt_ssp_table) = 0x4000;
    fixture_enter(&f);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_perf_global_ctrl), 3);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_s_cet), 1);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_interrupt_ssp_table_addr), 0x2000);
    ck_assert_uint_eq(cpu->ssp, 0x1000);
    CPU_MSR(cpu, ia32_perf_global_ctrl) = 1;
    CPU_MSR(cpu, ia32_s_cet) = 5;
    CPU_MSR(cpu, ia32_interrupt_ssp_table_addr) = 0x5000;
    cpu->ssp = 0x6000;
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert_uint_eq(VMCS(v, guest_ia32_perf_global_ctrl), 3);         /* not saved */
    ck_assert_uint_eq(VMCS(v, guest_ia32_s_cet), 5);
    ck_assert_uint_eq(VMCS(v, guest_ia32_interrupt_ssp_table), 0x5000);
    ck_assert_uint_eq(VMCS(v, guest_ssp), 0x6000);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_perf_global_ctrl), 0x700000000);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_s_cet), 4);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_interrupt_ssp_table_addr), 0x4000);
    ck_assert_uint_eq(cpu->ssp, 0x3000);
}
END_TEST

/* CET state is saved by every exit of a processor that can load it, and loaded only where the controls say so. */
START_TEST(cet_state_without_its_controls)
{
    VMCS(v, guest_ssp) = 0x1000;
    cpu->ssp = 0x7000;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->ssp, 0x7000);
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert_uint_eq(VMCS(v, guest_ssp), 0x7000);
    ck_assert_uint_eq(cpu->ssp, 0x7000);
}
END_TEST

START_TEST(efer_follows_the_mode)
{
    VMCS(v, entry_controls) &= ~(uint64_t)(ENTRY_ia32e_mode_guest | ENTRY_load_ia32_efer);
    VMCS(v, exit_controls) &= ~(uint64_t)EXIT_load_ia32_efer;
    VMCS(v, guest_cr3) = FIXTURE_PDPTES;
    VMCS(v, guest_cs_access_rights) = 0xc09b;
    fixture_enter(&f);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_efer), 0);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(cpu->pdpte[i], (FIXTURE_PDPTES + 0x1000) | 1);
    CPU_MSR(cpu, ia32_efer) = EFER_LMA | EFER_LME;
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert(VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_efer), EFER_LMA | EFER_LME);
}
END_TEST

/* 27.3.2.4: from memory without EPT, whatever other secondary controls are 1 and whatever the fields say. */
START_TEST(pdptes_without_ept)
{
    VMCS(v, secondary_processor_based_controls) = (f.model->capability.proc2.allowed &
        (PROC2_enable_rdtscp | PROC2_enable_vpid | PROC2_wbinvd_exiting | PROC2_enable_invpcid)) & ~(uint64_t)PROC2_enable_ept;
    VMCS(v, processor_based_controls) |= PROC_activate_secondary_controls;
    VMCS(v, virtual_processor_identifier) = 1;
    VMCS(v, entry_controls) &= ~(uint64_t)(ENTRY_ia32e_mode_guest | ENTRY_load_ia32_efer);
    VMCS(v, guest_cs_access_rights) = 0xc09b;
    VMCS(v, guest_cr3) = FIXTURE_PDPTES;
    for (unsigned i = 0; i < 4; i++) {
        v->field[FIELD_guest_pdpte0 + i] = 0x100000 * i + 1;
        fixture_store64(&f, FIXTURE_PDPTES + 8 * i, 0x200000 * i + 1);
    }
    fixture_enter(&f);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(cpu->pdpte[i], 0x200000 * i + 1);
    fixture_exit(&f, EXIT_REASON_vmcall);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(v->field[FIELD_guest_pdpte0 + i], 0x100000 * i + 1);      /* 28.3.4: saved with EPT alone */
}
END_TEST

START_TEST(pdptes_with_ept)
{
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept;
    VMCS(v, entry_controls) &= ~(uint64_t)(ENTRY_ia32e_mode_guest | ENTRY_load_ia32_efer);
    VMCS(v, guest_cs_access_rights) = 0xc09b;
    for (unsigned i = 0; i < 4; i++)
        v->field[FIELD_guest_pdpte0 + i] = 0x100000 * i + 1;
    fixture_enter(&f);
    ck_assert(cpu->vmx.ept);
    ck_assert_uint_eq(cpu->vmx.eptp, FIXTURE_EPTP);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(cpu->pdpte[i], 0x100000 * i + 1);
        cpu->pdpte[i] += 0x1000;
    }
    fixture_exit(&f, EXIT_REASON_vmcall);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(v->field[FIELD_guest_pdpte0 + i], 0x100000 * i + 0x1001);
    ck_assert(!cpu->vmx.ept);
}
END_TEST

/* Has the TLB a translation of this page for the VPID? */
static bool remembered(uint16_t vpid)
{
    for (unsigned set = 0; set < TLB_SETS; set++)
        for (unsigned way = 0; way < TLB_WAYS; way++) {
            const struct tlb_entry *entry = &f.model->tlb.entry[set][way];

            if (entry->valid && entry->page == 0x5000 && entry->vpid == vpid)
                return true;
        }
    return false;
}

static void remember(uint16_t vpid)
{
    struct access access = { .kind = ACCESS_READ };

    ck_assert_int_eq(translate(cpu, 0x5000, access).result, TRANSLATION_OK);
    ck_assert(remembered(vpid));
}

START_TEST(without_vpid_transitions_flush)
{
    remember(0);
    fixture_enter(&f);
    ck_assert(!remembered(0));
    remember(0);
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert(!remembered(0));
}
END_TEST

START_TEST(with_vpid_transitions_do_not_flush)
{
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_vpid;
    remember(0);
    fixture_enter(&f);
    ck_assert(remembered(0));
    remember(1);
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert(remembered(1));
    for (uint64_t type = 0; type < 4; type += type ? 2 : 1)             /* 0, 1, 3: of another VPID */
        ck_assert_int_eq(vmx_invvpid(cpu, type, 2, 0x5000), VMX_SUCCEED);
    ck_assert_int_eq(vmx_invvpid(cpu, 0, 1, 0x80005000), VMX_SUCCEED);
    ck_assert(remembered(1));
}
END_TEST

START_TEST(invvpid_reaches_the_tlb)
{
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_vpid;
    fixture_enter(&f);
    remember(1);
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert_int_eq(vmx_invvpid(cpu, (uint64_t)_i, 1, 0x5000), VMX_SUCCEED);
    ck_assert(!remembered(1));
}
END_TEST

START_TEST(invept_reaches_the_tlb)
{
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_vpid | PROC2_enable_ept;
    fixture_enter(&f);
    remember(1);
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert_int_eq(vmx_invept(cpu, 1, FIXTURE_EPTP ^ 0x100000), VMX_SUCCEED);
    ck_assert(remembered(1));
    ck_assert_int_eq(vmx_invept(cpu, (uint64_t)_i, FIXTURE_EPTP), VMX_SUCCEED);
    ck_assert(!remembered(1));
}
END_TEST

START_TEST(vpid_and_transitions)
{
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_vpid;
    VMCS(v, virtual_processor_identifier) = 0x77;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->vmx.vpid, 0x77);
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert_uint_eq(cpu->vmx.vpid, 0);
}
END_TEST

/* ---- host state ---- */

START_TEST(host_state_is_loaded)
{
    VMCS(v, host_cr0) = FIXTURE_CR0 | CR0_TS;
    VMCS(v, host_cr3) = 0x55000;
    VMCS(v, host_cr4) = FIXTURE_CR4 | CR4_PCIDE;
    VMCS(v, host_es_selector) = 0;
    VMCS(v, host_ss_selector) = 0x28;
    VMCS(v, host_ds_selector) = 0x30;
    VMCS(v, host_gs_selector) = 0;
    VMCS(v, host_fs_base) = 0x1111;
    VMCS(v, host_gs_base) = 0xffff888000002222;
    VMCS(v, host_tr_base) = 0x3333;
    VMCS(v, host_gdtr_base) = 0x4444;
    VMCS(v, host_idtr_base) = 0x5555;
    VMCS(v, host_ia32_sysenter_cs) = 0x10;
    VMCS(v, host_ia32_sysenter_esp) = 0x6666;
    VMCS(v, host_ia32_sysenter_eip) = 0x7777;
    VMCS(v, host_ia32_efer) = EFER_LMA | EFER_LME | EFER_NXE;
    VMCS(v, host_ia32_pat) = 0x0606060606060606;
    VMCS(v, guest_ia32_debugctl) = 3;
    fixture_enter(&f);
    cpu->pending_debug = 0x4000;
    cpu->interruptibility = BLOCKING_BY_MOV_SS;
    cpu->activity = ACTIVITY_HLT;
    cpu->gpr[RAX] = 0x99;
    cpu->dr7 = 0x455;
    cpu->vmx.nmi_blocking_by_iret = true;
    cpu->cr0 |= CR0_CD;
    fixture_exit(&f, EXIT_REASON_vmcall);

    ck_assert_uint_eq(cpu->cr0, FIXTURE_CR0 | CR0_TS | CR0_CD);
    ck_assert_uint_eq(cpu->cr3, 0x55000);
    ck_assert_uint_eq(cpu->cr4, FIXTURE_CR4 | CR4_PCIDE);
    ck_assert_uint_eq(cpu->dr7, 0x400);
    ck_assert(!cpu->vmx.nmi_blocking_by_iret);
    ck_assert_uint_eq(cpu->rip, FIXTURE_HOST_RIP);
    ck_assert_uint_eq(cpu->gpr[RSP], FIXTURE_HOST_RSP);
    ck_assert_uint_eq(cpu->gpr[RAX], 0x99);
    ck_assert_uint_eq(cpu->rflags, 2);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_debugctl), 0);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_sysenter_cs), 0x10);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_sysenter_esp), 0x6666);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_sysenter_eip), 0x7777);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_efer), EFER_LMA | EFER_LME | EFER_NXE);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_pat), 0x0606060606060606);
    ck_assert_uint_eq(cpu->seg[SEG_CS].access_rights, 0xa09b);
    ck_assert_uint_eq(cpu->seg[SEG_CS].limit, 0xffffffff);
    ck_assert_uint_eq(cpu->seg[SEG_SS].selector, 0x28);
    ck_assert_uint_eq(cpu->seg[SEG_SS].access_rights, 0xc093);
    ck_assert_uint_eq(cpu->seg[SEG_DS].selector, 0x30);
    ck_assert_uint_eq(cpu->seg[SEG_ES].access_rights, AR_UNUSABLE);
    ck_assert_uint_eq(cpu->seg[SEG_GS].access_rights, AR_UNUSABLE);
    ck_assert_uint_eq(cpu->seg[SEG_FS].base, 0x1111);
    ck_assert_uint_eq(cpu->seg[SEG_GS].base, 0xffff888000002222);
    ck_assert_uint_eq(cpu->seg[SEG_TR].selector, 0x18);
    ck_assert_uint_eq(cpu->seg[SEG_TR].base, 0x3333);
    ck_assert_uint_eq(cpu->seg[SEG_TR].limit, 0x67);
    ck_assert_uint_eq(cpu->seg[SEG_TR].access_rights, 0x8b);
    ck_assert_uint_eq(cpu->seg[SEG_LDTR].selector, 0);
    ck_assert_uint_eq(cpu->seg[SEG_LDTR].access_rights, AR_UNUSABLE);
    ck_assert_uint_eq(cpu->gdtr.base, 0x4444);
    ck_assert_uint_eq(cpu->idtr.base, 0x5555);
    ck_assert_uint_eq(cpu->gdtr.limit, 0xffff);
    ck_assert_uint_eq(cpu->idtr.limit, 0xffff);
    ck_assert_uint_eq(cpu->interruptibility, 0);
    ck_assert_uint_eq(cpu->pending_debug, 0);
    ck_assert_uint_eq(cpu->activity, ACTIVITY_ACTIVE);
    ck_assert_uint_eq(cpu_cpl(cpu), 0);
    ck_assert_uint_eq(VMCS(v, guest_pending_debug_exceptions), 0x4000);
    ck_assert_uint_eq(VMCS(v, guest_interruptibility_state), BLOCKING_BY_MOV_SS);
    ck_assert_uint_eq(VMCS(v, guest_activity_state), ACTIVITY_HLT);
}
END_TEST

static void host32(void)
{
    CPU_MSR(cpu, ia32_efer) = 0;
    VMCS(v, exit_controls) &= ~(uint64_t)(EXIT_host_address_space_size | EXIT_load_ia32_efer);
    VMCS(v, entry_controls) &= ~(uint64_t)(ENTRY_ia32e_mode_guest | ENTRY_load_ia32_efer);
    VMCS(v, guest_cs_access_rights) = 0xc09b;
    VMCS(v, guest_cr3) = VMCS(v, host_cr3) = FIXTURE_PDPTES;
}

START_TEST(a_32_bit_host)
{
    host32();
    fixture_enter(&f);
    cpu->pdpte[0] = 0;
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert_uint_eq(cpu->seg[SEG_CS].access_rights, 0xc09b);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_efer), 0);
    ck_assert_uint_eq(cpu->pdpte[0], (FIXTURE_PDPTES + 0x1000) | 1);
}
END_TEST

START_TEST(bad_host_pdptes_abort)
{
    struct exit_information information = { .reason = EXIT_REASON_hlt };

    host32();
    fixture_enter(&f);
    fixture_store64(&f, FIXTURE_PDPTES + 16, 0x13003);
    ck_assert_int_eq(vmx_exit(cpu, &information), STATUS_SHUTDOWN);
    ck_assert_uint_eq(memory_read32(&f.model->memory, FIXTURE_VMCS + 4), 2);
    ck_assert_uint_eq(f.shutdown.a, 2);
    ck_assert_uint_eq(cpu->activity, ACTIVITY_SHUTDOWN);
}
END_TEST

/* ---- exit information ---- */

START_TEST(exit_information_is_recorded)
{
    struct exit_information information = {
        .reason = EXIT_REASON_ept_violation, .qualification = 0x181, .guest_linear_address = 0x1111111111,
        .guest_physical_address = 0x2222222222, .interruption_information = 0x80000b0e,
        .interruption_error_code = 0x33, .instruction_length = 4, .instruction_information = 0x44444444,
    };

    VMCS(v, entry_interruption_information) = 0x80000000 | EVENT_OTHER << 8;
    fixture_enter(&f);
    cpu->rip = 0x30010;
    vmx_exit(cpu, &information);
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_ept_violation);
    ck_assert_uint_eq(VMCS(v, exit_qualification), 0x181);
    ck_assert_uint_eq(VMCS(v, guest_linear_address), 0x1111111111);
    ck_assert_uint_eq(VMCS(v, guest_physical_address), 0x2222222222);
    ck_assert_uint_eq(VMCS(v, exit_interruption_information), 0x80000b0e);
    ck_assert_uint_eq(VMCS(v, exit_interruption_error_code), 0x33);
    ck_assert_uint_eq(VMCS(v, exit_instruction_length), 4);
    ck_assert_uint_eq(VMCS(v, exit_instruction_information), 0x44444444);
    ck_assert_uint_eq(VMCS(v, idt_vectoring_information), 0);
    ck_assert_uint_eq(VMCS(v, entry_interruption_information), EVENT_OTHER << 8);   /* valid bit cleared */
    ck_assert_uint_eq(f.exit.a, EXIT_REASON_ept_violation);
    ck_assert_uint_eq(f.exit.c, 0x30010);
    ck_assert_uint_eq(f.exit.d, FIXTURE_VMCS);
}
END_TEST

START_TEST(idt_vectoring_is_recorded)
{
    struct exit_information information = { .reason = EXIT_REASON_ept_violation, .instruction_length = 9 };
    vmx_result result;

    fixture_enter(&f);
    cpu->vmx.delivering = (struct event){ .valid = true, .vector = VECTOR_GP, .type = EVENT_HARDWARE_EXCEPTION,
                                          .has_error_code = true, .error_code = 0x18 };
    vmx_exit(cpu, &information);
    ck_assert_uint_eq(VMCS(v, idt_vectoring_information), 0x80000b0d);
    ck_assert_uint_eq(VMCS(v, idt_vectoring_error_code), 0x18);
    ck_assert_uint_eq(VMCS(v, exit_instruction_length), 9);

    vmx_enter(cpu, false, &result);
    ck_assert(!cpu->vmx.delivering.valid);
    cpu->vmx.delivering = (struct event){ .valid = true, .vector = 0x80, .type = EVENT_SOFTWARE_INTERRUPT,
                                          .instruction_length = 2 };
    vmx_exit(cpu, &information);
    ck_assert_uint_eq(VMCS(v, idt_vectoring_information), 0x80000480);
    ck_assert_uint_eq(VMCS(v, exit_instruction_length), 2);

    vmx_enter(cpu, false, &result);
    cpu->vmx.delivering = (struct event){ .valid = true, .vector = 8, .type = EVENT_HARDWARE_EXCEPTION };
    information.reason = EXIT_REASON_triple_fault;
    vmx_exit(cpu, &information);
    ck_assert_uint_eq(VMCS(v, idt_vectoring_information), 0);
}
END_TEST

/* ---- blocking by NMI ---- */

START_TEST(nmi_blocking_crosses_the_border)
{
    struct exit_information nmi = { .reason = EXIT_REASON_exception_or_nmi, .interruption_information = 0x80000202 };
    struct exit_information exception = { .reason = EXIT_REASON_exception_or_nmi,
                                          .interruption_information = 0x80000306 };
    vmx_result result;

    fixture_enter(&f);
    vmx_exit(cpu, &nmi);
    ck_assert_uint_eq(cpu->interruptibility, BLOCKING_BY_NMI);
    ck_assert_uint_eq(VMCS(v, guest_interruptibility_state), 0);

    vmx_enter(cpu, false, &result);
    ck_assert_uint_eq(cpu->interruptibility, 0);
    vmx_exit(cpu, &exception);
    ck_assert_uint_eq(cpu->interruptibility, 0);

    VMCS(v, guest_interruptibility_state) = BLOCKING_BY_NMI;
    vmx_enter(cpu, false, &result);
    vmx_exit(cpu, &exception);
    ck_assert_uint_eq(cpu->interruptibility, BLOCKING_BY_NMI);

    /* Virtual NMIs: the guest's blocking stays with the guest. */
    VMCS(v, pin_based_controls) |= PIN_nmi_exiting | PIN_virtual_nmis;
    vmx_enter(cpu, false, &result);
    ck_assert_uint_eq(cpu->interruptibility, BLOCKING_BY_NMI);
    vmx_exit(cpu, &exception);
    ck_assert_uint_eq(cpu->interruptibility, 0);
    ck_assert_uint_eq(VMCS(v, guest_interruptibility_state), BLOCKING_BY_NMI);
}
END_TEST

START_TEST(failed_entry_keeps_nmi_blocking)
{
    vmx_result result;

    cpu->interruptibility = BLOCKING_BY_NMI;
    VMCS(v, guest_rflags) = 0;
    ck_assert_int_eq(vmx_enter(cpu, true, &result), STATUS_VM_EXIT);
    ck_assert_uint_eq(cpu->interruptibility, BLOCKING_BY_NMI);
}
END_TEST

/* ---- late failures ---- */

START_TEST(invalid_guest_state)
{
    struct vmcs before;
    vmx_result result;

    distinct_guest();
    VMCS(v, guest_rip) = 1ull << 60;
    VMCS(v, entry_interruption_information) = 0x80000306;
    VMCS(v, guest_interruptibility_state) = 0;
    VMCS(v, exit_msr_store_count) = 1;
    fixture_store64(&f, FIXTURE_MSR_AREA + 0x400, MSR_ia32_efer);
    fixture_store64(&f, FIXTURE_MSR_AREA + 0x408, 0x77);
    VMCS(v, exit_msr_load_count) = 1;
    fixture_store64(&f, FIXTURE_MSR_AREA + 0x800, MSR_ia32_lstar);
    fixture_store64(&f, FIXTURE_MSR_AREA + 0x808, 0x1234);
    VMCS(v, exit_instruction_length) = 7;
    before = *v;
    ck_assert_int_eq(vmx_enter(cpu, true, &result), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), 0x80000021);
    ck_assert_uint_eq(VMCS(v, exit_qualification), 0);
    ck_assert_uint_eq(cpu->rip, FIXTURE_HOST_RIP);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)         /* nothing else is written (27.8) */
        if (i != FIELD_exit_reason)
            ck_assert_msg(v->field[i] == before.field[i], "%s", vmcs_field_name(i));
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_MSR_AREA + 0x408), 0x77);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_lstar), 0x1234);    /* the MSR-load area is processed */
    ck_assert_uint_eq(v->launch_state, LAUNCH_CLEAR);
    ck_assert(!cpu->event.valid);
    ck_assert_uint_eq(f.entry_failed.b, 0x80000021);
    ck_assert_uint_eq(f.entries + f.exits, 0);
}
END_TEST

/* ---- MSR areas ---- */

static void area(uint64_t address, unsigned number, uint64_t index, uint64_t value)
{
    fixture_store64(&f, address + 16 * number, index);
    fixture_store64(&f, address + 16 * number + 8, value);
}

START_TEST(msr_areas)
{
    area(FIXTURE_MSR_AREA, 0, MSR_ia32_lstar, 0x1000);
    area(FIXTURE_MSR_AREA, 1, MSR_ia32_star, 0x2000);
    VMCS(v, entry_msr_load_count) = 2;
    area(FIXTURE_MSR_AREA + 0x400, 0, MSR_ia32_star, 0);
    VMCS(v, exit_msr_store_count) = 1;
    area(FIXTURE_MSR_AREA + 0x800, 0, MSR_ia32_lstar, 0x3000);
    VMCS(v, exit_msr_load_count) = 1;
    fixture_enter(&f);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_lstar), 0x1000);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_star), 0x2000);
    CPU_MSR(cpu, ia32_star) = 0x4000;
    fixture_exit(&f, EXIT_REASON_vmcall);
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_MSR_AREA + 0x408), 0x4000);
    ck_assert_uint_eq(CPU_MSR(cpu, ia32_lstar), 0x3000);
}
END_TEST

static const struct {
    uint64_t index, value;
} bad_entries[] = {
    { MSR_ia32_fs_base, 0 }, { MSR_ia32_gs_base, 0 }, { MSR_ia32_bios_sign_id, 0 }, { 0x800, 0 }, { 0x808, 0 }, { 0x8ff, 0 },
    { 1ull << 32 | MSR_ia32_star, 0 },          /* reserved bits */
    { 0x12345, 0 },                             /* no such MSR */
    { MSR_ia32_vmx_basic, 0 },                  /* read-only */
    { MSR_ia32_lstar, 1ull << 56 },             /* WRMSR would raise #GP */
    { MSR_ia32_efer, 1 << 1 }, { MSR_ia32_efer, 0 },
};

START_TEST(bad_msr_at_entry)
{
    vmx_result result;

    area(FIXTURE_MSR_AREA, 0, MSR_ia32_star, 1);
    area(FIXTURE_MSR_AREA, 1, bad_entries[_i].index, bad_entries[_i].value);
    VMCS(v, entry_msr_load_count) = 2;
    ck_assert_int_eq(vmx_enter(cpu, true, &result), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), 0x80000022);
    ck_assert_uint_eq(VMCS(v, exit_qualification), 2);      /* the second entry */
    ck_assert_uint_eq(cpu->rip, FIXTURE_HOST_RIP);
    ck_assert_uint_eq(v->launch_state, LAUNCH_CLEAR);
    ck_assert(!cpu->vmx.non_root);
}
END_TEST

START_TEST(bad_msr_at_exit_aborts)
{
    struct exit_information information = { .reason = EXIT_REASON_hlt };

    area(FIXTURE_MSR_AREA + 0x800, 0, bad_entries[_i].index, bad_entries[_i].value);
    VMCS(v, exit_msr_load_count) = 1;
    fixture_enter(&f);
    ck_assert_int_eq(vmx_exit(cpu, &information), STATUS_SHUTDOWN);
    ck_assert_uint_eq(memory_read32(&f.model->memory, FIXTURE_VMCS + 4), 4);
    ck_assert_uint_eq(f.shutdown.a, 4);
}
END_TEST

START_TEST(bad_store_aborts)
{
    static const uint64_t indices[] = { 0x800, 1ull << 40 | MSR_ia32_star, 0x12345 };
    struct exit_information information = { .reason = EXIT_REASON_hlt };

    area(FIXTURE_MSR_AREA + 0x400, 0, indices[_i], 0);
    VMCS(v, exit_msr_store_count) = 1;
    fixture_enter(&f);
    ck_assert_int_eq(vmx_exit(cpu, &information), STATUS_SHUTDOWN);
    ck_assert_uint_eq(f.shutdown.a, 1);
}
END_TEST

/* 28.4: what may not be loaded may be stored. */
START_TEST(bases_are_stored)
{
    static const uint32_t indices[] = { MSR_ia32_fs_base, MSR_ia32_gs_base, MSR_ia32_bios_sign_id };

    for (unsigned i = 0; i < 3; i++)
        area(FIXTURE_MSR_AREA + 0x400, i, indices[i], 0x77);
    area(FIXTURE_MSR_AREA + 0x400, 3, MSR_ia32_time_stamp_counter, 0x77);
    VMCS(v, exit_msr_store_count) = 4;
    VMCS(v, processor_based_controls) |= PROC_use_tsc_offsetting;
    VMCS(v, tsc_offset) = 0x10000;
    fixture_enter(&f);
    cpu->clock = 0x100;
    cpu->seg[SEG_FS].base = 0x1234;
    cpu->seg[SEG_GS].base = 0x5678;
    CPU_MSR(cpu, ia32_bios_sign_id) = 1ull << 32;
    fixture_exit(&f, EXIT_REASON_hlt);
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_MSR_AREA + 0x408), 0x1234);
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_MSR_AREA + 0x418), 0x5678);
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_MSR_AREA + 0x428), 1ull << 32);
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_MSR_AREA + 0x438), 0x100);        /* the processor's, without the guest's offset */
}
END_TEST

/* Counts come from software: the lists end at the recommended maximum, not after four thousand million entries. */
START_TEST(endless_area)
{
    vmx_result result;

    for (unsigned i = 0; i < 600; i++)
        area(0x100000, i, MSR_ia32_star, i);
    VMCS(v, entry_msr_load_address) = 0x100000;
    VMCS(v, entry_msr_load_count) = 512;
    fixture_enter(&f);
    fixture_exit(&f, EXIT_REASON_hlt);
    VMCS(v, entry_msr_load_count) = 0xffffffff;
    ck_assert_int_eq(vmx_enter(cpu, false, &result), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(v, exit_reason), 0x80000022);
    ck_assert_uint_eq(VMCS(v, exit_qualification), 513);
}
END_TEST

/* ---- injection ---- */

START_TEST(injection)
{
    VMCS(v, entry_interruption_information) = 0x80000b0d;
    VMCS(v, entry_exception_error_code) = 0x28;
    fixture_enter(&f);
    ck_assert(cpu->event.valid);
    ck_assert_uint_eq(cpu->event.vector, VECTOR_GP);
    ck_assert_uint_eq(cpu->event.type, EVENT_HARDWARE_EXCEPTION);
    ck_assert(cpu->event.has_error_code);
    ck_assert_uint_eq(cpu->event.error_code, 0x28);
    ck_assert(!cpu->vmx.mtf_pending);
    fixture_exit(&f, EXIT_REASON_hlt);
    ck_assert(!cpu->event.valid);
    ck_assert(!(VMCS(v, entry_interruption_information) & INTERRUPTION_VALID));
}
END_TEST

START_TEST(injection_of_software_events)
{
    VMCS(v, entry_interruption_information) = 0x80000480;
    VMCS(v, entry_instruction_length) = 2;
    VMCS(v, guest_activity_state) = ACTIVITY_ACTIVE;
    VMCS(v, guest_interruptibility_state) = BLOCKING_BY_MOV_SS;
    VMCS(v, guest_pending_debug_exceptions) = 1 << 12;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->event.instruction_length, 2);
    ck_assert_uint_eq(cpu->pending_debug, 1 << 12);         /* MOV SS keeps it for INT n (27.7.3) */
    ck_assert_uint_eq(cpu->interruptibility, 0);
}
END_TEST

/* 27.7.3: which injections keep a pending debug exception that MOV SS has put off. */
START_TEST(injection_and_pending_debug)
{
    static const struct { uint32_t information; bool mov_ss, keeps; } table[] = {
        { 0x80000480, true, true },  { 0x80000480, false, false },      /* INT n */
        { 0x80000603, true, true },  { 0x80000603, false, false },      /* INT3 */
        { 0x80000501, true, false }, { 0x80000306, true, false },       /* INT1, #UD */
        { 0x80000020, false, false },
    };

    VMCS(v, entry_interruption_information) = table[_i].information;
    VMCS(v, guest_interruptibility_state) = table[_i].mov_ss ? BLOCKING_BY_MOV_SS : 0;
    VMCS(v, guest_pending_debug_exceptions) = 1 << 12;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->pending_debug, table[_i].keeps ? 1 << 12 : 0);
}
END_TEST

START_TEST(injection_of_a_page_fault_keeps_cr2)
{
    cpu->cr2 = 0x1234567;
    VMCS(v, entry_interruption_information) = 0x80000b0e;
    fixture_enter(&f);
    ck_assert(cpu->event.valid && cpu->event.begun);
    ck_assert_uint_eq(cpu->cr2, 0x1234567);
}
END_TEST

START_TEST(injection_of_an_nmi_blocks)
{
    VMCS(v, entry_interruption_information) = 0x80000202;
    VMCS(v, guest_pending_debug_exceptions) = 1 << 12;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->interruptibility, BLOCKING_BY_NMI);
    ck_assert_uint_eq(cpu->pending_debug, 0);
}
END_TEST

START_TEST(injection_wakes)
{
    VMCS(v, guest_activity_state) = ACTIVITY_HLT;
    VMCS(v, entry_interruption_information) = 0x80000020;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->activity, ACTIVITY_ACTIVE);
    ck_assert_uint_eq(cpu->event.vector, 0x20);
}
END_TEST

START_TEST(pending_debug_without_injection)
{
    static const struct { uint32_t activity; uint64_t pending; } table[] = {
        { ACTIVITY_ACTIVE, 1 << 12 }, { ACTIVITY_HLT, 1 << 12 }, { ACTIVITY_SHUTDOWN, 0 },
        { ACTIVITY_WAIT_FOR_SIPI, 0 },
    };

    VMCS(v, guest_activity_state) = table[_i].activity;
    VMCS(v, guest_pending_debug_exceptions) = 1 << 12;
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->activity, table[_i].activity);
    ck_assert_uint_eq(cpu->pending_debug, table[_i].pending);
}
END_TEST

START_TEST(early_failure_is_told)
{
    vmx_result result;

    VMCS(v, cr3_target_count) = 5;
    vmx_enter(cpu, true, &result);
    ck_assert_uint_eq(f.entry_failed.a, FIXTURE_VMCS);
    ck_assert_uint_eq(f.entry_failed.b, 7);
    vmx_enter(cpu, false, &result);
    ck_assert_uint_eq(f.entry_failed.b, 5);
}
END_TEST

START_TEST(injection_of_mtf)
{
    VMCS(v, guest_activity_state) = ACTIVITY_HLT;
    VMCS(v, entry_interruption_information) = 0x80000700;
    fixture_enter(&f);
    ck_assert(cpu->vmx.mtf_pending);
    ck_assert(!cpu->event.valid);
    ck_assert_uint_eq(cpu->activity, ACTIVITY_HLT);
    fixture_exit(&f, EXIT_REASON_monitor_trap_flag);
    ck_assert(!cpu->vmx.mtf_pending);
}
END_TEST

/* ---- the preemption timer ---- */

START_TEST(preemption_timer)
{
    vmx_result result;

    cpu->model->capability.misc = (cpu->model->capability.misc & ~31ull) | 5;
    VMCS(v, pin_based_controls) |= PIN_activate_preemption_timer;
    VMCS(v, exit_controls) |= EXIT_save_preemption_timer;
    VMCS(v, preemption_timer_value) = 100;
    cpu->clock = 1000;                                      /* 31 ticks and 8 */
    fixture_enter(&f);
    ck_assert_uint_eq(cpu->vmx.preemption_deadline, (31 + 100) * 32);
    cpu->clock = 131 * 32 - 1;
    fixture_exit(&f, EXIT_REASON_hlt);
    ck_assert_uint_eq(VMCS(v, preemption_timer_value), 1);
    ck_assert_uint_eq(cpu->vmx.preemption_deadline, ~0ull);

    vmx_enter(cpu, false, &result);
    cpu->clock += 1000;
    fixture_exit(&f, EXIT_REASON_preemption_timer_expired);
    ck_assert_uint_eq(VMCS(v, preemption_timer_value), 0);
    vmx_enter(cpu, false, &result);
    ck_assert_uint_eq(cpu->vmx.preemption_deadline, cpu->clock);
    fixture_exit(&f, EXIT_REASON_preemption_timer_expired);

    VMCS(v, exit_controls) &= ~(uint64_t)EXIT_save_preemption_timer;
    VMCS(v, preemption_timer_value) = 50;
    vmx_enter(cpu, false, &result);
    cpu->clock += 320;
    fixture_exit(&f, EXIT_REASON_hlt);
    ck_assert_uint_eq(VMCS(v, preemption_timer_value), 50);
    VMCS(v, pin_based_controls) &= ~(uint64_t)PIN_activate_preemption_timer;
    vmx_enter(cpu, false, &result);
    ck_assert_uint_eq(cpu->vmx.preemption_deadline, ~0ull);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/vmx entries and exits");
    TCase *tc = tcase_create("entries and exits");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, guest_state_is_loaded);
    tcase_add_test(tc, guest_state_is_saved);
    tcase_add_test(tc, pending_debug_exceptions_are_saved_by_few);
    tcase_add_test(tc, save_and_load_controls_are_obeyed);
    tcase_add_test(tc, efer_follows_the_mode);
    tcase_add_test(tc, performance_and_cet_state);
    tcase_add_test(tc, cet_state_without_its_controls);
    tcase_add_test(tc, pdptes_without_ept);
    tcase_add_test(tc, pdptes_with_ept);
    tcase_add_test(tc, vpid_and_transitions);
    tcase_add_test(tc, without_vpid_transitions_flush);
    tcase_add_test(tc, with_vpid_transitions_do_not_flush);
    tcase_add_loop_test(tc, invvpid_reaches_the_tlb, 0, 4);
    tcase_add_loop_test(tc, invept_reaches_the_tlb, 1, 3);
    tcase_add_loop_test(tc, pending_debug_without_injection, 0, 4);
    tcase_add_test(tc, early_failure_is_told);
    tcase_add_test(tc, host_state_is_loaded);
    tcase_add_test(tc, a_32_bit_host);
    tcase_add_test(tc, bad_host_pdptes_abort);
    tcase_add_test(tc, exit_information_is_recorded);
    tcase_add_test(tc, idt_vectoring_is_recorded);
    tcase_add_test(tc, nmi_blocking_crosses_the_border);
    tcase_add_test(tc, failed_entry_keeps_nmi_blocking);
    tcase_add_test(tc, invalid_guest_state);
    tcase_add_test(tc, msr_areas);
    tcase_add_loop_test(tc, bad_msr_at_entry, 0, sizeof(bad_entries) / sizeof(bad_entries[0]));
    tcase_add_loop_test(tc, bad_msr_at_exit_aborts, 0, sizeof(bad_entries) / sizeof(bad_entries[0]));
    tcase_add_loop_test(tc, bad_store_aborts, 0, 3);
    tcase_add_test(tc, bases_are_stored);
    tcase_add_test(tc, endless_area);
    tcase_add_test(tc, injection);
    tcase_add_test(tc, injection_of_software_events);
    tcase_add_loop_test(tc, injection_and_pending_debug, 0, 7);
    tcase_add_test(tc, injection_of_a_page_fault_keeps_cr2);
    tcase_add_test(tc, injection_of_an_nmi_blocks);
    tcase_add_test(tc, injection_wakes);
    tcase_add_test(tc, injection_of_mtf);
    tcase_add_test(tc, preemption_timer);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
