/* SPDX-License-Identifier: MIT */
/* What this processor offers of VMX, as the capability MSRs tell it: SDM Vol. 3, Appendix A. */
#include "model/vmx/capability.h"

#include "arch/vmx.h"
#include "arch/x86.h"

/* Reserved controls that software finds set: the default1 classes of SDM Vol. 3, A.3.1, A.3.2, A.4, A.5. */
enum {
    PIN_DEFAULT1 = 0x00000016,
    PROC_DEFAULT1 = 0x0401e172,
    EXIT_DEFAULT1 = 0x00036dff,
    ENTRY_DEFAULT1 = 0x000011ff,
};

/* The controls that are implemented. What is not named here does not exist on this processor. */
enum {
    PIN_OFFERED = PIN_external_interrupt_exiting | PIN_nmi_exiting | PIN_virtual_nmis | PIN_activate_preemption_timer |
                  PIN_process_posted_interrupts,
    PROC2_OFFERED = PROC2_enable_ept | PROC2_descriptor_table_exiting | PROC2_enable_rdtscp | PROC2_enable_vpid |
                    PROC2_wbinvd_exiting | PROC2_unrestricted_guest | PROC2_enable_invpcid | PROC2_vmcs_shadowing |
                    PROC2_rdrand_exiting | PROC2_rdseed_exiting | PROC2_use_tsc_scaling |
                    PROC2_pause_loop_exiting | PROC2_virtualize_apic_accesses |
                    PROC2_virtualize_x2apic_mode | PROC2_apic_register_virtualization |
                    PROC2_virtual_interrupt_delivery | PROC2_enable_vm_functions | PROC2_enable_pml |
                    PROC2_ept_violation_ve | PROC2_mode_based_execute_control,
    EXIT_OFFERED = EXIT_save_debug_controls | EXIT_host_address_space_size | EXIT_acknowledge_interrupt_on_exit |
                   EXIT_save_ia32_pat | EXIT_load_ia32_pat | EXIT_save_ia32_efer | EXIT_load_ia32_efer |
                   EXIT_save_preemption_timer | EXIT_load_ia32_perf_global_ctrl | EXIT_load_cet_state,
    ENTRY_OFFERED = ENTRY_load_debug_controls | ENTRY_ia32e_mode_guest | ENTRY_load_ia32_pat | ENTRY_load_ia32_efer |
                    ENTRY_load_ia32_perf_global_ctrl | ENTRY_load_cet_state,
};
#define PROC_OFFERED                                                                                                \
    (PROC_interrupt_window_exiting | PROC_use_tsc_offsetting | PROC_hlt_exiting | PROC_invlpg_exiting |             \
     PROC_mwait_exiting | PROC_rdpmc_exiting | PROC_rdtsc_exiting | PROC_cr3_load_exiting | PROC_cr3_store_exiting | \
     PROC_cr8_load_exiting | PROC_cr8_store_exiting | PROC_use_tpr_shadow | PROC_nmi_window_exiting |               \
     PROC_mov_dr_exiting | PROC_unconditional_io_exiting | PROC_use_io_bitmaps | PROC_monitor_trap_flag |           \
     PROC_use_msr_bitmaps | PROC_monitor_exiting | PROC_pause_exiting | PROC_activate_secondary_controls)

/* The members of default1 classes that have got a meaning and may be 0 by the TRUE MSRs (SDM Vol. 3, A.2). */
#define PROC_CLEARABLE (PROC_cr3_load_exiting | PROC_cr3_store_exiting)
#define EXIT_CLEARABLE EXIT_save_debug_controls
#define ENTRY_CLEARABLE ENTRY_load_debug_controls

/* `exact`: there are TRUE MSRs to tell of a default1 control that may be 0 (A.2). */
static struct control_word word(uint32_t default1, uint32_t clearable, uint32_t offered, uint32_t lacks, bool exact)
{
    clearable = exact ? clearable & ~lacks : 0;
    offered &= ~lacks;
    return (struct control_word){
        .default1 = default1, .required = default1 & ~clearable, .allowed = default1 | offered,
    };
}

/* SDM Vol. 3, A.1. */
#define BASIC_REGION_SIZE (0x1000ull << 32)
#define BASIC_WRITE_BACK ((uint64_t)MEMORY_WB << 50)
#define BASIC_INS_OUTS_INFORMATION (1ull << CAPABILITY_BASIC_ins_outs_information)
#define BASIC_TRUE_CONTROLS (1ull << CAPABILITY_BASIC_true_controls)

/* SDM Vol. 3, A.6. The MSR lists may hold 512 entries: bits 27:25 are 0. */
#define MISC_TIMER_RATE 0ull                /* the preemption timer counts every tick: an entry and exit always shows */
#define MISC_STORES_LMA (1ull << CAPABILITY_MISC_stores_lma)
#define MISC_ACTIVITY_STATES                                                                                         \
    (1ull << CAPABILITY_MISC_activity_hlt | 1ull << CAPABILITY_MISC_activity_shutdown |                              \
     1ull << CAPABILITY_MISC_activity_wait_for_sipi)
#define MISC_CR3_TARGETS (4ull << 16)

/* SDM Vol. 3, A.10. */
#define EPT_EXECUTE_ONLY (1ull << 0)
#define EPT_WALK_4 (1ull << 6)
#define EPT_2M (1ull << 16)
#define EPT_1G (1ull << 17)
/* SDM Vol. 3, A.11. */
#define VMFUNC_EPTP_SWITCHING (1ull << CAPABILITY_VMFUNC_eptp_switching)
#define INVEPT_TYPES (1ull << EPT_VPID_invept_single_context | 1ull << EPT_VPID_invept_all_context)
#define INVVPID_TYPES (0xfull << EPT_VPID_invvpid_address)
#define INVEPT_OFFERED (1ull << EPT_VPID_invept | INVEPT_TYPES)
#define INVVPID_OFFERED (1ull << EPT_VPID_invvpid | INVVPID_TYPES)

bool capability_control_allowed(const struct vmx_capability *capability, enum control_id control)
{
    static const struct {
        uint8_t word, bit;
    } place[] = {
#define CONTROL(word, name, bit, text) [CONTROL_##word##_##name] = { WORD_##word, (bit) },
#include "arch/vmx_controls.def"
    };

    if (control == CONTROL_ALWAYS)
        return true;
    return capability->word[place[control].word].allowed >> place[control].bit & 1;
}

/* SDM Vol. 3, A.9: the highest index of any field's encoding. */
static uint64_t highest_field_index(const struct vmx_capability *capability)
{
    static const struct {
        uint16_t encoding;
        uint8_t exists;
    } fields[] = {
#define FIELD(name, encoding, exists) { (encoding), CONTROL_##exists },
#include "arch/vmcs_fields.def"
    };
    uint64_t highest = 0;

    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        uint64_t index = VMCS_ENCODING_INDEX(fields[i].encoding);

        if (index > highest && capability_control_allowed(capability, fields[i].exists))
            highest = index;
    }
    return highest;
}

/*
 * A capability in a control word or in IA32_VMX_EPT_VPID_CAP, and one that it needs: checks of 27.2.1.1 and 27.2.1.2 would
 * refuse every use of the first without the second.
 */
enum { EPT_VPID_WORD = WORD_COUNT, MISC_WORD };
static const struct dependence {
    uint8_t word, needs_word;
    uint64_t mask, needs;
} dependences[] = {
    { WORD_PIN, WORD_PIN, PIN_virtual_nmis, PIN_nmi_exiting },
    { WORD_PROC, WORD_PIN, PROC_nmi_window_exiting, PIN_virtual_nmis },
    { WORD_EXIT, WORD_PIN, EXIT_save_preemption_timer, PIN_activate_preemption_timer },
    { WORD_PROC2, WORD_PROC, ~0u, PROC_activate_secondary_controls },
    { WORD_PROC2, WORD_PROC2,
      PROC2_unrestricted_guest | PROC2_enable_pml | PROC2_ept_violation_ve | PROC2_mode_based_execute_control |
          PROC2_enable_vm_functions, PROC2_enable_ept },
    { WORD_PROC2, EPT_VPID_WORD, PROC2_enable_pml, CAPABILITY_EPT_ACCESSED_DIRTY },
    { WORD_PROC2, MISC_WORD, PROC2_unrestricted_guest, MISC_STORES_LMA },      /* A.6 */
    { WORD_PROC2, WORD_PROC,
      PROC2_virtualize_x2apic_mode | PROC2_apic_register_virtualization | PROC2_virtual_interrupt_delivery,
      PROC_use_tpr_shadow },
    { WORD_PROC2, WORD_PIN, PROC2_virtual_interrupt_delivery, PIN_external_interrupt_exiting },
    { WORD_PIN, WORD_PROC2, PIN_process_posted_interrupts, PROC2_virtual_interrupt_delivery },
    { WORD_PIN, WORD_EXIT, PIN_process_posted_interrupts, EXIT_acknowledge_interrupt_on_exit },
#define EPT_VPID(name, bit, needs, text) { EPT_VPID_WORD, WORD_PROC2, 1ull << (bit), PROC2_##needs },
#include "arch/ept_vpid.def"
    { EPT_VPID_WORD, EPT_VPID_WORD, INVEPT_TYPES, 1ull << EPT_VPID_invept },
    { EPT_VPID_WORD, EPT_VPID_WORD, INVVPID_TYPES, 1ull << EPT_VPID_invvpid },
};
enum { DEPENDENCES = sizeof(dependences) / sizeof(dependences[0]) };

static bool lacking(const struct vmx_lacks *lacks, unsigned word, uint64_t mask)
{
    return (word == MISC_WORD ? lacks->misc : word == EPT_VPID_WORD ? lacks->ept_vpid : lacks->word[word]) & mask;
}

/* As often as there are rows: then the longest chain of dependences has been followed. */
static struct vmx_lacks with_dependents(struct vmx_lacks lacks)
{
    for (unsigned i = 0; i < DEPENDENCES * DEPENDENCES; i++) {
        const struct dependence *d = &dependences[i % DEPENDENCES];

        if (!lacking(&lacks, d->needs_word, d->needs))
            continue;
        if (d->word == EPT_VPID_WORD)
            lacks.ept_vpid |= d->mask;
        else
            lacks.word[d->word] |= (uint32_t)d->mask;
    }
    return lacks;
}

void capability_init(struct vmx_capability *capability, const struct vmx_lacks *lacks)
{
    static const struct vmx_lacks nothing = { .ept_vpid = 0 };
    const struct vmx_lacks l = with_dependents(lacks ? *lacks : nothing);
    const bool exact = !(l.basic & BASIC_TRUE_CONTROLS);

    *capability = (struct vmx_capability){
        .pin = word(PIN_DEFAULT1, 0, PIN_OFFERED, l.word[WORD_PIN], exact),
        .proc = word(PROC_DEFAULT1, PROC_CLEARABLE, PROC_OFFERED, l.word[WORD_PROC], exact),
        .proc2 = word(0, 0, PROC2_OFFERED, l.word[WORD_PROC2], exact),
        .exit = word(EXIT_DEFAULT1, EXIT_CLEARABLE, EXIT_OFFERED, l.word[WORD_EXIT], exact),
        .entry = word(ENTRY_DEFAULT1, ENTRY_CLEARABLE, ENTRY_OFFERED, l.word[WORD_ENTRY], exact),
        .basic = VMCS_REVISION | BASIC_REGION_SIZE | BASIC_WRITE_BACK | BASIC_INS_OUTS_INFORMATION |
                 BASIC_TRUE_CONTROLS,
        .misc = MISC_TIMER_RATE | MISC_STORES_LMA | MISC_ACTIVITY_STATES | MISC_CR3_TARGETS |
                CAPABILITY_VMWRITE_ANY | CAPABILITY_INJECT_LENGTH_0,
        .cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
        .cr0_fixed1 = 0xffffffff,
        .cr4_fixed0 = CR4_VMXE,
        .cr4_fixed1 = CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |
                      CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_VMXE | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP |
                      CR4_SMAP | CR4_UMIP | CR4_LA57,
        .ept_vpid = EPT_EXECUTE_ONLY | EPT_WALK_4 | CAPABILITY_EPT_WALK_5 | EPT_2M | EPT_1G |
                    CAPABILITY_EPT_UNCACHEABLE |
                    CAPABILITY_EPT_WRITE_BACK | CAPABILITY_EPT_ACCESSED_DIRTY | CAPABILITY_EPT_EXIT_INFORMATION |
                    INVEPT_OFFERED | INVVPID_OFFERED,
    };
    capability->ept_vpid &= ~l.ept_vpid;
    capability->basic &= ~l.basic;
    capability->misc &= ~l.misc;
    if (capability->proc2.allowed & PROC2_enable_vm_functions)
        capability->vmfunc = VMFUNC_EPTP_SWITCHING & ~l.vmfunc;
    if (lacks && (lacks->ept_vpid & CAPABILITY_EPT_WALK_5))     /* 5-level paging of both kinds or none */
        capability->cr4_fixed1 &= ~CR4_LA57;
    if (capability_control_allowed(capability, CONTROL_ENTRY_load_cet_state))
        capability->cr4_fixed1 |= CR4_CET;
    capability->vmcs_enum = highest_field_index(capability) << 1;
    if (l.vmx)
        *capability = (struct vmx_capability){ .cr4_fixed1 = capability->cr4_fixed1 & ~CR4_VMXE };
}

bool capability_vmx(const struct vmx_capability *capability)
{
    return capability->basic;
}

/* Bits 31:0: controls that must be 1; bits 63:32: controls that may be 1. */
static uint64_t control_msr(uint32_t required, uint32_t allowed)
{
    return (uint64_t)allowed << 32 | required;
}

bool capability_msr(const struct vmx_capability *c, uint32_t index, uint64_t *value)
{
    if (!capability_vmx(c))
        return false;
    switch (index) {
    case MSR_ia32_vmx_basic:
        *value = c->basic;
        return true;
    case MSR_ia32_vmx_pinbased_ctls:
        *value = control_msr(c->pin.default1, c->pin.allowed);
        return true;
    case MSR_ia32_vmx_procbased_ctls:
        *value = control_msr(c->proc.default1, c->proc.allowed);
        return true;
    case MSR_ia32_vmx_exit_ctls:
        *value = control_msr(c->exit.default1, c->exit.allowed);
        return true;
    case MSR_ia32_vmx_entry_ctls:
        *value = control_msr(c->entry.default1, c->entry.allowed);
        return true;
    case MSR_ia32_vmx_misc:
        *value = c->misc;
        return true;
    case MSR_ia32_vmx_cr0_fixed0:
        *value = c->cr0_fixed0;
        return true;
    case MSR_ia32_vmx_cr0_fixed1:
        *value = c->cr0_fixed1;
        return true;
    case MSR_ia32_vmx_cr4_fixed0:
        *value = c->cr4_fixed0;
        return true;
    case MSR_ia32_vmx_cr4_fixed1:
        *value = c->cr4_fixed1;
        return true;
    case MSR_ia32_vmx_vmcs_enum:
        *value = c->vmcs_enum;
        return true;
    case MSR_ia32_vmx_procbased_ctls2:
        *value = control_msr(0, c->proc2.allowed);
        return c->proc.allowed & PROC_activate_secondary_controls;
    case MSR_ia32_vmx_ept_vpid_cap:
        *value = c->ept_vpid;
        return c->proc2.allowed & (PROC2_enable_ept | PROC2_enable_vpid);
    case MSR_ia32_vmx_true_pinbased_ctls:
        *value = control_msr(c->pin.required, c->pin.allowed);
        return capability_basic(c, CAPABILITY_BASIC_true_controls);
    case MSR_ia32_vmx_true_procbased_ctls:
        *value = control_msr(c->proc.required, c->proc.allowed);
        return capability_basic(c, CAPABILITY_BASIC_true_controls);
    case MSR_ia32_vmx_true_exit_ctls:
        *value = control_msr(c->exit.required, c->exit.allowed);
        return capability_basic(c, CAPABILITY_BASIC_true_controls);
    case MSR_ia32_vmx_true_entry_ctls:
        *value = control_msr(c->entry.required, c->entry.allowed);
        return capability_basic(c, CAPABILITY_BASIC_true_controls);
    case MSR_ia32_vmx_vmfunc:
        *value = c->vmfunc;
        return c->proc2.allowed & PROC2_enable_vm_functions;
    default:
        return false;
    }
}
