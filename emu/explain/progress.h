/* SPDX-License-Identifier: MIT */
/*
 * Programs that go on without getting anywhere. Everything here is counted in instructions, steps and exits, never in real time: the same
 * program is found at the same place in each run.
 *
 *   the same VM exit, or the same exception, at the same instruction with the same registers, thousands of times in a row
 *   the same VM exit that comes by itself, as often, before the guest has executed anything
 *   GUEST_RIP moved back behind an instruction, as often
 *   a short loop that changes neither registers nor memory, and that no interrupt can end
 *   a run through memory that was never executed before
 *   HLT that nothing ends
 */
#ifndef SESQUI_EMU_PROGRESS_H
#define SESQUI_EMU_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct machine;
struct notice;
struct vmcs;

enum { PROGRESS_EXITS = 10000, PROGRESS_HALTS = 1000000, PROGRESS_EXCEPTIONS = 20000, PROGRESS_WAITS = 10000, PROGRESS_VMCSS = 4, PROGRESS_LOOP_MAX = 64 };

struct repeated {
    uint64_t rip, what, registers, count;
};

struct progress {
    struct repeated exit[PROGRESS_VMCSS], outside[PROGRESS_VMCSS], exception, refused_entry, moved_back;
    uint64_t exit_rip, exit_reason, exit_vmcs, exit_registers;  /* of the latest VM exit */
    uint64_t entry_clock;                   /* of the latest VM entry */
    uint64_t look_at, look_interval;        /* instructions: when to look for a loop */
    uint64_t steps, steps_interval;         /* the same, for programs that stop often */
    unsigned loop_length;                   /* instructions of the loop that the latest look found; 0: none */
    uint64_t loop_first, loop_last;         /* RIP */
    uint64_t loop_since, loop_events;       /* clock, and count of events, when it was found first */
    uint64_t idle_work, idle_waits;         /* waits since the machine did anything else */
};

/* From the observer. */
void progress_exited(struct machine *machine, struct cpu *cpu, const struct notice *notice);
void progress_entered(struct machine *machine, struct cpu *cpu, const struct notice *notice);
void progress_l1_entered(struct machine *machine, struct cpu *cpu, const struct vmcs *vmcs);      /* over the core; the VMCS as L1 has written it */
void progress_raised(struct machine *machine, struct cpu *cpu, const struct notice *notice);
void progress_entry_failed(struct machine *machine, struct cpu *cpu);
/* After each step of a machine that runs by itself; and how many ticks the next one may take. */
void progress_stepped(struct machine *machine, struct cpu *cpu);
/* Steps that may be left out until then, and that were: instructions that the model executed without ending a step. */
uint64_t progress_unwatched(const struct machine *machine, const struct cpu *cpu);
void progress_executed(struct machine *machine, const struct cpu *cpu, uint64_t instructions);
uint64_t progress_horizon(const struct machine *machine, const struct cpu *cpu);
/* A wait in HLT. True if it has been one of so many without anything else that the machine may as well stop. */
bool progress_waited(struct machine *machine, struct cpu *cpu);
/* The processor is halted for good: what could have woken it. */
void progress_halted(struct machine *machine, struct cpu *cpu);
/* The run was ended from outside: where each processor is. */
void progress_where(struct machine *machine);

#endif
