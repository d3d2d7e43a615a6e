/* SPDX-License-Identifier: MIT */
/* Names and values in a line of a list: pairs, names with their encodings, descriptors in one. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "emu/vmcs/list.h"

static void give(struct list *list, enum vmcs_field field, bool high, uint64_t value)
{
    struct snapshot *s = list->s;

    if (high) {
        if (value >> 32) {
            snapshot_note(s, list->reader->cursor.line, "0x%" PRIx64 " does not fit into the high half of %s", value,
                          vmcs_field_name(field));
            return;
        }
        s->vmcs.field[field] = (s->vmcs.field[field] & 0xffffffff) | value << 32;
    } else {
        snapshot_give(s, list->reader->cursor.line, field, value);
    }
    if (!list->any)
        list->first = field;
    list->any = true;
}

/* An index at the end of a name: "rflags[0]", of the first virtual processor. Where it begins. */
static const char *index_begins(const char *start, const char *end)
{
    const char *c = end - 1;

    if (end - start < 4 || *c != ']')
        return NULL;
    while (c > start && isdigit((unsigned char)c[-1]))
        c--;
    return c < end - 1 && c - start > 1 && c[-1] == '[' && wordy(c[-2]) ? c - 1 : NULL;
}

/* The end of a name at `end`: what separates it from its value, and an index, taken off. */
static const char *name_end(const char *start, const char *end)
{
    while (end > start && (strchr(" \t=:|>,;\"'-", end[-1]) != NULL) && end[-1])
        end--;
    return index_begins(start, end) ? index_begins(start, end) : end;
}

/* Is a value due here?  After =, :, |, ->, what separates columns, or a blank. */
static bool value_due(const char *start, const char *c)
{
    static const bool separates[256] = {
        [' '] = true, ['\t'] = true, ['='] = true, [':'] = true, ['|'] = true, ['>'] = true, ['"'] = true, ['\''] = true,
        ['('] = true, [','] = true, [';'] = true,
    };

    return c > start && separates[(unsigned char)c[-1]];
}

/* Is the number an encoding that stands after a name, with the value still to come?  "GUEST_CR0 (0x6800): 0x..." */
static bool value_follows(const struct list *list, const char *c, const char *end)
{
    uint64_t value;
    enum form form;

    while (c < end && (*c == ' ' || *c == '\t' || *c == ')' || *c == ']'))
        c++;
    if (c == end || (*c != '=' && *c != ':' && *c != '|'))
        return false;
    while (c < end && strchr(" \t=:|>", *c) && *c)
        c++;
    return c < end && number_read(c, end, list->bare, &value, &form);
}

/* Is the number in [c, rest) the encoding of a field?  Encodings are hexadecimal with or without 0x. */
static bool is_encoding(enum vmcs_field field, bool high, const char *c, const char *rest, uint64_t value)
{
    uint64_t encoding = vmcs_encoding(field) | high, hex;

    return value == encoding || (hexadecimal(c, rest, &hex) && hex == encoding);
}

/* Does another number follow, with what separates columns in between, or the word "value"? */
static bool number_follows(const struct list *list, const char *c, const char *end)
{
    uint64_t value;
    enum form form;

    for (; c < end; c++) {
        if (isalnum((unsigned char)*c) && number_read(c, end, list->bare, &value, &form))
            return true;
        if (end - c > 5 && strncasecmp(c, "value", 5) == 0)
            c += 4;
        else if (wordy(*c))
            return false;
    }
    return false;
}

static bool capability_name(const char *name, const char *end, uint64_t value, struct snapshot *s)
{
    char text[64];
    const char *c = end;

    while (c > name && (wordy(c[-1])))
        c--;
    if (end - c <= 0 || (size_t)(end - c) >= sizeof text)
        return false;
    memcpy(text, c, (size_t)(end - c));
    text[end - c] = '\0';
    return capability_msr_give(s, text, value);
}

/* What a name that says all is about: without its last word. "Guest GDTR Limit" */
static struct piece subject_of(struct piece name)
{
    while (name.end > name.start && wordy(name.end[-1]))
        name.end--;
    return name;
}

/* Does the next VMCS begin with this field?  The one that this VMCS began with, with another value. */
static bool next_begins(const struct list *list, enum vmcs_field field, bool high, uint64_t value)
{
    return list->any && field == list->first && !high && list->s->given[field] && list->s->vmcs.field[field] != value;
}

/*
 * A line of two numbers and a name, of which one number is the encoding of the field with that name: the other is the value, in
 * whatever order. "0x0, GUEST_RFLAGS, 0x6820"
 */
bool encoded_read(struct list *list, const char *line, const char *end)
{
    struct piece number_at[2], part[3];
    uint64_t value[2], other;
    enum form form[2], other_form;
    unsigned count = 0;

    for (const char *c = line; c < end; c++) {
        bool due = isxdigit((unsigned char)*c) && (c == line || value_due(line, c));
        const char *rest = due ? number_read(c, end, list->bare, &other, &other_form) : NULL;

        if (!rest)
            continue;
        if (count == 2)
            return false;
        value[count] = other;
        form[count] = other_form;
        number_at[count++] = (struct piece){ c, rest };
        c = rest - 1;
    }
    if (count != 2)
        return false;
    part[0] = (struct piece){ line, number_at[0].start };
    part[1] = (struct piece){ number_at[0].end, number_at[1].start };
    part[2] = (struct piece){ number_at[1].end, end };
    for (unsigned i = 0; i < 3; i++) {
        struct piece name = { part[i].start, name_end(part[i].start, part[i].end) };
        bool high, whole;

        if (name.end - name.start > NAME_MAX_BYTES)
            name.start = name.end - NAME_MAX_BYTES;
        enum vmcs_field field = name_field(list, (struct piece){ line, line }, name, &high, &whole);
        if (field == VMCS_FIELD_COUNT)
            continue;
        bool first = is_encoding(field, high, number_at[0].start, number_at[0].end, value[0]);
        if (!first && !is_encoding(field, high, number_at[1].start, number_at[1].end, value[1]))
            continue;
        if (next_begins(list, field, high, value[first])) {
            list->stop = STOP_NEXT;
            return true;
        }
        give(list, field, high, value[first]);
        number_count(list, form[first], false);
        return true;
    }
    return false;
}

/* "cs desc[0]  0x0/0xffffffff/0xa09b": base, limit and access rights in one. Returns where they end, or NULL. */
static const char *descriptor(struct list *list, struct piece name, const char *c, const char *end)
{
    static const char *const part[] = { "base", "limit", "access rights" };
    const char *subject = about_whom(name.start, (size_t)(name.end - name.start));
    uint64_t value[3];
    enum form form[3];
    unsigned count = 0;
    enum vmcs_field field[3];

    while (count < 3 && (c = number_read(c, end, list->bare, &value[count], &form[count])) != NULL) {
        count++;
        if (c == end || *c != '/')
            break;
        c++;
    }
    if (!c || count < 2)
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        char text[NAME_MAX_BYTES + 20];
        size_t length = (size_t)(name.end - name.start);
        bool high;

        for (size_t cut = 0; cut + 4 < length; cut++)       /* "desc", "descriptor" say nothing */
            if (strncasecmp(name.start + cut, " desc", 5) == 0)
                length = cut;
        int used = snprintf(text, sizeof text, "%.*s %s", (int)length, name.start, part[i]);
        field[i] = field_by_any_name(text, (size_t)used, subject ? NULL : "guest", &high);
        if (field[i] == VMCS_FIELD_COUNT)
            return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        give(list, field[i], false, value[i]);
        number_count(list, form[i], false);
    }
    return c;
}

bool pairs_read(struct list *list, const char *line, const char *end)
{
    struct piece subject = { line, line }, encoded = { line, line };    /* encoded: the name whose encoding stands after it */
    const char *start = line;                           /* of the name */
    bool found = false;

    for (const char *c = line; c < end; c++) {
        uint64_t value;
        enum form form;
        bool high = false, whole, due = isxdigit((unsigned char)*c) && value_due(start, c);
        const char *rest = due ? number_read(c, end, list->bare, &value, &form) : NULL;

        if (!rest || value_follows(list, rest, end))
            continue;
        if (c - start > NAME_MAX_BYTES)
            start = c - NAME_MAX_BYTES;                 /* of what is no name the end is enough */
        bool after_encoding = encoded.end > encoded.start;
        struct piece name = after_encoding ? encoded : (struct piece){ start, name_end(start, c) };
        const char *behind = rest < end && *rest == '/' ? descriptor(list, name, c, end) : NULL;
        if (behind) {
            found = true;
            start = c = behind;
            c--;
            continue;
        }
        enum vmcs_field field = name_field(list, subject, name, &high, &whole);
        if (field == VMCS_FIELD_COUNT && name.end < c && *name.end == '[')      /* of a virtual processor: the guest's */
            field = field_by_any_name(name.start, (size_t)(name.end - name.start), "guest", &high);

        if (field != VMCS_FIELD_COUNT && !after_encoding && is_encoding(field, high, c, rest, value) &&
            number_follows(list, rest, end)) {
            encoded = name;
            c = rest - 1;
            continue;
        }
        encoded.end = encoded.start;
        if (field != VMCS_FIELD_COUNT && !found && next_begins(list, field, high, value)) {
            list->stop = STOP_NEXT;
            return true;
        }
        if (field != VMCS_FIELD_COUNT) {
            give(list, field, high, value);
            number_count(list, form, is_encoding(field, high, c, rest, value));
        } else if (name.end == name.start || !capability_name(name.start, name.end, value, list->s)) {
            continue;                                   /* the number may belong to a name */
        }
        found = true;
        if (whole || subject.end == subject.start)
            subject = subject_of(name);
        start = c = rest;
        c--;
    }
    return found;
}
