/* SPDX-License-Identifier: MIT */
/*
 * Runs random programs on the bare machine and over the core with each strategy.
 *
 *   equivalence [--seed N] [--programs N] [--first N] [--jobs N] [--out DIR] [--progress]
 *
 * A difference is printed with its program's number, minimised, and written as a scenario to DIR. Exit status: 0 no
 * difference, 1 differences, 2 wrong usage.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch/vmx.h"
#include "model/vmx/vmx.h"
#include "tests/equivalence/equivalence.h"

enum { JOBS_MAX = 64, FOUND_MAX = 5 };

static struct {
    uint64_t seed, programs, first;
    unsigned jobs;
    const char *out;
    bool progress;
} options = { .seed = 1, .programs = 1000, .jobs = 1, .out = "build/equivalence" };

/* Of one job, in memory that all share. */
struct job {
    struct statistics statistics;
    uint64_t at;                        /* the program that it is at, for crashes */
    unsigned found;
    pid_t pid;
};
static struct job *jobs;
static struct job *this_job;

/* ---- one program ---- */

static void report(struct story *story, struct difference *difference, uint64_t number)
{
    char path[400], origin[80];
    FILE *file;

    printf("program %" PRIu64 " of seed %" PRIu64 ": ", number, options.seed);
    difference_print(difference, &story->program, stdout);
    fflush(stdout);
    minimize(story, difference);
    snprintf(path, sizeof path, "%s/equivalence-%" PRIu64 "-%" PRIu64 ".scn", options.out, options.seed, number);
    snprintf(origin, sizeof origin, "program %" PRIu64 " of seed %" PRIu64, number, options.seed);
    file = fopen(path, "w");
    if (!file) {
        fprintf(stderr, "equivalence: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    scenario_write(story, difference, origin, file);
    fclose(file);
    printf("  minimised to %u lines: %s\n  ", story->program.count - FIRST_LINE, path);
    difference_print(difference, &story->program, stdout);
    fflush(stdout);
}

static void one(uint64_t number, struct job *job)
{
    static struct story story;
    struct difference difference = { .lane = LANE_ABSENT };
    struct lane reference;

    job->at = number;
    lane_open(&reference, LANE_ABSENT, profile_of(number));
    generate(&reference, options.seed, number, &story, &job->statistics);
    for (enum lane_id lane = LANE_TRAP; lane < LANES && difference.lane == LANE_ABSENT; lane++)
        difference = compare(&story, &reference, lane);
    lane_close(&reference);
    if (difference.lane != LANE_ABSENT) {
        job->found++;
        report(&story, &difference, number);
    }
}

/* ---- jobs: job j of n takes every n-th program, so that the numbers decide and not the order ---- */

static void on_signal(int number)
{
    char text[120];
    int length = snprintf(text, sizeof text, "equivalence: crash in program %" PRIu64 " of seed %" PRIu64 "\n", this_job->at,
                          options.seed);
    if (write(STDERR_FILENO, text, (size_t)length) != length)
        _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

static void work(unsigned number)
{
    static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };

    this_job = &jobs[number];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (unsigned i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        signal(fatal[i], on_signal);
    for (uint64_t i = number; i < options.programs && this_job->found < FOUND_MAX; i += options.jobs)
        one(options.first + i, this_job);
}

static uint64_t done(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < options.jobs; i++)
        sum += jobs[i].statistics.programs;
    return sum;
}

/* Waits for all; true if every one ended well. */
static bool wait_for_jobs(void)
{
    unsigned left = options.jobs, ticks = 0;
    bool good = true;

    while (left) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            left--;
            good &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
            continue;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
        if (options.progress && ++ticks % 20 == 0)
            fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " programs", done(), options.programs);
    }
    if (options.progress)
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " programs\n", done(), options.programs);
    return good;
}

static void print_statistics(void)
{
    struct statistics sum = { 0 };
    uint64_t *to = (uint64_t *)&sum;
    unsigned reasons = 0;

    for (unsigned i = 0; i < options.jobs; i++)
        for (unsigned j = 0; j < sizeof sum / sizeof *to; j++)
            to[j] += ((const uint64_t *)&jobs[i].statistics)[j];
    if (!sum.programs)
        return;
    for (unsigned i = 0; i < sizeof sum.exits / sizeof sum.exits[0]; i++)
        reasons += sum.exits[i] != 0;
    printf("%" PRIu64 " programs, %" PRIu64 " lines; %.1f %% reached L2, %.1f round trips on average, %" PRIu64
           " failed entries, %" PRIu64 " VMfails, %" PRIu64 " events, %" PRIu64 " shutdowns\n",
           sum.programs, sum.lines, 100.0 * (double)sum.reached_l2 / (double)sum.programs,
           (double)sum.round_trips / (double)sum.programs, sum.failed_entries, sum.vmfails, sum.faults, sum.shutdowns);
    printf("%u exit reasons:", reasons);
    for (unsigned i = 0; i < sizeof sum.exits / sizeof sum.exits[0]; i++)
        if (sum.exits[i])
            printf(" %s %" PRIu64, exit_reason_name(i) ? exit_reason_name(i) : "?", sum.exits[i]);
    printf("\n");
}

static int run(void)
{
    unsigned found = 0;
    bool good;

    jobs = mmap(NULL, options.jobs * sizeof *jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (jobs == MAP_FAILED)
        return 2;
    fflush(stdout);
    for (unsigned i = 0; i < options.jobs; i++) {
        jobs[i].pid = fork();
        if (!jobs[i].pid) {
            work(i);
            fflush(stdout);
            _exit(0);
        }
        if (jobs[i].pid < 0) {
            perror("equivalence: fork");
            return 2;
        }
    }
    good = wait_for_jobs();
    for (unsigned i = 0; i < options.jobs; i++)
        found += jobs[i].found;
    print_statistics();
    printf("%u differences\n", found);
    return good && !found ? 0 : 1;
}

static bool number(const char *text, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 0);
    return *text && !*end && !errno;
}

int main(int argc, char **argv)
{
    uint64_t n = 1;

    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--progress")) {
            options.progress = true;
            continue;
        }
        bool good = !strcmp(argv[i], "--seed") ? number(next, &options.seed)
                  : !strcmp(argv[i], "--programs") ? number(next, &options.programs)
                  : !strcmp(argv[i], "--first") ? number(next, &options.first)
                  : !strcmp(argv[i], "--jobs") ? number(next, &n) && n >= 1 && n <= JOBS_MAX
                  : !strcmp(argv[i], "--out") ? *(options.out = next) : false;
        if (!good) {
            fprintf(stderr, "usage: equivalence [--seed N] [--programs N] [--first N] [--jobs 1-64] [--out DIR] [--progress]\n");
            return 2;
        }
        i++;
    }
    options.jobs = (unsigned)n;
    mkdir(options.out, 0777);                   /* may be there */
    if (access(options.out, W_OK)) {
        fprintf(stderr, "equivalence: no differences can be written to %s: %s\n", options.out, strerror(errno));
        return 2;
    }
    return run();
}
