/* SPDX-License-Identifier: MIT */
/*
 * The CPU engine: executes guest code exactly, until something happens that is not its business. It holds no policy: it
 * runs no hypervisor code and calls no device but through the model's bus. One engine serves all processors of a machine.
 * emu/unicorn/ implements it; nothing else knows the library.
 */
#ifndef SESQUI_EMU_CPU_H
#define SESQUI_EMU_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/cpu/translate.h"
#include "model/model.h"

struct engine;

enum stop_reason {
    STOP_LIMIT,             /* cpu->clock reached the limit (at the next block boundary) */
    STOP_EXECUTED,          /* an instruction that the model has executed, `insn`, with `status`: cpu is as execute() left it */
    STOP_INSTRUCTION,       /* a sensitive instruction at cpu->rip, not executed: `insn` */
    STOP_EVENT,             /* an exception, INT n, INT3 or INTO at cpu->rip: `event`; nothing of it delivered. A #DB: by an
                               instruction breakpoint; debug traps end in STOP_LIMIT with cpu->pending_debug set */
    STOP_FAULT,             /* an access to `linear` failed for a reason other than #PF and #GP: `translation` */
    STOP_APIC_WRITE,        /* the instruction at cpu->rip writes to a virtual APIC register: run it as a single step */
    STOP_INTERRUPTIBLE,     /* RFLAGS.IF = 1 without blocking, and the caller had asked for it, or asked to stop */
    STOP_REFUSED,           /* the engine cannot execute what is at cpu->rip: `text` says why */
};

struct stop {
    enum stop_reason reason;
    struct insn insn;
    enum status status;
    uint64_t executed;      /* instructions that the model has executed in this run and that were no stop; all reasons */
    uint64_t instructions, clock;   /* of cpu, behind the latest of them */
    struct event event;
    uint64_t linear;
    struct translation translation;
    const char *text;
};

struct engine_request {
    uint64_t limit;                 /* value of cpu->clock */
    bool stop_when_interruptible;   /* boundary_awaits_interrupt_window(), or an interrupt is requested */
    bool single_step;               /* stop after one instruction (MTF, traces): STOP_LIMIT */
    /*
     * Instructions that the model may execute while the run goes on, by the same execute() that a stop would lead to. Behind one
     * that may have touched devices or timers settle() does what is due between two steps, and returns the new limit; one that is
     * not beyond cpu->clock ends the run (STOP_EXECUTED). May be NULL where in_place is 0.
     */
    uint64_t in_place;
    uint64_t (*settle)(void *context, struct cpu *cpu);
    void *context;
};

/*
 * Opens the engine and checks every assumption about the library. NULL: `error` holds one line that names what did not
 * match and the version needed. `model` outlives the engine; its memory is mapped, its bus serves device memory.
 */
struct engine *engine_open(struct model *model, char *error, size_t error_size);
void engine_close(struct engine *engine);

/*
 * Runs guest code of `cpu` until a stop. cpu->event is not valid: the model delivers events (event_deliver()). On return `cpu` holds the exact architectural state: RIP at the instruction that stopped, no side effect of
 * it, cpu->instructions and cpu->clock advanced by the instructions retired. cpu->activity must be ACTIVE.
 */
void engine_run(struct engine *engine, struct cpu *cpu, const struct engine_request *request, struct stop *stop);

/* The XMM registers of a processor, between two runs. */
void engine_xmm(struct engine *engine, const struct cpu *cpu, uint8_t xmm[16][16]);
/* The x87 registers R0-R7, and the words that go with them, between two runs. */
struct x87 {
    uint8_t r[8][10];
    uint16_t control, status, tag;
    uint32_t mxcsr;
};
void engine_x87(struct engine *engine, const struct cpu *cpu, struct x87 *x87);

/* To be called from bus functions: engine_run shall return at the next instruction boundary it can (STOP_INTERRUPTIBLE). */
void engine_interrupt(struct engine *engine);

/* A long stretch of code, linear addresses first to last - 1, that was never executed before and is run through without a branch. */
struct unexplored {
    uint64_t first, last;
    bool zeros;                     /* all its bytes are 0: ADD [rAX], AL */
    bool jumped;                    /* origin is the instruction before it, elsewhere */
    uint64_t origin;
    uint64_t instructions;          /* retired before it began */
    bool found, told;               /* the engine's own */
};
/* Has the processor run through such a stretch?  engine_run() stops for the first one. And: which?  True once. */
/* RIP of `cpu`, also while a device handles an access of an instruction that is being executed. */
uint64_t engine_rip(struct engine *engine, const struct cpu *cpu);
bool engine_met_unexplored(const struct engine *engine);
bool engine_unexplored(struct engine *engine, struct unexplored *run);

/* The library and its version, for --version and error messages. */
const char *engine_description(void);

#endif
