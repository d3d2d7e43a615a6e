/* SPDX-License-Identifier: MIT */
/* The commands of `sesqui`. Each gets its own arguments, argv[0] being its name, and returns the process exit status. */
#ifndef SESQUI_CLI_COMMAND_H
#define SESQUI_CLI_COMMAND_H

int command_run(int argc, char **argv);
int command_boot(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_checks(int argc, char **argv);
int command_check_vmcs(int argc, char **argv);

#endif
