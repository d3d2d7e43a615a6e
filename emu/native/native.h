/* SPDX-License-Identifier: MIT */
/*
 * The native L0: the core of hv/ as ordinary code in this process, one fiber a processor, on the model's side of the seam
 * (hal.c implements hv/hal.h). The machine calls native_resume(); the fiber runs the core until it enters its guest.
 */
#ifndef SESQUI_EMU_NATIVE_H
#define SESQUI_EMU_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "emu/machine/machine.h"
#include "model/model.h"

struct native;

/* Bytes of memory that L0 takes for itself on a machine with so many processors and so much memory: 8 MB on a small one. */
uint64_t native_pool_size(unsigned cpus, uint64_t memory);

/*
 * What L0 executed, for `sesqui bench nested`: uses of primitives, bytes that it moved through hal_pm_*, entries for which
 * the processor must check a changed VMCS anew, and its own instructions (0 unless they are counted: step.h).
 */
#define NATIVE_COUNTS(X)                                                                                            \
    X(vmlaunch) X(vmresume) X(dirty_entry) X(vmread) X(vmwrite) X(vmclear) X(vmptrld) X(invept) X(invvpid)            \
    X(rdmsr) X(wrmsr) X(barrier) X(memory_access) X(l1_bytes) X(l0_bytes) X(instruction)
struct native_counts {
#define X(name) uint64_t name;
    NATIVE_COUNTS(X)
#undef X
};

/* L0 runs from a VM exit to the next VM entry: a passage, of one of four kinds, by the levels that it lies between. */
enum passage {
    PASSAGE_L1_TO_L1,           /* an instruction of L1 that exits */
    PASSAGE_L1_TO_L2,           /* L1's VMLAUNCH or VMRESUME: the entry half of a nested round trip */
    PASSAGE_L2_TO_L1,           /* a reflected exit: the exit half */
    PASSAGE_L2_TO_L2,           /* an exit of L2 that L0 handles itself */
    PASSAGE_COUNT
};
struct native_passages {
    struct {
        uint64_t times;
        struct native_counts counts;
    } of[PASSAGE_COUNT];
};

enum passage passage_between(unsigned from, unsigned to);
/* Adds one passage, from the counts at its exit and at its entry. */
void passage_add(struct native_passages *passages, enum passage passage, const struct native_counts *at_exit,
                 const struct native_counts *at_entry);
/*
 * A processor that remembers that a VMCS passed the checks of VM entries (SDM Vol. 3, 27.2, 27.3) must make them anew after a
 * write to one of the control words, and after VMCLEAR; of writes to other fields the least is assumed.
 */
bool passage_control_word(enum vmcs_encoding field);

/* Reserves L0's pool at the top of low RAM. NULL: `error` says why in one line. `trace` may be NULL. */
struct native *native_open(struct model *model, struct trace *trace, enum hypervisor hypervisor, char *error,
                           size_t error_size);
void native_close(struct native *native);
/* Hardware did a VMWRITE of this processor's guest to a shadow VMCS. */
void native_shadow_write(struct native *native, const struct cpu *cpu, uint64_t encoding, uint64_t value);
/* RIP of the call to the function that has written a field of L1's VMCS. */
void native_note_caller(struct native *native, uint64_t address, uint64_t encoding, uint64_t caller);
/* L1's processor as it was at its latest exit, which is being handled, or as it is: to look at its memory. */
struct cpu native_l1_view(struct native *native, const struct cpu *cpu);
/* L1 at its latest exit to L0: while its guest runs, as it was in root operation. And: the same as far as VM entries and exits ask for it. */
const struct vmx_root *native_l1_root(const struct native *native, const struct cpu *cpu);
struct cpu native_l1_host(const struct native *native, const struct cpu *cpu);
/* L1's VMCS at the address, as L1 has written it; NULL: there is none. */
const struct vmcs *native_vmcs12(struct native *native, uint64_t address);
/* The run has ended: tells of what L1 left active. */
void native_at_end(struct native *native);
/* From now on, what L0 has read of its guest's memory changes until the guest goes on (emu/native/reads.c). */
void native_set_races(struct native *native, bool on, uint64_t seed);

/*
 * Lets the L0 of `cpu` run until it enters its guest: STATUS_VM_ENTRY. The first call captures the processor's state for
 * the guest and starts the core. STATUS_REFUSED: L0 stopped for good, model->refusal says why. STATUS_OK: it waits for
 * another processor; resume it when others have gone on.
 */
enum status native_resume(struct native *native, struct cpu *cpu);
/* Has the core been started on this processor? */
bool native_started(const struct native *native, const struct cpu *cpu);

/*
 * Late load: no processor has L0 beneath it until it calls the function at *entry, which writes to `port`; then
 * native_load() captures its state as after that call, and native_resume() starts the core. If the core gives the
 * processor back (it failed, or was unloaded), native_active() is false again.
 */
void native_set_late(struct native *native, uint16_t port, uint64_t *entry);
/* STATUS_OK: native_resume() goes on. Any other: the call's return address could not be read. */
enum status native_load(struct native *native, struct cpu *cpu);
/*
 * The other way: no processor has L0 beneath it until native_slide() captures its state as it is, between two instructions; the guest does not know,
 * and where the core refuses, native_resume() is STATUS_REFUSED with the reason.
 */
void native_set_slide(struct native *native);
void native_slide(struct native *native, struct cpu *cpu);
bool native_active(const struct native *native, const struct cpu *cpu);

/* 0 while L0 runs, else the level that L0 said it entered. */
unsigned native_level(const struct native *native, const struct cpu *cpu);
/* The level that the core said it enters, or has entered; for level 2 also L1's VMCS. */
unsigned native_current(const struct native *native, const struct cpu *cpu, uint64_t *vmcs12);
/* The pool's place, to be left out of the guest's memory map. */
bool native_pool(const struct native *native, uint64_t *base, uint64_t *size);
/* Pool pages in use now. */
uint64_t native_pages_used(const struct native *native);

/*
 * Counts passages from now on, of all processors together; `instructions`: the core's instructions too, which takes some
 * ten microseconds for each, and one processor only. Ends with native_measured(), or with the machine. False: another
 * machine's are being counted, or there are several processors.
 */
bool native_measure(struct native *native, bool instructions);
const struct native_passages *native_measured(struct native *native);

#endif
