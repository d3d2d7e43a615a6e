/* SPDX-License-Identifier: MIT */
/*
 * The strategies by which L1's accesses to its VMCS are served and L2 gets its own:
 *   trap   each VMREAD and VMWRITE of L1 exits; vmcs02 is written whole before an entry and read whole after an exit
 *   copy   a shadow VMCS serves the most frequent ones without exits; it is copied to vmcs12 before an entry and from
 *          vmcs12 after an exit
 *   flip   one region is L1's shadow VMCS and L2's VMCS in turn, by its shadow indicator
 */
#ifndef SESQUI_HV_SHADOW_H
#define SESQUI_HV_SHADOW_H

#include "hv/core.h"

/*
 * The moments of vmcs12's life at which strategies differ. In hardware vmcs01 is current then; vmcs02 is where it is
 * said.
 */
enum shadow_moment {
    SHADOW_LOADED,              /* L1's VMPTRLD made it current */
    SHADOW_RELEASED,            /* it is about to be written back, current or not: vmcs12 shall hold all of it */
    SHADOW_READING,             /* L0 is about to answer L1's VMREAD of shadow.accessed */
    SHADOW_WRITING,             /* L0 is about to do L1's VMWRITE of shadow.accessed */
    SHADOW_WRITTEN,             /* L0 did */
    SHADOW_CHECKING,            /* L1's VMLAUNCH or VMRESUME: vmcs12 shall hold what L0's checks look at */
    SHADOW_ENTERING,            /* L2 is about to run: vmcs02 shall be current, and hold vmcs12 and nested.plan */
    SHADOW_INJECTING,           /* vmcs02; L0 is about to inject an event into L2 */
    SHADOW_EXITED,              /* vmcs02; an exit is being reflected: vmcs12 shall hold what L0 needs of L2's state */
    SHADOW_TOLD,                /* either; vmcs12 has got the exit information: L1 shall find it */
    SHADOW_LEAVING,             /* either; vmcs01 shall be current */
};

void shadow_at(struct hv_cpu *cpu, struct vmcs12 *vmcs12, enum shadow_moment moment);
/* Other processor-based controls for vmcs02, which is current, until L1 runs. */
void shadow_controls(struct hv_cpu *cpu, uint32_t proc);
/* NULL, or why the strategy cannot be run on this processor. */
const char *shadow_refusal(const struct capability *physical, enum hv_strategy strategy);
/* Regions and bitmaps; vmcs02 is set. False: the pool is too small. */
bool shadow_create(struct hv_cpu *cpu);

/* ---- shadow.c, for the two strategies that shadow ---- */
/* VMCS shadowing for L1, with vmcs01 current; region 0: none. */
void shadow_link(const struct hv_cpu *cpu, physical_address region);
/* Makes a VMCS current that is neither vmcs01 nor vmcs02 by role: to be followed by a return to vmcs01. */
void shadow_select(physical_address region);

/* ---- shadow_copy.c ---- */
void copy_at(struct hv_cpu *cpu, struct vmcs12 *vmcs12, enum shadow_moment moment);

/* ---- shadow_flip.c ---- */
void flip_at(struct hv_cpu *cpu, struct vmcs12 *vmcs12, enum shadow_moment moment);

#endif
