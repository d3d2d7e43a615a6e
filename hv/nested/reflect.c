/* SPDX-License-Identifier: MIT */
/*
 * An exit of L2 as L1 sees it: guest state and exit information in vmcs12, L1's host state in vmcs01. SDM Vol. 3,
 * 28.2-28.6, and 27.8 for failed entries.
 */
#include "hv/core.h"

#include "hv/nested/shadow.h"

/* VMX-abort indicators (28.7). */
enum { ABORT_SAVING_MSRS = 1, ABORT_HOST_PDPTES = 2, ABORT_LOADING_MSRS = 4, ABORT_IA32E_MODE = 6 };

/* What an exit may leave as L2 had it (28.5.1). */
struct left_alone { uint64_t cr0, pat, efer; };

/* Bits of CR0 that exits leave alone (28.5.1). */
#define CR0_UNTOUCHED                                                                                               \
    (0xffffffff00000000ull | 0x1ff80000ull | 1ull << 17 | 0xffc0ull | CR0_ET | CR0_NW | CR0_CD)

/* From the VMCS that is current. */
static struct left_alone left_alone(struct hv_cpu *cpu, uint64_t exit_controls)
{
    struct left_alone state = { .cr0 = vmread(VMCS_guest_cr0) };

    if (!(exit_controls & EXIT_load_ia32_pat))
        state.pat = vmread(VMCS_guest_ia32_pat);
    if (!(exit_controls & EXIT_load_ia32_efer)) {
        state.efer = vmread(VMCS_guest_ia32_efer);
        if (cpu->level == 2)
            vmcs02_found(cpu, KEPT_EFER, state.efer);
    }
    return state;
}

static void vmx_abort(struct hv_cpu *cpu, uint32_t indicator)
{
    hal_log(HAL_EVENT_ABORT, indicator, cpu->nested.current, 0, 0);
    l1_write(cpu->machine, cpu->nested.current + 4, &indicator, sizeof indicator);
    shadow_leave(cpu);
    vmcs01_shutdown(cpu);
    /* This shutdown is for good, one after a triple fault would end with an NMI. */
    vmwrite(VMCS_guest_interruptibility_state, vmread32(VMCS_guest_interruptibility_state) | BLOCKING_BY_NMI);
}

/* 28.5.5: an NMI exit blocks NMIs; else blocking is as L2 had it, unless bit 3 was about virtual NMIs. */
static bool nmi_blocked(struct hv_cpu *cpu)
{
    if (cpu->exit.reason == EXIT_REASON_exception_or_nmi) {
        exit_need(cpu, EXIT_interruption);
        if (INTERRUPTION_TYPE(cpu->exit.interruption) == EVENT_NMI)
            return true;
    }
    return !(VMCS12(cpu, pin_based_controls) & PIN_virtual_nmis) &&
           vmread32(VMCS_guest_interruptibility_state) & BLOCKING_BY_NMI;
}

/*
 * Writes what differs; of an unusable segment not what is undefined then (28.5.2). Expanded for each segment: the fields are
 * constants then, and so is most of what decides.
 */
static inline __attribute__((always_inline)) void update_segment(enum segment_register segment, struct hal_guest_segment value)
{
    const enum vmcs_encoding access_rights = segment_field(VMCS_guest_es_access_rights, segment);
    const bool usable = !(value.access_rights & AR_UNUSABLE);

    vmcs_update(segment_field(VMCS_guest_es_selector, segment), value.selector);
    if (usable) {
        vmcs_update(access_rights, value.access_rights);
        vmcs_update(segment_field(VMCS_guest_es_limit, segment), value.limit);
    } else if (!(vmread32(access_rights) & AR_UNUSABLE)) {
        vmwrite(access_rights, value.access_rights);
    }
    if (usable || segment == SEG_FS || segment == SEG_GS)
        vmcs_update(segment_field(VMCS_guest_es_base, segment), value.base);
}

/* 28.5.2: CS is code, the others data, all flat; a null selector is unusable. */
static inline __attribute__((always_inline)) void load_segment(enum segment_register segment, uint64_t selector, uint64_t base, uint32_t access_rights)
{
    update_segment(segment, (struct hal_guest_segment){
        .selector = (uint16_t)selector, .access_rights = (uint16_t)selector ? access_rights : AR_UNUSABLE,
        .limit = 0xffffffff, .base = base,
    });
}

static void load_segments(const struct hv_cpu *cpu, bool host64)
{
    const uint32_t data = 3 | AR_S | AR_PRESENT | AR_DB | AR_G;

    load_segment(SEG_CS, VMCS12(cpu, host_cs_selector), 0, 0xb | AR_S | AR_PRESENT | AR_G | (host64 ? AR_L : AR_DB));
    load_segment(SEG_ES, VMCS12(cpu, host_es_selector), 0, data);
    load_segment(SEG_SS, VMCS12(cpu, host_ss_selector), 0, data);
    load_segment(SEG_DS, VMCS12(cpu, host_ds_selector), 0, data);
    load_segment(SEG_FS, VMCS12(cpu, host_fs_selector), VMCS12(cpu, host_fs_base), data);
    load_segment(SEG_GS, VMCS12(cpu, host_gs_selector), VMCS12(cpu, host_gs_base), data);
    update_segment(SEG_TR, (struct hal_guest_segment){ (uint16_t)VMCS12(cpu, host_tr_selector), 0xb | AR_PRESENT, 0x67,
                                                            VMCS12(cpu, host_tr_base) });
    update_segment(SEG_LDTR, (struct hal_guest_segment){ 0, AR_UNUSABLE, 0, 0 });
    vmcs_update(VMCS_guest_gdtr_base, VMCS12(cpu, host_gdtr_base));
    vmcs_update(VMCS_guest_gdtr_limit, 0xffff);
    vmcs_update(VMCS_guest_idtr_base, VMCS12(cpu, host_idtr_base));
    vmcs_update(VMCS_guest_idtr_limit, 0xffff);
}

/*
 * 28.5.1: control registers, debug registers, MSRs. `before`: what the processor had. In vmcs01 the read shadows stand, for
 * the bits that L0 keeps are fixed while L1 is in VMX operation, and "IA-32e mode guest" too (27.2.4: as L1 is).
 */
static void load_registers(const struct hv_cpu *cpu, const struct left_alone *before, bool host64)
{
    const struct carried_state *l1 = &cpu->nested.plan.carried;
    const uint64_t exit = VMCS12(cpu, exit_controls);
    const uint64_t pat = exit & EXIT_load_ia32_pat ? VMCS12(cpu, host_ia32_pat) : before->pat;
    uint64_t efer = (before->efer & ~(EFER_LMA | EFER_LME)) | (host64 ? EFER_LMA | EFER_LME : 0);

    if (exit & EXIT_load_ia32_efer)
        efer = VMCS12(cpu, host_ia32_efer);
    vmcs_update(VMCS_guest_cr0, (VMCS12(cpu, host_cr0) & ~CR0_UNTOUCHED) | (before->cr0 & CR0_UNTOUCHED));
    vmcs_update(VMCS_guest_cr3, VMCS12(cpu, host_cr3));
    vmcs_update(VMCS_guest_cr4, VMCS12(cpu, host_cr4));
    vmcs_update(VMCS_guest_dr7, 0x400);
    vmcs_update(VMCS_guest_ia32_debugctl, 0);
    vmcs_update(VMCS_guest_ia32_sysenter_cs, VMCS12(cpu, host_ia32_sysenter_cs));
    vmcs_update(VMCS_guest_ia32_sysenter_esp, VMCS12(cpu, host_ia32_sysenter_esp));
    vmcs_update(VMCS_guest_ia32_sysenter_eip, VMCS12(cpu, host_ia32_sysenter_eip));
    if (efer != l1->efer)
        vmwrite(VMCS_guest_ia32_efer, efer);
    if (pat != l1->pat)
        vmwrite(VMCS_guest_ia32_pat, pat);
}

/*
 * 28.5. vmcs01 still holds L1's state at its VMLAUNCH or VMRESUME, and a hypervisor's host state is mostly that: only what
 * differs is written. L1 was active then, and the exit left no debug exception pending (28.3.4). False: VMX abort.
 */
static bool load_host_state(const struct hv_cpu *cpu, const struct left_alone *before, bool blocked)
{
    const bool host64 = VMCS12(cpu, exit_controls) & EXIT_host_address_space_size;
    const uint32_t interruptibility = blocked ? BLOCKING_BY_NMI : 0;

    load_registers(cpu, before, host64);
    load_segments(cpu, host64);
    vmwrite(VMCS_guest_rip, VMCS12(cpu, host_rip));
    vmcs_update(VMCS_guest_rsp, VMCS12(cpu, host_rsp));
    vmwrite(VMCS_guest_rflags, RFLAGS_FIXED);
    if (interruptibility != cpu->nested.plan.interruptibility)
        vmwrite(VMCS_guest_interruptibility_state, interruptibility);
    if (host64 || !(VMCS12(cpu, host_cr4) & CR4_PAE) || pdptes_load(cpu->machine, VMCS12(cpu, host_cr3)))
        return true;
    pdptes_clear();                             /* without PAE paging the exit has left anything there (28.3.4) */
    return false;
}

/* 28.5: L2 has switched to IA-32e mode, and L1 is a hypervisor of 32 bits. */
static bool no_way_back(const struct hv_cpu *cpu)
{
    return VMCS12(cpu, entry_controls) & ENTRY_ia32e_mode_guest && !(VMCS12(cpu, exit_controls) & EXIT_host_address_space_size);
}

static void log_reflection(const struct hv_cpu *cpu)
{
    hal_log(HAL_EVENT_REFLECT, cpu->exit.reason, cpu->exit.qualification, cpu->exit.guest_physical, VMCS12(cpu, ept_pointer));
}

/* From L2's world, or an entry that failed, into L1's. */
static void arrive(struct hv_cpu *cpu, const struct left_alone *before, bool blocked)
{
    hal_prediction_barrier();                   /* L1 shall not be steered by what L2 taught the predictors */
    vpid_after_exit(cpu);
    shadow_leave(cpu);
    if (no_way_back(cpu))
        vmx_abort(cpu, ABORT_IA32E_MODE);
    else if (!load_host_state(cpu, before, blocked))
        vmx_abort(cpu, ABORT_HOST_PDPTES);
    else if (VMCS12(cpu, exit_msr_load_count) && !nested_msr_load(cpu))
        vmx_abort(cpu, ABORT_LOADING_MSRS);
}

void reflect_exit(struct hv_cpu *cpu)
{
    struct left_alone before;

    log_reflection(cpu);
    shadow_save(cpu);
    if (VMCS12(cpu, exit_msr_store_count) && !nested_msr_store(cpu)) {
        vmx_abort(cpu, ABORT_SAVING_MSRS);
        return;
    }
    shadow_tell(cpu);
    before = left_alone(cpu, VMCS12(cpu, exit_controls));
    arrive(cpu, &before, nmi_blocked(cpu));
}

/*
 * 27.8. If the guest-state checks failed, or L1's list is too long for L0 to try it, nothing of L2 has been loaded: what an exit
 * leaves alone is L1's own. If the list failed, all of L2's state has, and what stands before the entry that failed.
 */
void reflect_failed_entry(struct hv_cpu *cpu)
{
    const bool msr_failed = cpu->exit.reason == (EXIT_REASON_entry_failure_msr_loading | EXIT_REASON_ENTRY_FAILURE);
    const bool loaded = msr_failed && cpu->nested.plan.msr_count <= MSR_AREA_MAX;
    struct left_alone before;

    hal_log(HAL_EVENT_NESTED_FAIL, cpu->exit.reason, cpu->exit.qualification, 0, 0);
    log_reflection(cpu);
    shadow_tell(cpu);
    if (!loaded)
        shadow_leave(cpu);
    before = left_alone(cpu, VMCS12(cpu, exit_controls));
    if (loaded)
        msr_area_loaded(cpu, cpu->exit.qualification - 1, &before.pat, &before.efer);
    shadow_leave(cpu);
    arrive(cpu, &before, cpu->nested.plan.interruptibility & BLOCKING_BY_NMI);
}
