/* SPDX-License-Identifier: MIT */
/* Which fields of VM-exit information mean something after an exit: exit_information.def. */
#ifndef SESQUI_EMU_EXIT_INFORMATION_H
#define SESQUI_EMU_EXIT_INFORMATION_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct machine;
struct notice;

/* Has the exit by an instruction left RIP at it, and its length in the VMCS?  `reason`: the basic exit reason. */
bool exit_has_length(uint32_t reason);
/* Is the length undefined after an exit for this reason, with this interruption information and this IDT-vectoring information?  Of some exits
 * processors give it in practice: false. */
bool exit_length_undefined(uint32_t reason, uint32_t interruption, uint32_t vectoring);
/* A VMREAD: is the field undefined after the latest exit?  For people who asked for all: programs read what they do not use. */
void exit_information_read(struct machine *machine, const struct notice *notice);

#endif
