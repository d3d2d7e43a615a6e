/* SPDX-License-Identifier: MIT */
/* A moment of a run. */
#include "emu/device/trigger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

unsigned text_matched(const char *text, unsigned matched, char character)
{
    for (unsigned length = matched + 1; length > 0; length--)
        if (text[length - 1] == character && memcmp(text, text + matched + 1 - length, length - 1) == 0)
            return length;
    return 0;
}

/* A number up to `most` that `text` begins with, in thousands, millions or billions if K, M or G is behind it; NULL: there is none.
 * Else what comes behind it. */
static const char *number(const char *text, uint64_t most, uint64_t *value)
{
    static const char letters[] = "kmg";
    const char *letter;
    char *end;

    if (*text < '0' || *text > '9')
        return NULL;
    errno = 0;
    *value = strtoull(text, &end, text[0] == '0' && (text[1] | 0x20) == 'x' ? 16 : 10);
    letter = *end ? strchr(letters, *end | 0x20) : NULL;
    for (const char *l = letters; letter && l <= letter; l++)
        if (__builtin_mul_overflow(*value, 1000, value))
            return NULL;
    return errno || *value > most ? NULL : end + (letter != NULL);
}

static const char *parse_port(struct trigger *trigger, const char *text)
{
    static const char fault[] = "port:P, or port:P=V: P up to 0xffff, V up to 0xffffffff";
    uint64_t port, value = 0;
    const char *rest = number(text, 0xffff, &port);

    if (rest && *rest == '=') {
        trigger->valued = true;
        rest = number(rest + 1, 0xffffffff, &value);
    }
    if (!rest || *rest)
        return fault;
    trigger->kind = TRIGGER_PORT;
    trigger->port = (uint16_t)port;
    trigger->value = (uint32_t)value;
    return NULL;
}

const char *trigger_parse(struct trigger *trigger, const char *text)
{
    const char *colon = strchr(text, ':'), *rest;
    size_t name = colon ? (size_t)(colon - text) : 0;

    *trigger = (struct trigger){ 0 };
    if (name == strlen("port") && strncmp(text, "port", name) == 0)
        return parse_port(trigger, colon + 1);
    if (name == strlen("instructions") && strncmp(text, "instructions", name) == 0) {
        rest = number(colon + 1, UINT64_MAX - 1, &trigger->instructions);
        trigger->kind = TRIGGER_INSTRUCTIONS;
        return rest && !*rest ? NULL : "instructions:N: N is a number as 250000 or 50M";
    }
    if (name == strlen("console") && strncmp(text, "console", name) == 0) {
        if (!colon[1] || strlen(colon + 1) > TRIGGER_TEXT_MAX)
            return "console:TEXT: a text of 1 to 255 characters";
        trigger->kind = TRIGGER_CONSOLE;
        strcpy(trigger->text, colon + 1);
        return NULL;
    }
    return "port:P[=V], instructions:N or console:TEXT";
}

void trigger_port_out(struct trigger *trigger, uint16_t port, uint32_t value)
{
    if (trigger->kind == TRIGGER_PORT && trigger->port == port && (!trigger->valued || trigger->value == value))
        trigger->fired = true;
}

void trigger_console(struct trigger *trigger, char character)
{
    if (trigger->kind != TRIGGER_CONSOLE || trigger->fired)
        return;
    trigger->matched = text_matched(trigger->text, trigger->matched, character);
    trigger->fired = !trigger->text[trigger->matched];
}

uint64_t trigger_instructions(struct trigger *trigger, uint64_t executed)
{
    if (trigger->kind != TRIGGER_INSTRUCTIONS || trigger->fired)
        return UINT64_MAX;
    trigger->fired = executed >= trigger->instructions;
    return trigger->fired ? 0 : trigger->instructions - executed;
}
