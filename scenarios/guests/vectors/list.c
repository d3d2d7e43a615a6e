/* SPDX-License-Identifier: MIT */
/* Reading the list of vectors: see vectors.h. */
#include "scenarios/guests/vectors/vectors.h"

#include "scenarios/guests/lib/console.h"

enum { CHANGES_MAX = 8192, BASES_MAX = 32, OWN_MAX = 64, EXIT_LIST = 1 };

static struct change pool[CHANGES_MAX], own_changes[OWN_MAX];
static unsigned pool_count, base_count;
static struct { struct text name; struct changes changes; } bases[BASES_MAX];
static struct changes memory;
static struct text rest;

/* The next line, not empty and no comment; false at the end. */
static bool next_line(struct text *text, struct text *line)
{
    while (text->at < text->end) {
        line->at = text->at;
        while (text->at < text->end && *text->at != '\n')
            text->at++;
        line->end = text->at;
        if (text->at < text->end)
            text->at++;
        if (line->at < line->end && *line->at != '#')
            return true;
    }
    return false;
}

/* The next word of a line; empty at its end. */
static struct text next_word(struct text *line)
{
    struct text word;

    while (line->at < line->end && *line->at == ' ')
        line->at++;
    word.at = line->at;
    while (line->at < line->end && *line->at != ' ')
        line->at++;
    word.end = line->at;
    return word;
}

static bool same(struct text a, struct text b)
{
    while (a.at < a.end && b.at < b.end && *a.at == *b.at)
        a.at++, b.at++;
    return a.at == a.end && b.at == b.end;
}

static bool is(struct text word, const char *wanted)
{
    struct text text = { wanted, wanted };

    while (*text.end)
        text.end++;
    return same(word, text);
}

void print_text(struct text text)
{
    for (; text.at < text.end; text.at++)
        print("%c", *text.at);
}

static _Noreturn void refuse(const char *why, struct text what)
{
    print("vectors: the list: %s: \"", why);
    print_text(what);
    print("\"\n");
    quit(EXIT_LIST);
}

/* Hexadecimal digits, without prefix. */
static bool number(struct text *word, uint64_t *value)
{
    const char *start = word->at;

    *value = 0;
    for (; word->at < word->end; word->at++) {
        char c = *word->at;

        if (c >= '0' && c <= '9')
            *value = *value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *value = *value << 4 | (uint64_t)(c - 'a' + 10);
        else
            break;
    }
    return word->at > start;
}

static struct change change_of(struct text word)
{
    struct text rest_of = word;
    struct change change = { .store = *word.at == '@' };

    if (change.store)
        rest_of.at++;
    if (!number(&rest_of, &change.where) || rest_of.at == rest_of.end)
        refuse("not a change", word);
    change.operation = *rest_of.at++;
    if (!number(&rest_of, &change.value) || rest_of.at != rest_of.end)
        refuse("not a change", word);
    return change;
}

/* Reads the changes of a line into `to`, which has room for `max`. */
static struct changes read_changes(struct text line, struct change *to, unsigned max)
{
    struct changes changes = { to, 0 };

    for (struct text word = next_word(&line); word.at < word.end; word = next_word(&line)) {
        if (changes.count == max)
            refuse("more changes than there is room for", word);
        to[changes.count++] = change_of(word);
    }
    return changes;
}

void list_open(struct text list)
{
    struct text line, before;

    rest = list;
    memory.change = pool;
    for (before = rest; next_line(&rest, &line); before = rest) {
        struct text word = next_word(&line), name;
        struct changes *changes = &memory;

        if (is(word, "vector")) {
            rest = before;
            return;
        }
        if (is(word, "base")) {
            name = next_word(&line);
            if (base_count == BASES_MAX)
                refuse("more bases than there is room for", name);
            bases[base_count].name = name;
            changes = &bases[base_count++].changes;
        } else if (!is(word, "memory") || base_count) {
            refuse("memory, base and vector lines, in this order", word);
        }
        if (changes == &memory) {
            memory.count += read_changes(line, pool + pool_count, CHANGES_MAX - pool_count).count;
            pool_count = memory.count;
        } else {
            *changes = read_changes(line, pool + pool_count, CHANGES_MAX - pool_count);
            pool_count += changes->count;
        }
    }
}

struct changes list_memory(void)
{
    return memory;
}

bool list_next(struct text *name, struct changes *base, struct changes *own)
{
    struct text line, base_name;

    if (!next_line(&rest, &line))
        return false;
    if (!is(next_word(&line), "vector"))
        refuse("memory, base and vector lines, in this order", line);
    *name = next_word(&line);
    base_name = next_word(&line);
    for (unsigned i = 0; i < base_count; i++) {
        if (!same(base_name, bases[i].name))
            continue;
        *base = bases[i].changes;
        *own = read_changes(line, own_changes, OWN_MAX);
        return true;
    }
    refuse("no such base", base_name);
}
