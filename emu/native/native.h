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

#include "emu/machine.h"
#include "model/model.h"

struct native;

enum { NATIVE_POOL_SIZE = 8 << 20 };    /* bytes of memory that L0 takes for itself */

/* The primitives whose uses are counted, for `sesqui bench`. */
#define NATIVE_COUNTS(X) X(enter) X(vmread) X(vmwrite) X(vmclear) X(vmptrld) X(invept) X(invvpid) X(pm_read) X(pm_write)
struct native_counts {
#define X(name) uint64_t name;
    NATIVE_COUNTS(X)
#undef X
};

/* Reserves L0's pool at the top of low RAM. NULL: `error` says why in one line. `trace` may be NULL. */
struct native *native_open(struct model *model, struct trace *trace, enum hypervisor hypervisor, char *error,
                           size_t error_size);
void native_close(struct native *native);
/* From now on, what L0 has read of its guest's memory changes until the guest goes on (emu/native/reads.c). */
void native_set_races(struct native *native, bool on, uint64_t seed);

/*
 * Lets the L0 of `cpu` run until it enters its guest: STATUS_VM_ENTRY. The first call captures the processor's state for
 * the guest and starts the core. STATUS_REFUSED: L0 stopped for good, model->refusal says why.
 */
enum status native_resume(struct native *native, struct cpu *cpu);

/* 0 while L0 runs, else the level that L0 said it entered. */
unsigned native_level(const struct native *native, const struct cpu *cpu);
/* The pool's place, to be left out of the guest's memory map. */
bool native_pool(const struct native *native, uint64_t *base, uint64_t *size);
/* Pool pages in use now. */
uint64_t native_pages_used(const struct native *native);
const struct native_counts *native_counts(const struct native *native);

#endif
