/* SPDX-License-Identifier: MIT */
/* The `sesqui` command: picks the command and hands over. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"
#include "emu/cpu.h"

#define SESQUI_VERSION "0.1"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    { "run", command_run, "run scenarios: scripted levels against the hypervisor core" },
    { "boot", command_boot, "boot an image, on the bare machine or on top of the hypervisor core" },
    { "bench", command_bench, "measure speed and memory on this host" },
    { "checks", command_checks, "list the VM-entry checks with their SDM sections" },
    { "check-vmcs", command_check_vmcs, "name the VM-entry checks that a VMCS dump fails" },
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void help(void)
{
    puts("usage: sesqui COMMAND [ARGUMENTS]\n\nA hypervisor core, and the machine to run it on without VT-x.\n");
    for (unsigned i = 0; i < COMMANDS; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    puts("\n  sesqui COMMAND --help    what a command takes\n  sesqui --version         versions of the program and its CPU engine");
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return complain("no command given (try: sesqui --help)");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help();
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sesqui " SESQUI_VERSION " (CPU engine: %s)\n", engine_description());
        return 0;
    }
    for (unsigned i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return complain("unknown %s \"%s\" (try: sesqui --help)", argv[1][0] == '-' ? "option" : "command", argv[1]);
}
