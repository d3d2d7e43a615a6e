/* SPDX-License-Identifier: MIT */
/* The latest events of each processor. */
#include "emu/explain/events.h"

#include <inttypes.h>
#include <stdio.h>

#include "emu/decode/decode.h"
#include "emu/explain/place.h"
#include "emu/explain/words.h"
#include "emu/machine/parts.h"
#include "model/vmx/vmx.h"

const struct happening *events_at(const struct events *events, uint64_t number)
{
    return number < events->count && number + EVENTS_KEPT >= events->count ? &events->of[number % EVENTS_KEPT] : NULL;
}

static struct happening *next(struct events *events, const struct notice *notice, unsigned level)
{
    struct happening *h = &events->of[events->count++ % EVENTS_KEPT];

    h->kind = notice->kind;
    h->level = (uint8_t)level;
    h->clock = notice->cpu->clock;
    h->instructions = notice->cpu->instructions;
    h->rip = notice->cpu->rip;
    h->failure.reason = NULL;
    h->during.valid = false;
    return h;
}

/* An exception, or the delivery of what was not raised: it goes on with the story, or begins one. */
static void tell_on(struct events *events, const struct happening *h, struct cpu *cpu)
{
    uint64_t number = events->count - 1;

    if (events->story != number && events->story_instructions == h->instructions) {
        if (number != events->story + 1)
            return;
        events->second = *h;
        events->second_code.length = (uint8_t)place_fetch(cpu, events->second_code.byte);
        return;
    }
    events->story = number;
    events->story_instructions = h->instructions;
    events->first = *h;
    events->first_code.length = (uint8_t)place_fetch(cpu, events->first_code.byte);
    events->second = (struct happening){ .kind = NOTICE_ENTRY };
}

static void end_story(struct events *events)
{
    events->story = events->count;
    events->story_instructions = ~0ull;
}

/* Over the core VM entries are not noted, and the VMCSs are the core's: what loaded a guest's tables there is not known. */
static enum tables_from tables_from(const struct events *events, const struct cpu *cpu, unsigned level, bool core)
{
    bool guest = core ? level > 1 : cpu->vmx.non_root;

    if (core && guest)
        return TABLES_GUEST;
    return guest == (events->tables == TABLES_ENTRY) ? events->tables : TABLES_PROGRAM;
}

static void note_raised(struct events *events, const struct notice *notice, unsigned level, bool core)
{
    struct cpu *cpu = &notice->cpu->model->cpu[notice->cpu->index];
    struct happening *h = next(events, notice, level);

    h->event = *notice->event;
    if (cpu->event.valid) {
        h->during = cpu->event;
        h->failure = delivery_diagnose(cpu, &cpu->event, notice->event, tables_from(events, cpu, level, core));
    }
    tell_on(events, h, cpu);
}

static void note_delivered(struct events *events, const struct notice *notice, unsigned level)
{
    struct cpu *cpu = &notice->cpu->model->cpu[notice->cpu->index];
    const struct happening *latest = events->count ? events_at(events, events->count - 1) : NULL;

    if (latest && latest->kind == NOTICE_RAISED && latest->event.vector == notice->a && latest->instructions == notice->cpu->instructions)
        return;                     /* that is what was raised */
    struct happening *h = next(events, notice, level);
    h->event = (struct event){ .valid = true, .vector = (uint8_t)notice->a, .type = (uint8_t)notice->b,
                               .error_code = (uint32_t)notice->c, .has_error_code = notice->d, .address = notice->cpu->cr2 };
    tell_on(events, h, cpu);
}

void events_note(struct events *events, const struct notice *notice, unsigned level, bool core)
{
    struct happening *h;

    switch (notice->kind) {
    case NOTICE_RAISED:
        note_raised(events, notice, level, core);
        break;
    case NOTICE_INJECT:
        note_delivered(events, notice, level);
        break;
    case NOTICE_EXIT:
    case NOTICE_ENTRY:
    case NOTICE_ENTRY_FAILED:
        h = next(events, notice, level);
        h->reason = notice->kind == NOTICE_EXIT ? notice->a : notice->b;
        h->vmcs = core ? 0 : notice->kind == NOTICE_EXIT ? notice->d : notice->a;
        events->crossed = events->count;
        events->crossing.rip = h->rip;
        events->crossing.instructions = h->instructions;
        events->crossing.reason = h->reason;
        events->crossing.vmcs = h->vmcs;
        events->crossing.kind = h->kind;
        if (notice->kind == NOTICE_ENTRY)
            events->tables = TABLES_ENTRY;
        else if (notice->kind == NOTICE_EXIT || h->reason & EXIT_REASON_ENTRY_FAILURE)
            events->tables = TABLES_EXIT;
        end_story(events);
        break;
    default:
        break;
    }
}

void happening_words(char *to, size_t size, const struct happening *h, const struct symbols *symbols)
{
    char what[WORDS_MAX], during[24] = "", name[SYMBOL_TEXT_MAX], vmcs[40] = "";
    const char *reason;

    symbols_text(symbols, h->rip, name);
    if (h->vmcs)
        snprintf(vmcs, sizeof vmcs, ", VMCS 0x%" PRIx64, h->vmcs);
    switch (h->kind) {
    case NOTICE_EXIT:
        reason = exit_reason_name((uint32_t)h->reason & 0xffff);
        snprintf(to, size, "VM exit %s at guest rip 0x%" PRIx64 "%s%s", reason ? reason : "unknown", h->rip, name, vmcs);
        break;
    case NOTICE_ENTRY:
        snprintf(to, size, "VM entry to guest rip 0x%" PRIx64 "%s%s", h->rip, name, vmcs);
        break;
    case NOTICE_ENTRY_FAILED:
        snprintf(to, size, "VM entry failed%s", vmcs);
        break;
    default:
        event_words(what, sizeof what, &h->event);
        if (h->during.valid)
            event_word(during, sizeof during, &h->during);
        snprintf(to, size, "%s at rip 0x%" PRIx64 "%s%s%s", what, h->rip, name, h->during.valid ? ", while it delivered " : "", during);
    }
}

void events_tell(struct explanation *e, const struct events *events)
{
    uint64_t from = events->count > EVENTS_TOLD ? events->count - EVENTS_TOLD : 0;

    if (events->count)
        explain_line(e, "the last events:");
    for (uint64_t i = from; i < events->count; i++) {
        const struct happening *h = events_at(events, i);
        char words[HAPPENING_MAX];

        happening_words(words, sizeof words, h, e->machine->symbols);
        explain_line(e, "%12" PRIu64 " L%u %s", h->clock, h->level, words);
    }
}
