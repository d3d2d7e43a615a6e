/* SPDX-License-Identifier: MIT */
/* Speed and memory on this host, as medians of several runs. Figures are printed, never asserted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/bench/bench.h"
#include "cli/options.h"
#include "emu/load/load.h"
#include "emu/machine/machine.h"
#include "emu/scenario/scenario.h"
#include "emu/machine/step.h"
#include "emu/vmcs/snapshot.h"
#include "model/vmx/vmx.h"

enum { RUNS = 5, NESTED_ROUNDS = 100000, ENTRIES = 300000, VMXON_REGION = 0x1000, VMCS_REGION = 0x2000 };

/* What one run of something took. */
struct sample {
    double seconds;                 /* CPU time of this process */
    uint64_t work;                  /* instructions, exits or rounds */
};

static double cpu_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_rate(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    double rate_x = (double)x->work / x->seconds, rate_y = (double)y->work / y->seconds;
    return rate_x < rate_y ? -1 : rate_x > rate_y;
}

static void count_exit(void *context, const struct notice *notice)
{
    if (notice->kind == NOTICE_EXIT)
        ++*(uint64_t *)context;
}

/* Boots one image to its end. */
static bool boot_once(const char *image, uint64_t *exits, struct sample *sample, uint64_t *instructions)
{
    char message[MACHINE_MESSAGE_MAX];
    struct machine_options options = { .memory_size = 512ull << 20, .cpus = 1 };
    struct machine *machine = machine_open(&options, message, sizeof message);
    struct load_request request = { .image = image };
    struct machine_result result = { .message = "" };
    bool ok = machine && load_image(machine_model(machine), &request, message, sizeof message);
    if (ok) {
        if (exits)
            machine_observe(machine, count_exit, exits);
        double start = cpu_time();
        machine_run(machine, &result);
        sample->seconds = cpu_time() - start;
        *instructions = machine_cpu(machine, 0)->instructions;
        ok = result.end == MACHINE_EXITED && result.value == 0;
        memcpy(message, result.message, sizeof message);
    }
    if (!ok)
        fprintf(stderr, "sesqui bench: %s\n", message);
    if (machine)
        machine_close(machine);
    return ok;
}

/* One scenario that is nothing but nested round trips; the time of its preparation is measured apart and taken off. */
static bool nested_once(unsigned rounds, double *seconds)
{
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "l0 native trap\nl1 prepare vmx\nl1 prepare region 0x10000\nl1 vmxon 0x10000\n"
                          "l1 prepare region 0x11000\nl1 vmclear 0x11000\nl1 vmptrld 0x11000\nl1 prepare vmcs\n"
                          "l1 vmlaunch\nl2 cpuid 0\nexpect exit cpuid to=l1\n"
                          "repeat %u\nl1 vmresume\nl2 cpuid 0\nexpect exit cpuid to=l1\nend\n", rounds);
    struct program program;
    struct scenario_error error;
    struct scenario_options options = { .trace = NULL };
    if (!scenario_parse_text(text, (size_t)length, "bench", &program, &error)) {
        fprintf(stderr, "sesqui bench: %s\n", error.text);
        return false;
    }
    double start = cpu_time();
    bool ok = scenario_run(&program, &options, stderr, &error);
    *seconds = cpu_time() - start;
    if (!ok)
        fprintf(stderr, "sesqui bench: %s\n", error.text);
    scenario_free(&program);
    return ok;
}

static struct sample median(struct sample *samples)
{
    qsort(samples, RUNS, sizeof *samples, by_rate);
    return samples[RUNS / 2];
}

static bool bench_mips(const char *name, const char *image)
{
    struct sample samples[RUNS];
    for (int i = 0; i < RUNS; i++)
        if (!boot_once(image, NULL, &samples[i], &samples[i].work))
            return false;
    struct sample m = median(samples);
    printf("  %-44s %10.0f MIPS       (%.1f M instructions, median of %d)\n", name, (double)m.work / m.seconds / 1e6,
           (double)m.work / 1e6, RUNS);
    return true;
}

static bool bench_round_trip(const char *image)
{
    struct sample samples[RUNS];
    uint64_t instructions;
    for (int i = 0; i < RUNS; i++) {
        samples[i].work = 0;
        if (!boot_once(image, &samples[i].work, &samples[i], &instructions))
            return false;
    }
    struct sample m = median(samples);
    printf("  %-44s %10.2f us         (%llu round trips, all checks, median of %d)\n", "VM exit + entry, guest code both sides",
           m.seconds / (double)m.work * 1e6, (unsigned long long)m.work, RUNS);
    return true;
}

static bool bench_nested(void)
{
    struct sample samples[RUNS];
    for (int i = 0; i < RUNS; i++) {
        double few, many;
        if (!nested_once(1, &few) || !nested_once(NESTED_ROUNDS, &many))
            return false;
        samples[i] = (struct sample){ many - few, NESTED_ROUNDS - 1 };
    }
    struct sample m = median(samples);
    printf("  %-44s %10.0f a second   (L2 exit > L0 > L1 > L0 > L2, script, trap; median of %d)\n", "nested round trips",
           (double)m.work / m.seconds, RUNS);
    return true;
}

/* A processor in VMX operation with a VMCS that has been entered once; false if anything on the way there fails. */
static bool prepare_entry(struct model *model)
{
    static struct snapshot snapshot;
    struct cpu *cpu = &model->cpu[0];
    vmx_result result;

    cpu->cr0 = model->capability.cr0_fixed0;
    cpu->cr4 = model->capability.cr4_fixed0 | CR4_PAE;
    CPU_MSR(cpu, ia32_efer) = EFER_LME | EFER_LMA;
    CPU_MSR(cpu, ia32_feature_control) = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;
    memory_write32(&model->memory, VMXON_REGION, VMCS_REVISION);
    memory_write32(&model->memory, VMCS_REGION, VMCS_REVISION);
    if (vmx_vmxon(cpu, VMXON_REGION) || vmx_vmclear(cpu, VMCS_REGION) || vmx_vmptrld(cpu, VMCS_REGION))
        return false;
    snapshot = (struct snapshot){ .capability = model->capability, .ia32e = true };
    snapshot_assume(&snapshot);
    memcpy(cpu->vmx.current->field, snapshot.vmcs.field, sizeof snapshot.vmcs.field);
    struct cpu host = *cpu;
    bool entered = vmx_enter(cpu, true, &result) == STATUS_VM_ENTRY;
    *cpu = host;
    return entered;
}

/* What an entry finds changed since the one before. */
enum changes { CHANGES_NONE, CHANGES_OF_AN_EXIT, CHANGES_ALL };

static void change(struct vmcs *v, enum changes changes)
{
    if (changes == CHANGES_OF_AN_EXIT) {
        VMCS(v, guest_rip) ^= 8;
        VMCS(v, guest_rsp) ^= 8;
        VMCS(v, guest_rflags) ^= RFLAGS_ZF;
        VMCS(v, exit_reason) ^= 1;
    } else if (changes == CHANGES_ALL) {
        v->judged = 0;
    }
}

/* VMRESUME as the model does it; the processor is put back by copying it. Nobody watches. */
static bool entries_once(struct sample *sample, enum changes changes)
{
    char message[MACHINE_MESSAGE_MAX];
    struct machine_options options = { .memory_size = 64ull << 20, .cpus = 1 };
    struct machine *machine = machine_open(&options, message, sizeof message);
    struct model *model = machine ? machine_model(machine) : NULL;
    bool ok = model;

    if (model) {
        model->observer.notify = NULL;
        ok = prepare_entry(model);
    }
    if (ok) {
        struct cpu *cpu = &model->cpu[0], host = *cpu;
        vmx_result result;
        double start = cpu_time();

        for (unsigned i = 0; i < ENTRIES && ok; i++) {
            change(cpu->vmx.current, changes);
            ok = vmx_enter(cpu, false, &result) == STATUS_VM_ENTRY;
            *cpu = host;
        }
        *sample = (struct sample){ cpu_time() - start, ENTRIES };
    }
    if (!ok)
        fprintf(stderr, "sesqui bench: VM entry: %s\n", machine ? "failed" : message);
    machine_close(machine);
    return ok;
}

/* The model alone. Rows whose fields are as they were when they passed are not evaluated again (model/vmx/check_parts.h). */
static bool bench_entry(void)
{
    static const struct { enum changes changes; const char *text, *note; } row[] = {
        { CHANGES_NONE, "VM entry, nothing changed since the last", "model alone; the same VMCS again" },
        { CHANGES_OF_AN_EXIT, "VM entry after an exit", "RIP, RSP, RFLAGS and the exit reason changed" },
        { CHANGES_ALL, "VM entry, all checks evaluated", "as the first one of a VMCS" },
    };

    for (unsigned i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct sample samples[RUNS];
        for (int j = 0; j < RUNS; j++)
            if (!entries_once(&samples[j], row[i].changes))
                return false;
        struct sample m = median(samples);
        printf("  %-44s %10.0f ns         (%s; %d entries, median of %d)\n", row[i].text, m.seconds / (double)m.work * 1e9,
               row[i].note, ENTRIES, RUNS);
    }
    return true;
}

/* Peak resident memory of a child that boots the guest hypervisor on 512 MB. */
static bool bench_memory(const char *image)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct sample sample;
        uint64_t instructions;
        _exit(!boot_once(image, NULL, &sample, &instructions));
    }
    int status;
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0)
        return false;
    printf("  %-44s %10ld MB         (peak resident, 512 MB machine running turnstile)\n", "memory", usage.ru_maxrss >> 10);
    return true;
}

/* Nothing is measured where an image is missing. False after a complaint. */
static bool readable(const char *image)
{
    bool good = access(image, R_OK) == 0;

    if (!good)
        complain("bench: %s: %s (`make` builds the guest images into build/guests)", image, strerror(errno));
    return good;
}

int bench_speed(const char *guests)
{
    char loop[4096], stores[4096], round_trip[4096], turnstile[4096];
    snprintf(loop, sizeof loop, "%s/loop.elf", guests);
    snprintf(stores, sizeof stores, "%s/stores.elf", guests);
    snprintf(round_trip, sizeof round_trip, "%s/roundtrip.elf", guests);
    snprintf(turnstile, sizeof turnstile, "%s/turnstile.elf", guests);
    if (!readable(loop) || !readable(stores) || !readable(round_trip) || !readable(turnstile))
        return 2;
    puts("sesqui bench (CPU time; deterministic virtual time on, trace off)");
    bool ok = bench_memory(turnstile);
    ok = bench_mips("plain loop", loop) && ok;
    ok = bench_mips("store-heavy loop", stores) && ok;
    ok = bench_entry() && ok;
    ok = bench_round_trip(round_trip) && ok;
    ok = bench_nested() && ok;
    return ok ? 0 : 1;
}
