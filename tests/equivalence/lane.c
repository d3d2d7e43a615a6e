/* SPDX-License-Identifier: MIT */
/* One machine, and what L1 and L2 see of it after each line. */
#include "tests/equivalence/equivalence.h"

#include <stdlib.h>
#include <string.h>

#include "emu/machine/parts.h"
#include "model/cpu/execute.h"

const char *const lane_name[LANES] = { "absent", "trap", "copy", "flip" };

const char *seen_name(unsigned item)
{
    static const char *const names[SEEN_COUNT] = {
#define SEEN(name, expression) #name,
#include "tests/equivalence/seen.def"
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip",
        "rflags",
#define STATE(name, expression) #name,
#include "emu/scenario/state.def"
    };

    return item < SEEN_COUNT ? names[item] : "memory";
}

static struct statement machine_line(enum profile_number profile)
{
    return (struct statement){ .op = OP_machine, .given = 1 | 1 << 1 | 1 << 4, .operand = { MEMORY_SIZE, 2, 0, 0, profile } };
}

/* Found out once for each profile. */
static const struct vmx_capability *offered(enum profile_number profile)
{
    static struct { bool known; struct vmx_capability capability; } found[PROFILE_icelake + 1];
    struct statement machine = machine_line(profile);
    struct program program = { .statement = &machine, .count = 1 };
    struct scenario_error error = { "" };

    if (!found[profile].known && !scenario_offered(&program, &found[profile].capability, &error)) {
        fprintf(stderr, "equivalence: %s\n", error.text);
        exit(2);
    }
    found[profile].known = true;
    return &found[profile].capability;
}

void lane_open(struct lane *lane, enum lane_id id, enum profile_number profile)
{
    static char file[] = "program", *files[] = { file };
    struct scenario_options options = { .offered = offered(profile) };

    *lane = (struct lane){ .id = id, .profile = profile };
    lane->head[0] = machine_line(profile);
    lane->head[1] = (struct statement){ .op = id == LANE_ABSENT ? OP_absent : OP_native };
    if (id != LANE_ABSENT) {
        lane->head[1].given = 1;
        lane->head[1].operand[0] = id - LANE_TRAP;
    }
    lane->program = (struct program){ .statement = lane->head, .count = FIRST_LINE, .file = files, .file_count = 1 };
    if (!run_open(&lane->run, &lane->program, &options, &lane->error)) {
        fprintf(stderr, "equivalence: %s\n", lane->error.text);
        exit(2);
    }
}

void lane_close(struct lane *lane)
{
    run_close(&lane->run);
}

static bool may_run(const struct lane *lane, const struct statement *statement)
{
    const struct cpu *cpu = lane->run.cpu;

    if (lane->over)
        return false;
    return op_table[statement->op].who == WHO_MACHINE ||
           (statement->actor == machine_level(lane->run.machine, cpu) && cpu->activity == ACTIVITY_ACTIVE);
}

static void look(struct lane *l, bool done, struct record *record)
{
    const struct outcome *o = &l->run.outcome;
    struct cpu *c = l->run.cpu;
    uint64_t *item = record->item;

#define SEEN(name, expression) *item++ = (uint64_t)(expression);
#include "tests/equivalence/seen.def"
    if (l->over) {
        memset(item, 0, (size_t)(record->item + SEEN_COUNT - item) * sizeof *item);
        return;
    }
    for (unsigned i = 0; i <= REGISTER_RFLAGS; i++)
        *item++ = register_read(c, i);
#define STATE(name, expression) *item++ = (uint64_t)(expression);
#include "emu/scenario/state.def"
    if (l->id != LANE_ABSENT && record->item[SEEN_level] == 1) {    /* L0 keeps bits of these two from L1 */
        record->item[SEEN_CR0] = cr0_visible(c);
        record->item[SEEN_CR4] = cr4_visible(c);
    }
}

/* VMX aborts and triple faults: the bare machine stops, over the core L1's activity state is shutdown. */
static bool shut_down(const struct lane *lane)
{
    return lane->run.outcome.unusual & UNUSUAL_SHUTDOWN ||
           (lane->id != LANE_ABSENT && lane->run.cpu->activity == ACTIVITY_SHUTDOWN &&
            machine_level(lane->run.machine, lane->run.cpu) == 1);
}

void lane_line(struct lane *lane, const struct statement *statement, struct record *record)
{
    const bool done = may_run(lane, statement);

    record->clock = lane->run.cpu->clock;
    lane->run.outcome.unusual = 0;
    if (done) {
        lane->over = !run_line(&lane->run, statement);
        /* INIT and SIPI outside VMX operation, which the core does for L1; and what was blocked until then. */
        if (lane->id == LANE_ABSENT && !lane->over && startup_signals(lane->run.machine, lane->run.cpu))
            lane->over = !run_boundary(&lane->run);
        if (!lane->over && shut_down(lane)) {
            lane->run.outcome.unusual |= UNUSUAL_SHUTDOWN;
            lane->over = true;
        }
    }
    look(lane, done, record);
}

void lane_follow(struct lane *lane, const struct statement *statement, const struct record *reference, struct record *record)
{
    if (!lane->over)
        lane->run.cpu->clock = reference->clock;
    if (reference->item[SEEN_executed])
        lane_line(lane, statement, record);
    else
        look(lane, false, record);
}
