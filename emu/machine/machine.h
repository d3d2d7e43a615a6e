/* SPDX-License-Identifier: MIT */
/*
 * The machine: model, CPU engine (opened when guest code runs first), devices, console, trace; and, beneath the guest if
 * asked for, the native core as L0 (emu/native/). Guest work comes from code in memory or from a script.
 */
#ifndef SESQUI_EMU_MACHINE_H
#define SESQUI_EMU_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "emu/cpu.h"
#include "emu/device/trigger.h"
#include "emu/explain/explain.h"
#include "emu/trace/trace.h"
#include "model/model.h"

enum { MACHINE_MESSAGE_MAX = 400, MACHINE_DISKS_MAX = 8 };

/* Exit status of `sesqui boot` where the guest did not choose one. */
enum { EXIT_STATUS_USAGE = 2, EXIT_STATUS_LIMIT = 120, EXIT_STATUS_SHUTDOWN = 121, EXIT_STATUS_RULE = 122,
       EXIT_STATUS_REFUSED = 123, EXIT_STATUS_UNMATCHED = 124,
       EXIT_STATUS_SIGNAL = 128 /* plus its number */ };

enum hypervisor { HYPERVISOR_NONE, HYPERVISOR_TRAP, HYPERVISOR_COPY, HYPERVISOR_FLIP };

/* Who types at the first UART while the machine runs: a person at a terminal. Such a run does not repeat itself. */
enum { TYPED_NOTHING = -1, TYPED_END = -2 /* the run is to end */ };
struct typist {
    void *context;
    /* The next byte typed, TYPED_NOTHING or TYPED_END. Waits for one up to so many nanoseconds of the host's time. NULL: nobody types. */
    int (*next)(void *context, uint64_t nanoseconds);
};

struct machine_options {
    uint64_t memory_size;           /* bytes; a multiple of 1 MB, 1 MB to 4 GB */
    unsigned cpus;
    enum hypervisor hypervisor;
    unsigned root_level;            /* without a hypervisor: the level that root operation counts as; 0, or 1 (`l0 absent`) */
    bool races;                     /* memory changes behind what the native L0 has read of it: emu/native/reads.c */
    struct vmx_lacks lacks;         /* what the processors lack of VMX (model/vmx/profile.h); all 0: nothing */
    uint64_t feature_control;       /* IA32_FEATURE_CONTROL as firmware leaves it: 0 unlocked, 1 VMX locked off, 5 on */
    bool late;                      /* the guest asks for the native L0 (arch/late_load.h) */
    struct trigger hypervisor_at;   /* when the native L0 slides beneath the guest; none: from power-on, or `late` */
    bool full_trace;                /* also the VMREADs and VMWRITEs that a native L0 succeeds with */
    bool check_registers;           /* those of guests at exits and entries: emu/explain/registers.h */
    bool count_exits;               /* by reason: machine_print_exits() */
    bool strict;                    /* a broken rule stops the machine (always in scenarios) */
    uint64_t limit;                 /* instructions; 0: none */
    uint64_t seed;
    bool date_told;                 /* the clock begins at `date`, seconds since 1970, and not at BOARD_EPOCH */
    int64_t date;
    FILE *console;                  /* bytes of the UART go here; NULL: nowhere */
    struct dialogue *dialogue;      /* who types at the first UART; NULL: nobody */
    struct typist typist;
    FILE *serial2;                  /* bytes of the second UART; NULL: nowhere */
    struct disk *disk[MACHINE_DISKS_MAX];   /* virtio block devices, from PCI device 1 on; they outlive the machine */
    unsigned disks;
    bool network;                   /* a virtio network device: frames go to `capture`, or, if that is NULL, come back */
    FILE *capture;
    FILE *virtio_console;           /* what is written to a virtio console; NULL: there is none */
    bool rng;                       /* a virtio entropy device, from the seed */
    bool edu;                       /* the device to learn on */
    const struct iommu_profile *iommu;      /* the remapping unit; NULL: there is none */
    FILE *trace;                    /* NULL: no trace */
    FILE *messages;                 /* warnings and explanations for people; NULL: nowhere */
    const char *message_prefix;     /* what stands before the first line of a message; NULL: "sesqui: warning: " */
    const char *message_indent;     /* what stands before its other lines; NULL: two blanks */
    enum explain_mode explain;      /* which explanations people get; 0: each one once */
    FILE *dump;                     /* with messages: the VMCS of each failed VM entry that they tell of; NULL: nowhere */
};

struct machine;
struct dialogue;
struct disk;
struct iommu_profile;

/* NULL: `message` says why in one line. Memory is reserved, not touched. */
struct machine *machine_open(const struct machine_options *options, char *message, size_t message_size);
void machine_close(struct machine *machine);

struct model *machine_model(struct machine *machine);
struct cpu *machine_cpu(struct machine *machine, unsigned index);
struct trace *machine_trace(struct machine *machine);
/* Names for addresses, used in messages and, if asked for, in traces. They outlive the machine. */
void machine_symbols(struct machine *machine, const struct symbols *symbols, bool in_traces);
/* The image that was loaded is an ELF file with no header of a boot protocol: for explanations. */
void machine_plain_start(struct machine *machine, bool plain);
/* With count_exits: a table of the VM exits so far. */
void machine_print_exits(struct machine *machine, FILE *to);
/* With check_registers: what register_check_lost() says (emu/explain/registers.h); else 0. */
uint64_t machine_registers_lost(struct machine *machine);
/* The VM entry that failed last; NULL if none did. */
struct entry_failure;
const struct entry_failure *machine_entry_failure(const struct machine *machine);
/* Is the native L0 beneath this processor?  Always, unless it is loaded late. */
bool machine_over_native(const struct machine *machine, const struct cpu *cpu);
/* Late load: where the guest calls to be deprivileged; 0: it cannot. */
uint64_t machine_late_entry(const struct machine *machine);
/* The device by which the image can ask for its memory map; the loader tells it (struct load_request). */
struct fw_cfg *machine_fw_cfg(struct machine *machine);
/* Level that runs now on `cpu`: 0 root operation or bare machine, 1 or 2 (docs/scenarios.md). */
unsigned machine_level(const struct machine *machine, const struct cpu *cpu);

/* Why a machine stopped. */
enum machine_end {
    MACHINE_RUNNING,
    MACHINE_EXITED,                 /* the guest wrote a test-exit port: `status` */
    MACHINE_UNMATCHED,              /* what the dialogue waits for did not come in time */
    MACHINE_LIMIT, MACHINE_SHUTDOWN, MACHINE_DEAD_HALT, MACHINE_RULE, MACHINE_REFUSED,
    MACHINE_INTERRUPTED,            /* by machine_interrupt(): value is the number of the signal */
};
struct machine_result {
    enum machine_end end;
    uint32_t value;                 /* MACHINE_EXITED: what the guest wrote */
    char message[MACHINE_MESSAGE_MAX];  /* one line for people; empty if all is well */
};
/* Runs guest code on all processors until the machine stops. */
void machine_run(struct machine *machine, struct machine_result *result);
/* Ends machine_run() at the next instruction boundary, with a report of where the processors are. May be called by a handler of the
 * signal. */
void machine_interrupt(struct machine *machine, int signal);
/* The process exit status for a result (docs/exit-status.md). */
int machine_exit_status(const struct machine_result *result);

#endif
