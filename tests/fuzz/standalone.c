/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer.
 *
 *   TARGET --seed N --count N     inputs 0 to count - 1 of that seed
 *   TARGET --seed N --only I      input I alone
 *   TARGET FILE...                inputs from files
 *
 * A crash names the seed and the number of the input. Inputs that take too long are a crash, too: processor
 * time is what counts, for the machine may be busy.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { SECONDS_MAX = 30, INPUTS = 1024 };        /* so much for so many */

static uint8_t input[FUZZ_INPUT_MAX];
static unsigned long long seed = 1, current;

static void tell(void)
{
    char text[120];
    int length = snprintf(text, sizeof text, "fuzz: input %llu of seed %llu (see it again: --seed %llu --only %llu)\n", current,
                          seed, seed, current);
    if (write(STDERR_FILENO, text, (size_t)length) != length)
        _exit(1);
}

static void on_signal(int number)
{
    tell();
    signal(number, SIG_DFL);
    raise(number);
}

/* AddressSanitizer calls it before it ends the program. */
void __asan_on_error(void);
void __asan_on_error(void) { tell(); }

static void one(unsigned long long number)
{
    struct fuzz_random random = { .state = seed * 0x9e3779b97f4a7c15 ^ number * 0xd1342543de82ef95 };

    current = number;
    size_t size = fuzz_make(&random, input);
    /* On the heap, of exactly its size: reading beyond it is seen. */
    uint8_t *data = malloc(size ? size : 1);
    if (!data)
        abort();
    memcpy(data, input, size);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        perror(path);
        exit(2);
    }
    size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, size);
}

int main(int argc, char **argv)
{
    unsigned long long count = 1000, first = 0;
    static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGPROF };

    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        signal(fatal[i], on_signal);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            run_file(argv[i]);
            count = 0;
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[++i], NULL, 0);
        } else if (i + 1 < argc && strcmp(argv[i], "--count") == 0) {
            count = strtoull(argv[++i], NULL, 0);
        } else if (i + 1 < argc && strcmp(argv[i], "--only") == 0) {
            first = strtoull(argv[++i], NULL, 0);
            count = 1;
        } else {
            fprintf(stderr, "usage: %s [--seed N] [--count N | --only I] [FILE...]\n", argv[0]);
            return 2;
        }
    }
    for (unsigned long long i = 0; i < count; i++) {
        if (i % INPUTS == 0)
            setitimer(ITIMER_PROF, &(struct itimerval){ .it_value = { .tv_sec = SECONDS_MAX } }, NULL);
        one(first + i);
    }
    printf("%llu inputs of seed %llu\n", count, seed);
    return 0;
}
