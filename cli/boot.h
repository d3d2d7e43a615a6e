/* SPDX-License-Identifier: MIT */
/* What `sesqui boot` was asked for. */
#ifndef SESQUI_CLI_BOOT_H
#define SESQUI_CLI_BOOT_H

#include "emu/load/load.h"
#include "emu/machine/machine.h"

struct boot {
    struct machine_options machine;
    struct load_request load;
    const char *vmx;                /* --vmx */
    const char *disk[MACHINE_DISKS_MAX];    /* FILE[,MODE] of each */
    unsigned disks;
    const char *trace, *console, *dump, *serial2, *input, *virtio_console, *net, *stats; /* paths */
    FILE *stats_file;               /* --stats=FILE */
    uint64_t cpus, trace_limit;
    bool no_console, count, hash, help, symbols; /* symbols: in the trace, too */
};

/* Fills `boot` from a command line. False after a complaint. */
bool boot_parse(struct boot *boot, int argc, char **argv);
/* Was nothing asked for but words?  Then they are printed. */
bool boot_help(const struct boot *boot);

#endif
