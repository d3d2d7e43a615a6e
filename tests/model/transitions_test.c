/* SPDX-License-Identifier: MIT */
/*
 * What VM entries and VM exits load, keep and clear: every MSR of arch/msrs.def, every field of arch/vmcs_fields.def, and the
 * registers; with each control that decides about it, and without (SDM Vol. 3, 27.3.2, 27.8, 28.2, 28.3, 28.5). The lists here are
 * those of the SDM once more: an MSR or a field that is in none is left alone.
 */
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

/* MSRs that transitions move, with the controls that decide; 0: always, ~0: never. */
static const struct moved {
    enum msr_slot slot;
    enum vmcs_field guest, host;        /* VMCS_FIELD_COUNT for host: cleared */
    uint32_t entry, save, exit;
} moved[] = {
#define M(name) MSR_SLOT_ia32_##name, FIELD_guest_ia32_##name
    { M(debugctl), VMCS_FIELD_COUNT, ENTRY_load_debug_controls, EXIT_save_debug_controls, 0 },
    { M(sysenter_cs), FIELD_host_ia32_sysenter_cs, 0, 0, 0 },
    { M(sysenter_esp), FIELD_host_ia32_sysenter_esp, 0, 0, 0 },
    { M(sysenter_eip), FIELD_host_ia32_sysenter_eip, 0, 0, 0 },
    { M(pat), FIELD_host_ia32_pat, ENTRY_load_ia32_pat, EXIT_save_ia32_pat, EXIT_load_ia32_pat },
    { M(perf_global_ctrl), FIELD_host_ia32_perf_global_ctrl, ENTRY_load_ia32_perf_global_ctrl, ~0u, EXIT_load_ia32_perf_global_ctrl },
    { M(s_cet), FIELD_host_ia32_s_cet, ENTRY_load_cet_state, 0, EXIT_load_cet_state },
    { MSR_SLOT_ia32_interrupt_ssp_table_addr, FIELD_guest_ia32_interrupt_ssp_table, FIELD_host_ia32_interrupt_ssp_table,
      ENTRY_load_cet_state, 0, EXIT_load_cet_state },
};
enum { MOVED_COUNT = sizeof(moved) / sizeof(moved[0]) };

static const struct moved *moves(enum msr_slot slot)
{
    for (unsigned i = 0; i < MOVED_COUNT; i++)
        if (moved[i].slot == slot)
            return &moved[i];
    return NULL;
}

static bool decided(uint32_t control, uint64_t controls) { return !control || (control != ~0u && (controls & control)); }

/* A value for each MSR that its fields may hold, too: IA32_PAT and the like are checked. `salt`: 0 before, 1 guest, 2 host. */
static uint64_t value_of(enum msr_slot slot, unsigned salt)
{
    switch (slot) {
    case MSR_SLOT_ia32_pat:
        return 0x0606060606060600ull + 4 * (salt & 1) + salt / 2;
    case MSR_SLOT_ia32_debugctl:
        return salt == 1 ? DEBUGCTL_BTF : DEBUGCTL_LBR;
    case MSR_SLOT_ia32_perf_global_ctrl:
        return 1ull << salt;
    case MSR_SLOT_ia32_efer:
        return EFER_LME | EFER_LMA | EFER_SCE;
    default:
        return 0x1000ull * (slot + 1) + 4 * salt;
    }
}

#define EVERY_ENTRY (ENTRY_load_debug_controls | ENTRY_load_ia32_pat | ENTRY_load_ia32_perf_global_ctrl | ENTRY_load_cet_state)
#define EVERY_EXIT (EXIT_save_debug_controls | EXIT_save_ia32_pat | EXIT_load_ia32_pat | EXIT_load_ia32_perf_global_ctrl | EXIT_load_cet_state)

/* One control alone, none, or all. */
static void set_controls(struct vmcs *v, uint32_t entry, uint32_t exit)
{
    VMCS(v, entry_controls) = (f.model->capability.entry.required | ENTRY_ia32e_mode_guest) | entry;
    VMCS(v, exit_controls) = (f.model->capability.exit.required | EXIT_host_address_space_size) | exit;
}

static void prepare(uint32_t entry, uint32_t exit)
{
    struct vmcs *v = f.cpu->vmx.current;

    set_controls(v, entry, exit);
    for (enum msr_slot slot = 0; slot < MSR_COUNT; slot++)
        f.cpu->msr[slot] = value_of(slot, 0);
    for (unsigned i = 0; i < MOVED_COUNT; i++) {
        v->field[moved[i].guest] = value_of(moved[i].slot, 1);
        if (moved[i].host != VMCS_FIELD_COUNT)
            v->field[moved[i].host] = value_of(moved[i].slot, 2);
    }
    VMCS(v, guest_ssp) = 0x7000;
    VMCS(v, host_ssp) = 0x8000;
    f.cpu->ssp = 0x9000;
}

static void check_msrs(bool after_exit, uint32_t entry, uint32_t exit, const uint64_t before[MSR_COUNT])
{
    for (enum msr_slot slot = 0; slot < MSR_COUNT; slot++) {
        const struct moved *m = moves(slot);
        uint64_t wanted = before[slot];

        if (m && !after_exit && decided(m->entry, entry))
            wanted = value_of(slot, 1);
        if (m && after_exit && decided(m->exit, exit))
            wanted = m->host == VMCS_FIELD_COUNT ? 0 : value_of(slot, 2);
        ck_assert_msg(f.cpu->msr[slot] == wanted, "slot %u after %s with controls %x %x: 0x%lx", slot, after_exit ? "exit" : "entry", entry,
                      exit, (unsigned long)f.cpu->msr[slot]);
    }
}

/* _i: 0 no control, 1 all, else one alone. */
START_TEST(msrs)
{
    static const uint32_t alone[][2] = {
        { ENTRY_load_debug_controls, 0 }, { ENTRY_load_ia32_pat, 0 }, { ENTRY_load_ia32_perf_global_ctrl, 0 }, { ENTRY_load_cet_state, 0 },
        { 0, EXIT_save_debug_controls }, { 0, EXIT_save_ia32_pat }, { 0, EXIT_load_ia32_pat }, { 0, EXIT_load_ia32_perf_global_ctrl },
        { 0, EXIT_load_cet_state },
    };
    uint32_t entry = _i == 1 ? EVERY_ENTRY : _i ? alone[_i - 2][0] : 0, exit = _i == 1 ? EVERY_EXIT : _i ? alone[_i - 2][1] : 0;
    struct vmcs *v = f.cpu->vmx.current;
    uint64_t before[MSR_COUNT], saved[MOVED_COUNT];

    prepare(entry, exit);
    memcpy(before, f.cpu->msr, sizeof before);
    fixture_enter(&f);
    check_msrs(false, entry, exit, before);
    ck_assert_uint_eq(f.cpu->ssp, entry & ENTRY_load_cet_state ? 0x7000 : 0x9000);
    for (unsigned i = 0; i < MOVED_COUNT; i++)
        saved[i] = f.cpu->msr[moved[i].slot] ^= 0x10000;        /* the guest writes to them */
    f.cpu->ssp = 0xa000;
    memcpy(before, f.cpu->msr, sizeof before);
    fixture_exit(&f, EXIT_REASON_cpuid);
    check_msrs(true, entry, exit, before);
    ck_assert_uint_eq(f.cpu->ssp, exit & EXIT_load_cet_state ? 0x8000 : 0xa000);
    ck_assert_uint_eq(VMCS(v, guest_ssp), 0xa000);
    for (unsigned i = 0; i < MOVED_COUNT; i++)
        ck_assert_msg(v->field[moved[i].guest] == (decided(moved[i].save, exit) ? saved[i] : value_of(moved[i].slot, 1)),
                      "field of slot %u with %x", moved[i].slot, exit);
}
END_TEST

/* Registers that neither loads: 27.3.2.1, 28.5.1, 28.5.3 do not name them. */
START_TEST(registers_are_kept)
{
    struct cpu *cpu = f.cpu;

    for (unsigned i = 0; i < GPR_COUNT; i++)
        cpu->gpr[i] = 0x1111 * (i + 1);
    for (unsigned i = 0; i < 4; i++)
        cpu->dr[i] = 0x100 * (i + 1);
    cpu->cr2 = 0x2222;
    cpu->cr8 = 5;
    cpu->xcr0 = 3;
    cpu->dr6 = 0xffff0ff1;
    cpu->cr0 |= CR0_CD | CR0_NW;
    VMCS(cpu->vmx.current, guest_dr7) = 0xffff;
    for (unsigned exit = 0; exit < 2; exit++) {
        if (exit)
            fixture_exit(&f, EXIT_REASON_cpuid);
        else
            fixture_enter(&f);
        for (unsigned i = 0; i < GPR_COUNT; i++)
            ck_assert_uint_eq(cpu->gpr[i], i != RSP ? 0x1111 * (i + 1) : exit ? FIXTURE_HOST_RSP : FIXTURE_GUEST_RSP);
        for (unsigned i = 0; i < 4; i++)
            ck_assert_uint_eq(cpu->dr[i], 0x100 * (i + 1));
        ck_assert_uint_eq(cpu->cr2, 0x2222);
        ck_assert_uint_eq(cpu->cr8, 5);
        ck_assert_uint_eq(cpu->xcr0, 3);
        ck_assert_uint_eq(cpu->dr6, 0xffff0ff1);
        ck_assert_uint_eq(cpu->cr0, FIXTURE_CR0 | CR0_CD | CR0_NW);             /* neither field has them */
        ck_assert_uint_eq(cpu->dr7, exit ? 0x400 : 0x2fff);                     /* bits 12, 15:14 are 0 and bit 10 is 1 */
    }
    ck_assert_uint_eq(cpu->rflags, RFLAGS_FIXED);
}
END_TEST

/* ---- the VMCS ---- */

/* Fields that an exit writes: the guest-state area but for what is no processor state, and the exit information. */
static bool written_by_exit(enum vmcs_field field)
{
    const struct vmcs *v = f.cpu->vmx.current;
    uint32_t encoding = vmcs_encoding(field), type = VMCS_ENCODING_TYPE(encoding);

    switch (field) {
    case FIELD_vmcs_link_pointer: case FIELD_guest_smbase: case FIELD_guest_ia32_perf_global_ctrl: case FIELD_guest_ia32_bndcfgs:
    case FIELD_guest_ia32_pkrs: case FIELD_pml_index: case FIELD_guest_interrupt_status: case FIELD_vm_instruction_error:
    case FIELD_io_rcx: case FIELD_io_rsi: case FIELD_io_rdi: case FIELD_io_rip:
        return false;                   /* I/O RCX ...: for SMM VM exits */
    case FIELD_guest_pdpte0: case FIELD_guest_pdpte1: case FIELD_guest_pdpte2: case FIELD_guest_pdpte3:
        return false;                   /* no PAE paging here */
    case FIELD_preemption_timer_value:
        return VMCS(v, exit_controls) & EXIT_save_preemption_timer;
    case FIELD_idt_vectoring_error_code:
        return false;                   /* defined only with a valid event that has one (28.2.4) */
    case FIELD_guest_dr7: case FIELD_guest_ia32_debugctl:
        return VMCS(v, exit_controls) & EXIT_save_debug_controls;
    case FIELD_guest_ia32_pat:
        return VMCS(v, exit_controls) & EXIT_save_ia32_pat;
    case FIELD_guest_ia32_efer:
        return VMCS(v, exit_controls) & EXIT_save_ia32_efer;
    case FIELD_entry_interruption_information: case FIELD_entry_controls:       /* valid bit, IA-32e mode guest: as they were */
        return false;
    default:
        return type == VMCS_TYPE_GUEST || type == VMCS_TYPE_EXIT_INFORMATION;
    }
}

#define PATTERN(field) ((0x5a5a5a5a00000000ull | (field) << 8 | 0x5a) & vmcs_field_mask(field))

/* Guest state and exit information are filled with what nobody saves; everything else must stay. */
START_TEST(fields_written_by_an_exit)
{
    struct vmcs *v = f.cpu->vmx.current, before;

    if (_i)
        VMCS(v, exit_controls) &= ~(uint64_t)(EXIT_save_debug_controls | EXIT_save_ia32_pat | EXIT_save_ia32_efer);
    fixture_enter(&f);
    for (enum vmcs_field field = 0; field < VMCS_FIELD_COUNT; field++) {
        unsigned type = VMCS_ENCODING_TYPE(vmcs_encoding(field));

        if (type == VMCS_TYPE_GUEST || type == VMCS_TYPE_EXIT_INFORMATION)
            v->field[field] = PATTERN(field);
    }
    before = *v;
    fixture_exit(&f, EXIT_REASON_cpuid);
    for (enum vmcs_field field = 0; field < VMCS_FIELD_COUNT; field++)
        ck_assert_msg((v->field[field] != before.field[field]) == written_by_exit(field), "%s: %s", vmcs_field_name(field),
                      written_by_exit(field) ? "not written" : "written");
}
END_TEST

/* 27.8: a late failure writes the exit reason and the qualification, and nothing else; no MSR is stored. */
START_TEST(fields_written_by_a_failed_entry)
{
    struct vmcs *v = f.cpu->vmx.current, before;
    vmx_result result;

    if (_i) {
        VMCS(v, entry_msr_load_count) = 1;
        fixture_store64(&f, FIXTURE_MSR_AREA, MSR_ia32_fs_base);
    } else {
        VMCS(v, guest_rflags) = 0;
    }
    VMCS(v, entry_interruption_information) = INTERRUPTION_VALID | 0x20;
    VMCS(v, exit_msr_store_count) = 1;
    fixture_store64(&f, FIXTURE_MSR_AREA + 0x400, MSR_ia32_tsc_aux);
    fixture_store64(&f, FIXTURE_MSR_AREA + 0x408, 0x77);
    for (enum vmcs_field field = 0; field < VMCS_FIELD_COUNT; field++)
        if (VMCS_ENCODING_TYPE(vmcs_encoding(field)) == VMCS_TYPE_EXIT_INFORMATION)
            v->field[field] = PATTERN(field);
    if (_i)
        VMCS(v, guest_rflags) |= RFLAGS_IF;
    before = *v;
    ck_assert_int_eq(vmx_enter(f.cpu, true, &result), STATUS_VM_EXIT);
    for (enum vmcs_field field = 0; field < VMCS_FIELD_COUNT; field++)
        ck_assert_msg((v->field[field] != before.field[field]) == (field == FIELD_exit_reason || field == FIELD_exit_qualification),
                      "%s", vmcs_field_name(field));
    ck_assert_uint_eq(VMCS(v, exit_reason), EXIT_REASON_ENTRY_FAILURE | (_i ? 34u : 33u));
    ck_assert_uint_eq(memory_read64(&f.model->memory, FIXTURE_MSR_AREA + 0x408), 0x77);
    ck_assert_uint_eq(v->launch_state, LAUNCH_CLEAR);
    ck_assert_uint_eq(f.cpu->rip, FIXTURE_HOST_RIP);
}
END_TEST

/* 28.5.1, bit by bit. */
START_TEST(host_control_registers)
{
    struct vmcs *v = f.cpu->vmx.current;

    fixture_enter(&f);
    VMCS(v, host_cr3) = 0xfff0000000000000ull | FIXTURE_CR3;
    VMCS(v, host_cr4) = CR4_VMXE;                               /* PAE comes with a 64-bit host */
    VMCS(v, host_cr0) = (FIXTURE_CR0 & ~CR0_ET) | CR0_CD | CR0_NW;
    fixture_exit(&f, EXIT_REASON_cpuid);
    ck_assert_uint_eq(f.cpu->cr3, FIXTURE_CR3);
    ck_assert_uint_eq(f.cpu->cr4, CR4_VMXE | CR4_PAE);
    ck_assert_uint_eq(f.cpu->cr0, FIXTURE_CR0);                 /* CD, NW and ET stay as they were */
    ck_assert_uint_eq(f.cpu->dr7, 0x400);
}
END_TEST

/* 28.3.4: which exits save the pending debug exceptions, of all that there are; in the shadow of MOV SS all of them but #DB's. */
START_TEST(pending_debug_exceptions_by_reason)
{
    static const uint32_t saved[] = { 3, 36 + 1, 43, 45, 56 };     /* INIT, MTF, TPR below threshold, virtualized EOI, APIC write */
    struct vmcs *v = f.cpu->vmx.current;

    for (uint32_t reason = 0; reason < 70; reason++) {
        for (unsigned shadow = 0; shadow < 2; shadow++) {
            bool wanted = shadow;

            if (reason == 33 || reason == 34 || reason == 41)       /* failed entries */
                continue;
            for (unsigned i = 0; i < sizeof saved / sizeof saved[0]; i++)
                wanted |= reason == saved[i];
            teardown();
            setup();
            v = f.cpu->vmx.current;
            fixture_enter(&f);
            f.cpu->pending_debug = 0x1003;
            f.cpu->interruptibility = shadow ? BLOCKING_BY_MOV_SS : 0;
            fixture_exit(&f, reason);
            ck_assert_msg(VMCS(v, guest_pending_debug_exceptions) == (wanted ? 0x1003 : 0), "exit %u, shadow %u", reason, shadow);
        }
    }
    for (unsigned vector = 0; vector < 32; vector++) {
        for (unsigned shadow = 0; shadow < 2; shadow++) {
            struct exit_information information = { .interruption_information = INTERRUPTION_VALID | EVENT_HARDWARE_EXCEPTION << 8 | vector };
            bool wanted = vector == 18 || (shadow && vector != 1);

            teardown();
            setup();
            v = f.cpu->vmx.current;
            fixture_enter(&f);
            f.cpu->pending_debug = 0x1003;
            f.cpu->interruptibility = shadow ? BLOCKING_BY_MOV_SS : 0;
            ck_assert_int_eq(vmx_exit(f.cpu, &information), STATUS_VM_EXIT);
            ck_assert_msg(VMCS(v, guest_pending_debug_exceptions) == (wanted ? 0x1003 : 0), "vector %u, shadow %u", vector, shadow);
        }
    }
}
END_TEST

/* 27.3.2.1, 28.5.1: IA32_EFER without "load IA32_EFER": LMA and LME by the controls, LME not for a guest without paging; the rest stays. */
START_TEST(efer_by_the_controls)
{
    const bool paging = _i & 1, host64 = _i & 2, lme = _i & 4;
    struct vmcs *v = f.cpu->vmx.current;

    VMCS(v, entry_controls) &= ~(uint64_t)(ENTRY_load_ia32_efer | ENTRY_ia32e_mode_guest);
    VMCS(v, exit_controls) &= ~(uint64_t)(EXIT_load_ia32_efer | EXIT_save_ia32_efer | EXIT_host_address_space_size);
    VMCS(v, exit_controls) |= host64 ? EXIT_host_address_space_size : 0;
    VMCS(v, processor_based_controls) |= PROC_activate_secondary_controls;
    VMCS(v, secondary_processor_based_controls) |= PROC2_enable_ept | PROC2_unrestricted_guest;
    VMCS(v, guest_cs_access_rights) = 0xc09b;
    VMCS(v, guest_cr0) = paging ? FIXTURE_CR0 : FIXTURE_CR0 & ~CR0_PG;
    VMCS(v, guest_cr4) = CR4_VMXE;
    if (!host64) {                              /* entered from outside IA-32e mode, as 27.2.4 wants it */
        f.cpu->seg[SEG_CS].access_rights = 0xc09b;
        VMCS(v, host_cr3) = FIXTURE_PDPTES;
        VMCS(v, host_cr4) = CR4_VMXE;
    }
    CPU_MSR(f.cpu, ia32_efer) = (host64 ? EFER_LMA | EFER_LME : 0) | EFER_NXE | EFER_SCE;
    fixture_enter(&f);
    ck_assert_uint_eq(CPU_MSR(f.cpu, ia32_efer), (!paging && host64 ? EFER_LME : 0) | EFER_NXE | EFER_SCE);
    CPU_MSR(f.cpu, ia32_efer) = (lme && !paging ? EFER_LME : 0) | EFER_SCE;
    fixture_exit(&f, EXIT_REASON_cpuid);
    ck_assert_uint_eq(CPU_MSR(f.cpu, ia32_efer), (host64 ? EFER_LMA | EFER_LME : 0) | EFER_SCE);
    ck_assert_uint_eq(f.cpu->cr4, host64 ? VMCS(v, host_cr4) | CR4_PAE : CR4_VMXE);         /* PAE is not forced on a host of 32 bits */
}
END_TEST

/* 27.8, 28.5.5: after a late failure there is blocking by NMI if there was before the entry, and no other blocking. */
START_TEST(blocking_after_a_failed_entry)
{
    static const uint32_t before[] = { 0, BLOCKING_BY_STI, BLOCKING_BY_NMI, BLOCKING_BY_STI | BLOCKING_BY_NMI };
    vmx_result result;

    VMCS(f.cpu->vmx.current, guest_rflags) = 0;
    f.cpu->interruptibility = before[_i];
    ck_assert_int_eq(vmx_enter(f.cpu, true, &result), STATUS_VM_EXIT);
    ck_assert_uint_eq(f.cpu->interruptibility, before[_i] & BLOCKING_BY_NMI);
}
END_TEST

/* 27.3.2.1: bit 10 of DR7 is 1 whatever the field says. 27.6: an event is injected with the valid bit alone, a pending MTF exit, too. */
START_TEST(fixed_and_invalid)
{
    struct vmcs *v = f.cpu->vmx.current;

    VMCS(v, guest_dr7) = 0;
    VMCS(v, entry_interruption_information) = EVENT_OTHER << 8;
    fixture_enter(&f);
    ck_assert_uint_eq(f.cpu->dr7, 0x400);
    ck_assert(!f.cpu->vmx.mtf_pending && !f.cpu->event.valid);
}
END_TEST

/* The last entry may end where memory does. */
START_TEST(an_area_at_the_end_of_memory)
{
    struct vmcs *v = f.cpu->vmx.current;

    fixture_store64(&f, FIXTURE_MEMORY - 16, MSR_ia32_tsc_aux);
    fixture_store64(&f, FIXTURE_MEMORY - 8, 0x77);
    VMCS(v, entry_msr_load_address) = VMCS(v, exit_msr_store_address) = VMCS(v, exit_msr_load_address) = FIXTURE_MEMORY - 16;
    VMCS(v, entry_msr_load_count) = VMCS(v, exit_msr_store_count) = VMCS(v, exit_msr_load_count) = 1;
    fixture_enter(&f);
    ck_assert_uint_eq(CPU_MSR(f.cpu, ia32_tsc_aux), 0x77);
    fixture_exit(&f, EXIT_REASON_cpuid);
}
END_TEST

/* A.6, 27.4, 28.4: 512 entries are the most; where the 513th is met, an entry fails and an exit aborts. */
START_TEST(as_many_entries_as_recommended)
{
    enum { AREA = 0x100000 };
    const unsigned count = _i % 2 ? 513 : 512;
    struct vmcs *v = f.cpu->vmx.current;
    struct exit_information information = { .reason = EXIT_REASON_cpuid };
    vmx_result result;

    for (unsigned i = 0; i < 513; i++) {
        fixture_store64(&f, AREA + 16 * i, MSR_ia32_tsc_aux);
        fixture_store64(&f, AREA + 16 * i + 8, i);
    }
    VMCS(v, entry_msr_load_address) = VMCS(v, exit_msr_store_address) = VMCS(v, exit_msr_load_address) = AREA;
    (*(uint64_t *[]){ &VMCS(v, entry_msr_load_count), &VMCS(v, exit_msr_store_count), &VMCS(v, exit_msr_load_count) }[_i / 2]) = count;
    if (_i == 1) {
        ck_assert_int_eq(vmx_enter(f.cpu, true, &result), STATUS_VM_EXIT);
        ck_assert_uint_eq(VMCS(v, exit_reason), 0x80000022);
        ck_assert_uint_eq(VMCS(v, exit_qualification), 513);
        return;
    }
    fixture_enter(&f);
    if (_i == 0)
        ck_assert_uint_eq(CPU_MSR(f.cpu, ia32_tsc_aux), 511);
    ck_assert_int_eq(vmx_exit(f.cpu, &information), count == 513 ? STATUS_SHUTDOWN : STATUS_VM_EXIT);
    if (count == 513)
        ck_assert_uint_eq(f.shutdown.a, _i / 2 == 1 ? 1 : 4);      /* 28.7: saving guest MSRs; loading host MSRs */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("VM entry and exit: loaded, kept, cleared");
    TCase *tcase = tcase_create("transitions");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, msrs, 0, 11);
    tcase_add_test(tcase, registers_are_kept);
    tcase_add_loop_test(tcase, fields_written_by_an_exit, 0, 2);
    tcase_add_loop_test(tcase, fields_written_by_a_failed_entry, 0, 2);
    tcase_add_test(tcase, host_control_registers);
    tcase_add_test(tcase, pending_debug_exceptions_by_reason);
    tcase_add_loop_test(tcase, efer_by_the_controls, 0, 8);
    tcase_add_loop_test(tcase, blocking_after_a_failed_entry, 0, 4);
    tcase_add_test(tcase, fixed_and_invalid);
    tcase_add_test(tcase, an_area_at_the_end_of_memory);
    tcase_add_loop_test(tcase, as_many_entries_as_recommended, 0, 6);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
