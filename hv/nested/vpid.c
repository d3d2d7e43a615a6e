/* SPDX-License-Identifier: MIT */
/*
 * L1's VPIDs. All of L2's translations carry VPID_L2; it stands for one VPID of L1's at a time and is emptied when
 * that changes. Without VPIDs L1's entries and exits invalidate everything, L1's own translations too (SDM Vol. 3,
 * 29.4.3.1).
 */
#include "hv/core.h"

static uint16_t vpid12(const struct hv_cpu *cpu)
{
    return vmcs12_secondary(cpu) & PROC2_enable_vpid ? (uint16_t)VMCS12(cpu, virtual_processor_identifier) : 0;
}

void vpid_before_entry(struct hv_cpu *cpu)
{
    const uint16_t vpid = vpid12(cpu);

    if (!vpid || vpid != cpu->nested.vpid12)
        hal_invvpid(INVVPID_SINGLE, VPID_L2, 0);
    cpu->nested.vpid12 = vpid;
}

void vpid_after_exit(struct hv_cpu *cpu)
{
    if (!vpid12(cpu))
        hal_invvpid(INVVPID_SINGLE, VPID_L1, 0);
}
