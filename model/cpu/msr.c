/* SPDX-License-Identifier: MIT */
/* Model-specific registers: SDM Vol. 4, ch. 2, by the table arch/msrs.def. */
#include "model/cpu/msr.h"

#include "model/cpu/execute.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/refusal.h"

static const struct {
    uint32_t index;
    enum msr_kind kind;
    const char *name;
} table[MSR_COUNT] = {
#define MSR(name, index, kind) [MSR_SLOT_##name] = { (index), KIND_##kind, #name },
#include "arch/msrs.def"
};

/* IA32_PERF_GLOBAL_CTRL: four general counters and three fixed ones. CPUID leaf 0AH claims none, and none counts. */
#define PERF_GLOBAL_CTRL_ALLOWED 0x70000000full
enum { NANOSECONDS_OF_ENERGY = 15259 };

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

enum msr_kind msr_kind(uint32_t index)
{
    enum msr_slot slot = msr_find(index);

    if (index >= X2APIC_FIRST && index <= X2APIC_LAST)
        return KIND_APIC;
    return slot < MSR_COUNT ? table[slot].kind : KIND_UNKNOWN;
}

static bool mtrr_type(unsigned type)
{
    return type == MEMORY_UC || type == MEMORY_WC || (type >= MEMORY_WT && type <= MEMORY_WB);
}

bool msr_mtrr_valid(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++, value >>= 8)
        if (!mtrr_type(value & 0xff))
            return false;
    return true;
}

/* The type, and the two enable bits. */
bool msr_mtrr_def_type_valid(uint64_t value)
{
    return mtrr_type(value & 0xff) && !(value & ~0xcffull);
}

bool msr_mtrr_range_valid(const struct cpu *cpu, enum msr_kind kind, uint64_t value)
{
    if (value >> cpu->model->physical_address_width)
        return false;
    return kind == KIND_MTRR_BASE ? mtrr_type(value & 0xff) && !(value & 0xf00) : !(value & 0x7ff);
}

bool msr_pat_valid(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++, value >>= 8) {
        unsigned type = value & 0xff;

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

/* SDM Vol. 4, IA32_MISC_ENABLE: with "XD Bit Disable" there is no execute-disable. */
uint64_t efer_allowed(const struct cpu *cpu)
{
    return EFER_SCE | EFER_LME | EFER_LMA | (CPU_MSR(cpu, ia32_misc_enable) & MISC_ENABLE_XD_DISABLE ? 0 : EFER_NXE);
}

/* SDM Vol. 3, 2.2.1: LMA is the processor's own. */
static void efer_write(struct cpu *cpu, uint64_t value)
{
    uint64_t *efer = &CPU_MSR(cpu, ia32_efer);

    *efer = (value & ~EFER_LMA) | (*efer & EFER_LMA);
    cpu->model->tlb.generation++;       /* NXE decides about rights: the CPU engine must ask again */
}

uint64_t perf_global_ctrl_allowed(const struct cpu *cpu)
{
    (void)cpu;
    return PERF_GLOBAL_CTRL_ALLOWED;
}

bool cet_bits_valid(uint64_t value)
{
    return !(value & CET_RESERVED) && (value & (CET_SUPPRESS | CET_TRACKER)) != (CET_SUPPRESS | CET_TRACKER);
}

/* SDM Vol. 3, 15.10.1: units of 2^-14 J, and a package that always takes 4 W, which is a unit in 15,259 ns. */
static uint64_t energy(const struct cpu *cpu)
{
    return (uint32_t)(cpu->clock / NANOSECONDS_OF_ENERGY);
}

static uint64_t special_read(const struct cpu *cpu, enum msr_slot slot)
{
    switch (slot) {
    case MSR_SLOT_ia32_time_stamp_counter:
        return cpu->clock + CPU_MSR(cpu, ia32_tsc_adjust);
    case MSR_SLOT_ia32_mperf:                   /* the time that was not idle, and what was written: 15.2 */
    case MSR_SLOT_ia32_aperf:
        return cpu->clock - cpu->idle + cpu->msr[slot];
    case MSR_SLOT_msr_pkg_energy_status:
        return energy(cpu);
    case MSR_SLOT_ia32_fs_base:
        return cpu->seg[SEG_FS].base;
    case MSR_SLOT_ia32_gs_base:
        return cpu->seg[SEG_GS].base;
    default:
        return cpu->msr[slot];
    }
}

static void special_write(struct cpu *cpu, enum msr_slot slot, uint64_t value)
{
    switch (slot) {
    case MSR_SLOT_ia32_time_stamp_counter:      /* IA32_TSC_ADJUST follows: SDM Vol. 3, 18.17.3 */
        CPU_MSR(cpu, ia32_tsc_adjust) = value - cpu->clock;
        break;
    case MSR_SLOT_ia32_mperf:
    case MSR_SLOT_ia32_aperf:
        cpu->msr[slot] = value - (cpu->clock - cpu->idle);
        break;
    case MSR_SLOT_ia32_efer:
        efer_write(cpu, value);
        break;
    case MSR_SLOT_ia32_fs_base:
    case MSR_SLOT_ia32_gs_base:
        cpu->seg[slot == MSR_SLOT_ia32_fs_base ? SEG_FS : SEG_GS].base = value;
        break;
    default:
        cpu->msr[slot] = value;
    }
}

static struct attempt msr_attempt(const struct cpu *cpu, enum insn_id id, uint32_t index, uint64_t value)
{
    return (struct attempt){ .cpu = cpu, .capability = &cpu->model->capability, .id = id, .operand = index, .value = value };
}

/* The local APIC refuses by itself; why is asked afterwards. */
static const struct refusal *apic_refusal(const struct attempt *attempt, bool done)
{
    return done ? NULL : cpu_refuses(REFUSALS_apic_msr, attempt);
}

const struct refusal *msr_load(struct cpu *cpu, uint32_t index, uint64_t *value)
{
    const struct attempt attempt = msr_attempt(cpu, INSN_rdmsr, index, 0);
    const struct refusal *refusal = cpu_refuses(REFUSALS_rdmsr, &attempt);
    const struct bus *bus = &cpu->model->bus;

    if (refusal)
        return refusal;
    if (msr_kind(index) == KIND_APIC)
        return apic_refusal(&attempt, bus->apic_read_msr && bus->apic_read_msr(bus->context, cpu, index, value));
    if (!capability_msr(&cpu->model->capability, index, value))
        *value = special_read(cpu, msr_find(index));
    return NULL;
}

const struct refusal *msr_store(struct cpu *cpu, uint32_t index, uint64_t value)
{
    const struct attempt attempt = msr_attempt(cpu, INSN_wrmsr, index, value);
    const struct refusal *refusal = cpu_refuses(REFUSALS_wrmsr, &attempt);
    const struct bus *bus = &cpu->model->bus;

    if (refusal)
        return refusal;
    switch (msr_kind(index)) {
    case KIND_APIC:
        return apic_refusal(&attempt, bus->apic_write_msr && bus->apic_write_msr(bus->context, cpu, index, value));
    case KIND_SPECIAL:
        special_write(cpu, msr_find(index), value);
        break;
    case KIND_LOW32:
        cpu->msr[msr_find(index)] = value & 0xffffffff;
        break;
    default:
        cpu->msr[msr_find(index)] = value;
    }
    return NULL;
}

bool msr_read(struct cpu *cpu, uint32_t index, uint64_t *value)
{
    return !msr_load(cpu, index, value);
}

bool msr_write(struct cpu *cpu, uint32_t index, uint64_t value)
{
    return !msr_store(cpu, index, value);
}
