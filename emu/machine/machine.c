/* SPDX-License-Identifier: MIT */
/* Life of a machine, and its run loop. One processor's steps are in step.c, what is reported in report.c. */
#include "emu/machine/machine.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#include "emu/explain/place.h"
#include "emu/explain/registers.h"
#include "emu/explain/shutdown.h"
#include "emu/machine/parts.h"
#include "emu/machine/slide.h"

/* Tables and programs begin at the bottom of memory. */
enum { TOUCHED_FIRST = 128 << 10 };

static const char *check_options(const struct machine_options *options)
{
    if (options->memory_size < 1 << 20 || options->memory_size > 4ull << 30 || options->memory_size % (1 << 20))
        return "the memory size must be a whole number of megabytes from 1 MB to 4 GB";
    if (options->cpus < 1 || options->cpus > MODEL_CPU_MAX)
        return "the machine has 1 to 80 processors";
    return NULL;
}

static void plug_devices(struct machine *machine)
{
    for (unsigned i = 0; i < machine->options.disks; i++)
        virtio_plug(&machine->board, VIRTIO_block)->host.disk = machine->options.disk[i];
    if (machine->options.network)
        virtio_plug(&machine->board, VIRTIO_net)->host = (struct virtio_host){ .out = machine->options.capture, .loopback = !machine->options.capture };
    if (machine->options.virtio_console)
        virtio_plug(&machine->board, VIRTIO_console)->host.out = machine->options.virtio_console;
    if (machine->options.rng)
        virtio_plug(&machine->board, VIRTIO_rng)->random = machine->options.seed;
    if (machine->options.edu)
        edu_plug(&machine->board);
}

static bool open_parts(struct machine *machine, char *message, size_t message_size)
{
    const struct machine_options *options = &machine->options;

    machine->model = malloc(sizeof *machine->model);    /* 3 MB, most of which need not be zero: model_init() */
    machine->ram = host_memory_reserve(options->memory_size);
    machine->watch = calloc(1, options->memory_size / PAGE_SIZE);
    if (!machine->model || !machine->ram || !machine->watch) {
        snprintf(message, message_size, "the host has no %" PRIu64 " MB for the machine's memory", options->memory_size >> 20);
        return false;
    }
    host_memory_touch(machine->ram, TOUCHED_FIRST);
    memory_init(&machine->model->memory, machine->ram, options->memory_size, machine->watch);
    machine->model->bus = (struct bus){ .context = NULL };
    machine->model->observer = (struct observer){ .context = NULL };
    model_init(machine->model, options->cpus);
    capability_init(&machine->model->capability, &options->lacks);
    tlb_init(&machine->model->tlb, TLB_KEEP, options->seed);
    machine->model->random = machine->turns = options->seed;
    for (unsigned i = 0; i < options->cpus; i++)
        CPU_MSR(&machine->model->cpu[i], ia32_feature_control) = options->feature_control;
    for (unsigned i = 1; i < options->cpus; i++)
        machine->model->cpu[i].activity = ACTIVITY_WAIT_FOR_SIPI;
    machine->trace.file = options->trace;
    if (options->check_registers && !(machine->registers = register_check_open())) {
        snprintf(message, message_size, "the host has no memory left");
        return false;
    }
    if (options->count_exits && !(machine->exits = exit_counts_open())) {
        snprintf(message, message_size, "the host has no memory left");
        return false;
    }
    board_init(&machine->board, machine->model, options->console);
    if (options->iommu && !remapping_install(&machine->board, malloc(sizeof(struct iommu)), options->iommu)) {
        snprintf(message, message_size, "the host has no memory left");
        return false;
    }
    plug_devices(machine);
    if (options->date_told)
        machine->board.cmos.epoch = options->date;
    machine->board.uart[1].console = options->serial2;
    machine->board.uart[0].dialogue = options->dialogue;
    machine->board.trigger = options->hypervisor_at;
    machine->board.uart[0].trigger = &machine->board.trigger;
    machine_install(machine);
    if (options->hypervisor != HYPERVISOR_NONE) {
        machine->native = native_open(machine->model, &machine->trace, options->hypervisor, message, message_size);
        if (!machine->native)
            return false;
        native_set_races(machine->native, options->races, options->seed);
        if (options->late)
            native_set_late(machine->native, BOARD_LOAD_PORT, &machine->late_entry);
        if (options->hypervisor_at.kind != TRIGGER_NONE)
            native_set_slide(machine->native);
    }
    return true;
}

struct machine *machine_open(const struct machine_options *options, char *message, size_t message_size)
{
    const char *fault = check_options(options);

    if (fault) {
        snprintf(message, message_size, "%s", fault);
        return NULL;
    }
    struct machine *machine = calloc(1, sizeof *machine);
    if (!machine) {
        snprintf(message, message_size, "the host has no memory left");
        return NULL;
    }
    machine->options = *options;
    if (!machine->options.message_prefix)
        machine->options.message_prefix = "sesqui: warning: ";
    if (!machine->options.message_indent)
        machine->options.message_indent = "  ";
    if (!open_parts(machine, message, message_size)) {
        machine_close(machine);
        return NULL;
    }
    return machine;
}

void machine_close(struct machine *machine)
{
    if (!machine)
        return;
    if (machine->native)
        native_close(machine->native);
    if (machine->engine)
        engine_close(machine->engine);
    host_memory_release(machine->ram, machine->options.memory_size);
    register_check_close(machine->registers);
    exit_counts_close(machine->exits);
    free(machine->watch);
    free(machine->board.iommu);
    free(machine->model);
    free(machine);
}

struct model *machine_model(struct machine *machine)
{
    return machine->model;
}

struct cpu *machine_cpu(struct machine *machine, unsigned index)
{
    return &machine->model->cpu[index];
}

void machine_print_exits(struct machine *machine, FILE *to)
{
    uint64_t now = 0;

    for (unsigned i = 0; i < machine->model->cpu_count; i++)
        if (machine->model->cpu[i].clock > now)
            now = machine->model->cpu[i].clock;
    if (machine->exits)
        exit_counts_print(machine->exits, now, to);
}

uint64_t machine_registers_lost(struct machine *machine)
{
    return machine->registers ? register_check_lost(machine->registers) : 0;
}

struct trace *machine_trace(struct machine *machine)
{
    return &machine->trace;
}

void machine_plain_start(struct machine *machine, bool plain)
{
    machine->plain_start = plain;
}

void machine_symbols(struct machine *machine, const struct symbols *symbols, bool in_traces)
{
    machine->symbols = symbols;
    machine->trace.symbols = in_traces ? symbols : NULL;
}

const struct entry_failure *machine_entry_failure(const struct machine *machine)
{
    return machine->failure.complete ? &machine->failure : NULL;
}

struct native *machine_native(struct machine *machine)
{
    return machine->native;
}

bool machine_over_native(const struct machine *machine, const struct cpu *cpu)
{
    return machine->native && native_active(machine->native, cpu);
}

uint64_t machine_late_entry(const struct machine *machine)
{
    return machine->late_entry;
}

struct fw_cfg *machine_fw_cfg(struct machine *machine)
{
    return &machine->board.fw_cfg;
}

unsigned machine_level(const struct machine *machine, const struct cpu *cpu)
{
    if (machine_over_native(machine, cpu))
        return native_level(machine->native, cpu);
    return machine->options.root_level + cpu->vmx.non_root;
}

bool machine_engine(struct machine *machine)
{
    char text[MACHINE_MESSAGE_MAX];

    if (!machine->engine)
        machine->engine = engine_open(machine->model, text, sizeof text);
    if (!machine->engine)
        machine_stop(machine, MACHINE_REFUSED, "%s", text);
    return machine->engine;
}

/* Instructions left until the limit of the whole machine; steps that retire nothing count as one each. */
static uint64_t budget(const struct machine *machine)
{
    uint64_t used;

    if (!machine->options.limit)
        return UINT64_MAX;
    used = machine->ticks + model_instructions(machine->model);
    return used < machine->options.limit ? machine->options.limit - used : 0;
}

static bool halted(const struct machine *machine)
{
    for (unsigned i = 0; i < machine->model->cpu_count; i++)
        if (cpu_runs(&machine->model->cpu[i]))
            return false;
    return true;
}

void machine_interrupt(struct machine *machine, int signal)
{
    machine->signal = signal;
    if (machine->engine)
        engine_interrupt(machine->engine);
}

static bool interrupted(struct machine *machine)
{
    if (!machine->signal)
        return false;
    machine->result.value = (uint32_t)machine->signal;
    if (machine->signal == SIGPIPE)
        machine_stop(machine, MACHINE_INTERRUPTED, "ended by signal %d, SIGPIPE: the reader of an output has closed its end of the pipe", machine->signal);
    else
        machine_stop(machine, MACHINE_INTERRUPTED, "interrupted by signal %d", machine->signal);
    return true;
}

/* At the processor whose turn it is, or at one that executes. */
static void limit_reached(struct machine *machine, struct cpu *cpu)
{
    char place[PLACE_MAX];

    for (unsigned i = 0; i < machine->model->cpu_count && !cpu_runs(cpu); i++)
        if (cpu_runs(&machine->model->cpu[i]))
            cpu = &machine->model->cpu[i];
    place_describe(machine, cpu, place, sizeof place);
    machine_stop(machine, MACHINE_LIMIT, "the limit of %" PRIu64 " instructions was reached at %s", machine->options.limit, place);
}

/* As on the bare machine a shutdown of L1's ends the run, and not only once all the others are halted. */
static bool shut_down_over_core(struct machine *machine, const struct cpu *cpu)
{
    if (cpu->activity != ACTIVITY_SHUTDOWN || !machine_over_native(machine, cpu) || machine_level(machine, cpu) != 1 || !machine->shutdown[cpu->index][0])
        return false;
    machine_stop(machine, MACHINE_SHUTDOWN, "%s", machine->shutdown[cpu->index]);
    return true;
}

/* Runs one processor until its clock has reached `target`. */
static void run_to(struct machine *machine, struct cpu *cpu, uint64_t target)
{
    while (machine->result.end == MACHINE_RUNNING && cpu->clock < target) {
        uint64_t left = budget(machine);
        if (!left) {
            limit_reached(machine, cpu);
            return;
        }
        if (interrupted(machine) || shut_down_over_core(machine, cpu))
            return;
        machine->stretch.clock = target;
        if (machine->options.typist.next && cpu->index == 0) {
            if (cpu->clock >= machine->typed)
                machine_typed(machine, cpu->clock, 0);
            machine->stretch.clock = machine->typed < target ? machine->typed : target;
        }
        uint64_t work = progress_horizon(machine, cpu) - cpu->clock, most = machine->stretch.clock - cpu->clock, until = slide_horizon(machine);
        slide(machine, cpu);
        work = work < left ? work : left;
        work = work < until ? work : until;
        machine->stretch.instructions = cpu->instructions + work;
        machine->stretch.in_place = slide_awaited(machine, cpu) ? 0 : progress_unwatched(machine, cpu);
        machine_step(machine, cpu, cpu->clock + (work < most ? work : most));
        machine->stretch.in_place = 0;
        if (left > 2 * PROGRESS_LOOP_MAX)
            progress_stepped(machine, cpu);
    }
}

uint64_t machine_next_turn(struct machine *machine, unsigned *first)
{
    uint64_t x = machine->turns;            /* xorshift: never 0 unless the seed is */

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    machine->turns = x;
    *first = (unsigned)(x >> 32) % machine->model->cpu_count;
    return x ? 1 + (uint32_t)x % TURN : TURN;
}

/* Nobody sends the bootstrap processor a SIPI, and there is no firmware: an INIT that it got was a mistake. */
static void nothing_wakes(struct machine *machine)
{
    const struct cpu *first = &machine->model->cpu[0];
    char sender[SYMBOL_TEXT_MAX + 160] = "";

    ipi_init_words(machine, first, sender, sizeof sender);
    if (*sender)
        machine_stop(machine, MACHINE_DEAD_HALT, "all processors are halted and nothing can wake one: the bootstrap processor got an INIT%s", sender);
    else
        machine_stop(machine, MACHINE_DEAD_HALT, "all processors are halted and nothing can wake one");
}

/* Several processors take turns; time is skipped when none of them has anything to do. */
static void run_round(struct machine *machine, uint64_t *now)
{
    struct model *model = machine->model;
    uint64_t work = machine->work, wake = UINT64_MAX;
    char why[MACHINE_MESSAGE_MAX - 40];
    unsigned first;

    *now += machine_next_turn(machine, &first);
    for (unsigned i = 0; i < model->cpu_count; i++)
        run_to(machine, &model->cpu[(first + i) % model->cpu_count], *now);
    if (machine->result.end != MACHINE_RUNNING || machine->work != work || !halted(machine))
        return;
    for (unsigned i = 0; i < model->cpu_count; i++) {
        uint64_t event = machine_wake_time(machine, &model->cpu[i]);
        wake = event < wake ? event : wake;
    }
    if (interrupted(machine) || machine_typed(machine, *now, wake))
        return;
    for (unsigned i = 0; i < model->cpu_count && wake == UINT64_MAX; i++)
        if (machine_awaits_typing(machine, &model->cpu[i]))
            return;
    for (unsigned i = 0; i < model->cpu_count && wake == UINT64_MAX; i++)
        if (model->cpu[i].activity == ACTIVITY_SHUTDOWN) {
            shutdown_words(machine, &model->cpu[i], why, sizeof why);
            machine_stop(machine, MACHINE_SHUTDOWN, "%s; all others are halted", why);
        } else {
            progress_halted(machine, &model->cpu[i]);
        }
    if (wake == UINT64_MAX)
        nothing_wakes(machine);
    else if (wake > *now)
        *now = wake;
}

void machine_run(struct machine *machine, struct machine_result *result)
{
    struct model *model = machine->model;
    uint64_t now = 0;

    for (unsigned i = 0; i < model->cpu_count && machine->native; i++)
        machine_settle(machine, &model->cpu[i]);
    machine->free_running = true;
    machine->model->shootdown_patience = SHOOTDOWN_PATIENCE;
    while (machine->result.end == MACHINE_RUNNING) {
        if (model->cpu_count == 1)
            run_to(machine, &model->cpu[0], UINT64_MAX);
        else
            run_round(machine, &now);
    }
    if (machine->board.trigger.kind != TRIGGER_NONE && !machine->board.trigger.fired)
        machine_warn(machine, "the moment at which L0 was to slide beneath the image has not come: it ran on the bare machine");
    /* A hypervisor that ends the machine while it runs is no news, unless somebody wants all. */
    bool left = machine->options.explain == EXPLAIN_ALL;
    if (machine->result.end == MACHINE_EXITED && machine->native && left)
        native_at_end(machine->native);
    else if (machine->result.end == MACHINE_EXITED && !machine->native)
        vmcs_at_end(model, left);
    if (machine->result.end == MACHINE_EXITED || machine->result.end == MACHINE_SHUTDOWN || machine->result.end == MACHINE_DEAD_HALT)
        reentry_ended(machine);
    if (machine->options.console)
        fflush(machine->options.console);
    ept_end(machine);
    for (unsigned i = 0; i < model->cpu_count && !(machine->result.end == MACHINE_EXITED && !machine->result.value); i++)
        explain_release(machine, &model->cpu[i]);
    if (machine->result.end == MACHINE_LIMIT || machine->result.end == MACHINE_INTERRUPTED ||
        machine->result.end == MACHINE_UNMATCHED)
        progress_where(machine);
    *result = machine->result;
}

int machine_exit_status(const struct machine_result *result)
{
    switch (result->end) {
    case MACHINE_EXITED:
        return result->value <= 99 ? (int)result->value : 99;
    case MACHINE_LIMIT:
        return EXIT_STATUS_LIMIT;
    case MACHINE_SHUTDOWN:
    case MACHINE_DEAD_HALT:
        return EXIT_STATUS_SHUTDOWN;
    case MACHINE_RULE:
        return EXIT_STATUS_RULE;
    case MACHINE_UNMATCHED:
        return EXIT_STATUS_UNMATCHED;
    case MACHINE_INTERRUPTED:
        return EXIT_STATUS_SIGNAL + (int)result->value;
    case MACHINE_RUNNING:
    case MACHINE_REFUSED:
        break;
    }
    return EXIT_STATUS_REFUSED;
}
