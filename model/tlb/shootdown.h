/* SPDX-License-Identifier: MIT */
/*
 * Shootdown (SDM Vol. 3, 29.4.3.4): an EPT entry is changed by one processor, and each that may hold it executes INVEPT when it is asked
 * to, before its next VM entry. Until then a processor may use what it has remembered, and may leave and enter its guest: that is nobody's fault.
 * Whoever changes an EPT is in root operation, and stays there until all have executed INVEPT.
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

/* VM entry: is any other processor active in root operation?  The same of an L1 over the embedder's L0 and of its guests (vmx.shadowed_eptp),
 * and that a guest of L1's has exited to L1. */
void shootdown_entered(struct cpu *cpu);
void shootdown_l1_entered(struct cpu *cpu);
void shootdown_l1_exited(struct cpu *cpu);

/*
 * The processor remembers a mapping that does not say what memory says: ought INVEPT to have removed it before this `stay` began?  Certainly if
 * no other processor is active, or none can be in the middle of a change (model->shootdown_patience is 0, or all others have been in guests since VM
 * entry); else if it was seen in an earlier stay, and nobody has asked for INVEPT for long. `by_guest`: an L1 over the embedder's L0 changes it,
 * which is in non-root operation.
 */
bool shootdown_missed(const struct cpu *cpu, uint64_t stay, struct sighting *seen, bool by_guest);

#endif
