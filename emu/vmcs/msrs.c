/* SPDX-License-Identifier: MIT */
/* The MSR areas of a VMCS that was printed with them: which entries cannot be loaded (SDM Vol. 3, 27.4, 28.6). */
#include <stddef.h>

#include "emu/vmcs/snapshot.h"

enum { READONLY, CANONICAL, PAT, MTRR, OTHER };
#define KIND_STORED OTHER
#define KIND_LOW32 OTHER
#define KIND_SPECIAL OTHER
#define KIND_APIC OTHER
#define KIND_READONLY READONLY
#define KIND_CANONICAL CANONICAL
#define KIND_PAT PAT
#define KIND_MTRR MTRR
#define KIND_HALF OTHER
#define KIND_MTRR_BASE OTHER
#define KIND_MTRR_MASK OTHER
#define KIND_CLEARED OTHER

static const struct { uint32_t index; uint8_t kind; } known[] = {
#define MSR(name, index, kind) { index, KIND_##kind },
#include "arch/msrs.def"
    { 0x9e, READONLY },                                         /* IA32_SMBASE */
    { 0x600, CANONICAL },                                       /* IA32_DS_AREA */
    { 0x6a4, CANONICAL }, { 0x6a5, CANONICAL }, { 0x6a6, CANONICAL }, { 0x6a7, CANONICAL },     /* IA32_PL0_SSP to PL3 */
    { 0x6a8, CANONICAL },                                       /* IA32_INTERRUPT_SSP_TABLE_ADDR */
};

enum { SMM_MONITOR_CTL = 0x9b, BIOS_UPDT_TRIG = 0x79 };

static bool canonical(uint64_t address, unsigned width)
{
    int64_t high = (int64_t)address >> (width - 1);

    return high == 0 || high == -1;
}

/* MSRs of last-branch records that hold addresses (Vol. 4, ch. 2): LASTBRANCH, LASTINT, the stacks of both. */
static bool last_branch(uint32_t index)
{
    return (index >= 0x1db && index <= 0x1de) || (index >= 0x680 && index <= 0x69f) || (index >= 0x6c0 && index <= 0x6df);
}

static bool pat_valid(uint64_t pat)
{
    for (; pat; pat >>= 8)
        if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
            return false;
    return true;
}

/* A fixed-range MTRR (Vol. 3, 12.11.2.2). */
static bool mtrr_valid(uint64_t mtrr)
{
    for (; mtrr; mtrr >>= 8)
        if ((mtrr & 0xff) > 6 || (mtrr & 0xff) == 2 || (mtrr & 0xff) == 3)
            return false;
    return true;
}

static const char *value_refused(const struct snapshot *s, const struct msr_entry *e, unsigned width)
{
    const struct vmcs *v = &s->vmcs;
    bool entry = e->list == MSR_LIST_ENTRY_LOAD;
    uint64_t lme =
        entry ? VMCS(v, entry_controls) & ENTRY_ia32e_mode_guest : VMCS(v, exit_controls) & EXIT_host_address_space_size;

    for (size_t i = sizeof known / sizeof known[0]; i--;) {
        if (known[i].index != e->index)
            continue;
        if (known[i].kind == READONLY)
            return "the MSR is read-only";
        if (known[i].kind == CANONICAL && !canonical(e->value, width))
            return "the address is not canonical";
        if (known[i].kind == PAT && !pat_valid(e->value))
            return "a byte of IA32_PAT is no memory type";
        if (known[i].kind == MTRR && !mtrr_valid(e->value))
            return "a byte of a fixed-range MTRR is no memory type";
    }
    if (last_branch(e->index) && !canonical(e->value, width))
        return "the address of a last-branch record is not canonical";
    if (e->index == MSR_ia32_efer && e->value & ~(uint64_t)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
        return "a reserved bit of IA32_EFER is 1";
    if (e->index == MSR_ia32_efer && s->given[entry ? FIELD_entry_controls : FIELD_exit_controls] &&
        !(e->value & EFER_LME) != !lme && (!entry || (s->given[FIELD_guest_cr0] && VMCS(v, guest_cr0) & CR0_PG)))
        return "IA32_EFER.LME would change while paging is on";
    if (e->index == MSR_ia32_debugctl && e->value & ~0xffc7ull)         /* Vol. 4, 2.1: what any processor has */
        return "a reserved bit of IA32_DEBUGCTL is 1";
    if (e->index == MSR_ia32_tsc_aux && e->value >> 32)
        return "bits 63:32 of IA32_TSC_AUX are reserved";
    return NULL;
}

const char *snapshot_msr_refused(const struct snapshot *s, const struct msr_entry *e)
{
    if (e->reserved)
        return "bits 63:32 of the entry are not 0";
    if (e->index >> 8 == 0x8)
        return "MSRs 0x800 to 0x8ff, the x2APIC's, may not stand in the list";
    if (e->index == SMM_MONITOR_CTL)
        return "IA32_SMM_MONITOR_CTL can be accessed in SMM alone";
    if (e->list == MSR_LIST_EXIT_STORE)
        return NULL;
    if (e->index == MSR_ia32_fs_base || e->index == MSR_ia32_gs_base)
        return "IA32_FS_BASE and IA32_GS_BASE are not loaded from the list";
    if (e->index == BIOS_UPDT_TRIG || e->index == MSR_ia32_bios_sign_id)
        return "MSRs of microcode updates may not stand in the list";
    return value_refused(s, e, s->capability.cr4_fixed1 & CR4_LA57 ? 57 : 48);
}
