/* SPDX-License-Identifier: MIT */
/*
 * What a hypervisor had when it entered its guest and has no more after the VM exit, because the host-state area does not have it: bits of CR4
 * and IA32_EFER, CR0.TS and CR0.EM, the bases of FS and GS. Told with the fault that comes of it; a base that was never written, at the next VM entry.
 */
#ifndef SESQUI_EMU_HOST_STATE_H
#define SESQUI_EMU_HOST_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct event;
struct explanation;
struct machine;
struct vmcs;

enum host_state_register { HOST_STATE_CR0, HOST_STATE_CR4, HOST_STATE_EFER, HOST_STATE_REGISTERS };
enum { HOST_STATE_BASES = 2 };          /* of FS and GS */

struct host_state {
    uint64_t lost[HOST_STATE_REGISTERS];        /* bits that VM exits take away; of CR0: bits that they set */
    uint64_t base[HOST_STATE_BASES];            /* at the latest VM entry, if its VM exit loads 0; else 0 */
    bool restored[HOST_STATE_BASES];            /* the hypervisor loads it again by itself */
};

/* VM entry. `v`: as its author has written it; `unseen`: some of that was not seen. machine->root says how the processor was. */
void host_state_entered(struct machine *machine, const struct cpu *cpu, const struct vmcs *v, bool unseen);
/* A line, if the processor's bits `bits` of the register are wrong because a VM exit or VM entry has loaded them so. */
void host_state_tell(struct explanation *explanation, const struct cpu *cpu, enum host_state_register which, uint64_t bits);
/* Does the exception that the processor raises come of that? */
bool host_state_blamed(struct machine *machine, struct cpu *cpu, const struct event *event);
/* Lines: all that the VM exit has not brought back. The program runs in root operation. */
void host_state_tell_lost(struct explanation *explanation, const struct cpu *cpu);

/* The program's VMCS, as its author has written it, or NULL; and does the processor run its guest? */
const struct vmcs *host_state_vmcs(struct machine *machine, const struct cpu *cpu);
bool host_state_in_guest(struct machine *machine, const struct cpu *cpu);

#endif
