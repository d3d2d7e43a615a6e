/* SPDX-License-Identifier: MIT */
/* One processor's steps: the CPU engine runs guest code, the model decides what its stops mean. */
#include "emu/device/dialogue.h"
#include "emu/machine/step.h"

#include <inttypes.h>

#include "emu/explain/place.h"
#include "emu/explain/shutdown.h"
#include "emu/machine/parts.h"
#include "emu/machine/slide.h"
#include "model/cpu/gate.h"
#include "model/cpu/execute.h"
#include "model/cpu/monitor.h"
#include "model/cpu/raise.h"

/* The longest stretch of guest code between two looks at the rest of the machine. */
enum { STRETCH = 1 << 30 };
/* What PAUSE counts towards the limit beyond the instruction that it is: processors wait tens of cycles in it, and a loop that waits meets the limit. */
enum { PAUSE_TICKS = 39 };

static enum status stopped_status(const struct machine *machine)
{
    return machine->result.end == MACHINE_REFUSED ? STATUS_REFUSED : STATUS_SHUTDOWN;
}

static enum status refused(struct machine *machine, struct cpu *cpu, const char *what)
{
    char place[PLACE_MAX];

    place_describe(machine, cpu, place, sizeof place);
    machine_stop(machine, MACHINE_REFUSED, "not implemented: %s (%s)", what, place);
    return STATUS_REFUSED;
}

static enum status shut_down(struct machine *machine, struct cpu *cpu)
{
    char why[MACHINE_MESSAGE_MAX];

    shutdown_words(machine, cpu, why, sizeof why);
    machine_stop(machine, MACHINE_SHUTDOWN, "%s", why);
    return STATUS_SHUTDOWN;
}

/* Lets the native L0 of a processor run until it enters its guest or waits. */
static enum status resume(struct machine *machine, struct cpu *cpu)
{
    enum status status = native_resume(machine->native, cpu);

    if (status == STATUS_REFUSED)
        machine_stop(machine, MACHINE_REFUSED, "%s", machine->model->refusal);
    return status == STATUS_SHUTDOWN ? shut_down(machine, cpu) : status;
}

/*
 * L0 of one processor waits for others, and they go on. An INIT that L0 sent them is taken before any guest executes an
 * instruction, as it is on hardware but for nanoseconds. Guests run on only where no script says who does what.
 */
static void others_go_on(struct machine *machine, struct cpu *cpu)
{
    enum { STEP_MAX = 256 };
    struct model *model = machine->model;
    unsigned first = 0;

    machine->waiting++;
    for (unsigned i = 0; i < model->cpu_count; i++) {
        struct cpu *other = &model->cpu[i];
        if (other != cpu && other->vmx.non_root && other->init_pending && !other->event.valid)
            machine_apply(machine, other, boundary(other));
    }
    uint64_t length = machine->free_running ? 1 + machine_next_turn(machine, &first) % STEP_MAX : 0;
    for (unsigned i = 0; i < model->cpu_count && machine->result.end == MACHINE_RUNNING; i++) {
        struct cpu *other = &model->cpu[(first + i) % model->cpu_count];
        if (other == cpu || !machine_over_native(machine, other) || !native_started(machine->native, other))
            continue;
        if (!other->vmx.non_root)               /* its L0 waits, too */
            resume(machine, other);
        else if (machine->free_running && machine->waiting < model->cpu_count)
            machine_step(machine, other, other->clock + length);
    }
    machine->waiting--;
}

enum status machine_settle(struct machine *machine, struct cpu *cpu)
{
    enum status status = STATUS_OK;

    while (machine_over_native(machine, cpu) && !cpu->vmx.non_root && machine->result.end == MACHINE_RUNNING) {
        status = resume(machine, cpu);
        if (status == STATUS_REFUSED || status == STATUS_SHUTDOWN)
            return status;
        if (status == STATUS_OK && machine_over_native(machine, cpu))
            others_go_on(machine, cpu);
    }
    return machine->result.end == MACHINE_RUNNING ? status : stopped_status(machine);
}

enum status machine_apply(struct machine *machine, struct cpu *cpu, enum status status)
{
    if (status == STATUS_SHUTDOWN)
        return shut_down(machine, cpu);
    if (status == STATUS_REFUSED)
        return refused(machine, cpu, machine->model->refusal);
    if (status == STATUS_VM_EXIT && machine_over_native(machine, cpu)) {
        enum status settled = machine_settle(machine, cpu);
        if (settled == STATUS_SHUTDOWN || settled == STATUS_REFUSED)
            return settled;
    }
    return machine->result.end == MACHINE_RUNNING ? status : stopped_status(machine);
}

static void unmatched(struct machine *machine)
{
    const struct dialogue_step *step = dialogue_step(machine->options.dialogue);

    machine_stop(machine, MACHINE_UNMATCHED, "the console script's line %u was not matched within %" PRIu64 " seconds of virtual time: \"%.100s\"",
                 step->line, step->within / 1000000000, step->text);
}

/* How the guest asked to end the run, if it did. */
static void look_at_board(struct machine *machine)
{
    struct board *board = &machine->board;
    char name[SYMBOL_TEXT_MAX];

    switch (board->end) {
    case BOARD_RUNNING:
        return;
    case BOARD_EXIT:
    case BOARD_SHUTDOWN:
        machine->result.value = board->exit_value;
        if (board->exit_value > 99)
            machine_stop(machine, MACHINE_EXITED, "the guest ended with value %" PRIu32 " (0x%" PRIx32 "), reported as 99",
                         board->exit_value, board->exit_value);
        else
            machine_stop(machine, MACHINE_EXITED, "%s", "");
        return;
    case BOARD_UNMATCHED:
        unmatched(machine);
        return;
    case BOARD_FIRMWARE:
        machine_stop(machine, MACHINE_SHUTDOWN, "%s: processor %u, L%u", board->last_words, board->out_cpu,
                     machine_level(machine, &machine->model->cpu[board->out_cpu]));
        return;
    case BOARD_RESET:
        machine_stop(machine, MACHINE_SHUTDOWN, "the guest reset the machine: processor %u, L%u, at rip 0x%" PRIx64 "%s", board->out_cpu,
                     machine_level(machine, &machine->model->cpu[board->out_cpu]), board->out_rip, symbols_text(machine->symbols, board->out_rip, name));
        return;
    }
}

/* The processor asked for L0, and there may be one. */
static enum status load_late(struct machine *machine, struct cpu *cpu)
{
    machine->board.load_requested = false;
    if (!machine->late_entry || machine_over_native(machine, cpu))
        return STATUS_OK;
    enum status status = native_load(machine->native, cpu);
    return status == STATUS_OK ? machine_settle(machine, cpu) : machine_apply(machine, cpu, status);
}

uint64_t machine_wake_time(const struct machine *machine, const struct cpu *cpu)
{
    uint64_t timer = board_next_event(&machine->board, cpu), deadline = boundary_deadline(cpu);

    if (!cpu_idles(cpu))
        return deadline;
    /* Without IF no interrupt ends HLT, but for one that causes a VM exit; other exits have their own time. */
    if (!interrupts_wake(cpu))
        return cpu->vmx.non_root ? deadline : UINT64_MAX;
    return timer < deadline ? timer : deadline;
}

/* A processor that is not active: its clock moves on to what can wake it. */
static enum status wait(struct machine *machine, struct cpu *cpu, uint64_t limit)
{
    uint64_t wake = machine_wake_time(machine, cpu);
    char name[SYMBOL_TEXT_MAX];

    if (machine->model->cpu_count == 1 && machine_typed(machine, cpu->clock, wake))
        return STATUS_OK;
    if (wake == UINT64_MAX && machine->model->cpu_count == 1 && machine_awaits_typing(machine, cpu))
        return STATUS_OK;
    if (wake == UINT64_MAX && machine->model->cpu_count == 1 && cpu->activity == ACTIVITY_SHUTDOWN)
        return shut_down(machine, cpu);
    if (wake == UINT64_MAX && machine->model->cpu_count == 1) {
        progress_halted(machine, cpu);
        machine_stop(machine, MACHINE_DEAD_HALT, "the processor is halted at rip 0x%" PRIx64 "%s and nothing can wake it (%s)",
                     cpu->rip, symbols_text(machine->symbols, cpu->rip, name), !cpu_idles(cpu) ? "not in the HLT state"
                     : interrupts_wake(cpu) ? "no timer is armed" : "interrupts are off");
        return STATUS_SHUTDOWN;
    }
    if (machine->free_running && machine->model->cpu_count == 1 && progress_waited(machine, cpu)) {
        machine_stop(machine, MACHINE_DEAD_HALT, "the processor is halted at rip 0x%" PRIx64 "%s, and no interrupt gets through to wake it",
                     cpu->rip, symbols_text(machine->symbols, cpu->rip, name));
        return STATUS_SHUTDOWN;
    }
    if (wake > limit)
        wake = limit;
    else
        machine->ticks++;       /* also where what wakes it never gets through: a loop of that meets the limit */
    if (wake > cpu->clock) {
        cpu->idle += wake - cpu->clock;
        cpu->clock = wake;
    }
    return STATUS_OK;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum status decide(struct cpu *cpu, const struct stop *stop)
{
    switch (stop->reason) {
    case STOP_LIMIT:
    case STOP_INTERRUPTIBLE:
        return STATUS_OK;
    case STOP_APIC_WRITE:
        return STATUS_NATIVE;           /* boundary() comes right after it */
    case STOP_EXECUTED:
        return stop->status;
    case STOP_INSTRUCTION:
        return execute(cpu, &stop->insn);
    case STOP_EVENT:
        return cpu_raise(cpu, stop->event);
    case STOP_FAULT:
        return translation_fault(cpu, stop->linear, &stop->translation, false);
    case STOP_REFUSED:
        return model_refuse(cpu, stop->text);
    }
    return model_refuse(cpu, "an unknown stop of the CPU engine");
}

/* Shadow stacks or indirect-branch tracking in effect: their state is kept and switched, but nothing executes them. */
static bool enforces_cet(const struct cpu *cpu)
{
    uint64_t features = cpu_cpl(cpu) == 3 ? CPU_MSR(cpu, ia32_u_cet) : CPU_MSR(cpu, ia32_s_cet);

    return (cpu->cr4 & CR4_CET) && (features & (CET_SH_STK_EN | CET_ENDBR_EN));
}

/*
 * PAUSE says that code waits for another processor (or for a time): where there are others, it takes the rest of the turn, up
 * to the next event of its own. PAUSE-loop exiting counts short PAUSEs, so it gets them.
 */
static void give_up_turn(struct machine *machine, struct cpu *cpu, uint64_t limit)
{
    uint64_t event = least(board_next_event(&machine->board, cpu), boundary_deadline(cpu));
    uint64_t end = least(least(limit, cpu->clock + TURN), event);

    if (machine->model->cpu_count > 1 && !(cpu_proc2_controls(cpu) & PROC2_pause_loop_exiting) && end > cpu->clock)
        cpu->clock = end;
}

/* Between two instructions of a run, the first of which the model has executed: what ends a step and begins the next. 0: the run has to end. */
static uint64_t settle(void *context, struct cpu *cpu)
{
    struct machine *machine = context;
    const struct board *board = &machine->board;

    if (machine->signal || machine->result.end != MACHINE_RUNNING || board->end != BOARD_RUNNING || board->load_requested ||
        cpu->init_pending || cpu->sipi_pending || slide_awaited(machine, cpu) || enforces_cet(cpu) || cpu->instructions >= machine->stretch.instructions)
        return 0;
    board_advance(&machine->board, cpu);
    /* The engine has been told at the start whether an interrupt waits; where one does and could be taken it is. */
    bool awaiting = boundary_awaits_interrupt_window(cpu);
    if (awaiting != machine->stretch.awaiting || (awaiting && ((cpu->rflags & RFLAGS_IF) || cpu->vmx.non_root)))
        return 0;
    uint64_t work = cpu->clock + (machine->stretch.instructions - cpu->instructions);
    uint64_t limit = least(least(machine->stretch.clock, work), least(board_next_event(board, cpu), boundary_deadline(cpu)));
    return limit > cpu->clock + 1 ? limit : 0;
}

/* A processor's time when a step began, or would have begun, were it not for instructions that the model executed in place. */
struct begun { uint64_t instructions, clock; };

/* Runs guest code until it stops; then what the stop means. */
static enum status run(struct machine *machine, struct cpu *cpu, uint64_t limit, struct begun *begun)
{
    uint64_t horizon = least(least(limit, cpu->clock + STRETCH), least(board_next_event(&machine->board, cpu),
                                                                        boundary_deadline(cpu)));
    bool awaiting = boundary_awaits_interrupt_window(cpu);
    if (cpu->event.valid) {
        TRY(event_deliver(cpu));
        /* It may leave IF = 1 (trap gates): then the boundary before the handler's first instruction counts. And it is the
         * step that the monitor trap flag and its like wait for (SDM Vol. 3, 26.5.2). */
        if (awaiting || horizon <= cpu->clock + 1 || boundary_deadline(cpu) <= cpu->clock + 1)
            return STATUS_OK;           /* the last: a data breakpoint on the frame */
    }
    struct engine_request request = {
        .limit = horizon, .single_step = horizon <= cpu->clock + 1, .stop_when_interruptible = awaiting,
        .in_place = machine->stretch.in_place, .settle = settle, .context = machine,
    };
    machine->stretch.awaiting = awaiting;
    machine->stretch.in_place = 0;              /* for this processor's step, and no other that it leads to */
    struct stop stop = { 0 };

    if (enforces_cet(cpu))
        return model_refuse(cpu, "control-flow enforcement (CR4.CET with shadow stacks or ENDBRANCH tracking enabled)");
    if (!machine_engine(machine))
        return STATUS_REFUSED;
    engine_run(machine->engine, cpu, &request, &stop);
    if (stop.executed) {
        progress_executed(machine, cpu, stop.executed);
        *begun = (struct begun){ stop.instructions, stop.clock };
    }
    enum status status = decide(cpu, &stop);
    if (status == STATUS_OK && stop.reason == STOP_INSTRUCTION && stop.insn.id == INSN_pause) {
        give_up_turn(machine, cpu, limit);
        machine->ticks += PAUSE_TICKS;
    }
    if (status != STATUS_NATIVE)
        return status;
    /* The instruction has begun (an IRET, say, has unblocked NMIs): nothing comes between before it is done. */
    request = (struct engine_request){ .limit = cpu->clock + 1, .single_step = true };
    engine_run(machine->engine, cpu, &request, &stop);
    status = decide(cpu, &stop);
    return status == STATUS_NATIVE ? model_refuse(cpu, "an instruction that model and CPU engine leave to each other") : status;
}

/* Ends a step. One that retired nothing (a fault, an exit) still takes time: a loop of them meets timers and the limit. */
static enum status after(struct machine *machine, struct cpu *cpu, enum status status, struct begun begun)
{
    status = machine_apply(machine, cpu, status);
    look_at_board(machine);
    if (machine->board.load_requested)
        status = load_late(machine, cpu);
    if (cpu->instructions == begun.instructions && cpu->clock == begun.clock) {
        cpu->clock++;
        machine->ticks++;
    }
    return machine->result.end == MACHINE_RUNNING ? status : stopped_status(machine);
}

enum status machine_step(struct machine *machine, struct cpu *cpu, uint64_t limit)
{
    struct begun begun = { cpu->instructions, cpu->clock };

    if (machine->result.end != MACHINE_RUNNING)
        return stopped_status(machine);
    board_advance(&machine->board, cpu);
    if (!cpu->event.valid && startup_signals(machine, cpu)) {
        machine->work++;
        return machine->result.end == MACHINE_RUNNING ? STATUS_OK : stopped_status(machine);
    }
    enum status status = boundary(cpu);
    if (cpu->event.valid)               /* its delivery comes before anything else, also out of a halt (27.7.2) */
        cpu->activity = ACTIVITY_ACTIVE, cpu->monitor.waiting = false;
    if (status == STATUS_OK && (monitor_waits(cpu) || cpu->activity != ACTIVITY_ACTIVE))
        return wait(machine, cpu, machine->model->cpu_count == 1 ? UINT64_MAX : limit);    /* time is no instruction */
    machine->work++;
    if (status == STATUS_OK || status == STATUS_EVENT)
        status = run(machine, cpu, limit, &begun);
    return after(machine, cpu, status, begun);
}
