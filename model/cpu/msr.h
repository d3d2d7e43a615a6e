/* SPDX-License-Identifier: MIT */
/* What the files of model/cpu/ share about model-specific registers: arch/msrs.def says what the kinds mean. */
#ifndef SESQUI_MODEL_MSR_H
#define SESQUI_MODEL_MSR_H

#include "model/cpu/cpu.h"

enum msr_kind { KIND_STORED, KIND_LOW32, KIND_HALF, KIND_CANONICAL, KIND_PAT, KIND_MTRR, KIND_MTRR_BASE, KIND_MTRR_MASK, KIND_CLEARED, KIND_READONLY, KIND_SPECIAL, KIND_APIC, KIND_UNKNOWN };

#define X2APIC_FIRST 0x800u
#define X2APIC_LAST 0x8ffu
/* IA32_DEBUGCTL: LBR and BTF; the other facilities do not exist here (SDM Vol. 3, 18.4.1). */
#define DEBUGCTL_ALLOWED 3ull
/* IA32_FEATURE_CONTROL: lock, VMX inside and outside SMX (SDM Vol. 3, 24.7). Inside needs SMX, which there is none of. */
#define FEATURE_CONTROL_ALLOWED (FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX)

/* KIND_UNKNOWN: there is no such MSR. The x2APIC range is the local APIC's as a whole. */
enum msr_kind msr_kind(uint32_t index);
/* Each byte a memory type: SDM Vol. 3, 12.12.2, Table 12-10. */
/* Is each byte a memory type that a fixed-range MTRR may hold?  May IA32_MTRR_DEF_TYPE hold this value?  (12.11.2) */
bool msr_mtrr_valid(uint64_t value);
bool msr_mtrr_def_type_valid(uint64_t value);
/* May a variable-range MTRR of this kind hold it?  (12.11.2.3) */
bool msr_mtrr_range_valid(const struct cpu *cpu, enum msr_kind kind, uint64_t value);
bool msr_pat_valid(uint64_t value);

#endif
