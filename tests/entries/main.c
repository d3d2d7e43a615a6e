/* SPDX-License-Identifier: MIT */
/*
 * Random programs of system instructions over the native core: L0 enters its guest with every state.
 *
 *   entries [--seed N] [--states N] [--first PROGRAM] [--list]
 *
 * The programs run with the strategies in turn. A refused entry, or anything else that stops L0, is printed with the program's number;
 * --first with that number and --states 1 runs it alone, --list prints its instructions. Exit status: 0 all entered, 1 not, 2 usage.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/entries/entries.h"

static const char *const strategies[] = { [HYPERVISOR_TRAP] = "trap", [HYPERVISOR_COPY] = "copy", [HYPERVISOR_FLIP] = "flip" };

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = text ? strtoull(text, &end, 0) : 0;
    if (!text || end == text || *end || errno) {
        fprintf(stderr, "usage: entries [--seed N] [--states N] [--first PROGRAM] [--list]\n");
        exit(2);
    }
    return value;
}

static void print(const struct tally *tally)
{
    static const char *const names[] = {
#define X(name) #name,
        KINDS(X)
#undef X
    };

    printf("%" PRIu64 " states entered, %" PRIu64 " programs, %" PRIu64 " of them ended by what the CPU engine does not execute\n", tally->states,
           tally->programs, tally->refused_by_engine);
    for (unsigned k = 0; k < KIND_COUNT; k++)
        printf("%12" PRIu64 "  %s\n", tally->kind[k], names[k]);
}

int main(int argc, char **argv)
{
    uint64_t seed = 1, states = 100000, first = 0, program;
    struct world world[HYPERVISOR_FLIP + 1] = { { 0 } };
    struct tally tally = { 0 };
    bool lists = false, entered = true;
    char *text = NULL;
    size_t size;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--list"))
            lists = true;
        else if (!strcmp(argv[i], "--seed"))
            seed = number(argv[++i]);
        else if (!strcmp(argv[i], "--states"))
            states = number(argv[++i]);
        else if (!strcmp(argv[i], "--first"))
            first = number(argv[++i]);
        else
            number(NULL);
    }
    for (enum hypervisor h = HYPERVISOR_TRAP; h <= HYPERVISOR_FLIP; h++) {
        world[h].listing = lists ? stdout : NULL;
        world[h].messages = open_memstream(&text, &size);
        world_open(&world[h], h);
    }
    for (program = first; entered && tally.states < states; program++) {
        struct world *w = &world[HYPERVISOR_TRAP + program % 3];
        rewind(w->messages);
        entered = program_run(w, seed, program, &tally);
        if (!entered) {
            fputc('\0', w->messages);
            fflush(w->messages);
            printf("program %" PRIu64 " of seed %" PRIu64 ", strategy %s: %s\n%s", program, seed, strategies[w->strategy],
                   w->machine->result.message, text ? text : "");
        }
    }
    for (enum hypervisor h = HYPERVISOR_TRAP; h <= HYPERVISOR_FLIP; h++) {
        world_close(&world[h]);
        fclose(world[h].messages);
    }
    print(&tally);
    return !entered;
}
