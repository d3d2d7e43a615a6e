/* SPDX-License-Identifier: MIT */
/* Two lanes beside each other: the first difference between them that is not excused. */
#define _DEFAULT_SOURCE                 /* mincore() */
#include "tests/equivalence/equivalence.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emu/native/native.h"

/* Is the item the limit of a segment that is unusable on the reference? */
static bool unusable_limit(const struct record *wanted, unsigned item)
{
    static const struct { unsigned limit, access_rights; } segments[] = {
#define SEGMENT(name) { SEEN_STATES + STATE_##name##_limit, SEEN_STATES + STATE_##name##_access_rights }
        SEGMENT(es), SEGMENT(ss), SEGMENT(ds), SEGMENT(fs), SEGMENT(gs), SEGMENT(ldtr),
#undef SEGMENT
    };

    for (unsigned i = 0; i < sizeof segments / sizeof segments[0]; i++)
        if (item == segments[i].limit)
            return wanted->item[segments[i].access_rights] & AR_UNUSABLE;
    return false;
}

/* Rows of differences.def that need a look at the value. */
static bool excused(const struct excuses *excuses, const struct statement *s, const struct record *wanted, unsigned item,
                    uint64_t found)
{
    const bool read = s->op == OP_vmread && (item == SEEN_value || item == SEEN_REGISTERS + RAX);
    const uint64_t value = wanted->item[item];

    if (unusable_limit(wanted, item))                                               /* unusable_limit */
        return true;
    if (item == SEEN_STATES + STATE_pending_debug || (read && s->operand[0] == VMCS_guest_pending_debug_exceptions))
        return !found && !(value & ~PENDING_DEBUG_BREAKPOINTS);                     /* pending_debug */
    if (excuses->delivery_failed && ((item == SEEN_REGISTERS + REGISTER_RFLAGS) || (read && s->operand[0] == VMCS_guest_rflags)))
        return (value ^ found) == RFLAGS_RF;                                        /* resume_flag */
    if (!read)
        return false;
    if (wanted->open)                                                               /* error_code */
        return true;
    if (s->operand[0] == VMCS_vm_instruction_error && excuses->check_order)         /* check_order */
        return value >= VM_ERROR_entry_invalid_control && value <= VM_ERROR_entry_invalid_host_state &&
               found >= VM_ERROR_entry_invalid_control && found <= VM_ERROR_entry_invalid_host_state;
    if (s->operand[0] == VMCS_exit_qualification && excuses->monitor_cleared)       /* monitor */
        return value == 1 && !found;
    if (s->operand[0] == VMCS_exit_qualification && excuses->guest_check_order)     /* guest_check_order */
        return value <= 4 && found <= 4;
    return false;
}

/* What an exit tells of an event: information, and an error code that is defined if the information says so. */
static const struct {
    enum vmcs_encoding information, error_code;
    enum vmcs_field field;
} events[] = {
    { VMCS_idt_vectoring_information, VMCS_idt_vectoring_error_code, FIELD_idt_vectoring_information },
    { VMCS_exit_interruption_information, VMCS_exit_interruption_error_code, FIELD_exit_interruption_information },
};
enum { EVENTS = sizeof events / sizeof events[0] };

/* The VMCSs in which the information is the processor's, or else L1's: a bit each, by the place of their regions. */
static void learn_author(struct story *story, const struct statement *s, const struct lane *reference)
{
    const struct outcome *outcome = &reference->run.outcome;
    const struct vmcs *v = reference->over ? NULL : reference->run.cpu->vmx.current;

    for (unsigned i = 0; v && i < EVENTS; i++) {
        const uint32_t bit = 1u << (v->pa / PAGE_SIZE % 32);
        if (outcome->exited && !(outcome->exit_reason & EXIT_REASON_ENTRY_FAILURE))
            story->forged[i] &= ~bit;
        if (s->op == OP_vmwrite && s->operand[0] == events[i].information && !outcome->failed && !outcome->event.valid)
            story->forged[i] |= bit;
    }
}

/* Is an error code read that the exit did not define? */
static bool without_error_code(const struct story *story, const struct lane *reference, uint64_t field)
{
    const uint32_t code = INTERRUPTION_VALID | INTERRUPTION_ERROR_CODE_VALID;
    const struct vmcs *v = reference->over ? NULL : reference->run.cpu->vmx.current;

    for (unsigned i = 0; v && i < EVENTS; i++)
        if (field == events[i].error_code)
            return (v->field[events[i].field] & code) != code || story->forged[i] >> v->pa / PAGE_SIZE % 32 & 1;
    return false;
}

/* An exception has met another one in the delivery of an event. `v`: the VMCS of an L2 that has exited. */
static bool delivery_failed(const struct outcome *outcome, const struct vmcs *v)
{
    if (!outcome->exited)
        return false;
    return outcome->exit_reason == EXIT_REASON_triple_fault ||
           (v && outcome->exit_reason == EXIT_REASON_exception_or_nmi &&
            INTERRUPTION_VECTOR(VMCS(v, exit_interruption_information)) == VECTOR_DF);
}

/* What the reference's checks say about this line's entry, for all lines after it. */
static void learn(struct excuses *excuses, const struct lane *reference)
{
    const struct outcome *outcome = &reference->run.outcome;
    const struct vmcs *v = reference->over ? NULL : reference->run.cpu->vmx.current;
    unsigned groups = 0, qualifications = 0;

    excuses->delivery_failed |= delivery_failed(outcome, v);
    for (unsigned i = 0; i < check_count && i < ROWS_MAX; i++)
        if (outcome->rows[i / 8] >> i % 8 & 1) {
            groups |= 1u << check_table[i].group;
            if (check_table[i].group == CHECK_GUEST)
                qualifications |= 1u << check_table[i].qualification;
        }
    excuses->check_order |= (groups & 3) == 3;
    excuses->guest_check_order |= (qualifications & (qualifications - 1)) != 0;
}

/* ---- memory ---- */

static bool is_scratch(uint64_t page)
{
    return page >= PLACE_SCRATCH && page < PLACE_SCRATCH + 3 * PAGE_SIZE;
}

/* Which pages the host has given memory to: all others are zero. */
enum { PAGES_MAX = PLACE_END / 0x1000 };

static void touched(const struct lane *lane, uint64_t from, uint64_t to, unsigned char pages[PAGES_MAX])
{
    if (mincore(memory_at(&lane->run.model->memory, from, to - from), to - from, pages))
        memset(pages, 1, PAGES_MAX);
}

/* The first address from `from` to `to` at which the lanes' memories differ; `to` if there is none. */
static uint64_t memory_difference(const struct lane *a, const struct lane *b, uint64_t from, uint64_t to)
{
    unsigned char of_a[PAGES_MAX], of_b[PAGES_MAX];

    touched(a, from, to, of_a);
    touched(b, from, to, of_b);
    for (uint64_t page = from; page < to; page += PAGE_SIZE) {
        if (!((of_a[(page - from) / PAGE_SIZE] | of_b[(page - from) / PAGE_SIZE]) & 1))
            continue;
        const uint64_t size = is_region(page) ? 8 : is_scratch(page) ? 0 : PAGE_SIZE;     /* region, scratch */
        const uint8_t *one = memory_at(&a->run.model->memory, page, size), *two = memory_at(&b->run.model->memory, page, size);

        if (!memcmp(one, two, size))
            continue;
        for (uint64_t i = 0; i < size; i += 8)
            if (memcmp(one + i, two + i, 8))
                return page + i;
    }
    return to;
}

static void compare_memory(const struct story *story, const struct lane *reference, const struct lane *lane,
                           struct difference *difference)
{
    const struct { uint64_t from, to; } ranges[] = {
        { 0, PLACE_END },
        { PLACE_EPT, PLACE_EPT + EPT_PAGES * PAGE_SIZE },
        { PLACE_EPT + EPT_DISTANCE, PLACE_EPT + EPT_DISTANCE + EPT_PAGES * PAGE_SIZE },
    };

    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        uint64_t at = memory_difference(reference, lane, ranges[i].from, ranges[i].to);
        if (at == ranges[i].to)
            continue;
        *difference = (struct difference){
            .lane = lane->id, .line = story->program.count, .item = SEEN_COUNT, .address = at,
            .wanted = memory_read64(&reference->run.model->memory, at), .found = memory_read64(&lane->run.model->memory, at),
        };
        return;
    }
}

/* ---- lines ---- */

static bool compare_line(const struct story *story, unsigned line, const struct record *found, const struct excuses *excuses,
                         const struct lane *lane, struct difference *difference)
{
    const struct record *wanted = &story->record[line - FIRST_LINE];
    const struct statement *s = &story->program.statement[line];

    if (!memcmp(wanted->item, found->item, sizeof found->item))
        return true;
    for (unsigned i = 0; i < SEEN_COUNT; i++) {
        if (wanted->item[i] == found->item[i] || excused(excuses, s, wanted, i, found->item[i]))
            continue;
        *difference = (struct difference){ .lane = lane->id, .line = line, .item = i, .wanted = wanted->item[i],
                                           .found = found->item[i] };
        memcpy(difference->stopped, lane->error.text, sizeof difference->stopped);
        return false;
    }
    return true;
}

/* An excused value must not be seen again as a register: it is made what the reference has. */
static void level_out(struct lane *lane, const struct record *wanted, const struct record *found)
{
    if (!lane->over && wanted->item[SEEN_REGISTERS + RAX] != found->item[SEEN_REGISTERS + RAX])
        lane->run.cpu->gpr[RAX] = wanted->item[SEEN_REGISTERS + RAX];
}

/* How many VM exits there were at the latest MONITOR; and whether the latest one to L1 was an MWAIT's that came after another one. */
static void watch_monitor(const struct lane *lane, const struct statement *s, const struct record *found, uint64_t *armed, struct excuses *excuses)
{
    uint64_t exits = lane->run.model->exits;

    if (s->op == OP_monitor)
        *armed = exits;
    if (found->item[SEEN_left])
        excuses->monitor_cleared = s->op == OP_mwait && exits > *armed + 1;
}

struct difference compare(const struct story *story, struct lane *reference, enum lane_id id)
{
    struct difference difference = { .lane = LANE_ABSENT };
    struct excuses excuses = story->excuses;
    struct record found;
    struct lane lane;
    uint64_t armed = 0;
    bool same = true;

    lane_open(&lane, id, story->profile);
    for (unsigned i = FIRST_LINE; i < story->program.count && same; i++) {
        lane_follow(&lane, &story->program.statement[i], &story->record[i - FIRST_LINE], &found);
        if (found.item[SEEN_executed] && !lane.over)
            watch_monitor(&lane, &story->program.statement[i], &found, &armed, &excuses);
        same = compare_line(story, i, &found, &excuses, &lane, &difference);
        level_out(&lane, &story->record[i - FIRST_LINE], &found);
    }
    if (same)
        compare_memory(story, reference, &lane, &difference);
    lane_close(&lane);
    return difference;
}

struct difference replay(const struct program *program, enum profile_number profile, enum lane_id id, struct story *story)
{
    struct difference difference;
    struct record record;
    struct lane reference;

    lane_open(&reference, LANE_ABSENT, profile);
    story_start(story, profile);
    for (unsigned i = FIRST_LINE; i < program->count; i++) {
        lane_line(&reference, &program->statement[i], &record);
        story_add(story, &program->statement[i], &record, &reference);
    }
    difference = compare(story, &reference, id);
    lane_close(&reference);
    return difference;
}

/* ---- the story ---- */

void story_start(struct story *story, enum profile_number profile)
{
    story->profile = profile;
    story->program.count = FIRST_LINE;
    story->excuses = (struct excuses){ false };
    memset(story->forged, 0, sizeof story->forged);
}

void story_add(struct story *story, const struct statement *statement, const struct record *record,
               const struct lane *reference)
{
    struct program *program = &story->program;

    if (program->count >= program->capacity) {
        program->capacity = program->capacity ? program->capacity * 2 : 1024;
        program->statement = realloc(program->statement, program->capacity * sizeof *program->statement);
        story->record = realloc(story->record, program->capacity * sizeof *story->record);
        if (!program->statement || !story->record) {
            fprintf(stderr, "equivalence: out of memory\n");
            exit(2);
        }
    }
    program->statement[program->count] = *statement;
    story->record[program->count - FIRST_LINE] = *record;
    story->record[program->count - FIRST_LINE].open =
        statement->op == OP_vmread && without_error_code(story, reference, statement->operand[0]);
    program->count++;
    if (record->item[SEEN_executed]) {
        learn(&story->excuses, reference);
        learn_author(story, statement, reference);
    }
}

void story_free(struct story *story)
{
    free(story->program.statement);
    free(story->record);
}

void difference_print(const struct difference *d, const struct program *program, FILE *to)
{
    char line[200] = "the end";

    if (d->line < program->count)
        scenario_print_statement(&program->statement[d->line], line, sizeof line);
    fprintf(to, "%s, line %u (%s): %s", lane_name[d->lane], d->line, line, seen_name(d->item));
    if (d->item == SEEN_COUNT)
        fprintf(to, " at 0x%" PRIx64, d->address);
    fprintf(to, " is 0x%" PRIx64 ", on the bare machine 0x%" PRIx64 "%s%s\n", d->found, d->wanted, d->stopped[0] ? "; " : "",
            d->stopped);
}
