/* SPDX-License-Identifier: MIT */
/* `sesqui boot`: an image on the machine. The guest's console alone goes to stdout, all else to stderr. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/boot.h"
#include "cli/command.h"
#include "cli/options.h"
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
    uint64_t instructions = 0;

    for (unsigned i = 0; i < model->cpu_count; i++)
        instructions += model->cpu[i].instructions;
    fprintf(stderr, "sesqui: %" PRIu64 " instructions\n", instructions);
}

static int run(struct boot *boot, struct machine *machine, int argc, char **argv)
{
    char error[MACHINE_MESSAGE_MAX];
    struct machine_result result;
    struct symbols symbols = { 0 };

    boot->load.symbols = &symbols;
    boot->load.late_entry = machine_late_entry(machine);
    if (machine_native(machine))
        native_pool(machine_native(machine), &boot->load.reserved_base, &boot->load.reserved_size);
    if (!load_image(machine_model(machine), &boot->load, error, sizeof error))
        return complain("%s", error);
    machine_symbols(machine, &symbols, boot->symbols);
    machine_run(machine, &result);
    if (result.message[0])
        complain("%s", result.message);
    if (boot->count)
        print_count(machine_model(machine));
    if (result.end == MACHINE_RULE) {
        fputs("sesqui: the latest events:\n", stderr);
        trace_print_tail(machine_trace(machine), stderr, "    ");
        print_command(argc, argv);
    }
    machine_symbols(machine, NULL, false);
    symbols_free(&symbols);
    return machine_exit_status(&result);
}

int command_boot(int argc, char **argv)
{
    struct boot boot = { .machine = { .memory_size = 512ull << 20, .messages = stderr } };
    char error[MACHINE_MESSAGE_MAX];
    int status = EXIT_STATUS_USAGE;

    if (!boot_parse(&boot, argc, argv))
        return EXIT_STATUS_USAGE;
    if (boot_help(&boot))
        return 0;
    if (boot.trace && !(boot.machine.trace = open_output("--trace", boot.trace)))
        return EXIT_STATUS_USAGE;
    if (boot.dump && !(boot.machine.dump = open_output("--dump-vmcs", boot.dump)))
        return EXIT_STATUS_USAGE;
    if (boot.serial2 && !(boot.machine.serial2 = open_output("--serial2", boot.serial2)))
        return EXIT_STATUS_USAGE;
    if (!boot.no_console)
        boot.machine.console = boot.console ? open_output("--console", boot.console) : stdout;
    if (boot.machine.console)
        setvbuf(boot.machine.console, NULL, _IOLBF, BUFSIZ);    /* whoever waits for a line gets it */
    if (boot.no_console || boot.machine.console) {
        struct machine *machine = machine_open(&boot.machine, error, sizeof error);
        status = machine ? run(&boot, machine, argc, argv) : complain("boot: %s", error);
        machine_close(machine);
    }
    bool written = close_output(boot.machine.trace, "--trace");
    if (boot.machine.serial2 != boot.machine.trace)
        written &= close_output(boot.machine.serial2, "--serial2");
    if (boot.machine.dump != boot.machine.trace)
        written &= close_output(boot.machine.dump, "--dump-vmcs");
    if (boot.machine.console != boot.machine.trace && boot.machine.console != boot.machine.dump)
        written &= close_output(boot.machine.console, "--console");
    return written ? status : EXIT_STATUS_USAGE;
}
