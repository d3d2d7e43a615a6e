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
 * What strategies do differently, each moment of vmcs12's life a call. vmcs12 is L1's current one, but where it is named. In hardware
 * vmcs01 is current, but where vmcs02 is said to be.
 */
/* L1's VMPTRLD has made it current. */
void shadow_load(struct hv_cpu *cpu);
/* It is about to be written back, current or not: vmcs12 shall hold all of it. */
void shadow_release(struct hv_cpu *cpu, struct vmcs12 *vmcs12);
/* L1's VMREAD or VMWRITE has exited: vmcs12 shall hold the field, or all of itself; it has been written. */
void shadow_before_read(struct hv_cpu *cpu, enum field_index field);
void shadow_before_write(struct hv_cpu *cpu);
void shadow_written(struct hv_cpu *cpu, enum field_index field);
/* L1's VMLAUNCH or VMRESUME: vmcs12 shall hold what L0's checks look at. */
void shadow_fetch(struct hv_cpu *cpu);
/* L2 is about to run: vmcs02 shall be current, and hold vmcs12 and nested.plan. */
void shadow_enter(struct hv_cpu *cpu);
/* L0 is about to inject an event into L2; vmcs02 is current. */
void shadow_before_injection(struct hv_cpu *cpu);
/* An exit is being reflected: vmcs12 shall hold what L0 needs of L2's state; vmcs02 is current. */
void shadow_save(struct hv_cpu *cpu);
/* L1 shall find what cpu->exit says. If that is an entry that failed, which tells reason and qualification alone (SDM Vol. 3, 27.8),
 * vmcs01 or vmcs02 is current, else vmcs02. */
void shadow_tell(struct hv_cpu *cpu);
/* vmcs01 shall be current, whichever is. */
void shadow_leave(struct hv_cpu *cpu);
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

/* vmcs12 tells what cpu->exit says: with trap, and with copy, whose shadow VMCS follows. */
void shadow_tell_vmcs12(struct hv_cpu *cpu);

/* ---- shadow_copy.c ---- */
void copy_load(struct hv_cpu *cpu);
void copy_release(struct hv_cpu *cpu, struct vmcs12 *vmcs12);
void copy_before_read(struct hv_cpu *cpu, enum field_index field);
void copy_before_write(struct hv_cpu *cpu);
void copy_written(struct hv_cpu *cpu, enum field_index field);
void copy_fetch(struct hv_cpu *cpu);
void copy_enter(struct hv_cpu *cpu);
void copy_save(struct hv_cpu *cpu);
void copy_tell(struct hv_cpu *cpu);
void copy_leave(struct hv_cpu *cpu);

/* ---- shadow_flip.c ---- */
void flip_load(struct hv_cpu *cpu);
void flip_release(struct hv_cpu *cpu, struct vmcs12 *vmcs12);
void flip_before_read(struct hv_cpu *cpu, enum field_index field);
void flip_before_write(struct hv_cpu *cpu);
void flip_written(struct hv_cpu *cpu, enum field_index field);
void flip_fetch(struct hv_cpu *cpu);
void flip_enter(struct hv_cpu *cpu);
void flip_before_injection(struct hv_cpu *cpu);
void flip_save(struct hv_cpu *cpu);
void flip_tell(struct hv_cpu *cpu);
void flip_leave(struct hv_cpu *cpu);

#endif
