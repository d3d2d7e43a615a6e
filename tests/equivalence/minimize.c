/* SPDX-License-Identifier: MIT */
/* A program that shows a difference, made small, and written as a scenario. */
#include "tests/equivalence/equivalence.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/vmx/vmx.h"

/* ---- smaller ---- */

static struct program copy_without(const struct program *from, unsigned first, unsigned count)
{
    struct program copy = { .count = from->count - count, .capacity = from->count };

    copy.statement = malloc(from->count * sizeof *copy.statement);
    if (!copy.statement)
        exit(2);
    memcpy(copy.statement, from->statement, first * sizeof *copy.statement);
    memcpy(copy.statement + first, from->statement + first + count, (from->count - first - count) * sizeof *copy.statement);
    return copy;
}

/* True: it still differs, and the story is the smaller one now. */
static bool try_without(struct story *story, struct difference *difference, unsigned first, unsigned count)
{
    struct program smaller = copy_without(&story->program, first, count);
    struct story attempt = { .record = NULL };
    struct difference now = replay(&smaller, story->profile, difference->lane, &attempt);
    bool same = now.lane == difference->lane && now.item == difference->item && !now.stopped[0] == !difference->stopped[0] &&
                attempt.record[(now.line < attempt.program.count ? now.line : FIRST_LINE) - FIRST_LINE].item[SEEN_executed];

    free(smaller.statement);
    if (!same) {
        story_free(&attempt);
        return false;
    }
    if (now.line + 1 < attempt.program.count)
        attempt.program.count = now.line + 1;
    story_free(story);
    *story = attempt;
    *difference = now;
    return true;
}

void minimize(struct story *story, struct difference *difference)
{
    bool progress = true;

    if (difference->line + 1 < story->program.count)
        story->program.count = difference->line + 1;
    for (unsigned pass = 0; progress && pass < 4; pass++) {
        progress = false;
        for (unsigned size = story->program.count / 2; size; size /= 2)
            for (unsigned i = story->program.count; i > FIRST_LINE + size - 1; i = i > size ? i - size : 0) {
                if (i > story->program.count)
                    i = story->program.count;
                if (i < FIRST_LINE + size)
                    break;
                progress |= try_without(story, difference, i - size, size);
            }
    }
}

/* ---- as a scenario ---- */

/* `exit_reason`: of the processor's own exit, which is not the one that L1 sees if L0 found out something itself. */
static void expect_outcome(const struct record *r, uint32_t exit_reason, FILE *to)
{
    const uint64_t event = r->item[SEEN_event], code = r->item[SEEN_event_error];
    const char *reason = exit_reason_name(exit_reason & 0xffff);

    if (r->item[SEEN_fail])
        fprintf(to, "expect fail %s\n", r->item[SEEN_fail] == 2 ? "invalid" : "valid");
    else if (r->item[SEEN_left])
        fprintf(to, "expect exit %s\n", reason ? reason : "0xffff");
    else if (r->item[SEEN_entry_failed])
        fprintf(to, "expect entry failed\n");
    if (event && code)
        fprintf(to, "expect event 0x%" PRIx64 " 0x%" PRIx64 "\n", (event - 1) & 0xff, code - 1);
    else if (event)
        fprintf(to, "expect event 0x%" PRIx64 "\n", (event - 1) & 0xff);
}

static bool gives_value(const struct statement *s)
{
    return s->op == OP_vmread || s->op == OP_vmptrst || s->op == OP_read || s->op == OP_cpuid || s->op == OP_mov_from_cr ||
           s->op == OP_mov_from_dr || s->op == OP_smsw || s->op == OP_in ||
           (s->op == OP_rdmsr && s->operand[0] != MSR_ia32_time_stamp_counter);
}

/* What differs, said of the reference. */
static void expect_item(const struct difference *d, FILE *to)
{
    if (d->item == SEEN_shutdown)
        fprintf(to, "expect state activity %d\n", d->wanted ? ACTIVITY_SHUTDOWN : ACTIVITY_ACTIVE);
    else if (d->item == SEEN_level)
        fprintf(to, "expect level l%" PRIu64 "\n", d->wanted);
    else if (d->item >= SEEN_STATES && d->item < SEEN_COUNT)
        fprintf(to, "expect state %s 0x%" PRIx64 "\n", seen_name(d->item), d->wanted);
    else if (d->item >= SEEN_REGISTERS && d->item < SEEN_STATES)
        fprintf(to, "expect register %s 0x%" PRIx64 "\n", seen_name(d->item), d->wanted);
}

void scenario_write(const struct story *story, const struct difference *difference, const char *origin, FILE *to)
{
    const char *unused;
    struct record record, follower;
    struct lane lane, core;
    char text[200];

    fprintf(to, "# Found by tests/equivalence: %s\n# ", origin);
    difference_print(difference, &story->program, to);
    fprintf(to, "# What is expected is what the bare machine does (`l0 absent`).\nmachine memory=32M profile=%s\n"
                "l0 native %s\n", profile_name(story->profile, &unused), lane_name[difference->lane]);
    lane_open(&lane, LANE_ABSENT, story->profile);
    lane_open(&core, difference->lane, story->profile);
    for (unsigned i = FIRST_LINE; i < story->program.count; i++) {
        const struct statement *s = &story->program.statement[i];
        lane_line(&lane, s, &record);
        lane_follow(&core, s, &record, &follower);
        if (!record.item[SEEN_executed])
            continue;
        scenario_print_statement(s, text, sizeof text);
        fprintf(to, "%s\n", text);
        expect_outcome(&record, (follower.item[SEEN_left] ? &core : &lane)->run.outcome.exit_reason, to);
        if (gives_value(s) && !lane.run.outcome.unusual && !lane.over)
            fprintf(to, "expect value 0x%" PRIx64 "\n", record.item[SEEN_value]);
        if (i == difference->line)
            expect_item(difference, to);
    }
    if (difference->item == SEEN_COUNT)
        fprintf(to, "l%" PRIu64 " read 0x%" PRIx64 " 8\nexpect value 0x%" PRIx64 "\n", record.item[SEEN_level],
                difference->address, difference->wanted);
    lane_close(&core);
    lane_close(&lane);
}
