/* SPDX-License-Identifier: MIT */
/*
 * L1's VPIDs. Each that L1 used of late has a VPID of hardware's for its own, on each processor; the one whose last use
 * is longest ago is emptied and taken for the next. Without VPIDs L1's entries and exits invalidate everything, L1's own
 * translations too (SDM Vol. 3, 29.4.3.1).
 */
#include "hv/core.h"

enum { VPID_L2_UNTAGGED = VPID_L1 + 1, VPID_L2_FIRST };     /* VPID_L2_FIRST + i stands for vpid.slot[i] */

static void flush(uint64_t type, unsigned vpid, uint64_t linear)
{
    if (hal_invvpid(type, (uint16_t)vpid, linear) != HAL_OK)
        hal_fail_stop("an INVVPID of L0 failed");
}

/* The slot of one of L1's VPIDs, or VPID_SLOTS. */
static unsigned find(const struct vpids *vpids, uint16_t vpid)
{
    unsigned i = 0;

    while (i < VPID_SLOTS && vpids->slot[i].vpid12 != vpid)
        i++;
    return i;
}

static unsigned take(struct vpids *vpids, uint16_t vpid)
{
    unsigned i = find(vpids, vpid);

    if (i < VPID_SLOTS)
        return i;
    i = 0;
    for (unsigned j = 1; j < VPID_SLOTS; j++)
        if (vpids->slot[j].last_use < vpids->slot[i].last_use)
            i = j;
    if (vpids->slot[i].vpid12)
        flush(INVVPID_SINGLE, VPID_L2_FIRST + i, 0);
    vpids->slot[i].vpid12 = vpid;
    return i;
}

uint16_t vpid_before_entry(struct hv_cpu *cpu)
{
    struct vpids *vpids = &cpu->nested.vpids;
    struct settled *settled = &cpu->nested.vmcs12->settled;

    if (!settled->vpid12) {
        flush(INVVPID_SINGLE, VPID_L2_UNTAGGED, 0);
        return VPID_L2_UNTAGGED;
    }
    if (vpids->slot[settled->vpid_slot].vpid12 != settled->vpid12)
        settled->vpid_slot = take(vpids, settled->vpid12);
    vpids->slot[settled->vpid_slot].last_use = ++vpids->use_clock;
    return (uint16_t)(VPID_L2_FIRST + settled->vpid_slot);
}

void vpid_after_exit(struct hv_cpu *cpu)
{
    if (!cpu->nested.vmcs12->settled.vpid12)
        flush(INVVPID_SINGLE, VPID_L1, 0);
}

void vpid_invalidate(struct hv_cpu *cpu, uint64_t type, uint16_t vpid, uint64_t linear)
{
    const unsigned slot = find(&cpu->nested.vpids, vpid);

    if (slot < VPID_SLOTS)
        flush(type, VPID_L2_FIRST + slot, linear);
}

void vpid_invalidate_all(struct hv_cpu *cpu)
{
    for (unsigned i = 0; i < VPID_SLOTS; i++)
        if (cpu->nested.vpids.slot[i].vpid12)
            flush(INVVPID_SINGLE, VPID_L2_FIRST + i, 0);
}

void vpid_drop_all(struct hv_cpu *cpu)
{
    vpid_invalidate_all(cpu);
    flush(INVVPID_SINGLE, VPID_L2_UNTAGGED, 0);
    cpu->nested.vpids = (struct vpids){ 0 };
}
