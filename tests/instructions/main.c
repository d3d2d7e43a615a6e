/* SPDX-License-Identifier: MIT */
/* Random instructions on the host and on the engine: what differs, by row of rows.def. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/x86.h"
#include "tests/instructions/instructions.h"

enum { CHUNK = 4096, SHOWN_OF_A_ROW = 3 };

static unsigned long long option(int argc, char **argv, const char *name, unsigned long long otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (!strcmp(argv[i], name))
            return strtoull(argv[i + 1], NULL, 0);
    return otherwise;
}

/* The first thing that differs, or NULL. */
static const char *compare(const struct trial *t, const struct outcome *host, const struct outcome *ours, char *text, size_t size)
{
    const uint64_t flags = (RFLAGS_ARITHMETIC | RFLAGS_DF) & ~t->undefined_flags;
    uint32_t undefined = t->undefined_registers & 0xffff;

    if (host->ended != ours->ended) {
        snprintf(text, size, "ended by %#x, on the host %#x", ours->ended, host->ended);
        return text;
    }
    if (host->ended != ENDED_WELL)
        return NULL;                            /* a fault: what it left is compared with Bochs (docs/processor.md) */
    /* BSF and BSR of 0: the destination is undefined. */
    if (t->undefined_registers >> 31 && !(host->out.flags & ours->out.flags & RFLAGS_ZF))
        undefined = 0;
    for (unsigned i = 0; i < 16; i++)
        if (host->out.gpr[i] != ours->out.gpr[i] && !(undefined >> i & 1)) {
            snprintf(text, size, "register %u is %#llx, on the host %#llx", i, (unsigned long long)ours->out.gpr[i], (unsigned long long)host->out.gpr[i]);
            return text;
        }
    if ((host->out.flags ^ ours->out.flags) & flags) {
        snprintf(text, size, "flags are %#llx, on the host %#llx", (unsigned long long)ours->out.flags, (unsigned long long)host->out.flags);
        return text;
    }
    for (unsigned i = 0; i < 16; i++)
        if (memcmp(host->out.xmm[i], ours->out.xmm[i], 16)) {
            snprintf(text, size, "xmm%u is %016llx%016llx, on the host %016llx%016llx", i, (unsigned long long)ours->out.xmm[i][1],
                     (unsigned long long)ours->out.xmm[i][0], (unsigned long long)host->out.xmm[i][1], (unsigned long long)host->out.xmm[i][0]);
            return text;
        }
    if (memcmp(host->data, ours->data, DATA_SIZE) || memcmp(host->stack, ours->stack, STACK_SIZE))
        return "memory differs";
    if (host->out.mxcsr != ours->out.mxcsr) {
        snprintf(text, size, "mxcsr is %#llx, on the host %#llx", (unsigned long long)ours->out.mxcsr & 0xffffffff, (unsigned long long)host->out.mxcsr & 0xffffffff);
        return text;
    }
    return NULL;
}

static void show(const struct trial *t, unsigned long long index, const char *difference)
{
    char name[64];

    printf("DIFFERENT %llu %s:", index, row_name(t->row, name, sizeof name));
    for (unsigned i = 0; i < t->length; i++)
        printf(" %02x", t->code[i]);
    printf(": mxcsr=%04llx %s", (unsigned long long)t->in.mxcsr, difference);
    printf("\n");
}

int main(int argc, char **argv)
{
    unsigned long long seed = option(argc, argv, "--seed", 1), first = option(argc, argv, "--first", 0), count = option(argc, argv, "--count", 20000);
    unsigned long long different = 0, faults = 0, limit = option(argc, argv, "--show", SHOWN_OF_A_ROW);
    unsigned *shown = calloc(row_count(), sizeof *shown);
    struct trial *trials = calloc(CHUNK, sizeof *trials);
    struct outcome *host = mmap(NULL, CHUNK * sizeof *host, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (argc > 1 && !strcmp(argv[1], "--help")) {
        puts("instructions [--seed S] [--first I] [--count N]\n\n"
             "User-level instructions on the host's processor and on the CPU engine (docs/processor.md). Exit status 1: some differ.");
        return 0;
    }
    engine_side_open();
    for (unsigned long long at = 0; at < count; at += CHUNK) {
        unsigned n = (unsigned)(count - at < CHUNK ? count - at : CHUNK), done = 0;
        for (unsigned i = 0; i < n; i++)
            trial_generate(&trials[i], seed, first + at + i);
        if (!host_run(trials, host, n, &done)) {
            printf("the child on the host ended at instruction %llu\n", first + at + done);
            return 2;
        }
        for (unsigned i = 0; i < n; i++) {
            struct outcome ours;
            char text[200];
            const char *difference;
            engine_side_run(&trials[i], &ours);
            difference = compare(&trials[i], &host[i], &ours, text, sizeof text);
            faults += host[i].ended != ENDED_WELL;
            if (!difference)
                continue;
            different++;
            if (shown[trials[i].row]++ < limit)
                show(&trials[i], first + at + i, difference);
        }
    }
    printf("%llu instructions of %u opcodes, %llu of them faulted; %llu different\n", count, row_count(), faults, different);
    return different != 0;
}
