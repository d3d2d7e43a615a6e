/* SPDX-License-Identifier: MIT */
/*
 * L1's own EPTs. L0 runs L2 on shadows of them, so that hardware's INVEPTs are L0's. But L1 is held to what the SDM asks of it: the
 * model watches the EPT that L1 gave (ept_watch_shadowed()), and here is told what removes remembered mappings from the processor
 * that L1 believes to run on (SDM Vol. 3, 29.4.3.1).
 */
#include "emu/native/state.h"
#include "model/vmx/vmx.h"

enum { INVEPT_OF_ONE = 1 };         /* INVEPT types: 31.3 */

void shadowed_after_exit(struct native_cpu *here)
{
    const struct vmcs *v = here->cpu->vmx.current;

    if (here->level < 2 && v) {
        here->l1_rip = VMCS(v, guest_rip);
        here->l1_efer = VMCS(v, guest_ia32_efer);
        here->l1_root = (struct vmx_root){ here->l1_rip, VMCS(v, guest_fs_base), VMCS(v, guest_gs_base), VMCS(v, guest_tr_base),
                                            VMCS(v, guest_cr0), VMCS(v, guest_cr4), here->l1_efer,
                                           VMCS(v, guest_cr3), VMCS(v, guest_gdtr_base), (uint32_t)VMCS(v, guest_gdtr_limit),
                                            { VMCS(v, guest_idtr_base), (uint32_t)VMCS(v, guest_idtr_limit) } };
    }
    if (here->level == 2 && v && VMCS(v, exit_reason) == EXIT_REASON_ept_violation)
        here->exit_gpa = VMCS(v, guest_physical_address);
}

void shadowed_told(struct native_cpu *here, enum hal_event event, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    struct cpu *cpu = here->cpu;

    switch (event) {
    case HAL_EVENT_NESTED_ENTRY:
        cpu->shadowed_stay++;
        shootdown_l1_entered(cpu);
        break;
    case HAL_EVENT_LEVEL:
        if (a != 2 && cpu->vmx.shadowed_eptp)
            shootdown_l1_exited(cpu);
        cpu->vmx.shadowed_eptp = a == 2 ? c : 0;
        if (a == 2)
            here->vmcs02 = b;
        break;
    case HAL_EVENT_VMX_INSTRUCTION:
        if (a != EXIT_REASON_invept || d)
            break;
        if (b == INVEPT_OF_ONE)
            guest_physical_invept(cpu, c);
        else
            guest_physical_forget_shadowed(cpu);
        break;
    case HAL_EVENT_REFLECT:
        if (a == EXIT_REASON_ept_violation)
            guest_physical_drop(cpu, cpu->vmx.shadowed_eptp, here->exit_gpa);
        break;
    default:
        break;
    }
}
