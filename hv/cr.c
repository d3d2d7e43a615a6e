/* SPDX-License-Identifier: MIT */
/*
 * MOV to CR0 and CR4, CLTS and LMSW of L1 that touch the bits which VMX operation fixes (SDM Vol. 3, 24.8, 26.3). The
 * new value is checked whole, then loaded whole: the real register, what L1 sees of it, and what hangs on it.
 */
#include "hv/core.h"

enum { ACCESS_MOV_TO, ACCESS_MOV_FROM, ACCESS_CLTS, ACCESS_LMSW };
#define CR0_DEFINED                                                                                                 \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define PDPTE_PRESENT 1ull
#define PDPTE_RESERVED 0x1e6ull

static bool pdptes_read(const struct hv_machine *m, uint64_t cr3, uint64_t pdpte[4])
{
    const uint64_t beyond = ~((1ull << m->physical_address_width) - 1);
    bool valid = true;

    for (unsigned i = 0; i < 4; i++) {
        pdpte[i] = l1_read_entry(m, (cr3 & 0xffffffe0) + 8 * i);
        valid &= !(pdpte[i] & PDPTE_PRESENT) || !(pdpte[i] & (PDPTE_RESERVED | beyond));
    }
    return valid;
}

static void pdptes_write(const uint64_t pdpte[4])
{
    for (unsigned i = 0; i < 4; i++)
        vmwrite((enum vmcs_encoding)(VMCS_guest_pdpte0 + 2 * i), pdpte[i]);
}

void pdptes_copy(const struct hv_machine *m, uint64_t cr3)
{
    uint64_t pdpte[4];

    pdptes_read(m, cr3, pdpte);
    pdptes_write(pdpte);
}

void pdptes_clear(void) { pdptes_write((const uint64_t[4]){ 0 }); }

bool pdptes_load(const struct hv_machine *m, uint64_t cr3)
{
    uint64_t pdpte[4];
    const bool valid = pdptes_read(m, cr3, pdpte);

    if (valid)
        pdptes_write(pdpte);
    return valid;
}

static bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return cr0 & CR0_PG && cr4 & CR4_PAE && !(efer & EFER_LMA);
}

/* With such a TSS in TR nobody gets into IA-32e mode (SDM Vol. 3, 10.8.5). */
static bool tss_16bit(void)
{
    const uint32_t type = AR_TYPE(vmread32(VMCS_guest_tr_access_rights));

    return type == 1 || type == 3;
}

/* SDM Vol. 3, 2.5, 4.1.2, 4.4.1, 10.8.5; Vol. 2, MOV to control registers. False: #GP. */
static bool write_cr0(struct hv_cpu *cpu, uint64_t value)
{
    const struct capability *c = &cpu->machine->physical;
    const uint64_t old = guest_visible_cr0(), cr4 = vmread(VMCS_guest_cr4);
    uint64_t efer = vmread(VMCS_guest_ia32_efer), new = (value & CR0_DEFINED) | CR0_ET;
    const bool enabling = new & ~old & CR0_PG, disabling = old & ~new & CR0_PG;

    if (value >> 32 || (new & CR0_PG && !(new & CR0_PE)) || (new & CR0_NW && !(new & CR0_CD)) ||
        (!(new & CR0_WP) && cr4 & CR4_CET))
        return false;
    if (cpu->nested.on && ((c->cr0_fixed0 & ~new) || (new & ~c->cr0_fixed1)))
        return false;
    if (enabling && efer & EFER_LME &&
        (!(cr4 & CR4_PAE) || vmread32(VMCS_guest_cs_access_rights) & AR_L || tss_16bit()))
        return false;
    if (disabling && (guest_64bit() || cr4 & CR4_PCIDE))
        return false;
    if (enabling && efer & EFER_LME)
        efer |= EFER_LMA;
    if (disabling)
        efer &= ~EFER_LMA;
    if (((new ^ old) & (CR0_PG | CR0_CD | CR0_NW)) && pae_paging(new, cr4, efer) &&
        !pdptes_load(cpu->machine, vmread(VMCS_guest_cr3)))
        return false;
    vmwrite(VMCS_guest_cr0, new | (c->cr0_fixed0 & ~(CR0_PE | CR0_PG)));
    vmwrite(VMCS_cr0_read_shadow, new);
    vmwrite(VMCS_guest_ia32_efer, efer);
    vmcs01_set_long_mode(cpu, efer & EFER_LMA);
    return true;
}

/* SDM Vol. 3, 2.5, 4.1.2, 4.10.1. False: #GP. */
static bool write_cr4(struct hv_cpu *cpu, uint64_t new)
{
    const struct capability *c = &cpu->machine->physical;
    const uint64_t old = guest_visible_cr4(), cr0 = vmread(VMCS_guest_cr0), cr3 = vmread(VMCS_guest_cr3);
    const uint64_t efer = vmread(VMCS_guest_ia32_efer), paging = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;

    if (new & ~cpu->machine->offered.cr4_fixed1 || (cpu->nested.on && c->cr4_fixed0 & ~new))
        return false;
    if (efer & EFER_LMA && (!(new & CR4_PAE) || (new ^ old) & CR4_LA57))
        return false;
    if (new & ~old & CR4_PCIDE && (!(efer & EFER_LMA) || cr3 & CR3_PCID))
        return false;
    if (new & CR4_CET && !(cr0 & CR0_WP))
        return false;
    if ((new ^ old) & paging && pae_paging(cr0, new, efer) && !pdptes_load(cpu->machine, cr3))
        return false;
    vmwrite(VMCS_guest_cr4, new | c->cr4_fixed0);
    vmwrite(VMCS_cr4_read_shadow, new);
    return true;
}

void cr_exit(struct hv_cpu *cpu)
{
    const uint64_t qualification = cpu->exit.qualification;
    const unsigned number = qualification & 15, access = qualification >> 4 & 3;
    uint64_t value = guest_register(cpu, qualification >> 8 & 15);
    bool done;

    if (!guest_64bit())
        value &= 0xffffffff;
    if (access == ACCESS_MOV_TO && number == 0)
        done = write_cr0(cpu, value);
    else if (access == ACCESS_MOV_TO && number == 4)
        done = write_cr4(cpu, value);
    else if (access == ACCESS_CLTS)
        done = write_cr0(cpu, guest_visible_cr0() & ~CR0_TS);
    else if (access == ACCESS_LMSW)             /* LMSW sets PE, and never clears it */
        done = write_cr0(cpu, (guest_visible_cr0() & ~(CR0_MP | CR0_EM | CR0_TS)) | (qualification >> 16 & 15));
    else
        hal_fail_stop("an exit for an access to a control register that L0 does not intercept");
    if (!done) {
        inject_exception(cpu, VECTOR_GP, 0);
        return;
    }
    hal_invvpid(INVVPID_SINGLE, VPID_L1, 0);    /* SDM Vol. 3, 4.10.4.1: what such a load may have to invalidate */
    guest_advance();
}
