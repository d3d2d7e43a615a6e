/* SPDX-License-Identifier: MIT */
/* Checks that compare a field with a capability MSR: which bits are wrong, by name, and what the MSR says. */
#ifndef SESQUI_EMU_FIXED_BITS_H
#define SESQUI_EMU_FIXED_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/vmx/capability.h"
#include "model/vmx/check.h"
#include "model/vmx/vmcs.h"

enum { FIXED_BITS_TEXT_MAX = 600 };
/*
 * "1, but may not be: Unrestricted guest (bit 7); IA32_VMX_PROCBASED_CTLS2: 0x6a may be 1". False: the row is none of
 * those, or it holds. `part_given`: which parts of the capability are known (emu/vmcs/snapshot.h), NULL for all.
 */
bool fixed_bits_text(const struct check *row, const struct vmx_capability *capability, const bool part_given[],
                     const struct vmcs *vmcs, char to[FIXED_BITS_TEXT_MAX]);
/* "SMXE (bit 14), bit 40 (reserved)": the names of these bits of CR4. */
void fixed_bits_cr4(uint64_t bits, char *to, size_t size);
/* The same of the secondary processor-based controls. */
void fixed_bits_secondary(uint64_t bits, char *to, size_t size);

#endif
