/* SPDX-License-Identifier: MIT */
/* The MSR areas of VM entry and VM exit: which entry could not be loaded or stored, and why. SDM Vol. 3, 27.4, 28.4, 28.6. */
#ifndef SESQUI_EMU_EXPLAIN_MSR_AREA_H
#define SESQUI_EMU_EXPLAIN_MSR_AREA_H

#include <stddef.h>

#include "emu/vmcs/snapshot.h"

struct cpu;

enum { MSR_AREA_TEXT_MAX = 800 };

/* "VM-entry MSR-load area 0x5000: entry 1 (at 0x5000) is MSR 0xc0000100, ia32_fs_base, value 0x0: ..." `number`: the entry that is known
 * to have failed, from 1; 0: the first that fails. `cpu`: the processor that loads or stores them. Empty if none of them fails. */
void msr_area_text(const struct cpu *cpu, const struct vmcs *vmcs, enum msr_list list, uint64_t number, char to[MSR_AREA_TEXT_MAX]);

#endif
