/* SPDX-License-Identifier: MIT */
/* Who is told what, and how often. */
#define _GNU_SOURCE                     /* memmem() */
#include "emu/explain/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "emu/machine/parts.h"

uint64_t explain_key(uint64_t rip, const char *reason)
{
    uint64_t hash = 0xcbf29ce484222325 ^ rip * 0x9e3779b97f4a7c15;       /* FNV-1a over the reason */

    for (; *reason; reason++)
        hash = (hash ^ (uint8_t)*reason) * 0x100000001b3;
    return hash ? hash : 1;
}

/* The slot that holds the key, or the free one where it belongs. There is always one: EXPLAIN_KEYS_MAX is less than EXPLAIN_KEYS. */
static uint64_t *find(struct explained *explained, uint64_t key)
{
    unsigned slot = (unsigned)(key >> 32 ^ key) % EXPLAIN_KEYS;

    while (explained->key[slot] && explained->key[slot] != key)
        slot = (slot + 1) % EXPLAIN_KEYS;
    return &explained->key[slot];
}

bool explain_told(struct machine *machine, uint64_t key)
{
    return *find(&machine->explained, key);
}

bool explain_new(struct machine *machine, uint64_t key)
{
    struct explained *explained = &machine->explained;

    if (!machine->options.messages)
        return false;
    uint64_t *slot = find(explained, key);
    if (*slot || explained->count > EXPLAIN_KEYS_MAX)
        return false;
    if (explained->count++ == EXPLAIN_KEYS_MAX) {
        fprintf(machine->options.messages, "%sno further warnings will be shown\n", machine->options.message_prefix);
        return false;
    }
    *slot = key;
    return true;
}

bool explain_first(struct machine *machine, uint64_t key)
{
    switch (machine->options.explain) {
    case EXPLAIN_ONCE:
        return explain_new(machine, key);
    case EXPLAIN_ALL:
        return machine->options.messages;
    case EXPLAIN_NONE:
        break;
    }
    return false;
}

struct explanation *explain_begin(struct machine *machine, const struct cpu *cpu, uint64_t key)
{
    struct explanation *e = &machine->explanation;

    e->machine = machine;
    e->cpu = cpu;
    e->held = false;
    e->to_people = key ? explain_first(machine, key) : machine->options.messages && machine->options.explain == EXPLAIN_ALL;
    e->used = 0;
    return e->to_people || machine->trace.file ? e : NULL;
}

struct explanation *explain_begin_held(struct machine *machine, const struct cpu *cpu, uint64_t key)
{
    struct explanation *e = &machine->explanation;

    if (machine->options.explain != EXPLAIN_ONCE || !machine->free_running || explain_told(machine, key))
        return explain_begin(machine, cpu, key);
    explain_begin(machine, cpu, 0);
    e->held = machine->options.messages;
    return e->held || machine->trace.file ? e : NULL;
}

void explain_release(struct machine *machine, const struct cpu *cpu)
{
    struct held_back *held = &machine->held;

    if (!held->valid || held->cpu != cpu->index || cpu->instructions - held->instructions > HELD_BACK_FOR)
        return;
    held->valid = false;
    if (explain_new(machine, explain_key(held->instructions, "held back")))
        fputs(held->text, machine->options.messages);
}

void explain_line(struct explanation *e, const char *format, ...)
{
    size_t room = sizeof e->text - e->used - 1;         /* the newline is always there */
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(e->text + e->used, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room) {
        if (room > 4)
            memcpy(e->text + sizeof e->text - 5, "...", 3);
        length = room > 0 ? (int)room - 1 : 0;
    }
    e->used += (size_t)length;
    if (e->used < sizeof e->text - 1)
        e->text[e->used++] = '\n';
}

void explain_rule(struct explanation *e, const struct notice *notice, const char *format, ...)
{
    char text[MACHINE_MESSAGE_MAX], rule[24] = "";
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (notice->kind == NOTICE_VIOLATION)
        snprintf(rule, sizeof rule, "rule R%u broken: ", (unsigned)notice->a);
    explain_line(e, "%s%s", rule, text);
}

/* A trace has names only if it was asked for them (machine_symbols()): without, " <name+0x12>" goes. */
static void without_names(char *to, const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const char *close = line[i] == ' ' && i + 1 < length && line[i + 1] == '<' ? memchr(line + i, '>', length - i) : NULL;

        if (close && memmem(line + i, (size_t)(close - line) - i, "+0x", 3))
            i = (size_t)(close - line);
        else
            *to++ = line[i];
    }
    *to = '\0';
}

static void to_trace(const struct explanation *e, const char *line, int length)
{
    struct trace *trace = &e->machine->trace;
    unsigned level = machine_level(e->machine, e->cpu);
    char text[TRACE_LINE_MAX];

    length = length < TRACE_LINE_MAX - 1 ? length : TRACE_LINE_MAX - 1;
    if (trace->symbols)
        snprintf(text, sizeof text, "%.*s", length, line);
    else
        without_names(text, line, (size_t)length);
    trace_line(trace, e->cpu, level, "why", "%s", text);
}

/* Appends a line as people see it to what is held back. */
static void hold(struct held_back *held, const char *prefix, const char *line, int length)
{
    size_t used = strlen(held->text);

    snprintf(held->text + used, sizeof held->text - used, "%s%.*s\n", prefix, length, line);
}

static bool names_levels(const struct explanation *e)
{
    for (const char *at = e->text, *end = e->text + e->used; (at = memchr(at, 'L', (size_t)(end - at))); at++)
        if (end - at > 2 && at > e->text && (at[-1] == ' ' || at[-1] == '(') && at[1] >= '0' && at[1] <= '2' && (at[2] == ')' || at[2] == ':' || at[2] == ' ' ||
                                                                                                          at[2] == ','))
            return true;
    return false;
}

/* Once, to people. */
static void tell_levels(struct machine *machine)
{
    machine->levels_told = true;
    if (!machine->free_running)
        return;
    fprintf(machine->options.messages, "%s(%s)\n", machine->options.message_indent,
            machine->native ? "L0 is the core, L1 what runs on it: your hypervisor, L2 its guest"
                            : "L0 is what runs on the machine itself, L1 its guest");
}

void explain_end(struct explanation *e)
{
    struct machine *machine = e->machine;
    const char *line = e->text, *end = e->text + e->used;

    if (e->held) {
        machine->held = (struct held_back){ .valid = true, .cpu = e->cpu->index, .instructions = e->cpu->instructions };
        machine->held.text[0] = '\0';
    }

    for (const char *next; line < end; line = next + 1) {
        next = memchr(line, '\n', (size_t)(end - line));
        if (!next)
            break;
        int length = (int)(next - line);
        if (e->to_people)
            fprintf(machine->options.messages, "%s%.*s\n", line == e->text ? machine->options.message_prefix
                                                                         : machine->options.message_indent, length, line);
        if (e->held)
            hold(&machine->held, line == e->text ? machine->options.message_prefix : machine->options.message_indent, line, length);
        to_trace(e, line, length);
    }
    if (e->to_people && !machine->levels_told && names_levels(e))
        tell_levels(machine);
}
