/* SPDX-License-Identifier: MIT */
/* A scripted dialogue. */
#include "emu/device/dialogue.h"
#include "emu/device/trigger.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { WITHIN_SECONDS = 60, WITHIN_MAX = 1000000, SECOND = 1000000000 };

/* ---- the script ---- */

struct reader {
    const char *at, *end;               /* of the line under way */
    unsigned line;
    const char *fault;
};

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\r'))
        reader->at++;
}

static bool word(struct reader *reader, const char *text)
{
    size_t length = strlen(text);

    skip_blanks(reader);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, text, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static int hexadecimal(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* The character behind a backslash, or -1. */
static int escaped(struct reader *reader)
{
    static const char names[] = "nrte\"\\", values[] = "\n\r\t\033\"\\";
    const char *found;

    if (reader->at == reader->end)
        return -1;
    char c = *reader->at++;
    if (c == 'x' && reader->end - reader->at >= 2) {
        int high = hexadecimal(reader->at[0]), low = hexadecimal(reader->at[1]);
        reader->at += 2;
        return high < 0 || low < 0 ? -1 : high << 4 | low;
    }
    found = strchr(names, c);
    return c && found ? (unsigned char)values[found - names] : -1;
}

static void quoted(struct reader *reader, struct dialogue_step *step)
{
    if (!word(reader, "\"")) {
        reader->fault = "a text in double quotes is missing";
        return;
    }
    while (reader->at < reader->end && *reader->at != '"') {
        int c = (unsigned char)*reader->at++;

        if (c == '\\' && (c = escaped(reader)) < 0)
            reader->fault = "an unknown escape: there are \\n \\r \\t \\e \\\" \\\\ \\xHH";
        else if (step->length == DIALOGUE_TEXT_MAX)
            reader->fault = "a text of more than 255 characters";
        if (reader->fault)
            return;
        step->text[step->length++] = (char)c;
    }
    if (reader->at == reader->end)
        reader->fault = "a text without its closing quote";
    else if (!step->length)
        reader->fault = "an empty text";
    else
        reader->at++;
}

static void within(struct reader *reader, struct dialogue_step *step)
{
    uint64_t seconds = 0;

    step->within = (uint64_t)WITHIN_SECONDS * SECOND;
    if (!word(reader, "within"))
        return;
    skip_blanks(reader);
    if (reader->at == reader->end || !isdigit((unsigned char)*reader->at))
        reader->fault = "\"within\" wants a number of seconds";
    while (reader->at < reader->end && isdigit((unsigned char)*reader->at) && seconds <= WITHIN_MAX)
        seconds = seconds * 10 + (uint64_t)(*reader->at++ - '0');
    if (seconds > WITHIN_MAX)
        reader->fault = "more than a million seconds";
    step->within = seconds * SECOND;
}

static void read_line(struct reader *reader, struct dialogue *dialogue)
{
    struct dialogue_step step = { .line = reader->line };

    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at == '#')
        return;
    if (word(reader, "expect"))
        step.expects = true;
    else if (!word(reader, "send"))
        reader->fault = "neither expect \"TEXT\" nor send \"TEXT\"";
    if (!reader->fault)
        quoted(reader, &step);
    if (!reader->fault && step.expects)
        within(reader, &step);
    skip_blanks(reader);
    if (!reader->fault && reader->at != reader->end && *reader->at != '#')
        reader->fault = "something behind the text that is not known here";
    if (!reader->fault && dialogue->steps == DIALOGUE_STEPS)
        reader->fault = "more than 256 steps";
    if (!reader->fault)
        dialogue->step[dialogue->steps++] = step;
}

bool dialogue_parse(struct dialogue *dialogue, const char *text, size_t length, char *error, size_t error_size)
{
    struct reader reader = { .line = 0 };
    const char *end = text + length;

    *dialogue = (struct dialogue){ 0 };
    while (text < end && !reader.fault) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));

        reader.at = text;
        reader.end = newline ? newline : end;
        reader.line++;
        read_line(&reader, dialogue);
        text = newline ? newline + 1 : end;
    }
    if (!reader.fault && !dialogue->steps)
        reader.fault = "no expect and no send in it";
    if (reader.fault)
        snprintf(error, error_size, "line %u: %s", reader.line, reader.fault);
    return !reader.fault;
}

/* ---- the dialogue ---- */

const struct dialogue_step *dialogue_step(const struct dialogue *dialogue)
{
    return dialogue->at < dialogue->steps ? &dialogue->step[dialogue->at] : NULL;
}

static void next(struct dialogue *dialogue, uint64_t now)
{
    dialogue->at++;
    dialogue->matched = dialogue->sent = 0;
    dialogue->since = now;
}

void dialogue_output(struct dialogue *dialogue, char character, uint64_t now)
{
    const struct dialogue_step *step = dialogue_step(dialogue);

    if (!step || !step->expects)
        return;
    dialogue->matched = text_matched(step->text, dialogue->matched, character);
    if (dialogue->matched == step->length)
        next(dialogue, now);
}

bool dialogue_sends(const struct dialogue *dialogue)
{
    const struct dialogue_step *step = dialogue_step(dialogue);

    return step && !step->expects;
}

char dialogue_take(struct dialogue *dialogue, uint64_t now)
{
    const struct dialogue_step *step = dialogue_step(dialogue);
    char character = step->text[dialogue->sent++];

    if (dialogue->sent == step->length)
        next(dialogue, now);
    return character;
}

uint64_t dialogue_deadline(const struct dialogue *dialogue)
{
    const struct dialogue_step *step = dialogue_step(dialogue);

    return step && step->expects ? dialogue->since + step->within : UINT64_MAX;
}
