/* SPDX-License-Identifier: MIT */
/* MSRs of the guest. Nearly all pass through; those that do not are in msrs.def. Bitmaps reach two ranges (SDM Vol. 3, 25.6.9). */
#include "hv/core.h"

enum { BITMAP_READ_LOW = 0, BITMAP_WRITE_LOW = 2048, BITMAP_LOW_END = 0x2000 };
enum rule { RULE_PASSED, RULE_OWN, RULE_JUDGED, RULE_HIDDEN, RULE_UNLISTED };
/* MSRs beyond those of the model, and bits of theirs: SDM Vol. 4, ch. 2. */
enum { MSR_TEST_CTRL = 0x33, MSR_IA32_CORE_CAPABILITIES = 0xcf, MSR_IA32_XSS = 0xda0, MSR_IA32_PEBS_ENABLE = 0x3f1,
       MSR_IA32_RTIT_CTL = 0x570, RTIT_TRACE = 1 };
#define TEST_UC_LOCK_DISABLE (1ull << 28)
#define CORE_UC_LOCK_DISABLE (1ull << 4)
#define MISC_BTS_UNAVAILABLE (1ull << 11)
#define MISC_PEBS_UNAVAILABLE (1ull << 12)
#define XSS_PT (1ull << 8)
#define DEBUGCTL_STORE (0x1full << 6)           /* TR, BTS, BTINT, BTS_OFF_OS, BTS_OFF_USR: branches go to memory (18.4.1) */
#define LEAF_1_EDX_DS (1u << 21)
#define LEAF_7_EBX_PT (1u << 25)

static const struct { uint32_t first, last; enum rule rule; } rules[] = {
#define MSR_RULE(first, last, rule, why) { (first), (last), RULE_##rule },
#include "hv/msrs.def"
};
enum { RULES = sizeof rules / sizeof *rules };

static enum rule rule_of(uint32_t index)
{
    for (unsigned i = 0; i < RULES; i++)
        if (index >= rules[i].first && index <= rules[i].last)
            return rules[i].rule;
    return RULE_PASSED;
}

const char *msr_refusal(const struct hal_capture *capture)
{
    uint64_t value;

    if (capture->debugctl & DEBUGCTL_STORE)
        return "the guest has branches stored (IA32_DEBUGCTL.TR, BTS)";
    if (hal_cpuid(1, 0).edx & LEAF_1_EDX_DS && hal_rdmsr(MSR_IA32_PEBS_ENABLE, &value) && value)
        return "the guest has PEBS enabled (IA32_PEBS_ENABLE)";
    if (hal_cpuid(0, 0).eax >= 7 && hal_cpuid(7, 0).ebx & LEAF_7_EBX_PT && hal_rdmsr(MSR_IA32_RTIT_CTL, &value) && value & RTIT_TRACE)
        return "the guest traces with Intel PT (IA32_RTIT_CTL.TraceEn)";
    if (hal_rdmsr(MSR_TEST_CTRL, &value) && value & TEST_UC_LOCK_DISABLE)
        return "locked accesses to uncacheable memory fault (TEST_CTRL bit 28), and those of L0 to the guest's memory may be such";
    if (hal_rdmsr(MSR_ia32_misc_enable, &value) && value & MISC_ENABLE_XD_DISABLE)
        return "execute-disable is switched off (IA32_MISC_ENABLE bit 34)";
    return NULL;
}

void msr_bitmap_fill(uint8_t bitmap[PAGE_SIZE])
{
    for (unsigned i = 0; i < RULES; i++)
        for (uint32_t index = rules[i].first; rules[i].rule != RULE_UNLISTED && index <= rules[i].last && index < BITMAP_LOW_END; index++) {
            bitmap[BITMAP_READ_LOW + index / 8] |= (uint8_t)(1u << index % 8);
            bitmap[BITMAP_WRITE_LOW + index / 8] |= (uint8_t)(1u << index % 8);
        }
}

/* The MSRs that entries and exits exchange: the guest's value is in the VMCS. */
static bool vmcs_field_of(uint32_t index, enum vmcs_encoding *field)
{
    static const struct { uint32_t index; enum vmcs_encoding field; } exchanged[] = {
        { MSR_ia32_efer, VMCS_guest_ia32_efer }, { MSR_ia32_pat, VMCS_guest_ia32_pat }, { MSR_ia32_debugctl, VMCS_guest_ia32_debugctl },
        { MSR_ia32_sysenter_cs, VMCS_guest_ia32_sysenter_cs }, { MSR_ia32_sysenter_esp, VMCS_guest_ia32_sysenter_esp },
        { MSR_ia32_sysenter_eip, VMCS_guest_ia32_sysenter_eip }, { MSR_ia32_fs_base, VMCS_guest_fs_base },
        { MSR_ia32_gs_base, VMCS_guest_gs_base },
    };

    for (unsigned i = 0; i < sizeof exchanged / sizeof *exchanged; i++)
        if (exchanged[i].index == index) {
            *field = exchanged[i].field;
            return true;
        }
    return false;
}

bool pat_valid(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t type = value >> 8 * i & 0xff;
        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

/* What L1 finds of a value of hardware's: features that are hidden are absent. */
static uint64_t shown(uint32_t index, uint64_t value)
{
    if (index == MSR_IA32_CORE_CAPABILITIES)
        return value & ~CORE_UC_LOCK_DISABLE;
    if (index == MSR_ia32_misc_enable && hal_cpuid(1, 0).edx & LEAF_1_EDX_DS)
        return value | MISC_BTS_UNAVAILABLE | MISC_PEBS_UNAVAILABLE;
    return value;
}

bool guest_read_msr(struct hv_cpu *cpu, uint32_t index, uint64_t *value)
{
    enum vmcs_encoding field;
    bool done;

    switch (rule_of(index)) {
    case RULE_OWN:
        if (index != MSR_ia32_feature_control)
            return capability_value(&cpu->machine->offered, index, value);
        *value = cpu->feature_control;
        return true;
    case RULE_HIDDEN:
        return false;
    case RULE_JUDGED:
        done = hal_rdmsr(index, value);
        *value = shown(index, *value);
        return done;
    case RULE_PASSED: case RULE_UNLISTED:
        break;
    }
    if (vmcs_field_of(index, &field)) {
        *value = vmread(field);
        return true;
    }
    return hal_rdmsr(index, value);
}

static bool write_feature_control(struct hv_cpu *cpu, uint64_t value)
{
    if (cpu->feature_control & FEATURE_CONTROL_LOCK ||
        value & ~(FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX))
        return false;
    cpu->feature_control = value;
    return true;
}

/* May the processor have this value of an MSR that L0 judges?  Whether it takes it is for the processor to say. */
static bool passes(uint32_t index, uint64_t value)
{
    uint64_t old;

    switch (index) {
    case MSR_ia32_apic_base:
        return hal_rdmsr(index, &old) && !((value ^ old) & APIC_BASE_ADDRESS);
    case MSR_ia32_misc_enable:
        return hal_rdmsr(index, &old) && !((value ^ old) & MISC_ENABLE_XD_DISABLE);
    case MSR_TEST_CTRL:
        return !(value & TEST_UC_LOCK_DISABLE);
    case MSR_IA32_XSS:
        return !(value & XSS_PT);
    default:
        return false;
    }
}

/* In one step with what the others know of this processor. */
static bool write_apic_base(struct hv_cpu *cpu, uint64_t value)
{
    struct hv_machine *m = cpu->machine;
    bool done;

    hal_lock(&m->lock);
    done = hal_wrmsr(MSR_ia32_apic_base, value);
    if (done)
        init_reachable(cpu, value & APIC_BASE_ENABLE);
    hal_unlock(&m->lock);
    return done;
}

/* Would WRMSR accept the value of an MSR that lives in the VMCS?  *value may be adjusted. */
static bool legal(const struct hv_cpu *cpu, uint32_t index, uint64_t *value)
{
    uint64_t old;

    switch (index) {
    case MSR_ia32_efer:                         /* LMA is read-only here; LME only changes without paging */
        old = vmread(VMCS_guest_ia32_efer);
        if (*value & ~cpu->machine->efer_allowed || ((*value ^ old) & EFER_LME && vmread(VMCS_guest_cr0) & CR0_PG))
            return false;
        *value = (*value & ~EFER_LMA) | (old & EFER_LMA);
        return true;
    case MSR_ia32_pat:
        return pat_valid(*value);
    case MSR_ia32_debugctl:                     /* which bits exist only hardware knows; an exit left 0 there. None that stores branches */
        return !(*value & DEBUGCTL_STORE) && hal_wrmsr(MSR_ia32_debugctl, *value) && hal_wrmsr(MSR_ia32_debugctl, 0);
    case MSR_ia32_sysenter_cs:
        *value &= 0xffffffff;
        return true;
    default:                                    /* addresses */
        return canonical_in_register(cpu, *value);
    }
}

bool guest_write_msr(struct hv_cpu *cpu, uint32_t index, uint64_t value)
{
    enum vmcs_encoding field;

    switch (rule_of(index)) {
    case RULE_OWN:
        return index == MSR_ia32_feature_control && write_feature_control(cpu, value);
    case RULE_HIDDEN:
        return false;
    case RULE_JUDGED:
        return passes(index, value) && (index == MSR_ia32_apic_base ? write_apic_base(cpu, value) : hal_wrmsr(index, value));
    case RULE_PASSED: case RULE_UNLISTED:
        break;
    }
    if (!vmcs_field_of(index, &field))
        return hal_wrmsr(index, value);
    if (!legal(cpu, index, &value))
        return false;
    vmwrite(field, value);
    return true;
}

bool msr_listed(uint32_t index, uint64_t value)
{
    switch (rule_of(index)) {
    case RULE_PASSED:
        return index != MSR_ia32_debugctl || !(value & DEBUGCTL_STORE);
    case RULE_JUDGED:
        return passes(index, value);
    case RULE_OWN: case RULE_HIDDEN: case RULE_UNLISTED:
        break;
    }
    return false;
}

void msr_read_exit(struct hv_cpu *cpu)
{
    uint64_t value;

    if (guest_cpl() || !guest_read_msr(cpu, (uint32_t)guest_register(cpu, RCX), &value)) {
        inject_exception(cpu, VECTOR_GP, 0);
        return;
    }
    guest_set_register(cpu, RAX, (uint32_t)value);
    guest_set_register(cpu, RDX, value >> 32);
    guest_advance();
}

/* A disabled local APIC accepts no INIT: one that L0 sent comes out first, and then the instruction is executed again. */
bool msr_write_exit(struct hv_cpu *cpu)
{
    const uint64_t value = (uint64_t)(uint32_t)guest_register(cpu, RDX) << 32 | (uint32_t)guest_register(cpu, RAX);

    if ((uint32_t)guest_register(cpu, RCX) == MSR_ia32_apic_base && init_on_its_way(cpu))
        return false;
    if (guest_cpl() || !guest_write_msr(cpu, (uint32_t)guest_register(cpu, RCX), value))
        inject_exception(cpu, VECTOR_GP, 0);
    else
        guest_advance();
    return true;
}
