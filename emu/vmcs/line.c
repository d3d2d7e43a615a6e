/* SPDX-License-Identifier: MIT */
/* A line of a list: what stands before it and behind it, and what it is. */
#define _GNU_SOURCE             /* memmem() */
#include <string.h>

#include "emu/vmcs/list.h"

/* What printk, journals and other programs put before a line: "[ 9021.315]", "00:00:18.504330", "<6>", "(XEN)". Where the line itself begins. */
static const char *after_prefix(const char *line, const char *end)
{
    enum { PREFIX_MAX = 60 };

    for (;;) {
        const char *c = line, *close = NULL;

        while (c < end && (*c == ' ' || *c == '\t'))
            c++;
        if (c < end && (*c == '[' || *c == '<' || *c == '('))
            close = memchr(c, *c == '[' ? ']' : *c == '<' ? '>' : ')', (size_t)(end - c < PREFIX_MAX ? end - c : PREFIX_MAX));
        if (close) {
            line = close + 1;
            continue;
        }
        const char *stamp = c;
        unsigned separators = 0;
        for (; stamp < end && (isdigit((unsigned char)*stamp) || *stamp == ':' || *stamp == '.' || *stamp == '-'); stamp++)
            separators += !isdigit((unsigned char)*stamp);
        if (separators < 2 || stamp == end || (*stamp != ' ' && *stamp != '\t'))
            return c;
        line = stamp;
    }
}

/* Where `mark` stands in the line at its beginning or after a blank, or `length`. */
static size_t mark_after_blank(const char *line, size_t length, const char *mark)
{
    const size_t size = strlen(mark);

    for (const char *c = line; (c = memchr(c, *mark, (size_t)(line + length - c))); c++)
        if ((size_t)(line + length - c) >= size && memcmp(c, mark, size) == 0 &&
            (c == line || c[-1] == ' ' || c[-1] == '\t'))
            return (size_t)(c - line);
    return length;
}

/* The line without its comment. */
static size_t without_comment(const char *line, size_t length)
{
    return mark_after_blank(line, mark_after_blank(line, length, "#"), "//");
}

/* The first word of a line is this, and `rest` what follows it. */
static bool begins(const char *line, const char *end, const char *word, const char **rest)
{
    size_t length = strlen(word);

    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    if ((size_t)(end - line) < length || memcmp(line, word, length) != 0 || (line + length < end && wordy(line[length])))
        return false;
    for (line += length; line < end && (*line == ' ' || *line == '\t'); line++)
        ;
    *rest = line;
    return true;
}

/* "NAME = ", or NAME_IN_CAPITALS, with a name that has the shape of a field's, and nothing that could be read: worth a note. */
static void doubt(struct list *list, const char *line, const char *end)
{
    const char *c = after_prefix(line, end), *name, *name_stop;
    bool high, underscore = false, capitals = true;

    for (name = c; c < end && wordy(*c); c++) {
        underscore |= *c == '_';
        capitals &= !islower((unsigned char)*c);
    }
    name_stop = c;
    while (c < end && (*c == ' ' || *c == '\t'))
        c++;
    if (name_stop == name || c == end)
        return;
    uint64_t value;
    enum form form;
    bool known = field_by_any_name(name, (size_t)(name_stop - name), NULL, &high) != VMCS_FIELD_COUNT,
         equals = *c == '=' || *c == ':';
    const char *after = equals ? c + 1 : c;

    while (after < end && (*after == ' ' || *after == '\t'))
        after++;
    bool numeric = after < end && number_read(after, end, list->bare, &value, &form);
    int shown = name_stop - name < 60 ? (int)(name_stop - name) : 60;

    if (known && !numeric)
        snapshot_note(list->s, list->reader->cursor.line, "\"%.*s\" is there without a number of 64 bits", shown, name);
    else if (!known && numeric && underscore && (equals || capitals))
        snapshot_note(list->s, list->reader->cursor.line, "\"%.*s\" is no VMCS field that is known here", shown, name);
}

void list_line(struct list *list, const char *line, size_t length)
{
    const char *end = line + length, *rest;
    uint64_t value;
    enum form form;

    if (list->reader->hashes) {
        const char *start = after_prefix(line, line + length);

        if (start < line + length && *start == '#') {
            length -= (size_t)(start + 1 - line);
            line = start + 1;
        }
    }
    length = without_comment(line, length);
    end = line + length;
    if (begins(line, end, "vmcs", &rest) && rest < end && number_read(rest, end, list->bare, &value, &form) == end) {
        if (list->any) {
            list->stop = STOP_NEXT;
            return;
        }
        list->s->vmcs.pa = value;
        list->s->line = list->reader->cursor.line;
    } else if (begins(line, end, "end", &rest) && rest == end && list->any) {
        list->stop = STOP_END;
    } else if (!processor_line(list->s, list->reader->cursor.line, line, length) &&
               !encoded_read(list, line, end) && !pairs_read(list, line, end)) {
        const char *heading = length < 80 ? about_whom(line, length) : NULL;

        if (heading)
            list->about = heading;
        else if (length < 80 && memmem(line, length, "ontrol", 6))
            list->about = NULL;
        doubt(list, line, end);
    }
}

bool line_is_sentence(const char *line, size_t length, unsigned fields)
{
    enum { WORDS = 3, WORDS_A_FIELD = 6 };              /* "Guest IA32_EFER full (VM-entry control 15) = 0x500" */
    const unsigned many = WORDS + WORDS_A_FIELD * fields;
    unsigned words = 0;

    length = without_comment(line, length);
    if (length < 2 * many - 1)
        return false;
    for (const char *c = line, *end = line + length; c < end && words < many; c++) {
        words += isalpha((unsigned char)*c) != 0;
        if (!(c = memchr(c, ' ', (size_t)(end - c))))
            break;
    }
    return words >= many;
}
