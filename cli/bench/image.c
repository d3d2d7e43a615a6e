/* SPDX-License-Identifier: MIT */
/*
 * The same counts of an L0 that is guest code: the core's image on the bare machine, beneath a hypervisor that does what KVM does
 * (scenarios/guests/bench/kvm.c). The CPU engine counts instructions; the model tells of entries, exits and VMX instructions.
 */
#include <string.h>

#include "cli/bench/nested.h"
#include "emu/load/load.h"
#include "emu/machine/machine.h"
#include "emu/machine/step.h"
#include "model/insn.h"
#include "model/vmx/vmx.h"

enum { IMAGE_MEMORY = 512 << 20, IMAGE_LIMIT = 100000000, IMAGE_ROUNDS = 8, STEADY_ROUND = 6 };
static const char image[] = "build/sesqui.elf", guest[] = "build/guests/kvm.elf";
const char *const nested_images[2] = { image, guest };

struct watch {
    uint64_t vmcs01;                    /* the one that L0 enters first */
    unsigned level;                     /* that the latest exit came from; 0: none yet */
    unsigned exit, round;               /* L2's latest exit, and how many of its kind came before it */
    uint64_t dirty_vmcs;                /* as in emu/native/passage.c */
    struct native_counts now, at_exit;
    struct native_passages trip[NESTED_EXITS + 1][IMAGE_ROUNDS];
};

/* Exits that the guest makes on purpose. */
static enum nested_exit kind(uint64_t reason)
{
    switch (reason) {
    case EXIT_REASON_cpuid:
        return NESTED_cpuid;
    case EXIT_REASON_vmcall:
        return NESTED_vmcall;
    case EXIT_REASON_wrmsr:
        return NESTED_wrmsr;
    case EXIT_REASON_io_instruction:
        return NESTED_out;
    default:
        return NESTED_EXITS;
    }
}

static void see_exit(struct watch *watch, const struct notice *notice)
{
    watch->level = notice->d == watch->vmcs01 ? 1 : 2;
    watch->now.instruction = notice->cpu->instructions;
    watch->at_exit = watch->now;
    if (watch->level == 1)
        return;
    const enum nested_exit exit = kind(notice->a);
    watch->round = exit == watch->exit ? watch->round + 1 : 0;
    watch->exit = exit;
}

static void see_entry(struct watch *watch, const struct notice *notice)
{
    if (!watch->vmcs01)
        watch->vmcs01 = notice->a;
    *(notice->c ? &watch->now.vmlaunch : &watch->now.vmresume) += 1;
    watch->now.dirty_entry += notice->c || watch->dirty_vmcs == notice->a;
    if (watch->dirty_vmcs == notice->a)
        watch->dirty_vmcs = 0;
    watch->now.instruction = notice->cpu->instructions;
    if (!watch->level || watch->round >= IMAGE_ROUNDS)
        return;
    passage_add(&watch->trip[watch->exit][watch->round], passage_between(watch->level, notice->a == watch->vmcs01 ? 1 : 2),
                &watch->at_exit, &watch->now);
}

static void see_instruction(struct watch *watch, const struct notice *notice)
{
    switch ((enum insn_id)notice->a) {
    case INSN_vmread:
        watch->now.vmread++;
        break;
    case INSN_vmwrite:
        watch->now.vmwrite++;
        if (passage_control_word((enum vmcs_encoding)notice->b) && notice->cpu->vmx.current)
            watch->dirty_vmcs = notice->cpu->vmx.current->pa;
        break;
    case INSN_vmclear:
        watch->now.vmclear++;
        break;
    case INSN_vmptrld:
        watch->now.vmptrld++;
        break;
    case INSN_invept:
        watch->now.invept++;
        break;
    case INSN_invvpid:
        watch->now.invvpid++;
        break;
    default:
        break;
    }
}

static void see(void *context, const struct notice *notice)
{
    switch (notice->kind) {
    case NOTICE_EXIT:
        see_exit(context, notice);
        break;
    case NOTICE_ENTRY:
        see_entry(context, notice);
        break;
    case NOTICE_VMX_INSTRUCTION:
    case NOTICE_INVALIDATE:
        see_instruction(context, notice);
        break;
    default:
        break;
    }
}

static bool run(unsigned strategy, struct watch *watch)
{
    char message[MACHINE_MESSAGE_MAX], arguments[16];
    const struct machine_options options = { .memory_size = IMAGE_MEMORY, .cpus = 1, .limit = IMAGE_LIMIT };
    struct load_request request = { .image = image, .arguments = arguments };
    struct machine_result result = { .message = "" };
    struct machine *machine = machine_open(&options, message, sizeof message);

    snprintf(arguments, sizeof arguments, "hv=%s", strategy_name[strategy]);
    bool good = machine && load_add_module(&request, guest, NULL, message, sizeof message) &&
                load_image(machine_model(machine), &request, message, sizeof message);
    if (good) {
        machine_observe(machine, see, watch);
        machine_run(machine, &result);
        good = result.end == MACHINE_EXITED && result.value == 0;
        snprintf(message, sizeof message, "%s", *result.message ? result.message : "the guest failed");
    }
    if (!good)
        fprintf(stderr, "sesqui bench nested: %s over %s, %s: %s\n", guest, image, strategy_name[strategy], message);
    machine_close(machine);
    return good;
}

static bool steady(const struct watch *watch, unsigned exit)
{
    return watch->trip[exit][STEADY_ROUND].of[PASSAGE_L1_TO_L2].times == 1 &&
           !memcmp(&watch->trip[exit][STEADY_ROUND - 1], &watch->trip[exit][STEADY_ROUND], sizeof watch->trip[exit][STEADY_ROUND]);
}

bool nested_measure_image(struct nested_costs *costs, enum nested_exit only)
{
    static struct watch watch;

    *costs = (struct nested_costs){ .instructions = true, .image = true };
    for (unsigned strategy = 0; strategy < STRATEGIES; strategy++) {
        watch = (struct watch){ .exit = NESTED_EXITS };
        if (!run(strategy, &watch))
            return false;
        for (unsigned exit = 0; exit < NESTED_EXITS; exit++) {
            if (exit == NESTED_ept_violation || exit == NESTED_interrupt || (only != NESTED_EXITS && only != exit))
                continue;
            if (!steady(&watch, exit)) {
                fprintf(stderr, "sesqui bench nested: %s, %s: no steady state in the image\n", strategy_name[strategy],
                        nested_exit_title[exit]);
                return false;
            }
            costs->trip[exit][strategy] = watch.trip[exit][STEADY_ROUND];
            costs->measured[exit] = true;
        }
    }
    return true;
}
