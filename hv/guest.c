/* SPDX-License-Identifier: MIT */
/* Registers of the guest whose VMCS is current, and how an instruction executed for it ends. */
#include "hv/core.h"

uint64_t guest_register(const struct hv_cpu *cpu, unsigned gpr)
{
    return gpr == RSP ? vmread(VMCS_guest_rsp) : cpu->registers.gpr[gpr & 15];
}

void guest_set_register(struct hv_cpu *cpu, unsigned gpr, uint64_t value)
{
    if (gpr == RSP)
        vmwrite(VMCS_guest_rsp, value);
    else
        cpu->registers.gpr[gpr & 15] = value;
}

/* SDM Vol. 3, 25.4.1: DPL of SS is the CPL, also in real mode (0) and virtual-8086 mode (3). */
unsigned guest_cpl(void) { return AR_DPL(vmread32(VMCS_guest_ss_access_rights)); }
bool guest_long_mode(void) { return vmread(VMCS_guest_ia32_efer) & EFER_LMA; }
bool guest_64bit(void) { return guest_long_mode() && vmread32(VMCS_guest_cs_access_rights) & AR_L; }

/*
 * SDM Vol. 3, 25.4.2: an instruction ends blocking by STI and MOV SS; with TF, BS is pending as after any instruction. RF is 0
 * already: so an exit by an instruction saves it (28.3.3).
 */
void guest_advance_with(uint64_t rflags)
{
    const uint64_t old = vmread(VMCS_guest_rip);
    const uint32_t interruptibility = vmread32(VMCS_guest_interruptibility_state);
    uint64_t rip = old + vmread32(VMCS_exit_instruction_length);

    if ((rip ^ old) >> 32 && !guest_64bit())
        rip &= 0xffffffff;
    vmwrite(VMCS_guest_rip, rip);
    if (interruptibility & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS))
        vmwrite(VMCS_guest_interruptibility_state, interruptibility & ~(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS));
    if (rflags & RFLAGS_TF && !(vmread(VMCS_guest_ia32_debugctl) & DEBUGCTL_BTF))
        vmwrite(VMCS_guest_pending_debug_exceptions, vmread(VMCS_guest_pending_debug_exceptions) | PENDING_DEBUG_BS);
}

void guest_advance(void) { guest_advance_with(vmread(VMCS_guest_rflags)); }

static uint64_t visible(enum vmcs_encoding real, enum vmcs_encoding mask, enum vmcs_encoding shadow)
{
    uint64_t kept = vmread(mask);

    return (vmread(real) & ~kept) | (vmread(shadow) & kept);
}

uint64_t guest_visible_cr0(void) { return visible(VMCS_guest_cr0, VMCS_cr0_guest_host_mask, VMCS_cr0_read_shadow); }
uint64_t guest_visible_cr4(void) { return visible(VMCS_guest_cr4, VMCS_cr4_guest_host_mask, VMCS_cr4_read_shadow); }

bool canonical_under(uint64_t cr4, uint64_t linear)
{
    const unsigned unused = cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

    return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

bool canonical(uint64_t linear) { return canonical_under(vmread(VMCS_guest_cr4), linear); }

bool canonical_in_register(const struct hv_cpu *cpu, uint64_t linear) { return canonical_under(cpu->machine->offered.cr4_fixed1, linear); }
