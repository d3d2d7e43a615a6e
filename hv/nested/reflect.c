/* SPDX-License-Identifier: MIT */
/*
 * An exit of L2 as L1 sees it: guest state and exit information in vmcs12, L1's host state in vmcs01. SDM Vol. 3,
 * 28.2-28.6, and 27.8 for failed entries.
 */
#include "hv/core.h"

#include "hv/nested/shadow.h"

/* VMX-abort indicators (28.7). */
enum { ABORT_SAVING_MSRS = 1, ABORT_HOST_PDPTES = 2, ABORT_LOADING_MSRS = 4 };

/* What an exit may leave as L2 had it (28.5.1). */
struct left_alone { uint64_t cr0, pat, efer; };

/* Bits of CR0 that exits leave alone (28.5.1). */
#define CR0_UNTOUCHED                                                                                               \
    (0xffffffff00000000ull | 0x1ff80000ull | 1ull << 17 | 0xffc0ull | CR0_ET | CR0_NW | CR0_CD)

/* From the VMCS that is current. */
static struct left_alone left_alone(uint64_t exit_controls)
{
    return (struct left_alone){
        .cr0 = vmread(VMCS_guest_cr0),
        .pat = exit_controls & EXIT_load_ia32_pat ? 0 : vmread(VMCS_guest_ia32_pat),
        .efer = exit_controls & EXIT_load_ia32_efer ? 0 : vmread(VMCS_guest_ia32_efer),
    };
}

static void vmx_abort(struct hv_cpu *cpu, uint32_t indicator)
{
    l1_write(cpu->machine, cpu->nested.current + 4, &indicator, sizeof indicator);
    shadow_at(cpu, cpu->nested.vmcs12, SHADOW_LEAVING);
    vmcs01_shutdown(cpu);
}

/* 28.2; what L0 found out itself overrides what hardware reported. */
static void write_exit_information(struct hv_cpu *cpu)
{
    const struct exit_record *exit = &cpu->exit;

    VMCS12(cpu, exit_reason) = exit->reason;
    VMCS12(cpu, exit_qualification) = exit->qualification;
    if (exit->reason & EXIT_REASON_ENTRY_FAILURE)       /* 27.8: nothing else */
        return;
    VMCS12(cpu, guest_linear_address) = exit->guest_linear;
    VMCS12(cpu, guest_physical_address) = exit->guest_physical;
    VMCS12(cpu, exit_interruption_information) = exit->interruption;
    VMCS12(cpu, exit_interruption_error_code) = exit->interruption_error;
    VMCS12(cpu, idt_vectoring_information) = exit->vectoring;
    VMCS12(cpu, idt_vectoring_error_code) = exit->vectoring_error;
    VMCS12(cpu, exit_instruction_length) = exit->instruction_length;
    VMCS12(cpu, exit_instruction_information) = exit->instruction_information;
}

/* 28.5.5: an NMI exit blocks NMIs; else blocking is as L2 had it, unless bit 3 was about virtual NMIs. */
static bool nmi_blocked(const struct hv_cpu *cpu)
{
    const uint32_t info = cpu->exit.interruption;

    if (cpu->exit.reason == EXIT_REASON_exception_or_nmi && INTERRUPTION_TYPE(info) == EVENT_NMI)
        return true;
    return !(VMCS12(cpu, pin_based_controls) & PIN_virtual_nmis) &&
           vmread32(VMCS_guest_interruptibility_state) & BLOCKING_BY_NMI;
}

/* 28.5.2: CS is code, the others data, all flat; a null selector is unusable. */
static void load_segment(vmcs_writer *write, enum segment_register segment, uint64_t selector, uint64_t base,
                         uint32_t access_rights)
{
    vmcs_write_segment(write, segment, (struct hal_guest_segment){
        .selector = (uint16_t)selector, .access_rights = access_rights | (selector ? 0 : AR_UNUSABLE),
        .limit = 0xffffffff, .base = base,
    });
}

static void load_segments(const struct hv_cpu *cpu, vmcs_writer *write, bool host64)
{
    const uint32_t data = 3 | AR_S | AR_PRESENT | AR_DB | AR_G;

    load_segment(write, SEG_CS, VMCS12(cpu, host_cs_selector), 0,
                 0xb | AR_S | AR_PRESENT | AR_G | (host64 ? AR_L : AR_DB));
    load_segment(write, SEG_ES, VMCS12(cpu, host_es_selector), 0, data);
    load_segment(write, SEG_SS, VMCS12(cpu, host_ss_selector), 0, data);
    load_segment(write, SEG_DS, VMCS12(cpu, host_ds_selector), 0, data);
    load_segment(write, SEG_FS, VMCS12(cpu, host_fs_selector), VMCS12(cpu, host_fs_base), data);
    load_segment(write, SEG_GS, VMCS12(cpu, host_gs_selector), VMCS12(cpu, host_gs_base), data);
    vmcs_write_segment(write, SEG_TR, (struct hal_guest_segment){ (uint16_t)VMCS12(cpu, host_tr_selector),
                                                                  0xb | AR_PRESENT, 0x67, VMCS12(cpu, host_tr_base) });
    vmcs_write_segment(write, SEG_LDTR, (struct hal_guest_segment){ 0, AR_UNUSABLE, 0, 0 });
    write(VMCS_guest_gdtr_base, VMCS12(cpu, host_gdtr_base));
    write(VMCS_guest_gdtr_limit, 0xffff);
    write(VMCS_guest_idtr_base, VMCS12(cpu, host_idtr_base));
    write(VMCS_guest_idtr_limit, 0xffff);
}

/* 28.5.1: control registers, debug registers, MSRs. `before`: what the processor had. */
static void load_registers(struct hv_cpu *cpu, vmcs_writer *write, const struct left_alone *before, bool host64)
{
    const uint64_t exit = VMCS12(cpu, exit_controls);
    const uint64_t cr0 = (VMCS12(cpu, host_cr0) & ~CR0_UNTOUCHED) | (before->cr0 & CR0_UNTOUCHED);
    const uint64_t cr4 = VMCS12(cpu, host_cr4);
    uint64_t efer = (before->efer & ~(EFER_LMA | EFER_LME)) | (host64 ? EFER_LMA | EFER_LME : 0);

    if (exit & EXIT_load_ia32_efer)
        efer = VMCS12(cpu, host_ia32_efer);
    write(VMCS_guest_cr0, cr0);
    write(VMCS_cr0_read_shadow, cr0);
    write(VMCS_guest_cr3, VMCS12(cpu, host_cr3));
    write(VMCS_guest_cr4, cr4);
    write(VMCS_cr4_read_shadow, cr4);
    write(VMCS_guest_dr7, 0x400);
    write(VMCS_guest_ia32_debugctl, 0);
    write(VMCS_guest_ia32_sysenter_cs, VMCS12(cpu, host_ia32_sysenter_cs));
    write(VMCS_guest_ia32_sysenter_esp, VMCS12(cpu, host_ia32_sysenter_esp));
    write(VMCS_guest_ia32_sysenter_eip, VMCS12(cpu, host_ia32_sysenter_eip));
    write(VMCS_guest_ia32_efer, efer);
    write(VMCS_guest_ia32_pat, exit & EXIT_load_ia32_pat ? VMCS12(cpu, host_ia32_pat) : before->pat);
    vmcs01_set_long_mode(cpu, write, host64);
}

/* 28.5. False: VMX abort. */
static bool load_host_state(struct hv_cpu *cpu, const struct left_alone *before, bool blocked)
{
    const bool host64 = VMCS12(cpu, exit_controls) & EXIT_host_address_space_size;
    vmcs_writer *const write = shadow_host_writer(cpu);

    load_registers(cpu, write, before, host64);
    load_segments(cpu, write, host64);
    write(VMCS_guest_rip, VMCS12(cpu, host_rip));
    write(VMCS_guest_rsp, VMCS12(cpu, host_rsp));
    write(VMCS_guest_rflags, RFLAGS_FIXED);
    write(VMCS_guest_interruptibility_state, blocked ? BLOCKING_BY_NMI : 0);
    write(VMCS_guest_pending_debug_exceptions, 0);
    write(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
    return host64 || !(VMCS12(cpu, host_cr4) & CR4_PAE) || pdptes_copy(cpu->machine, VMCS12(cpu, host_cr3));
}

void reflect(struct hv_cpu *cpu)
{
    const bool failed = cpu->exit.reason & EXIT_REASON_ENTRY_FAILURE;
    /* An entry that failed in the guest-state checks has loaded nothing of L2: what stays is L1's own. */
    const bool nothing_loaded = cpu->exit.reason == (EXIT_REASON_entry_failure_guest_state | EXIT_REASON_ENTRY_FAILURE);
    struct vmcs12 *vmcs12 = cpu->nested.vmcs12;
    struct left_alone before;
    bool blocked;

    if (failed)
        hal_log(HAL_EVENT_NESTED_FAIL, cpu->exit.reason, cpu->exit.qualification, 0, 0);
    hal_log(HAL_EVENT_REFLECT, cpu->exit.reason, cpu->exit.qualification, 0, 0);
    if (!failed) {
        shadow_at(cpu, vmcs12, SHADOW_EXITED);
        if (!nested_msr_store(cpu)) {
            vmx_abort(cpu, ABORT_SAVING_MSRS);
            return;
        }
    }
    write_exit_information(cpu);
    shadow_at(cpu, vmcs12, SHADOW_TOLD);
    if (nothing_loaded)
        shadow_at(cpu, vmcs12, SHADOW_LEAVING);
    before = left_alone(VMCS12(cpu, exit_controls));
    if (failed)
        shadow_at(cpu, vmcs12, SHADOW_LEAVING);
    blocked = failed ? vmread32(VMCS_guest_interruptibility_state) & BLOCKING_BY_NMI : nmi_blocked(cpu);
    hal_prediction_barrier();                   /* L1 shall not be steered by what L2 taught the predictors */
    vpid_after_exit(cpu);
    shadow_at(cpu, vmcs12, SHADOW_LEAVING);
    if (!load_host_state(cpu, &before, blocked))
        vmx_abort(cpu, ABORT_HOST_PDPTES);
    else if (!nested_msr_load(cpu))
        vmx_abort(cpu, ABORT_LOADING_MSRS);
}
