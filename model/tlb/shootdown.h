/* SPDX-License-Identifier: MIT */
/*
 * Shootdown (SDM Vol. 3, 29.4.3.4): an EPT entry is changed by one processor, and each that may hold it executes INVEPT when it is asked
 * to, before its next VM entry. Until then a processor may use what it has remembered, and may leave and enter its guest: that is nobody's fault.
 */
#ifndef SESQUI_MODEL_SHOOTDOWN_H
#define SESQUI_MODEL_SHOOTDOWN_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;

/* When a mapping was first found not to say what memory says: the number of the stay in the guest, from VM entry to VM exit, and the clock;
 * stay 0: it agrees. */
struct sighting {
    uint64_t stay, clock;
};

/* So much time may lie between a change and the request to execute INVEPT: another processor may be changing many entries. */
enum { SHOOTDOWN_PATIENCE = 1 << 20 };

/*
 * The processor remembers a mapping that does not say what memory says: ought INVEPT to have removed it before this `stay` began?  Certainly if
 * no other processor is active, or none can be in the middle of a change (model->shootdown_patience is 0); else if it was seen in an earlier stay, and nobody has asked for INVEPT for long.
 */
bool shootdown_missed(const struct cpu *cpu, uint64_t stay, struct sighting *seen);

#endif
