/* SPDX-License-Identifier: MIT */
/* Why an instruction faults, beyond what the exception says: the page walk, the MSR, a misaligned operand, a bit of CR0 or CR4. */
#ifndef SESQUI_EMU_FAULT_H
#define SESQUI_EMU_FAULT_H

#include <stdbool.h>

struct code_bytes;
struct cpu;
struct event;
struct explanation;

/* Lines. `place`: place_describe() of the instruction; `code`: its bytes, or NULL: then they are read now; `here`: the processor is still there, with the
 * same registers. */
void fault_tell(struct explanation *explanation, struct cpu *cpu, const struct event *event, const char *place, const struct code_bytes *code, bool here);
/* The same of an IRET that is known to be the culprit. */
void fault_tell_iret(struct explanation *explanation, struct cpu *cpu, const char *place, bool here);

#endif
