/* SPDX-License-Identifier: MIT */
/* Control registers: what may be loaded into them and what that does. SDM Vol. 3, 2.5, 4.1.2, 4.10.4.1, 10.8.5, 24.8. */
#include "model/cpu/cr.h"

#include "model/cpu/execute.h"
#include "model/cpu/raise.h"
#include "model/cpu/walk.h"
#include "model/model.h"
#include "model/refusal.h"

#define CR0_DEFINED                                                                                                 \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
/* Changes after which the CPU engine must ask for its translations again; what may be remembered is another question. */
#define CR0_RIGHTS (CR0_PG | CR0_WP)
#define CR4_RIGHTS (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)

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

/* A load of a control register that may be refused. */
struct load {
    enum insn_id id;
    unsigned number;
    uint64_t value;
    bool told;                  /* by an instruction, which will raise the exception */
};

/* What a refused load comes to: the exception, if it is an instruction's; else `*refused` alone says so. */
static enum status refuse(struct cpu *cpu, const struct attempt *attempt, const struct refusal *refusal, const struct load *load,
                          bool *refused)
{
    *refused = true;
    return load->told ? refusal_raise(cpu, attempt, refusal) : STATUS_OK;
}

/* Reads the PDPTEs anew. What is not STATUS_OK, and *refused, end the load. */
static enum status pdptes(struct cpu *cpu, uint64_t cr3, const struct load *load, bool *refused)
{
    struct attempt attempt = { .cpu = cpu, .capability = &cpu->model->capability, .id = load->id, .operand = load->number };
    enum status status;

    if (load_pdptes(cpu, cr3, &status, &attempt.second, &attempt.value) || status != STATUS_OK)
        return status;
    return refuse(cpu, &attempt, cpu_refuses(REFUSALS_pdpte, &attempt), load, refused);
}

const struct refusal *cr_pdptes_refuse(struct attempt *a)
{
    struct cpu cpu = *a->cpu;           /* to read the PDPTEs is to load them */
    struct attempt entry = *a;
    uint64_t cr3 = a->operand == 3 ? a->value : cpu.cr3;
    enum status status;

    if (!(a->operand == 0 ? cr0_reads_pdptes(&cpu, a->value) : a->operand == 3 ? paging_is_pae(&cpu) :
          a->operand == 4 && cr4_reads_pdptes(&cpu, a->value)))
        return NULL;
    if (load_pdptes(&cpu, cr3, &status, &entry.second, &entry.value) || status != STATUS_OK)
        return NULL;
    *a = entry;
    return cpu_refuses(REFUSALS_pdpte, a);
}

static enum status try(struct cpu *cpu, enum refusal_group group, const struct load *load, bool *refused)
{
    const struct attempt attempt = { .cpu = cpu, .capability = &cpu->model->capability, .id = load->id,
                                     .operand = load->number, .value = load->value };
    const struct refusal *refusal = cpu_refuses(group, &attempt);

    *refused = false;
    return refusal ? refuse(cpu, &attempt, refusal, load, refused) : STATUS_OK;
}

static enum status cr0_try(struct cpu *cpu, const struct load *load, bool *refused)
{
    uint64_t value = (load->value & CR0_DEFINED) | CR0_ET;

    TRY(try(cpu, REFUSALS_cr0, load, refused));
    if (!*refused && cr0_reads_pdptes(cpu, value))
        TRY(pdptes(cpu, cpu->cr3, load, refused));
    if (!*refused)
        cr0_apply(cpu, value);
    return STATUS_OK;
}

static enum status cr4_try(struct cpu *cpu, const struct load *load, bool *refused)
{
    TRY(try(cpu, REFUSALS_cr4, load, refused));
    if (!*refused && cr4_reads_pdptes(cpu, load->value))
        TRY(pdptes(cpu, cpu->cr3, load, refused));
    if (!*refused)
        cr4_apply(cpu, load->value);
    return STATUS_OK;
}

enum status cr0_load(struct cpu *cpu, enum insn_id id, uint64_t value)
{
    bool refused;

    return cr0_try(cpu, &(struct load){ id, 0, value, true }, &refused);
}

enum status cr4_load(struct cpu *cpu, uint64_t value)
{
    bool refused;

    return cr4_try(cpu, &(struct load){ INSN_mov_to_cr, 4, value, true }, &refused);
}

bool cr0_write(struct cpu *cpu, uint64_t value)
{
    bool refused;

    return cr0_try(cpu, &(struct load){ INSN_mov_to_cr, 0, value, false }, &refused) == STATUS_OK && !refused;
}

bool cr4_write(struct cpu *cpu, uint64_t value)
{
    bool refused;

    return cr4_try(cpu, &(struct load){ INSN_mov_to_cr, 4, value, false }, &refused) == STATUS_OK && !refused;
}

enum status cr3_write(struct cpu *cpu, uint64_t value)
{
    bool keep = (cpu->cr4 & CR4_PCIDE) && (value & CR3_NO_FLUSH), refused;

    if (cpu->cr4 & CR4_PCIDE)
        value &= ~CR3_NO_FLUSH;
    if (!cpu_long_mode(cpu))
        value &= 0xffffffff;
    const struct load load = { INSN_mov_to_cr, 3, value, true };
    TRY(try(cpu, REFUSALS_cr3, &load, &refused));
    if (paging_is_pae(cpu))
        TRY(pdptes(cpu, value, &load, &refused));
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
