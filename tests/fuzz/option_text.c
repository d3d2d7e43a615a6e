/* SPDX-License-Identifier: MIT */
/*
 * What options and their files say in small languages: a dialogue (--input), a moment (--hv-at), a date (--rtc). What must hold: no crash; a refusal
 * is one line; a dialogue that is accepted ends when all that it expects has come; a date is one of the calendar, and comes back as it was.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "emu/device/date.h"
#include "emu/device/dialogue.h"
#include "emu/device/trigger.h"
#include "tests/fuzz/words.h"

enum { TEXT_MAX = 4096 };

static void play(struct dialogue *dialogue)
{
    const struct dialogue_step *step;
    uint64_t now = 0;

    FUZZ_ASSERT(dialogue->steps && dialogue->steps <= DIALOGUE_STEPS);
    while ((step = dialogue_step(dialogue))) {
        FUZZ_ASSERT(step->length && step->length <= DIALOGUE_TEXT_MAX && step->line);
        if (dialogue_sends(dialogue)) {
            dialogue_take(dialogue, ++now);
            continue;
        }
        FUZZ_ASSERT(dialogue_deadline(dialogue) >= now && dialogue_deadline(dialogue) - now <= 1000000000000000ull);
        for (unsigned i = 0; i < step->length && dialogue_step(dialogue) == step; i++)
            dialogue_output(dialogue, step->text[i], now);
        FUZZ_ASSERT(dialogue_step(dialogue) != step);
    }
    FUZZ_ASSERT(!dialogue_sends(dialogue) && dialogue_deadline(dialogue) == UINT64_MAX);
}

static void wait_for(const char *text)
{
    struct trigger trigger;
    const char *fault = trigger_parse(&trigger, text);

    FUZZ_ASSERT(!fault || !strchr(fault, '\n'));
    if (fault)
        return;
    FUZZ_ASSERT(trigger.kind != TRIGGER_NONE);
    if (trigger.kind == TRIGGER_PORT)
        trigger_port_out(&trigger, trigger.port, trigger.value);
    for (const char *c = trigger.text; trigger.kind == TRIGGER_CONSOLE && *c; c++)
        trigger_console(&trigger, *c);
    if (trigger.kind == TRIGGER_INSTRUCTIONS)
        FUZZ_ASSERT(trigger_instructions(&trigger, trigger.instructions) == 0);
    FUZZ_ASSERT(trigger.fired);
}

static void date(const char *text)
{
    char again[80];
    int64_t seconds, back;

    if (!date_parse(text, &seconds))
        return;
    struct date date = date_of(seconds);
    FUZZ_ASSERT(seconds >= 0 && date_seconds(&date) == seconds);
    FUZZ_ASSERT(date.year >= 1970 && date.year <= 9999 && date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= 31);
    snprintf(again, sizeof again, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)date.year, date.month, date.day, date.hour, date.minute, date.second);
    FUZZ_ASSERT(date_parse(again, &back) && back == seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dialogue dialogue;
    size_t length = size < TEXT_MAX ? size : TEXT_MAX;
    char *text = malloc(length + 1), error[200] = "";

    FUZZ_ASSERT(text);
    memcpy(text, data, length);
    text[length] = '\0';
    if (dialogue_parse(&dialogue, (const char *)data, size, error, sizeof error))
        play(&dialogue);
    else
        FUZZ_ASSERT(error[0] && !strchr(error, '\n'));
    wait_for(text);
    date(text);
    free(text);
    return 0;
}

/* ---- inputs ---- */

static size_t make_dialogue(struct fuzz_random *random, uint8_t *to)
{
    static const char *const words[] = { "expect \"login: \"", "send \"root\\r\"", " within 5", " within 1000000", " within 99999999999999999999", "# words", "\"aab\"", "\\x1", "\\xff",
                                         "\\q", "\"", "expect", "send", "within", " ", "\r", "send \"\\x00\"", "expect \"\\x00aa\\x00ab\"", "\xff" };
    size_t size = 0;

    for (unsigned i = fuzz_below(random, 12); i; i--) {
        size = fuzz_append(to, size, words[fuzz_below(random, sizeof words / sizeof words[0])]);
        if (fuzz_below(random, 2))
            size = fuzz_append(to, size, "\n");
    }
    for (unsigned i = fuzz_below(random, 40) ? 0 : 255 + fuzz_below(random, 3); i; i--)
        size = fuzz_append(to, size, "send \"x\"\n");
    return size;
}

size_t fuzz_make(struct fuzz_random *random, uint8_t to[FUZZ_INPUT_MAX])
{
    static const char *const kinds[] = { "port:", "instructions:", "console:", "", "port", ":" };
    static const char *const values[] = { "0", "0x3f8", "0xffff", "0x10000", "=", "=0xffffffff", "=4294967296", "50M", "18446744073709551614", "18446744073709551615", "0x", "-1",
                                          "20000000000G", "k", "login: ", "1970-01-01", "2024-02-29", "2023-02-29", "9999-12-31", "T23:59:59", " 24:00", "T00:00:60", "0000-00-00", "10000" };
    size_t size = 0;

    if (fuzz_below(random, 2)) {
        size = make_dialogue(random, to);
    } else {
        size = fuzz_append(to, size, kinds[fuzz_below(random, sizeof kinds / sizeof kinds[0])]);
        for (unsigned i = fuzz_below(random, 3); i < 3; i++)
            size = fuzz_append(to, size, values[fuzz_below(random, sizeof values / sizeof values[0])]);
        for (unsigned i = fuzz_below(random, 40) ? 0 : 250 + fuzz_below(random, 10); i; i--)
            size = fuzz_append(to, size, "x");
    }
    return fuzz_below(random, 2) ? size : fuzz_damage(random, to, size);
}
