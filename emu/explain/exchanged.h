/* SPDX-License-Identifier: MIT */
/* Operands of VMREAD and VMWRITE in the order of another assembler. */
#ifndef SESQUI_EMU_EXCHANGED_H
#define SESQUI_EMU_EXCHANGED_H

#include "model/refusal.h"

struct explanation;
struct machine;

/* A line, if an instruction that was refused has the encoding of a field in its other operand. */
void exchanged_tell(struct explanation *explanation, const struct attempt *attempt);
/* A VMREAD of field 0 that succeeds, before its operand is written: told if that holds the encoding of a field, for the second time. */
void exchanged_vmread(struct machine *machine, const struct cpu *cpu);

#endif
