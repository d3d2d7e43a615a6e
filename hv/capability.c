/* SPDX-License-Identifier: MIT */
/* VMX capabilities: SDM Vol. 3, Appendix A. */
#include "hv/core.h"

/* ---- what L1 is shown: everything here is virtualised in nested/ ---- */

#define PIN_OFFERED                                                                                                 \
    (PIN_external_interrupt_exiting | PIN_nmi_exiting | PIN_virtual_nmis | PIN_activate_preemption_timer)
#define PROC_OFFERED                                                                                                \
    (PROC_interrupt_window_exiting | PROC_use_tsc_offsetting | PROC_hlt_exiting | PROC_invlpg_exiting |             \
     PROC_mwait_exiting | PROC_rdpmc_exiting | PROC_rdtsc_exiting | PROC_cr3_load_exiting | PROC_cr3_store_exiting | \
     PROC_cr8_load_exiting | PROC_cr8_store_exiting | PROC_use_tpr_shadow | PROC_nmi_window_exiting |               \
     PROC_mov_dr_exiting | PROC_unconditional_io_exiting | PROC_use_io_bitmaps | PROC_monitor_trap_flag |           \
     PROC_use_msr_bitmaps | PROC_monitor_exiting | PROC_pause_exiting | PROC_activate_secondary_controls)
#define PROC2_OFFERED                                                                                               \
    (PROC2_enable_ept | PROC2_descriptor_table_exiting | PROC2_enable_rdtscp | PROC2_enable_vpid |                  \
     PROC2_wbinvd_exiting | PROC2_unrestricted_guest | PROC2_pause_loop_exiting | PROC2_rdrand_exiting |            \
     PROC2_enable_invpcid | PROC2_rdseed_exiting | PROC2_mode_based_execute_control | PROC2_use_tsc_scaling)
#define EXIT_OFFERED                                                                                                \
    (EXIT_save_debug_controls | EXIT_host_address_space_size | EXIT_acknowledge_interrupt_on_exit |                 \
     EXIT_save_ia32_pat | EXIT_load_ia32_pat | EXIT_save_ia32_efer | EXIT_load_ia32_efer | EXIT_save_preemption_timer)
#define ENTRY_OFFERED                                                                                               \
    (ENTRY_load_debug_controls | ENTRY_ia32e_mode_guest | ENTRY_load_ia32_pat | ENTRY_load_ia32_efer)
#define MISC_OFFERED                                                                                                \
    (0x1full | MISC_STORES_LMA | MISC_ACTIVITY_HLT | MISC_ACTIVITY_WAIT_FOR_SIPI | 0x1ffull << 16 |                 \
     MISC_VMWRITE_ANY | MISC_INJECT_LENGTH_0)
#define EPT_VPID_OFFERED                                                                                            \
    (EPT_CAP_EXECUTE_ONLY | EPT_CAP_WALK_4 | EPT_CAP_UNCACHEABLE | EPT_CAP_WRITE_BACK | EPT_CAP_2M | EPT_CAP_1G |   \
     EPT_CAP_INVEPT | EPT_CAP_ACCESSED_DIRTY | EPT_CAP_ADVANCED_INFORMATION | EPT_CAP_INVEPT_SINGLE |               \
     EPT_CAP_INVEPT_GLOBAL | VPID_CAP_INVVPID | VPID_CAP_INVVPID_TYPES)
/* Region size 4 KB, write-back; INS/OUTS information and exceptions without error code as the processor does them. */
#define BASIC_PASSED (1ull << 54 | 1ull << 56)
#define BASIC_OWN (VMCS12_REVISION | PAGE_SIZE << 32 | (uint64_t)MEMORY_WB << 50 | BASIC_TRUE_CONTROLS)

static bool read_word(struct control_word *word, uint32_t plain_msr, uint32_t true_msr)
{
    uint64_t plain, exact;

    if (!hal_rdmsr(plain_msr, &plain) || !hal_rdmsr(true_msr, &exact))
        return false;
    *word = (struct control_word){ .required = (uint32_t)exact, .default1 = (uint32_t)plain,
                                   .allowed = (uint32_t)(exact >> 32) };
    return true;
}

bool capability_read(struct capability *c)
{
    bool exact;

    if (!hal_rdmsr(MSR_ia32_vmx_basic, &c->basic))
        return false;
    exact = c->basic & BASIC_TRUE_CONTROLS;
    if (!hal_rdmsr(MSR_ia32_vmx_misc, &c->misc) || !hal_rdmsr(MSR_ia32_vmx_cr0_fixed0, &c->cr0_fixed0) ||
        !hal_rdmsr(MSR_ia32_vmx_cr0_fixed1, &c->cr0_fixed1) || !hal_rdmsr(MSR_ia32_vmx_cr4_fixed0, &c->cr4_fixed0) ||
        !hal_rdmsr(MSR_ia32_vmx_cr4_fixed1, &c->cr4_fixed1) || !hal_rdmsr(MSR_ia32_vmx_vmcs_enum, &c->vmcs_enum))
        return false;
    if (!read_word(&c->pin, MSR_ia32_vmx_pinbased_ctls,
                   exact ? MSR_ia32_vmx_true_pinbased_ctls : MSR_ia32_vmx_pinbased_ctls) ||
        !read_word(&c->proc, MSR_ia32_vmx_procbased_ctls,
                   exact ? MSR_ia32_vmx_true_procbased_ctls : MSR_ia32_vmx_procbased_ctls) ||
        !read_word(&c->exit, MSR_ia32_vmx_exit_ctls, exact ? MSR_ia32_vmx_true_exit_ctls : MSR_ia32_vmx_exit_ctls) ||
        !read_word(&c->entry, MSR_ia32_vmx_entry_ctls,
                   exact ? MSR_ia32_vmx_true_entry_ctls : MSR_ia32_vmx_entry_ctls))
        return false;
    /* These two exist only with the features that they describe: absent means none. */
    if (!(c->proc.allowed & PROC_activate_secondary_controls) ||
        !read_word(&c->proc2, MSR_ia32_vmx_procbased_ctls2, MSR_ia32_vmx_procbased_ctls2))
        c->proc2 = (struct control_word){ 0 };
    if (!(c->proc2.allowed & (PROC2_enable_ept | PROC2_enable_vpid)) ||
        !hal_rdmsr(MSR_ia32_vmx_ept_vpid_cap, &c->ept_vpid))
        c->ept_vpid = 0;
    return true;
}

const char *capability_missing(const struct capability *c)
{
    const struct {
        bool have;
        const char *missing;
    } need[] = {
        { c->proc.allowed & PROC_use_msr_bitmaps, "the processor lacks MSR bitmaps" },
        { c->proc.allowed & PROC_activate_secondary_controls, "the processor lacks secondary controls" },
        { !(c->proc.required & (PROC_cr3_load_exiting | PROC_cr3_store_exiting)), "accesses to CR3 must exit" },
        { c->pin.allowed & PIN_virtual_nmis && c->proc.allowed & PROC_nmi_window_exiting,
          "the processor lacks virtual NMIs and NMI-window exiting" },
        { c->proc2.allowed & PROC2_enable_ept, "the processor lacks EPT" },
        { c->proc2.allowed & PROC2_enable_vpid, "the processor lacks VPIDs" },
        { c->proc2.allowed & PROC2_unrestricted_guest, "the processor lacks unrestricted guests" },
        { c->exit.allowed & EXIT_host_address_space_size, "the processor lacks 64-bit hosts" },
        { c->exit.allowed & EXIT_save_ia32_efer, "the processor cannot save IA32_EFER on exits" },
        { c->exit.allowed & EXIT_load_ia32_efer, "the processor cannot load IA32_EFER on exits" },
        { c->exit.allowed & EXIT_save_ia32_pat, "the processor cannot save IA32_PAT on exits" },
        { c->exit.allowed & EXIT_load_ia32_pat, "the processor cannot load IA32_PAT on exits" },
        { c->entry.allowed & ENTRY_load_ia32_efer, "the processor cannot load IA32_EFER on entries" },
        { c->entry.allowed & ENTRY_load_ia32_pat, "the processor cannot load IA32_PAT on entries" },
        { c->misc & MISC_STORES_LMA, "exits do not save IA32_EFER.LMA" },
        { c->ept_vpid & EPT_CAP_WALK_4, "EPT lacks 4-level walks" },
        { c->ept_vpid & EPT_CAP_WRITE_BACK, "EPT lacks write-back paging structures" },
        { c->ept_vpid & EPT_CAP_2M, "EPT lacks 2-MByte pages" },
        { c->ept_vpid & EPT_CAP_INVEPT && c->ept_vpid & EPT_CAP_INVEPT_SINGLE, "single-context INVEPT is missing" },
        { c->ept_vpid & VPID_CAP_INVVPID && c->ept_vpid & VPID_CAP_INVVPID_SINGLE,
          "single-context INVVPID is missing" },
        { c->ept_vpid & EPT_CAP_INVEPT_GLOBAL && c->ept_vpid & VPID_CAP_INVVPID_ALL,
          "INVEPT or INVVPID of all contexts is missing" },
    };

    for (unsigned i = 0; i < sizeof need / sizeof *need; i++)
        if (!need[i].have)
            return need[i].missing;
    return NULL;
}

/* Controls outside `mask` may not be 1, but for reserved ones that must be. */
static struct control_word restrict_word(struct control_word word, uint32_t mask)
{
    word.allowed &= mask | word.default1;
    return word;
}

bool control_exists(const struct capability *c, enum control_id control)
{
    switch (control) {
    case CONTROL_ALWAYS:
        return true;
#define WORD_OF_PIN c->pin
#define WORD_OF_PROC c->proc
#define WORD_OF_PROC2 c->proc2
#define WORD_OF_EXIT c->exit
#define WORD_OF_ENTRY c->entry
#define CONTROL(word, name, bit, text)                                                                              \
    case CONTROL_##word##_##name:                                                                                   \
        return (WORD_OF_##word).allowed & word##_##name;
#include "arch/vmx_controls.def"
    }
    return false;
}

void capability_offer(const struct capability *physical, struct capability *offered)
{
    *offered = (struct capability){
        .basic = BASIC_OWN | (physical->basic & BASIC_PASSED),
        .misc = physical->misc & MISC_OFFERED,
        .cr0_fixed0 = physical->cr0_fixed0,
        .cr0_fixed1 = physical->cr0_fixed1,
        .cr4_fixed0 = physical->cr4_fixed0,
        .cr4_fixed1 = physical->cr4_fixed1 & ~CR4_LAM_SUP,
        .ept_vpid = physical->ept_vpid & EPT_VPID_OFFERED,
        .pin = restrict_word(physical->pin, PIN_OFFERED),
        .proc = restrict_word(physical->proc, PROC_OFFERED),
        .proc2 = restrict_word(physical->proc2, PROC2_OFFERED),
        .exit = restrict_word(physical->exit, EXIT_OFFERED),
        .entry = restrict_word(physical->entry, ENTRY_OFFERED),
    };
    offered->vmcs_enum = (uint64_t)field_highest_index(offered) << 1;
}

static uint64_t control_msr(uint32_t required, struct control_word word)
{
    return (uint64_t)word.allowed << 32 | required;
}

/* From IA32_VMX_BASIC on, in their order (A.1 to A.10). VM functions, tertiary and secondary exit controls are not offered. */
bool capability_value(const struct capability *c, uint32_t index, uint64_t *value)
{
    const uint64_t values[] = {
        c->basic,
        control_msr(c->pin.default1, c->pin), control_msr(c->proc.default1, c->proc), control_msr(c->exit.default1, c->exit),
        control_msr(c->entry.default1, c->entry),
        c->misc, c->cr0_fixed0, c->cr0_fixed1, c->cr4_fixed0, c->cr4_fixed1, c->vmcs_enum, control_msr(0, c->proc2), c->ept_vpid,
        control_msr(c->pin.required, c->pin), control_msr(c->proc.required, c->proc), control_msr(c->exit.required, c->exit),
        control_msr(c->entry.required, c->entry),
    };

    _Static_assert(sizeof values / sizeof *values == MSR_ia32_vmx_true_entry_ctls - MSR_ia32_vmx_basic + 1, "one for each");
    if (index < MSR_ia32_vmx_basic || index > MSR_ia32_vmx_true_entry_ctls)
        return false;
    *value = values[index - MSR_ia32_vmx_basic];
    return true;
}

uint32_t control_adjust(struct control_word word, uint32_t wanted)
{
    return (wanted | word.required) & word.allowed;
}

bool control_legal(struct control_word word, uint32_t value)
{
    return !(word.required & ~value) && !(value & ~word.allowed);
}

bool eptp_valid(const struct capability *c, unsigned physical_address_width, uint64_t eptp)
{
    uint64_t type = EPTP_MEMORY_TYPE(eptp);
    bool type_ok = (type == MEMORY_UC && c->ept_vpid & EPT_CAP_UNCACHEABLE) ||
                   (type == MEMORY_WB && c->ept_vpid & EPT_CAP_WRITE_BACK);

    if (eptp & EPTP_ACCESSED_DIRTY && !(c->ept_vpid & EPT_CAP_ACCESSED_DIRTY))
        return false;
    /* Bits 11:7 are not offered. */
    return type_ok && EPTP_WALK_LENGTH(eptp) == EPT_LEVELS && !(eptp & 0xf80) && !(eptp >> physical_address_width);
}
