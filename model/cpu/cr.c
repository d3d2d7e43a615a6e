/* SPDX-License-Identifier: MIT */
/* Control registers: what may be loaded into them and what that does. SDM Vol. 3, 2.5, 4.1.2, 4.10.4.1, 10.8.5, 24.8. */
#include "model/cpu/cr.h"

#include "model/cpu/execute.h"
#include "model/cpu/raise.h"
#include "model/cpu/walk.h"
#include "model/model.h"

#define CR0_DEFINED                                                                                                 \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
/* Changes after which the CPU engine must ask for its translations again; what may be remembered is another question. */
#define CR0_RIGHTS (CR0_PG | CR0_WP)
#define CR4_RIGHTS (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)

static bool unrestricted_guest(const struct cpu *cpu)
{
    return cpu_proc2_controls(cpu) & PROC2_unrestricted_guest;
}

/* 24.8 "Restrictions on VMX Operation"; an unrestricted guest may do without PE and PG. */
static bool cr0_fixed(const struct cpu *cpu, uint64_t value)
{
    const struct vmx_capability *capability = &cpu->model->capability;
    uint64_t fixed0 = capability->cr0_fixed0;

    if (!cpu->vmx.operation)
        return true;
    if (unrestricted_guest(cpu))
        fixed0 &= ~(CR0_PE | CR0_PG);
    return !(fixed0 & ~value) && !(value & ~capability->cr0_fixed1);
}

/* 10.8.5: what entering IA-32e mode by setting PG needs. */
static bool may_enter_long_mode(const struct cpu *cpu)
{
    unsigned tss = AR_TYPE(cpu->seg[SEG_TR].access_rights);

    return (cpu->cr4 & CR4_PAE) && !(cpu->seg[SEG_CS].access_rights & AR_L) && tss != 1 && tss != 3;
}

static bool cr0_valid(const struct cpu *cpu, uint64_t value)
{
    bool paging = value & CR0_PG, was_paging = cpu->cr0 & CR0_PG;

    if (value >> 32 || (paging && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD)))
        return false;
    if (paging && !was_paging && (CPU_MSR(cpu, ia32_efer) & EFER_LME) && !may_enter_long_mode(cpu))
        return false;
    if (!paging && was_paging && (cpu_64bit(cpu) || (cpu->cr4 & CR4_PCIDE)))
        return false;
    if (!(value & CR0_WP) && (cpu->cr4 & CR4_CET))
        return false;
    return cr0_fixed(cpu, value);
}

static bool cr4_valid(const struct cpu *cpu, uint64_t value)
{
    const struct vmx_capability *capability = &cpu->model->capability;

    if (value & ~cr4_allowed(cpu))
        return false;
    if (cpu_long_mode(cpu) && (!(value & CR4_PAE) || ((value ^ cpu->cr4) & CR4_LA57)))
        return false;
    if ((value & CR4_CET) && !(cpu->cr0 & CR0_WP))
        return false;
    if ((value & ~cpu->cr4 & CR4_PCIDE) && (!cpu_long_mode(cpu) || (cpu->cr3 & CR3_PCID)))
        return false;
    return !cpu->vmx.operation || (!(capability->cr4_fixed0 & ~value) && !(value & ~capability->cr4_fixed1));
}

/* 4.4.1: does the load read the PDPTEs anew?  It does where PAE paging is in use afterwards and certain bits change. */
static bool cr0_reads_pdptes(const struct cpu *cpu, uint64_t value)
{
    return ((cpu->cr0 ^ value) & (CR0_CD | CR0_NW | CR0_PG)) && (value & CR0_PG) && (cpu->cr4 & CR4_PAE) &&
           !(CPU_MSR(cpu, ia32_efer) & EFER_LME);
}

static bool cr4_reads_pdptes(const struct cpu *cpu, uint64_t value)
{
    return ((cpu->cr4 ^ value) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) && (cpu->cr0 & CR0_PG) &&
           (value & CR4_PAE) && !cpu_long_mode(cpu);
}

/* LMA = LME and PG, at the moment PG changes (10.8.5). */
static void cr0_apply(struct cpu *cpu, uint64_t value)
{
    uint64_t *efer = &CPU_MSR(cpu, ia32_efer), changed = cpu->cr0 ^ value;

    cpu->cr0 = value;
    if (changed & CR0_PG)
        *efer = (value & CR0_PG) && (*efer & EFER_LME) ? *efer | EFER_LMA : *efer & ~EFER_LMA;
    if (changed & CR0_RIGHTS)
        cpu->model->tlb.generation++;
    if (changed & ~value & CR0_PG)
        tlb_flush_all(cpu, false);
}

static void cr4_apply(struct cpu *cpu, uint64_t value)
{
    uint64_t changed = cpu->cr4 ^ value;
    uint16_t pcid = cpu->cr4 & CR4_PCIDE ? cpu->cr3 & CR3_PCID : 0;

    cpu->cr4 = value;
    if (changed & CR4_RIGHTS)
        cpu->model->tlb.generation++;
    if ((changed & CR4_PGE) || (changed & ~value & CR4_PCIDE))
        tlb_flush_all(cpu, false);
    else if ((changed & CR4_PAE) || (changed & value & CR4_SMEP))
        tlb_flush_pcid(cpu, pcid, false);
}

/*
 * Checks, then loads: true. False with STATUS_OK: #GP(0) is due; with another status: reading the PDPTEs ended in that.
 */
static bool cr0_try(struct cpu *cpu, uint64_t value, enum status *status)
{
    *status = STATUS_OK;
    if (!cr0_valid(cpu, value))
        return false;
    value = (value & CR0_DEFINED) | CR0_ET;
    if (cr0_reads_pdptes(cpu, value) && !load_pdptes(cpu, cpu->cr3, status))
        return false;
    cr0_apply(cpu, value);
    return true;
}

static bool cr4_try(struct cpu *cpu, uint64_t value, enum status *status)
{
    *status = STATUS_OK;
    if (!cr4_valid(cpu, value))
        return false;
    if (cr4_reads_pdptes(cpu, value) && !load_pdptes(cpu, cpu->cr3, status))
        return false;
    cr4_apply(cpu, value);
    return true;
}

static enum status loaded(struct cpu *cpu, bool done, enum status status)
{
    return done || status != STATUS_OK ? status : cpu_fault(cpu, VECTOR_GP, 0);
}

enum status cr0_load(struct cpu *cpu, uint64_t value)
{
    enum status status;
    bool done = cr0_try(cpu, value, &status);

    return loaded(cpu, done, status);
}

enum status cr4_load(struct cpu *cpu, uint64_t value)
{
    enum status status;
    bool done = cr4_try(cpu, value, &status);

    return loaded(cpu, done, status);
}

bool cr0_write(struct cpu *cpu, uint64_t value)
{
    enum status status;

    return cr0_try(cpu, value, &status);
}

bool cr4_write(struct cpu *cpu, uint64_t value)
{
    enum status status;

    return cr4_try(cpu, value, &status);
}

enum status cr3_write(struct cpu *cpu, uint64_t value)
{
    bool keep = (cpu->cr4 & CR4_PCIDE) && (value & CR3_NO_FLUSH);
    enum status status;

    if (cpu->cr4 & CR4_PCIDE)
        value &= ~CR3_NO_FLUSH;
    if (!cpu_long_mode(cpu))
        value &= 0xffffffff;
    else if (value >> cpu->model->physical_address_width)
        return cpu_fault(cpu, VECTOR_GP, 0);
    if (paging_is_pae(cpu) && !load_pdptes(cpu, value, &status))
        return loaded(cpu, false, status);
    cpu->cr3 = value;
    cpu->model->tlb.generation++;
    if (!keep)
        tlb_flush_pcid(cpu, cpu->cr4 & CR4_PCIDE ? value & CR3_PCID : 0, true);
    return STATUS_OK;
}

/* IA32_VMX_CR4_FIXED1 says it (A.8): a bit that does not exist may not be 1 in VMX operation either. */
uint64_t cr4_allowed(const struct cpu *cpu)
{
    return cpu->model->capability.cr4_fixed1;
}

/* 25.6.6: bits owned by the host are read from the read shadow. */
uint64_t cr0_visible(const struct cpu *cpu)
{
    const struct vmcs *vmcs = cpu->vmx.current;

    if (!cpu->vmx.non_root)
        return cpu->cr0;
    return (cpu->cr0 & ~VMCS(vmcs, cr0_guest_host_mask)) | (VMCS(vmcs, cr0_read_shadow) & VMCS(vmcs, cr0_guest_host_mask));
}

uint64_t cr4_visible(const struct cpu *cpu)
{
    const struct vmcs *vmcs = cpu->vmx.current;

    if (!cpu->vmx.non_root)
        return cpu->cr4;
    return (cpu->cr4 & ~VMCS(vmcs, cr4_guest_host_mask)) | (VMCS(vmcs, cr4_read_shadow) & VMCS(vmcs, cr4_guest_host_mask));
}
