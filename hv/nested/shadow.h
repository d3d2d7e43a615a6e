/* SPDX-License-Identifier: MIT */
/*
 * The strategies by which L1's accesses to its VMCS are served and L2 gets its own:
 *   trap   each VMREAD and VMWRITE of L1 exits; vmcs02 is written whole before an entry and read whole after an exit
 *   copy   a shadow VMCS serves L1 without exits, copied to and from vmcs12
 *   flip   one region is L1's shadow VMCS and L2's VMCS in turn, by its shadow indicator
 */
#ifndef SESQUI_HV_SHADOW_H
#define SESQUI_HV_SHADOW_H

#include "hv/core.h"

/* The moments of vmcs12's life at which strategies differ. */
enum shadow_moment {
    SHADOW_LOADED,              /* L1's VMPTRLD made it current; vmcs01 is current in hardware */
    SHADOW_CLEARED,             /* it is about to be written back: VMCLEAR, another VMPTRLD, VMXOFF; vmcs01 */
    SHADOW_ACCESSED,            /* a VMREAD of L1 is to be answered, or a VMWRITE was done, by L0; vmcs01 */
    SHADOW_ENTERING,            /* L2 is about to run: vmcs02 shall hold what vmcs12 and nested.plan say; vmcs02 */
    SHADOW_EXITED,              /* an exit is being reflected: vmcs12 shall hold L2's state; vmcs02 */
};

/* NULL, or why this strategy cannot be run. */
const char *shadow_refusal(enum hv_strategy strategy);
void shadow_at(struct hv_cpu *cpu, enum shadow_moment moment);

#endif
