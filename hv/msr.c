/* SPDX-License-Identifier: MIT */
/*
 * MSRs of the guest. Nearly all pass through; L0 answers for IA32_FEATURE_CONTROL and the VMX capability MSRs, looks at what
 * goes to IA32_APIC_BASE, and repeats accesses outside the ranges of MSR bitmaps, which exit always (SDM Vol. 3, 26.1.3).
 */
#include "hv/core.h"

enum { VMX_MSR_FIRST = MSR_ia32_vmx_basic, VMX_MSR_LAST = 0x493 };
enum { BITMAP_READ_LOW = 0, BITMAP_WRITE_LOW = 2048 };  /* SDM Vol. 3, 25.6.9 */

static void intercept(uint8_t bitmap[PAGE_SIZE], uint32_t index)
{
    bitmap[BITMAP_READ_LOW + index / 8] |= (uint8_t)(1u << index % 8);
    bitmap[BITMAP_WRITE_LOW + index / 8] |= (uint8_t)(1u << index % 8);
}

void msr_bitmap_fill(uint8_t bitmap[PAGE_SIZE])
{
    intercept(bitmap, MSR_ia32_feature_control);
    intercept(bitmap, MSR_ia32_apic_base);
    for (uint32_t index = VMX_MSR_FIRST; index <= VMX_MSR_LAST; index++)
        intercept(bitmap, index);
}

/* The MSRs that entries and exits exchange: the guest's value is in the VMCS. */
static bool vmcs_field_of(uint32_t index, enum vmcs_encoding *field)
{
    switch (index) {
    case MSR_ia32_efer:
        *field = VMCS_guest_ia32_efer;
        return true;
    case MSR_ia32_pat:
        *field = VMCS_guest_ia32_pat;
        return true;
    case MSR_ia32_debugctl:
        *field = VMCS_guest_ia32_debugctl;
        return true;
    case MSR_ia32_sysenter_cs:
        *field = VMCS_guest_ia32_sysenter_cs;
        return true;
    case MSR_ia32_sysenter_esp:
        *field = VMCS_guest_ia32_sysenter_esp;
        return true;
    case MSR_ia32_sysenter_eip:
        *field = VMCS_guest_ia32_sysenter_eip;
        return true;
    case MSR_ia32_fs_base:
        *field = VMCS_guest_fs_base;
        return true;
    case MSR_ia32_gs_base:
        *field = VMCS_guest_gs_base;
        return true;
    default:
        return false;
    }
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

bool guest_read_msr(struct hv_cpu *cpu, uint32_t index, uint64_t *value)
{
    enum vmcs_encoding field;

    if (index == MSR_ia32_feature_control) {
        *value = cpu->feature_control;
        return true;
    }
    if (index >= VMX_MSR_FIRST && index <= VMX_MSR_LAST)
        return capability_value(&cpu->machine->offered, index, value);
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

/* L0 kicks processors through the local APIC: it stays where it is, and L0 knows where it is disabled. */
static bool write_apic_base(struct hv_machine *m, uint64_t value)
{
    uint64_t old;
    bool done;

    if (!hal_rdmsr(MSR_ia32_apic_base, &old) || (value ^ old) & APIC_BASE_ADDRESS)
        return false;
    hal_lock(&m->lock);
    done = hal_wrmsr(MSR_ia32_apic_base, value);
    if (done)
        m->presence[hal_cpu_index()].unreachable = !(value & APIC_BASE_ENABLE);
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
    case MSR_ia32_debugctl:                     /* which bits exist only hardware knows; an exit left 0 there */
        return hal_wrmsr(MSR_ia32_debugctl, *value) && hal_wrmsr(MSR_ia32_debugctl, 0);
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

    if (index == MSR_ia32_feature_control)
        return write_feature_control(cpu, value);
    if (index == MSR_ia32_apic_base)
        return write_apic_base(cpu->machine, value);
    if (index >= VMX_MSR_FIRST && index <= VMX_MSR_LAST)
        return false;
    if (!vmcs_field_of(index, &field))
        return hal_wrmsr(index, value);
    if (!legal(cpu, index, &value))
        return false;
    vmwrite(field, value);
    return true;
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
void msr_write_exit(struct hv_cpu *cpu)
{
    const uint64_t value = (uint64_t)(uint32_t)guest_register(cpu, RDX) << 32 | (uint32_t)guest_register(cpu, RAX);

    if ((uint32_t)guest_register(cpu, RCX) == MSR_ia32_apic_base && init_on_its_way(cpu))
        return;
    if (guest_cpl() || !guest_write_msr(cpu, (uint32_t)guest_register(cpu, RCX), value)) {
        inject_exception(cpu, VECTOR_GP, 0);
        return;
    }
    guest_advance();
}
