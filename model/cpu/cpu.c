/* SPDX-License-Identifier: MIT */
/* The processor's state: at power-up, and the end of each instruction. */
#include "model/cpu/cpu.h"

#include "model/cpu/execute.h"
#include "model/model.h"
#include "model/vmx/vmx.h"

/*
 * What firmware leaves behind: MTRRs on, everything write-back but for the area of the display and what is a PC's ROM (SDM Vol. 3,
 * 12.11), and the upper quarter of the first 4 GB, where devices are. A microcode update has been loaded (10.11), later than any that software asks for.
 */
#define MTRR_CAPABILITIES 0x508ull      /* eight variable ranges, fixed ranges, write-combining */
#define MTRR_RANGE_VALID 0x800ull
#define MTRR_DEFAULT_WRITE_BACK 0xc06ull
#define MTRR_FIXED_WRITE_BACK 0x0606060606060606ull
#define MTRR_FIXED_WRITE_PROTECTED 0x0505050505050505ull
/* IA32_MISC_ENABLE: fast strings, MONITOR and enhanced SpeedStep; no branch trace store, no PEBS. */
#define MISC_ENABLE_RESET 0x51801ull
/*
 * Performance and power as firmware leaves them (15.2, 15.4, 15.10.1; Vol. 4, ch. 2): ratios of 100 MHz from 4 to 10, of which the processor
 * has the last one and always runs at it; no turbo; C-states down to the deepest, locked.
 */
enum { RATIO_LOWEST = 1, RATIO_EFFICIENT = 4, RATIO_BASE = 10 };
#define EVERY_BYTE 0x0101010101010101ull
#define CST_CONFIG_LOCKED (CST_CONFIG_LOCK | 7)
#define ENERGY_BIAS_BALANCED 6
#define POWER_CTL_C1E 2
#define RAPL_UNITS 0xa0e03ull           /* 1/8 W, 2^-14 J, 1/1024 s */
#define POWER_EIGHTHS 32ull             /* 4 W */
/* 16.3.1: four banks, and IA32_MCG_CTL; all of them are on, and have found nothing. */
#define MCG_CAPABILITIES 0x104ull

static void power_msrs(struct cpu *cpu)
{
    CPU_MSR(cpu, msr_platform_info) = (uint64_t)RATIO_EFFICIENT << 48 | (uint64_t)RATIO_EFFICIENT << 40 | RATIO_BASE << 8;
    CPU_MSR(cpu, msr_pkg_cst_config_control) = CST_CONFIG_LOCKED;
    CPU_MSR(cpu, ia32_perf_status) = CPU_MSR(cpu, ia32_perf_ctl) = RATIO_BASE << 8;
    CPU_MSR(cpu, msr_turbo_ratio_limit) = RATIO_BASE * EVERY_BYTE;
    CPU_MSR(cpu, ia32_energy_perf_bias) = ENERGY_BIAS_BALANCED;
    CPU_MSR(cpu, msr_power_ctl) = POWER_CTL_C1E;
    CPU_MSR(cpu, msr_rapl_power_unit) = RAPL_UNITS;
    CPU_MSR(cpu, msr_pkg_power_limit) = CPU_MSR(cpu, msr_pkg_power_info) = POWER_EIGHTHS;
    CPU_MSR(cpu, ia32_hwp_capabilities) = RATIO_LOWEST << 24 | RATIO_EFFICIENT << 16 | RATIO_BASE << 8 | RATIO_BASE;
    CPU_MSR(cpu, ia32_hwp_request) = 0x80ull << 24 | RATIO_BASE << 8 | RATIO_LOWEST;
}

static void machine_check_msrs(struct cpu *cpu)
{
    CPU_MSR(cpu, ia32_mcg_cap) = MCG_CAPABILITIES;
    CPU_MSR(cpu, ia32_mcg_ctl) = ~0ull;
    CPU_MSR(cpu, ia32_mc0_ctl) = CPU_MSR(cpu, ia32_mc1_ctl) = CPU_MSR(cpu, ia32_mc2_ctl) = CPU_MSR(cpu, ia32_mc3_ctl) = ~0ull;
}

void cpu_power_on(struct cpu *cpu)
{
    struct model *model = cpu->model;
    unsigned index = cpu->index;
    uint32_t signature[4];

    *cpu = (struct cpu){
        .model = model,
        .index = index,
        .rip = 0xfff0,
        .rflags = RFLAGS_FIXED,
        .cr0 = CR0_CD | CR0_NW | CR0_ET,
        .xcr0 = 1,
        .dr6 = 0xffff0ff0,
        .dr7 = 0x400,
        .gdtr.limit = 0xffff,
        .idtr.limit = 0xffff,
        .activity = index ? ACTIVITY_WAIT_FOR_SIPI : ACTIVITY_ACTIVE,
        .vmx.preemption_deadline = ~0ull,
    };
    for (unsigned i = 0; i < SEG_COUNT; i++)
        cpu->seg[i] = (struct segment){ .limit = 0xffff, .access_rights = 0x93 };
    cpu->seg[SEG_CS] = (struct segment){ .selector = 0xf000, .base = 0xffff0000, .limit = 0xffff, .access_rights = 0x9b };
    cpu->seg[SEG_LDTR].access_rights = 0x82;
    cpu->seg[SEG_TR].access_rights = 0x8b;
    CPU_MSR(cpu, ia32_pat) = PAT_RESET;
    CPU_MSR(cpu, ia32_mtrrcap) = MTRR_CAPABILITIES;
    CPU_MSR(cpu, ia32_mtrr_def_type) = MTRR_DEFAULT_WRITE_BACK;
    CPU_MSR(cpu, ia32_mtrr_fix64k_00000) = CPU_MSR(cpu, ia32_mtrr_fix16k_80000) = MTRR_FIXED_WRITE_BACK;
    for (unsigned i = MSR_SLOT_ia32_mtrr_fix4k_c0000; i <= MSR_SLOT_ia32_mtrr_fix4k_f8000; i++)
        cpu->msr[i] = MTRR_FIXED_WRITE_PROTECTED;
    CPU_MSR(cpu, ia32_bios_sign_id) = MICROCODE_REVISION << 32;
    CPU_MSR(cpu, ia32_mtrr_physbase0) = MEMORY_HOLE | MEMORY_UC;
    CPU_MSR(cpu, ia32_mtrr_physmask0) = ((1ull << model->physical_address_width) - (MEMORY_HIGH - MEMORY_HOLE)) | MTRR_RANGE_VALID;
    CPU_MSR(cpu, ia32_misc_enable) = MISC_ENABLE_RESET;
    power_msrs(cpu);
    machine_check_msrs(cpu);
    cpuid_read(cpu, 1, 0, signature);
    cpu->gpr[RDX] = signature[0];
    tlb_reset(cpu);
    vmx_update_intercepts(cpu);
}

unsigned cpu_cpl(const struct cpu *cpu)
{
    if (!cpu_protected(cpu))
        return 0;
    return cpu_virtual_8086(cpu) ? 3 : AR_DPL(cpu->seg[SEG_SS].access_rights);
}

/* Only branches with 16-bit operands keep EIP below 64 KB: what follows in sequence has 32 bits in 16-bit segments, too. */
uint64_t cpu_next_rip(const struct cpu *cpu, unsigned length)
{
    uint64_t rip = cpu->rip + length;

    return cpu_64bit(cpu) ? rip : (uint32_t)rip;
}

static void retire(struct cpu *cpu, uint64_t rip, bool branch)
{
    cpu->rip = rip;
    cpu->interruptibility &= ~(uint32_t)(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
    cpu->rflags &= ~RFLAGS_RF;
    cpu->instructions++;
    cpu->clock++;
    /* With BTF only taken branches single-step (18.4.3). */
    if ((cpu->rflags & RFLAGS_TF) && (branch || !(CPU_MSR(cpu, ia32_debugctl) & DEBUGCTL_BTF)))
        cpu->pending_debug |= PENDING_DEBUG_BS;
}

void cpu_retire(struct cpu *cpu, unsigned length)
{
    retire(cpu, cpu_next_rip(cpu, length), false);
}

void cpu_retire_branch(struct cpu *cpu, uint64_t rip)
{
    retire(cpu, rip, true);
}
