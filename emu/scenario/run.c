/* SPDX-License-Identifier: MIT */
/* Execution of a program: one line after the other on a machine of its own. */
#include "emu/scenario/run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "emu/explain/entry_failure.h"
#include "emu/native/native.h"
#include "model/cpu/execute.h"
#include "model/vmx/profile.h"
#include "model/vmx/vmx.h"

enum { MEMORY_DEFAULT = 64 << 20, MEMORY_STEP = 1 << 20, ATTEMPTS_MAX = 32, BOUNDARIES_MAX = 1000, GATE_SIZE = 16 };

/* ---- errors ---- */

static bool fail_at(struct run *run, const struct statement *statement, const char *format, va_list arguments)
{
    char message[SCENARIO_ERROR_MAX - 100];
    vsnprintf(message, sizeof message, format, arguments);
    snprintf(run->error->text, sizeof run->error->text, "%.90s:%u: %s", run->program->file[statement->file],
             statement->line, message);
    return false;
}

bool run_fail(struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(run, run->statement, format, arguments);
    va_end(arguments);
    return false;
}

bool run_fail_outcome(struct run *run, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(run, run->outcome.statement, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- what happens while a line is executed ---- */

static void see_exit(struct outcome *outcome, unsigned level, uint64_t reason, uint64_t qualification)
{
    outcome->exited = true;
    outcome->exit_level = level;
    outcome->exit_reason = (uint32_t)reason;
    outcome->exit_qualification = qualification;
}

static void see(struct run *run, const struct notice *notice)
{
    struct outcome *outcome = &run->outcome;
    unsigned level;

    switch (notice->kind) {
    case NOTICE_ENTRY:
        if (!run->native)
            outcome->level_top = machine_level(run->machine, notice->cpu);
        break;
    case NOTICE_ENTRY_FAILED:
        if (notice->b & EXIT_REASON_ENTRY_FAILURE)
            see_exit(outcome, outcome->level_before, notice->b, notice->c);
        break;
    case NOTICE_EXIT:
        level = machine_level(run->machine, notice->cpu);
        if (level > outcome->level_top)
            outcome->level_top = level;
        see_exit(outcome, level, notice->a, notice->b);
        break;
    case NOTICE_CHECK_FAILED: {
        size_t row = (size_t)(notice->check - check_table);
        if (row < ROWS_MAX)
            outcome->rows[row / 8] |= (uint8_t)(1u << row % 8);
        break;
    }
    case NOTICE_BARRIER:
        outcome->barrier |= notice->text && !strcmp(notice->text, "prediction");
        break;
    case NOTICE_VIOLATION:
        if (!outcome->rules)
            outcome->rule_first = (unsigned)notice->a;
        if (!outcome->rules)
            snprintf(outcome->rule_text, sizeof outcome->rule_text, "%s", notice->text ? notice->text : "");
        outcome->rules |= 1u << (notice->a & 31);
        outcome->unusual |= UNUSUAL_RULE;
        break;
    default:
        break;
    }
}

/* Stands between the model and the machine's trace. */
static void notify(void *context, const struct notice *notice)
{
    struct run *run = context;

    run->tracer.notify(run->tracer.context, notice);
    if (notice->cpu == run->cpu || notice->kind == NOTICE_VIOLATION)     /* others may take a kick of L0's meanwhile */
        see(run, notice);
}

static bool stopped(struct run *run)
{
    struct machine_result result;
    machine_stopped(run->machine, &result);
    if (result.end == MACHINE_SHUTDOWN) {
        run->outcome.unusual |= UNUSUAL_SHUTDOWN;
        return true;
    }
    return run_fail(run, "the machine stopped: %s", result.message);
}

/*
 * Delivers cpu->event to the script: the gate is read as delivery would read it, so that a fault or an EPT violation
 * there happens while the event is under way; then the event ends as a line of the trace.
 */
static enum status deliver(struct run *run)
{
    struct cpu *cpu = run->cpu;
    struct event event = cpu->event;
    const unsigned size = cpu_long_mode(cpu) ? 16 : cpu_protected(cpu) ? 8 : 4;     /* SDM Vol. 3, 6.10, 6.14, 21.1.4 */
    uint8_t gate[GATE_SIZE];
    char code[24] = "";

    TRY(linear_read(cpu, cpu->idtr.base + (uint64_t)event.vector * size, gate, size, true));
    cpu->event.valid = false;
    cpu->rip += event.instruction_length;
    cpu->rflags &= ~RFLAGS_RF;                  /* delivery saves it (as 1, for a fault) and clears it: 18.3.1.1 */
    if (event.has_error_code)
        snprintf(code, sizeof code, " error=0x%" PRIx32, event.error_code);
    trace_line(machine_trace(run->machine), cpu, machine_level(run->machine, cpu), "event",
               "vector=%u type=%u%s rip=0x%" PRIx64, event.vector, event.type, code, cpu->rip);
    run->outcome.event = event;
    run->outcome.unusual |= UNUSUAL_EVENT;
    return STATUS_OK;
}

/* Applies a status and whatever follows from it, until the processor would execute its next instruction. */
static bool settle(struct run *run, enum status status, bool *exited)
{
    for (unsigned i = 0; i < BOUNDARIES_MAX; i++) {
        *exited |= status == STATUS_VM_EXIT;
        status = machine_apply(run->machine, run->cpu, status);
        if (machine_stopped(run->machine, NULL))
            return stopped(run);
        unsigned level = machine_level(run->machine, run->cpu);
        if (level > run->outcome.level_top)
            run->outcome.level_top = level;
        status = boundary(run->cpu);
        if (status == STATUS_OK && run->cpu->event.valid) {
            status = deliver(run);
            if (status == STATUS_OK)
                continue;                       /* what else is due comes before the next instruction */
        }
        if (status == STATUS_OK && !run->cpu->event.valid)
            return true;
        if (status == STATUS_EVENT)
            status = STATUS_OK;                 /* cpu->event says it all */
    }
    return run_fail(run, "events and exits follow each other without end");
}

/* What is unusual about a line is what its last attempt leaves behind: the level, an event, ... */
static void conclude(struct run *run)
{
    run->cpu->monitor.waiting = false;          /* MWAIT may end at any time (SDM Vol. 2); in a script it does so at once */
    struct outcome *outcome = &run->outcome;
    outcome->level_after = machine_level(run->machine, run->cpu);
    outcome->entered = outcome->level_top > outcome->level_before;
    if (outcome->level_after < outcome->level_top)
        outcome->unusual |= UNUSUAL_EXIT;
}

bool run_attempt(struct run *run, attempt_function *attempt, const void *what)
{
    struct outcome *outcome = &run->outcome;
    uint64_t rip = run->cpu->rip;

    for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
        bool exited = false;
        if (!settle(run, attempt(run, what), &exited))
            return false;
        conclude(run);
        if (machine_stopped(run->machine, NULL))
            return true;
        /* Again only if a native L0 dealt with an exit and nothing else came of it. */
        if (!exited || !run->native || outcome->level_after != outcome->level_before || outcome->entered ||
            outcome->event.valid || run->cpu->rip != rip || run->cpu->activity != ACTIVITY_ACTIVE)
            return true;
    }
    return run_fail(run, "the same exit comes again and again: L0 does not get on with it");
}

bool run_boundary(struct run *run)
{
    bool exited = false;
    if (!settle(run, STATUS_OK, &exited))
        return false;
    conclude(run);
    return true;
}

/* ---- lines ---- */

/* The first line of this processor over a native L0 starts that L0 beneath it. */
static bool start_cpu(struct run *run, unsigned index)
{
    run->cpu = machine_cpu(run->machine, index);
    if (!run->native || run->settled[index])
        return true;
    run->settled[index] = true;
    machine_settle(run->machine, run->cpu);
    if (run->outcome.rules && !run->outcome.statement)
        return run_fail(run, "when L0 started, rule R%u was broken: %s", run->outcome.rule_first, run->outcome.rule_text);
    struct machine_result result;
    return !machine_stopped(run->machine, &result) || run_fail(run, "L0 did not start: %s", result.message);
}

static bool measure(struct run *run)
{
    struct native *native = machine_native(run->machine);
    if (!native)
        return run_fail(run, "`l0 measure` counts what a native core executes, and there is none (l0 native STRATEGY)");
    return !run->options->passages || native_measure(native, run->options->count_instructions) ||
           run_fail(run, "L0's instructions can be counted on one processor of one machine at a time");
}

static bool machine_line(struct run *run, const struct statement *s)
{
    switch (s->op) {
    case OP_cpu:
        if (s->operand[0] >= run->model->cpu_count)
            return run_fail(run, "there is no processor %" PRIu64 " (machine cpus=N)", s->operand[0]);
        return start_cpu(run, (unsigned)s->operand[0]);
    case OP_interrupt:
        run->interrupt = true;
        run->interrupt_vector = (uint8_t)s->operand[0];
        return run_boundary(run);
    case OP_nmi:
        run->cpu->nmi_pending = true;
        return run_boundary(run);
    case OP_init:
        run->cpu->init_pending = true;
        return run_boundary(run);
    case OP_sipi:
        run->cpu->sipi_pending = true;
        run->cpu->sipi_vector = (uint8_t)s->operand[0];
        return run_boundary(run);
    case OP_time:
        run->cpu->clock += s->operand[0];
        return run_boundary(run);
    case OP_measure:
        return measure(run);
    default:
        return true;                            /* machine, native, absent, script: done before the first line */
    }
}

/* Preparations that would fill traces with what the scenario is not about: one line of the trace stands for each. */
static bool is_summarized(uint8_t op) { return op >= OP_prepare_vmx && op <= OP_fill; }

static bool prepare(struct run *run, const struct statement *s)
{
    struct trace *trace = machine_trace(run->machine);
    FILE *file = trace->file;
    char text[200];

    if (run->full_trace || !is_summarized(s->op))
        return prepare_line(run, s);
    scenario_print_statement(s, text, sizeof text);
    trace_line(trace, run->cpu, run->outcome.level_before, "prepare", "%s", text);
    trace->file = NULL;
    bool good = prepare_line(run, s);
    trace->file = file;
    return good;
}

static bool is_preparation(uint8_t op) { return op >= OP_prepare_vmx && op <= OP_operand; }
static bool is_memory(uint8_t op) { return op >= OP_read && op <= OP_cli; }
static bool is_expectation(uint8_t op) { return op >= OP_expect_ok && op <= OP_expect_lost; }

static bool actor_line(struct run *run, const struct statement *s)
{
    unsigned level = machine_level(run->machine, run->cpu);
    if (s->actor != level)
        return run_fail(run, "l%u does not run now, l%u does (an exit or entry that was not expected, or a wrong "
                        "level)", s->actor, level);
    if (run->cpu->activity != ACTIVITY_ACTIVE)
        return run_fail(run, "l%u does not execute instructions: its activity state is %" PRIu32 " (an `interrupt` or "
                        "`nmi` line wakes it)", s->actor, run->cpu->activity);
    if (is_preparation(s->op))
        return prepare(run, s);
    return is_memory(s->op) ? memory_line(run, s) : instruction_run(run, s);
}

bool run_line(struct run *run, const struct statement *s)
{
    run->statement = s;
    if (machine_stopped(run->machine, NULL))
        return run_fail(run, "the machine has stopped");
    unsigned level = machine_level(run->machine, run->cpu);
    uint64_t stale = run->model->tlb.stale_uses;
    run->outcome = (struct outcome){ .statement = s, .level_before = level, .level_after = level, .level_top = level };
    if (run->operand.given && !instruction_has_memory_operand(s->op))
        return run_fail(run, "the line after `operand` executes no instruction that could have a memory operand");
    bool machine = op_table[s->op].who == WHO_MACHINE || s->op == OP_native || s->op == OP_script ||
                   s->op == OP_absent || s->op == OP_measure;
    bool good = machine ? machine_line(run, s) : actor_line(run, s);
    if (run->model->tlb.stale_uses != stale)
        run->outcome.unusual |= UNUSUAL_STALE;
    if ((run->outcome.lost = machine_registers_lost(run->machine)))
        run->outcome.unusual |= UNUSUAL_LOST;
    return good;
}

static bool execute_line(struct run *run, const struct statement *s)
{
    run->statement = s;
    if (is_expectation(s->op))
        return expect_line(run, s);
    return expect_nothing_more(run) && run_line(run, s);
}

static bool execute_program(struct run *run)
{
    const struct program *program = run->program;
    uint64_t left[INCLUDE_DEPTH * REPEAT_DEPTH + REPEAT_DEPTH];
    unsigned depth = 0, executed = 0;

    for (unsigned i = 0; i < program->count; i++) {
        const struct statement *s = &program->statement[i];
        run->statement = s;
        if (run->options->stop && *run->options->stop)
            return run_fail(run, "interrupted before this line");
        if (++executed > EXECUTED_MAX)
            return run_fail(run, "more than %d lines were executed (repeat fewer times)", EXECUTED_MAX);
        if (s->op == OP_repeat) {
            if (!s->operand[0]) {
                i = s->partner;
                continue;
            }
            left[depth++] = s->operand[0];
        } else if (s->op == OP_end) {
            if (--left[depth - 1])
                i = s->partner;
            else
                depth--;
        } else if (!execute_line(run, s)) {
            return false;
        }
    }
    return (!run->operand.given || run_fail(run, "no line uses this operand")) && expect_nothing_more(run);
}

/* ---- the machine that a program asks for ---- */

static const struct statement *find(const struct program *program, enum op_id op)
{
    for (unsigned i = 0; i < program->count && i < 2; i++)
        if (program->statement[i].op == op)
            return &program->statement[i];
    return NULL;
}

/* The machine of `l0 absent`: what hardware offers and how much memory it has is what the native core leaves to L1. */
static bool make_absent(struct run *run, const struct scenario_options *options)
{
    if (options->offered)
        run->model->capability = *options->offered;
    else
        return scenario_offered(run->program, &run->model->capability, run->error);
    return true;
}

static bool open_machine(struct run *run, const struct scenario_options *options)
{
    static const enum hypervisor strategies[] = { HYPERVISOR_TRAP, HYPERVISOR_COPY, HYPERVISOR_FLIP };
    static const enum tlb_policy policies[] = { TLB_KEEP, TLB_DROP, TLB_SEEDED };
    static const struct statement defaults = { 0 };
    const struct statement *header = find(run->program, OP_machine), *native = find(run->program, OP_native);
    const struct statement *absent = find(run->program, OP_absent), *h = header ? header : &defaults;
    char message[MACHINE_MESSAGE_MAX / 2];
    run->check_registers = options->check_registers || h->given & 32;
    run->hypervisor = native || absent;
    struct machine_options machine = {
        .memory_size = h->given & 1 ? h->operand[0] : MEMORY_DEFAULT,
        .cpus = h->given & 2 ? (unsigned)h->operand[1] : 1,
        .seed = options->seed_given ? options->seed : h->given & 4 ? h->operand[2] : 1,
        .hypervisor = native ? strategies[native->operand[0]] : HYPERVISOR_NONE,
        .root_level = absent != NULL,
        .races = native && native->given & 2 && native->operand[1],
        .trace = options->trace,
        .full_trace = options->full_trace,
        .messages = options->messages,
        .message_prefix = "# ",
        .message_indent = "#   ",
        .explain = options->explain,
        .check_registers = run->check_registers,
    };
    const char *unused;
    profile_find(profile_name((unsigned)h->operand[4], &unused), &machine.lacks);
    run->statement = header ? header : native ? native : &run->program->statement[0];
    const uint64_t taken = absent ? native_pool_size(machine.cpus, machine.memory_size) : 0;
    if (machine.memory_size < 4 * MEMORY_STEP + taken)
        return run_fail(run, "a scenario needs at least 4 MB of memory%s", absent ? ", and what L0 would take" : "");
    machine.memory_size -= taken;
    run->machine = machine_open(&machine, message, sizeof message);
    if (!run->machine)
        return run_fail(run, "%s", message);
    run->model = machine_model(run->machine);
    tlb_init(&run->model->tlb, policies[h->operand[3]], machine.seed);
    run->native = native;
    return !absent || make_absent(run, options);
}

bool run_open(struct run *run, const struct program *program, const struct scenario_options *options,
              struct scenario_error *error)
{
    *run = (struct run){ .program = program, .options = options, .error = error, .full_trace = options->full_trace };
    if (!open_machine(run, options))
        return false;
    environment_prepare(run);
    environment_bus(run);
    run->tracer = run->model->observer;
    run->model->observer = (struct observer){ run, notify };
    return start_cpu(run, 0);
}

void run_close(struct run *run)
{
    machine_close(run->machine);
}

/* Of a program that failed: what a person asks for next. Why a VM entry failed has been told when it did. */
static void help(const struct run *run, FILE *dump, FILE *diagnostics)
{
    const struct entry_failure *failure = machine_entry_failure(run->machine);
    bool here = false;

    for (unsigned i = 0; i < sizeof run->outcome.rows; i++)
        here |= run->outcome.rows[i];
    if (failure && here && dump)
        entry_failure_dump(failure, NULL, dump);
    if (diagnostics)
        trace_print_tail(machine_trace(run->machine), diagnostics, "# ");
}

bool scenario_run(const struct program *program, const struct scenario_options *options, FILE *diagnostics,
                  struct scenario_error *error)
{
    struct run run;

    if (!program->count)
        return true;
    bool good = run_open(&run, program, options, error) && execute_program(&run);
    if (good && options->passages && machine_native(run.machine))
        *options->passages = *native_measured(machine_native(run.machine));
    if (!good && run.machine)
        help(&run, options->dump, diagnostics);
    run_close(&run);
    return good;
}
