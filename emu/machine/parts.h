/* SPDX-License-Identifier: MIT */
/* What the files of the machine share with each other. */
#ifndef SESQUI_EMU_MACHINE_PARTS_H
#define SESQUI_EMU_MACHINE_PARTS_H

#include "emu/device/board.h"
#include "emu/explain/caller.h"
#include "emu/explain/entry_failure.h"
#include "emu/explain/ept_walk.h"
#include "emu/explain/events.h"
#include "emu/explain/host_state.h"
#include "emu/explain/ipi.h"
#include "emu/explain/progress.h"
#include "emu/explain/reentry.h"
#include "emu/explain/unended.h"
#include "emu/machine/exit_counts.h"
#include "emu/machine/host_memory.h"
#include "emu/machine/machine.h"
#include "emu/native/native.h"
#include "emu/machine/step.h"

/* With several processors, each runs this long (in clock ticks) before the next one does; with a seed, at most this long. */
enum { TURN = 20000 };

/* What CR3 was loaded with, in root operation: addresses of page tables, the latest and the one before. 0: none. */
struct cr3_history {
    uint64_t now, before;
};

struct machine {
    struct machine_options options;
    struct model *model;
    uint8_t *ram, *watch;
    struct board board;
    struct trace trace;
    struct engine *engine;          /* NULL until guest code runs first */
    struct native *native;          /* NULL: no native L0 */
    bool slid[MODEL_CPU_MAX];       /* the native L0 has come beneath this processor: slide.h */
    uint64_t late_entry;            /* late load: where the guest calls; 0: it cannot */
    struct machine_result result;
    void (*observe)(void *context, const struct notice *notice);
    void *observe_context;
    uint64_t ticks;                 /* steps that retired nothing: they count towards the limit */
    uint64_t work;                  /* steps that did more than wait */
    struct {
        uint64_t in_place;          /* instructions that the model may execute without a stop in the step that begins; 0 but in run_to() */
        uint64_t clock, instructions;   /* up to which that step may go */
        bool awaiting;              /* an interrupt or a window waits since it began */
    } stretch;
    bool free_running;              /* machine_run() decides whose turn it is, not a script */
    unsigned waiting;               /* processors whose native L0 waits for others */
    uint64_t typed;                 /* clock of processor 0 at which it is asked again what was typed */
    uint64_t first_typed;           /* clock at which the first byte was typed; 0: none was */
    uint64_t turns;                 /* random number for the next turn of several processors; 0: turns do not vary */
    struct events events[MODEL_CPU_MAX];
    struct ept_watch ept[MODEL_CPU_MAX];
    struct progress progress[MODEL_CPU_MAX];
    struct reentry reentry[REENTRY_VMCSS], reentry_of_l2[MODEL_CPU_MAX];    /* by VMCS; over the core, exits that L0 has not handed on yet */
    volatile int signal;            /* that asked the run to end; 0: none */
    char shutdown[MODEL_CPU_MAX][MACHINE_MESSAGE_MAX];  /* why the processor is in the shutdown state, in one line */
    struct explained explained;
    struct explanation explanation; /* the one under way */
    const struct symbols *symbols;  /* of the image; NULL: none */
    struct register_check *registers;   /* --check registers; or NULL */
    struct exit_counts *exits;      /* --stats; or NULL */
    struct entry_failure failure;   /* the VM entry that failed last */
    struct callers callers;
    unsigned nowhere_told;          /* accesses that nobody takes, so far */
    struct held_back held;          /* emu/explain/explain.h */
    bool plain_start;               /* the image has no header of a boot protocol */
    bool levels_told;               /* what L0, L1 and L2 mean on this machine */
    struct host_state host_state[MODEL_CPU_MAX];
    struct vmx_root root[MODEL_CPU_MAX];    /* as the program was in root operation when it entered its guest last */
    struct startup startup[MODEL_CPU_MAX];
    struct cr3_history cr3[MODEL_CPU_MAX];
    struct taken taken[MODEL_CPU_MAX];
    uint64_t vmread_into, vmread_at;    /* encoding that the destination of a VMREAD of field 0 held, and its RIP; 0: of none yet */
};

/* Prints a warning to options.messages, once for each distinct text. */
void machine_warn(struct machine *machine, const char *text);
/* The model's observer and the devices' callbacks. */
void machine_install(struct machine *machine);

/* The length of the next turn, and who is first. With seed 0 all are alike. Any other seed varies both: other interleavings
 * are seen. */
uint64_t machine_next_turn(struct machine *machine, unsigned *first);

/* Passes on what is typed, and, where all processors wait until `wake`, waits for it in the host's time, too. True: something was typed. */
bool machine_typed(struct machine *machine, uint64_t now, uint64_t wake);
/* Can a typed byte wake a processor that nothing else wakes? */
bool machine_awaits_typing(const struct machine *machine, const struct cpu *cpu);

/* INIT and SIPI signals outside non-root operation: SDM Vol. 3, 9.4, 26.2. True if the processor's state changed. */
bool startup_signals(struct machine *machine, struct cpu *cpu);
/* VM entry of the core: is it the bootstrap processor after an INIT that L0 has taken for L1?  Then the machine stops, as without L0. */
void startup_by_core(struct machine *machine, const struct cpu *cpu);

/* The clock at which a halted processor can wake by itself; ~0: never. */
uint64_t machine_wake_time(const struct machine *machine, const struct cpu *cpu);

#endif
