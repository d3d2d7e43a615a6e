/* SPDX-License-Identifier: MIT */
/* The `sesqui` command: picks the command and hands over. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    { "checks", command_checks, "list the VM-entry checks, and why instructions are refused" },
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

static const char *command_name(const void *unused, unsigned index)
{
    (void)unused;
    return commands[index].name;
}

static int unknown(const char *word)
{
    const char *nearest = nearest_name(word, strlen(word), command_name, NULL, COMMANDS);

    if (word[0] == '-')
        return complain("unknown option \"%s\" (try: sesqui --help)", word);
    return nearest ? complain("unknown command \"%s\" (did you mean %s?)", word, nearest)
                   : complain("unknown command \"%s\" (try: sesqui --help)", word);
}

static int run(int argc, char **argv)
{
    static char help_option[] = "--help";

    if (argc < 2)
        return complain("no command given (try: sesqui --help)");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (strcmp(argv[1], "help") == 0 && (argc == 2 || strcmp(argv[2], "help") == 0))) {
        help();
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("sesqui " SESQUI_VERSION " (CPU engine: %s)\n", engine_description());
        return 0;
    }
    const bool wants_help = strcmp(argv[1], "help") == 0;
    char *words[] = { argv[argc > 2 ? 2 : 1], help_option, NULL };
    const char *name = wants_help ? words[0] : argv[1];
    for (unsigned i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return wants_help ? commands[i].run(2, words) : commands[i].run(argc - 1, argv + 1);
    return unknown(name);
}

/* Descriptors that the caller closed would be given to the next file that is opened, a trace, say, which then got what is meant for
 * stderr. They are taken by something that fails to be written or read, as a closed one does. */
static void reserve_standard_streams(void)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (fcntl(i, F_GETFD) < 0 && open("/dev/null", i == STDIN_FILENO ? O_WRONLY : O_RDONLY) != i)
            abort();
}

/* On a full disk, say; who has closed stderr does not want them. */
static bool messages_are_lost(void)
{
    return ferror(stderr) && (fcntl(STDERR_FILENO, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

int main(int argc, char **argv)
{
    reserve_standard_streams();
    signal(SIGXFSZ, SIG_IGN);                   /* a file that may not grow is an error like a full disk */
    int status = run(argc, argv);

    return flush_stdout() && !messages_are_lost() ? status : 2;
}
