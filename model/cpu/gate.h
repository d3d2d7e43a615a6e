/* SPDX-License-Identifier: MIT */
/* Delivery of events through the IDT. */
#ifndef SESQUI_MODEL_GATE_H
#define SESQUI_MODEL_GATE_H

#include "model/cpu/cpu.h"

/*
 * Delivers cpu->event, which is valid (SDM Vol. 3, 6.12, 6.14, 21.1.4, 21.3). STATUS_OK: the processor is at the handler's
 * first instruction and the event is over. Else nothing of it has happened: STATUS_EVENT, cpu->event is another event now (a
 * fault that delivery met, a double fault); STATUS_VM_EXIT; STATUS_SHUTDOWN.
 */
enum status event_deliver(struct cpu *cpu);

#endif
