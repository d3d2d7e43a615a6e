/* SPDX-License-Identifier: MIT */
/*
 * --check registers: does a hypervisor's exit path give the guest its registers back?  The VMCS holds RIP, RSP, RFLAGS and little
 * more (SDM Vol. 3, 25.4): general registers, CR2, DR0-DR3, DR6, x87, XMM, MXCSR and XCR0, and MSRs that
 * no control switches, are for the hypervisor to keep. Those at each VM exit are
 * compared with those at the next entry of the same VMCS; what changed without the exit's instruction being the cause is named.
 */
#ifndef SESQUI_EMU_REGISTERS_H
#define SESQUI_EMU_REGISTERS_H

#include "model/observer.h"

struct machine;
struct register_check;

/* Registers by number: the general ones in arch/x86.h's order, and what follows. */
enum { KEPT_CR2 = 16, KEPT_DR0, KEPT_DR6 = KEPT_DR0 + 4, KEPT_MSR0, KEPT_XCR0 = KEPT_MSR0 + 7, KEPT_MXCSR, KEPT_X87_CONTROL, KEPT_XMM0, KEPT_X87 = KEPT_XMM0 + 16,
       KEPT_COUNT };

/* NULL: no memory. */
struct register_check *register_check_open(void);
void register_check_close(struct register_check *check);
/* Every notice of the model: exits are remembered, entries compared. */
void register_check_notice(struct register_check *check, struct machine *machine, const struct notice *notice);
/* Registers, a bit for each number, that VM entries since the last call have not given back; told or not. */
uint64_t register_check_lost(struct register_check *check);

#endif
