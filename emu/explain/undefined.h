/* SPDX-License-Identifier: MIT */
/* Why an instruction is undefined (#UD): what the processor lacks, and what system software has not allowed. */
#ifndef SESQUI_EMU_UNDEFINED_H
#define SESQUI_EMU_UNDEFINED_H

#include <stddef.h>
#include <stdint.h>

struct cpu;
struct explanation;

/* Lines about the instruction of these bytes, which has raised #UD with the processor as it is. */
void undefined_tell(struct explanation *explanation, const struct cpu *cpu, const uint8_t *bytes, size_t length);

#endif
