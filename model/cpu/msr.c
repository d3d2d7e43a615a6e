/* SPDX-License-Identifier: MIT */
/* Model-specific registers: SDM Vol. 4, ch. 2, by the table arch/msrs.def. */
#include "model/cpu/execute.h"
#include "model/cpu/walk.h"
#include "model/model.h"

enum msr_kind { KIND_STORED, KIND_LOW32, KIND_CANONICAL, KIND_PAT, KIND_READONLY, KIND_SPECIAL, KIND_APIC };

static const struct {
    uint32_t index;
    enum msr_kind kind;
    const char *name;
} table[MSR_COUNT] = {
#define MSR(name, index, kind) [MSR_SLOT_##name] = { (index), KIND_##kind, #name },
#include "arch/msrs.def"
};

#define X2APIC_FIRST 0x800u
#define X2APIC_LAST 0x8ffu

/* IA32_DEBUGCTL: LBR and BTF; the other facilities do not exist here (SDM Vol. 3, 18.4.1). */
#define DEBUGCTL_ALLOWED 3ull
/* IA32_PERF_GLOBAL_CTRL: four general counters and three fixed ones. CPUID leaf 0AH claims none, and none counts. */
#define PERF_GLOBAL_CTRL_ALLOWED 0x70000000full
/* IA32_FEATURE_CONTROL: lock, VMX inside and outside SMX (SDM Vol. 3, 24.7). Inside needs SMX, which there is none of. */
#define FEATURE_CONTROL_ALLOWED (FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX)

enum msr_slot msr_find(uint32_t index)
{
    switch (index) {
#define MSR(name, index, kind) case (index): return MSR_SLOT_##name;
#include "arch/msrs.def"
    default:
        return MSR_COUNT;
    }
}

const char *msr_name(uint32_t index)
{
    enum msr_slot slot = msr_find(index);

    if (index >= X2APIC_FIRST && index <= X2APIC_LAST)
        return "x2apic";
    return slot < MSR_COUNT ? table[slot].name : "unknown";
}

static bool is_apic(uint32_t index, enum msr_slot slot)
{
    return (index >= X2APIC_FIRST && index <= X2APIC_LAST) || (slot < MSR_COUNT && table[slot].kind == KIND_APIC);
}

/* Each byte a memory type: SDM Vol. 3, 12.12.2, Table 12-10. */
static bool pat_valid(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++, value >>= 8) {
        unsigned type = value & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

uint64_t efer_allowed(const struct cpu *cpu)
{
    (void)cpu;
    return EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
}

/* SDM Vol. 3, 2.2.1: LMA is the processor's own; LME may not change while paging is on. */
static bool efer_write(struct cpu *cpu, uint64_t value)
{
    uint64_t *efer = &CPU_MSR(cpu, ia32_efer);

    if ((value & ~efer_allowed(cpu)) || ((cpu->cr0 & CR0_PG) && ((value ^ *efer) & EFER_LME)))
        return false;
    *efer = (value & ~EFER_LMA) | (*efer & EFER_LMA);
    cpu->model->tlb.generation++;       /* NXE decides about rights: the CPU engine must ask again */
    return true;
}

uint64_t perf_global_ctrl_allowed(const struct cpu *cpu)
{
    (void)cpu;
    return PERF_GLOBAL_CTRL_ALLOWED;
}

/* The MSRs of CET are there if CR4.CET is. */
static bool cet(const struct cpu *cpu)
{
    return cr4_allowed(cpu) & CR4_CET;
}

bool cet_valid(const struct cpu *cpu, uint64_t value)
{
    return !(value & CET_RESERVED) && (value & (CET_SUPPRESS | CET_TRACKER)) != (CET_SUPPRESS | CET_TRACKER) &&
           linear_canonical(cpu, value & CET_LEGACY_BITMAP_BASE);
}

static bool special_read(const struct cpu *cpu, enum msr_slot slot, uint64_t *value)
{
    switch (slot) {
    case MSR_SLOT_ia32_u_cet: case MSR_SLOT_ia32_s_cet: case MSR_SLOT_ia32_pl0_ssp: case MSR_SLOT_ia32_pl1_ssp:
    case MSR_SLOT_ia32_pl2_ssp: case MSR_SLOT_ia32_pl3_ssp: case MSR_SLOT_ia32_interrupt_ssp_table_addr:
        *value = cpu->msr[slot];
        return cet(cpu);
    case MSR_SLOT_ia32_time_stamp_counter:
        *value = cpu->clock + CPU_MSR(cpu, ia32_tsc_adjust);
        return true;
    case MSR_SLOT_ia32_fs_base:
        *value = cpu->seg[SEG_FS].base;
        return true;
    case MSR_SLOT_ia32_gs_base:
        *value = cpu->seg[SEG_GS].base;
        return true;
    default:
        *value = cpu->msr[slot];
        return true;
    }
}

static bool special_write(struct cpu *cpu, enum msr_slot slot, uint64_t value)
{
    switch (slot) {
    case MSR_SLOT_ia32_time_stamp_counter:      /* IA32_TSC_ADJUST follows: SDM Vol. 3, 18.17.3 */
        CPU_MSR(cpu, ia32_tsc_adjust) = value - cpu->clock;
        return true;
    case MSR_SLOT_ia32_tsc_adjust:
        CPU_MSR(cpu, ia32_tsc_adjust) = value;
        return true;
    case MSR_SLOT_ia32_feature_control:
        if (!capability_vmx(&cpu->model->capability) ||
            (CPU_MSR(cpu, ia32_feature_control) & FEATURE_CONTROL_LOCK) || (value & ~FEATURE_CONTROL_ALLOWED))
            return false;
        CPU_MSR(cpu, ia32_feature_control) = value;
        return true;
    case MSR_SLOT_ia32_debugctl:
        if (value & ~DEBUGCTL_ALLOWED)
            return false;
        CPU_MSR(cpu, ia32_debugctl) = value;
        return true;
    case MSR_SLOT_ia32_perf_global_ctrl:
        if (value & ~perf_global_ctrl_allowed(cpu))
            return false;
        break;
    case MSR_SLOT_ia32_u_cet: case MSR_SLOT_ia32_s_cet:
        if (!cet(cpu) || !cet_valid(cpu, value))
            return false;
        break;
    case MSR_SLOT_ia32_pl0_ssp: case MSR_SLOT_ia32_pl1_ssp: case MSR_SLOT_ia32_pl2_ssp: case MSR_SLOT_ia32_pl3_ssp:
        if (!cet(cpu) || !linear_canonical(cpu, value) || (value & 3))
            return false;
        break;
    case MSR_SLOT_ia32_interrupt_ssp_table_addr:
        if (!cet(cpu) || !linear_canonical(cpu, value))
            return false;
        break;
    case MSR_SLOT_ia32_efer:
        return efer_write(cpu, value);
    case MSR_SLOT_ia32_fs_base:
    case MSR_SLOT_ia32_gs_base:
        if (!register_canonical(cpu, value))
            return false;
        cpu->seg[slot == MSR_SLOT_ia32_fs_base ? SEG_FS : SEG_GS].base = value;
        return true;
    default:
        return false;
    }
    cpu->msr[slot] = value;
    return true;
}

bool msr_read(struct cpu *cpu, uint32_t index, uint64_t *value)
{
    const struct bus *bus = &cpu->model->bus;
    enum msr_slot slot = msr_find(index);

    if (is_apic(index, slot))
        return bus->apic_read_msr && bus->apic_read_msr(bus->context, cpu, index, value);
    if (slot == MSR_COUNT || (index == MSR_ia32_feature_control && !capability_vmx(&cpu->model->capability)))
        return false;
    if (index >= MSR_ia32_vmx_basic && index <= MSR_ia32_vmx_vmfunc)
        return capability_msr(&cpu->model->capability, index, value);
    return special_read(cpu, slot, value);
}

bool msr_write(struct cpu *cpu, uint32_t index, uint64_t value)
{
    const struct bus *bus = &cpu->model->bus;
    enum msr_slot slot = msr_find(index);

    if (is_apic(index, slot))
        return bus->apic_write_msr && bus->apic_write_msr(bus->context, cpu, index, value);
    if (slot == MSR_COUNT)
        return false;
    switch (table[slot].kind) {
    case KIND_SPECIAL:
        return special_write(cpu, slot, value);
    case KIND_READONLY:
    case KIND_APIC:
        return false;
    case KIND_CANONICAL:
        if (!register_canonical(cpu, value))
            return false;
        break;
    case KIND_PAT:
        if (!pat_valid(value))
            return false;
        break;
    case KIND_LOW32:
        value &= 0xffffffff;
        break;
    case KIND_STORED:
        break;
    }
    cpu->msr[slot] = value;
    return true;
}
