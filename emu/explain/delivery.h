/* SPDX-License-Identifier: MIT */
/* Why an event could not be delivered: the rule of SDM Vol. 3, ch. 6 and 8 that the IDT, a descriptor, the TSS or the stack breaks. */
#ifndef SESQUI_EMU_DELIVERY_H
#define SESQUI_EMU_DELIVERY_H

#include <stddef.h>
#include <stdint.h>

#include "model/cpu/cpu.h"

struct delivery_reason {
    const char *id, *section, *sentence;    /* with the values of a struct delivery_failure: words.h */
};
enum { DELIVERY_VALUES = 5 };
struct delivery_failure {
    const struct delivery_reason *reason;   /* NULL: nothing failed */
    uint64_t value[DELIVERY_VALUES];
};

/* TABLES_GUEST: a guest over the core, of which it is not known. Else: what loaded GDTR, IDTR and TR last, unless the program has loaded them again since: the program after reset, a VM exit from the host-state
 * area (SDM Vol. 3, 28.5.2), VM entry from the guest-state area (27.3.2.2). */
enum tables_from { TABLES_PROGRAM, TABLES_EXIT, TABLES_ENTRY, TABLES_GUEST };

/* Why did `fault` come while `event` was delivered?  Asked while the processor is as it was before the delivery. */
struct delivery_failure delivery_diagnose(struct cpu *cpu, const struct event *event, const struct event *fault, enum tables_from from);
void delivery_words(char *to, size_t size, const struct delivery_failure *failure);
/* Would the gate of `vector` be found wrong before anything is pushed?  For interrupts that have not come yet. */
struct delivery_failure delivery_foresee(struct cpu *cpu, uint8_t vector);

#endif
