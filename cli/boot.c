/* SPDX-License-Identifier: MIT */
/* `sesqui boot`: an image on the machine. The guest's console alone goes to stdout, all else to stderr. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "emu/load/load.h"
#include "emu/machine/machine.h"
#include "emu/native/native.h"
#include "emu/machine/step.h"
#include "model/vmx/profile.h"

static const char usage[] =
    "usage: sesqui boot IMAGE [OPTIONS]\n\n"
    "Boots a multiboot v1 image (docs/machine.md). Without --hv it owns the bare machine and VMX root operation; with --hv\n"
    "the hypervisor core runs beneath it as L0, and a hypervisor in the image is L1.\n\n"
    "  --append TEXT     command line of the image, after its name\n"
    "  --module \"F ARGS\" a module of the image: file F, and the text \"F ARGS\" without F's folders; repeatable\n"
    "  --initrd FILE     the same with the text \"initrd\"\n"
    "  --memory SIZE     RAM: 512M unless told; 1M to 4G\n"
    "  --cpus N          processors: 1 unless told; 1 to 8\n"
    "  --hv[=STRATEGY]   the core as L0; strategy for L1's VMCSs: trap (unless told), copy or flip\n"
    "  --late            with --hv: the image runs on the bare machine until it asks for the core (docs/metal.md)\n"
    "  --vmx-profile P   processors of a generation: max (unless told), haswell, skylake or icelake\n"
    "  --vmx LIST        capabilities taken away and given back after that: -ept-ad,+pml; help lists the names\n"
    "  --races           with --hv: memory changes behind what the core has read of it, until the guest goes on; a core\n"
    "                    that reads each datum once (rule R8) does not notice\n"
    "  --feature-control N   IA32_FEATURE_CONTROL as firmware leaves it: 0 unlocked (unless told), 1 VMX off, 5 VMX on\n"
    "  --full-trace      with --hv: also the VMREADs and VMWRITEs of the core\n"
    "  --strict          a broken rule stops the machine (status 122) instead of a warning\n"
    "  --explain=WHICH   why something failed, on stderr: once for each place and reason (unless told), all, or none\n"
    "  --trace FILE      one line an event; - is stdout\n"
    "  --symbols         names for addresses in the trace, from the image's symbol table (messages always have them)\n"
    "  --dump-vmcs FILE  the VMCS of each VM entry that fails, for `sesqui check-vmcs`; - is stdout\n"
    "  --limit N         stop after N instructions (status 120)\n"
    "  --seed N          seed of everything random: 0 unless told\n"
    "  --count           say at the end how many instructions the processors executed\n"
    "  --console FILE    the guest's console goes to FILE instead of stdout\n"
    "  --no-console      nowhere\n"
    "  --serial2 FILE    what the guest writes to the second UART (0x2f8); - is stdout\n\n"
    "The exit status is the guest's own or one of docs/exit-status.md.";

struct boot {
    struct machine_options machine;
    struct load_request load;
    const char *vmx;                /* --vmx */
    const char *trace, *console, *dump, *serial2; /* paths */
    bool no_console, count, help, symbols; /* symbols: in the trace, too */
};

/* "trap", "copy", "flip"; NULL is the first. */
static bool parse_hypervisor(const char *name, enum hypervisor *hypervisor)
{
    static const struct { const char *name; enum hypervisor hypervisor; } table[] = {
        { "trap", HYPERVISOR_TRAP }, { "copy", HYPERVISOR_COPY }, { "flip", HYPERVISOR_FLIP },
    };

    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (name && strcmp(name, table[i].name) != 0)
            continue;
        *hypervisor = table[i].hypervisor;
        return true;
    }
    complain("--hv: unknown strategy \"%s\" (trap, copy or flip)", name);
    return false;
}

static bool select_profile(const char *name, struct vmx_lacks *lacks)
{
    if (profile_find(name, lacks))
        return true;
    complain("--vmx-profile: unknown profile \"%s\" (try: sesqui boot --vmx help)", name);
    return false;
}

/* "-ept-ad,+pml". */
static bool select_capabilities(const char *list, struct vmx_lacks *lacks)
{
    while (*list) {
        unsigned length = (unsigned)strcspn(list, ",");

        if (length < 2 || (*list != '+' && *list != '-')) {
            complain("--vmx: \"%.*s\" is neither +NAME nor -NAME (try: sesqui boot --vmx help)", (int)length, list);
            return false;
        }
        switch (profile_switch(lacks, list + 1, length - 1, *list == '+')) {
        case SWITCH_DONE:
            break;
        case SWITCH_UNKNOWN:
            complain("--vmx: unknown capability \"%.*s\" (try: sesqui boot --vmx help)", (int)length - 1, list + 1);
            return false;
        case SWITCH_NOT_IMPLEMENTED:
            complain("--vmx: \"%.*s\" is not implemented", (int)length - 1, list + 1);
            return false;
        }
        list += length + (list[length] == ',');
    }
    return true;
}

static void list_capabilities(void)
{
    const char *name, *text;

    puts("profiles (--vmx-profile):");
    for (unsigned i = 0; (name = profile_name(i, &text)); i++)
        printf("  %-32s%s\n", name, text);
    puts("\ncapabilities (--vmx -NAME,+NAME; \"-\" for \"_\"; without enable_, use_, activate_ or process_ if you like):");
    for (unsigned i = 0; (name = profile_capability(i, &text)); i++)
        printf("  %-32s%s\n", name, text);
    puts("\nWhat needs a capability that was taken away goes with it.");
}

static bool parse_feature_control(const char *text, uint64_t *value)
{
    if (!parse_number("--feature-control", text, value))
        return false;
    if (*value & ~(FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX))
        complain("--feature-control: only bits 0 (lock) and 2 (VMX outside SMX) exist here");
    return !(*value & ~(FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX));
}

static bool add_module(struct boot *boot, const char *line, const char *text)
{
    char error[MACHINE_MESSAGE_MAX];
    bool done = load_add_module(&boot->load, line, text, error, sizeof error);

    if (!done)
        complain("%s", error);
    return done;
}

/* The option just met. False after a complaint. */
static bool parse_option(struct boot *boot, struct arguments *arguments)
{
    static const struct { const char *name; bool takes_value; } options[] = {
        { "--append", true }, { "--initrd", true }, { "--module", true }, { "--memory", true }, { "--cpus", true },
        { "--trace", true }, { "--feature-control", true }, { "--vmx-profile", true }, { "--vmx", true },
        { "--limit", true }, { "--seed", true }, { "--explain", true }, { "--console", true }, { "--serial2", true }, { "--dump-vmcs", true },
        { "--symbols", false }, { "--strict", false }, { "--late", false }, { "--races", false }, { "--full-trace", false },
        { "--no-console", false }, { "--count", false }, { "--help", false }, { "-h", false },
};
    const char *name = arguments->name, *value = NULL;
    uint64_t number;

    if (strcmp(name, "--hv") == 0)
        return parse_hypervisor(arguments->value, &boot->machine.hypervisor);
    for (unsigned i = 0;; i++) {
        if (i == sizeof options / sizeof options[0]) {
            complain("boot: unknown option \"%s\" (try: sesqui boot --help)", name);
            return false;
        }
        if (strcmp(name, options[i].name) != 0)
            continue;
        if (!options[i].takes_value) {
            if (!arguments_no_value(arguments))
                return false;
        } else if (!(value = arguments_value(arguments))) {
            return false;
        }
        break;
    }
    if (strcmp(name, "--append") == 0)
        boot->load.arguments = value;
    else if (strcmp(name, "--initrd") == 0)
        return add_module(boot, value, "initrd");
    else if (strcmp(name, "--module") == 0)
        return add_module(boot, value, NULL);
    else if (strcmp(name, "--memory") == 0)
        return parse_size(name, value, &boot->machine.memory_size);
    else if (strcmp(name, "--trace") == 0)
        boot->trace = value;
    else if (strcmp(name, "--limit") == 0)
        return parse_number(name, value, &boot->machine.limit);
    else if (strcmp(name, "--seed") == 0)
        return parse_number(name, value, &boot->machine.seed);
    else if (strcmp(name, "--explain") == 0)
        return parse_explain(value, &boot->machine.explain);
    else if (strcmp(name, "--console") == 0)
        boot->console = value;
    else if (strcmp(name, "--dump-vmcs") == 0)
        boot->dump = value;
    else if (strcmp(name, "--symbols") == 0)
        boot->symbols = true;
    else if (strcmp(name, "--vmx-profile") == 0)
        return select_profile(value, &boot->machine.lacks);
    else if (strcmp(name, "--vmx") == 0)
        boot->vmx = value;
    else if (strcmp(name, "--feature-control") == 0)
        return parse_feature_control(value, &boot->machine.feature_control);
    else if (strcmp(name, "--late") == 0)
        boot->machine.late = true;
    else if (strcmp(name, "--strict") == 0)
        boot->machine.strict = true;
    else if (strcmp(name, "--races") == 0)
        boot->machine.races = true;
    else if (strcmp(name, "--full-trace") == 0)
        boot->machine.full_trace = true;
    else if (strcmp(name, "--serial2") == 0)
        boot->serial2 = value;
    else if (strcmp(name, "--no-console") == 0)
        boot->no_console = true;
    else if (strcmp(name, "--count") == 0)
        boot->count = true;
    else if (strcmp(name, "--cpus") == 0) {
        if (!parse_number(name, value, &number))
            return false;
        boot->machine.cpus = number <= MODEL_CPU_MAX ? (unsigned)number : 0;    /* 0: refused by the machine */
    } else {
        boot->help = true;
    }
    return true;
}

static bool parse(struct boot *boot, int argc, char **argv)
{
    struct arguments arguments = { .argc = argc, .next = 1, .argv = argv };
    const char *operand;

    for (;;) {
        if (arguments_option(&arguments, &operand)) {
            if (!parse_option(boot, &arguments))
                return false;
            continue;
        }
        if (!operand)
            break;
        if (boot->load.image) {
            complain("boot: one image at a time, please: \"%s\" is a second one", operand);
            return false;
        }
        boot->load.image = operand;
    }
    if (boot->vmx && strcmp(boot->vmx, "help") == 0)
        return true;
    if (boot->vmx && !select_capabilities(boot->vmx, &boot->machine.lacks))
        return false;
    if (boot->machine.races && boot->machine.hypervisor == HYPERVISOR_NONE) {
        complain("boot: --races is about the core beneath the image: give --hv, too");
        return false;
    }
    if (boot->machine.late && boot->machine.hypervisor == HYPERVISOR_NONE) {
        complain("boot: --late needs --hv: it says when the core comes beneath the image");
        return false;
    }
    if (!boot->load.image && !boot->help)
        complain("boot: which image?  (try: sesqui boot --help)");
    return boot->load.image || boot->help;
}

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
    struct boot boot = { .machine = { .memory_size = 512ull << 20, .cpus = 1, .messages = stderr } };
    char error[MACHINE_MESSAGE_MAX];
    int status = EXIT_STATUS_USAGE;

    if (!parse(&boot, argc, argv))
        return EXIT_STATUS_USAGE;
    if (boot.help) {
        puts(usage);
        return 0;
    }
    if (boot.vmx && strcmp(boot.vmx, "help") == 0) {
        list_capabilities();
        return 0;
    }
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
