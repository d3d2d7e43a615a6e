/* SPDX-License-Identifier: MIT */
/* `sesqui boot`: an image on the machine. The guest's console alone goes to stdout, all else to stderr. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/boot.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "emu/device/dialogue.h"
#include "emu/disk/disk.h"
#include "emu/load/file.h"
#include "emu/machine/hash.h"
#include "emu/machine/step.h"
#include "emu/native/native.h"

/* The command line again, quoted for a shell. */
static void print_command(int argc, char **argv)
{
    fputs("sesqui: to see it again: sesqui", stderr);
    for (int i = 0; i < argc; i++) {
        fputs(" '", stderr);
        for (const char *c = argv[i]; *c; c++)
            fputs(*c == '\'' ? "'\\''" : (char[]){ *c, '\0' }, stderr);
        fputc('\'', stderr);
    }
    fputc('\n', stderr);
}

static void print_count(const struct model *model)
{
    fprintf(stderr, "sesqui: %" PRIu64 " instructions\n", model_instructions(model));
}

/* False after a complaint. */
static bool load(struct boot *boot, struct machine *machine)
{
    char error[MACHINE_MESSAGE_MAX];
    bool plain = false, loaded;

    boot->load.plain = &plain;
    boot->load.late_entry = machine_late_entry(machine);
    boot->load.fw_cfg = machine_fw_cfg(machine);
    if (machine_native(machine))
        native_pool(machine_native(machine), &boot->load.reserved_base, &boot->load.reserved_size);
    loaded = load_image(machine_model(machine), &boot->load, error, sizeof error);
    boot->load.plain = NULL;
    machine_plain_start(machine, plain);
    if (!loaded)
        complain("%s", error);
    return loaded;
}

/* The first signal ends the run with a report, and what was written is kept; the second one ends the process. */
static struct machine *running;

static void on_signal(int signal)
{
    terminal_ends_by(signal);
    if (running)
        machine_interrupt(running, signal);
}

static void last_words(int signal)
{
    terminal_end();
    fprintf(stderr, "sesqui: %s: the run does not end (the native L0 perhaps runs without end): given up\n", signals_name(signal));
}

static int run(const struct boot *boot, struct machine *machine, int argc, char **argv)
{
    struct machine_result result;

    machine_symbols(machine, boot->load.symbols, boot->symbols);
    running = machine;
    signals_catch(on_signal, last_words);
    if (boot->machine.typist.next)
        terminal_begin();
    machine_run(machine, &result);
    signals_release();
    terminal_end();
    running = NULL;
    if (result.message[0])
        complain("%s", result.message);
    if (boot->count)
        print_count(machine_model(machine));
    machine_print_exits(machine, boot->stats_file ? boot->stats_file : stderr);
    if (boot->hash)
        fprintf(stderr, "sesqui: hash %016" PRIx64 "\n", machine_hash(machine));
    if (result.end == MACHINE_RULE) {
        fputs("sesqui: the latest events:\n", stderr);
        trace_print_tail(machine_trace(machine), stderr, "    ");
        print_command(argc, argv);
    }
    machine_symbols(machine, NULL, false);
    const struct dialogue_step *step = boot->machine.dialogue ? dialogue_step(boot->machine.dialogue) : NULL;
    if (!step || result.end != MACHINE_EXITED)
        return machine_exit_status(&result);
    complain("the run ended before line %u of the console script: %s \"%.100s\"", step->line, step->expects ? "expect" : "send", step->text);
    return EXIT_STATUS_UNMATCHED;
}

/* Reads --input. False after a complaint. */
static bool read_dialogue(struct boot *boot, struct dialogue *dialogue)
{
    enum { SCRIPT_MAX = 1 << 20 };
    struct file file = { 0 };
    char error[MACHINE_MESSAGE_MAX];

    if (!boot->input)
        return true;
    bool good = file_read(&file, boot->input, SCRIPT_MAX, error, sizeof error);
    if (!good)
        complain("--input: %s", error);
    else if (!(good = dialogue_parse(dialogue, (const char *)file.bytes, file.size, error, sizeof error)))
        complain("--input: %s: %s", file.path, error);
    free(file.bytes);
    boot->machine.dialogue = dialogue;
    return good;
}

/* False after a complaint. */
static bool open_disks(struct boot *boot)
{
    char error[MACHINE_MESSAGE_MAX];

    for (unsigned i = 0; i < boot->disks; i++) {
        if (!(boot->machine.disk[i] = disk_open(boot->disk[i], error, sizeof error))) {
            complain("--disk: %s", error);
            return false;
        }
        boot->machine.disks++;
    }
    return true;
}

static void close_disks(struct boot *boot)
{
    for (unsigned i = 0; i < boot->machine.disks; i++)
        disk_close(boot->machine.disk[i]);
}

/* What is read of a disk is no output of ours, whatever its mode. */
static bool disks_are_inputs(const struct boot *boot, struct outputs *outputs)
{
    char path[4096];
    enum disk_mode mode;
    bool good = true;

    for (unsigned i = 0; i < boot->disks && good; i++)
        good = !disk_path(boot->disk[i], path, sizeof path, &mode) || outputs_input(outputs, "a disk", path);
    return good;
}

static bool open_outputs(struct boot *boot, struct outputs *outputs)
{
    bool good = outputs_input(outputs, "the image", boot->load.image);

    if (boot->input)
        good = good && outputs_input(outputs, "the console script", boot->input);
    for (unsigned i = 0; i < boot->load.modules; i++)
        good = good && outputs_input(outputs, "a module", boot->load.module[i].path);
    good = good && disks_are_inputs(boot, outputs);
    outputs_add_trace(outputs, "--trace", boot->trace, boot->trace_limit, &boot->machine.trace);
    outputs_add(outputs, "--dump-vmcs", boot->dump, &boot->machine.dump);
    if (boot->net && strcmp(boot->net, "loopback") != 0)
        outputs_add(outputs, "--net", boot->net, &boot->machine.capture);
    boot->machine.network = boot->net;
    outputs_add(outputs, "--virtio-console", boot->virtio_console, &boot->machine.virtio_console);
    outputs_add(outputs, "--stats", boot->stats, &boot->stats_file);
    outputs_add(outputs, "--serial2", boot->serial2, &boot->machine.serial2);
    outputs_add(outputs, "--console", boot->console, &boot->machine.console);
    if (!boot->console && !boot->no_console)
        boot->machine.console = stdout;
    return good && outputs_open(outputs);
}

int command_boot(int argc, char **argv)
{
    static struct outputs outputs;
    static struct dialogue dialogue;
    struct symbols symbols = { 0 };
    struct boot boot = { .machine = { .memory_size = 512ull << 20, .messages = stderr }, .load = { .symbols = &symbols },
                         .trace_limit = TRACE_LIMIT_DEFAULT };
    char error[MACHINE_MESSAGE_MAX];
    int status = EXIT_STATUS_USAGE;

    if (!boot_parse(&boot, argc, argv))
        return EXIT_STATUS_USAGE;
    if (boot_help(&boot))
        return 0;
    if (!read_dialogue(&boot, &dialogue) || !open_outputs(&boot, &outputs))
        return EXIT_STATUS_USAGE;
    if (boot.machine.console)
        setvbuf(boot.machine.console, NULL, _IOLBF, BUFSIZ);    /* whoever waits for a line gets it */
    boot.machine.typist.next = !boot.input && boot.machine.console == stdout && terminal_there() ? terminal_next : NULL;
    struct machine *machine = open_disks(&boot) ? machine_open(&boot.machine, error, sizeof error) : NULL;
    if (!machine && boot.machine.disks == boot.disks)
        complain("boot: %s", error);
    bool loaded = machine && load(&boot, machine);
    if (loaded) {
        outputs_begin(&outputs);
        status = run(&boot, machine, argc, argv);
    }
    machine_close(machine);
    close_disks(&boot);
    symbols_free(&symbols);
    return outputs_close(&outputs, loaded) ? status : EXIT_STATUS_USAGE;
}
