/* SPDX-License-Identifier: MIT */
/*
 * One processor's steps: what machine_run() is made of, and what the scenario interpreter drives by itself.
 *
 * The statuses that these functions return are the model's, with one meaning for callers: STATUS_SHUTDOWN and
 * STATUS_REFUSED say that the machine has stopped (machine_stopped() gives the result); after anything else it goes on.
 */
#ifndef SESQUI_EMU_STEP_H
#define SESQUI_EMU_STEP_H

#include "emu/machine/machine.h"

/*
 * With a native L0: runs it until the processor is in non-root operation again (STATUS_VM_ENTRY), also for the very first
 * time: that starts L0 beneath the state that `cpu` holds. Without one: nothing (STATUS_OK).
 */
enum status machine_settle(struct machine *machine, struct cpu *cpu);

/*
 * Does what follows a status of execute(), cpu_raise(), boundary() or translation_fault(): a VM exit with a native L0
 * lets it run (machine_settle); a shutdown or a refusal stops the machine. Returns the status it was given (STATUS_VM_EXIT:
 * an exit took place and L0, if native, has finished with it), or STATUS_SHUTDOWN or STATUS_REFUSED from L0.
 */
enum status machine_apply(struct machine *machine, struct cpu *cpu, enum status status);

/*
 * Runs guest code on `cpu` until something happened that the model had to decide, or cpu->clock reached `limit`: one round
 * of boundary(), waiting in HLT, engine_run() and the handling of its stop, result applied. STATUS_OK: an instruction was
 * executed, an interrupt taken, or the limit reached; STATUS_EVENT: cpu->event is to be delivered by the next step;
 * STATUS_VM_EXIT, STATUS_VM_ENTRY: the level changed. Guest code met for the first time opens the CPU engine.
 */
enum status machine_step(struct machine *machine, struct cpu *cpu, uint64_t limit);

/* Has the machine stopped, and why?  `result` (may be NULL) is set in both cases: MACHINE_RUNNING if not. */
bool machine_stopped(const struct machine *machine, struct machine_result *result);

/* Stops the machine; the first reason given is kept. The message is one line without a newline. */
void machine_stop(struct machine *machine, enum machine_end end, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A second receiver of the model's notices, called after the trace has been written. NULL: none. */
void machine_observe(struct machine *machine, void (*notify)(void *context, const struct notice *notice),
                     void *context);

/* The first use of guest code: opens the CPU engine if it is not open yet. False: the machine has stopped (refused). */
bool machine_engine(struct machine *machine);

/* The native L0, for its counters (emu/native/native.h); NULL without one. */
struct native;
struct native *machine_native(struct machine *machine);

#endif
