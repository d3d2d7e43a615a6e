/* SPDX-License-Identifier: MIT */
/*
 * Lists of names and values: the dumps of write.c, lines written by hand, and what hypervisors print of a VMCS field by
 * field.
 *
 *   guest_rip = 0x8000            # what follows this is a comment
 *   [hv] GUEST_CS_AR_BYTES: 0xa09b, 0x6802 = 0x1000
 *   Guest CS: selector 0x8 base 0x0    | vmcs::guest_cr0 | 0x80000031 |
 *
 * A line may hold several; names are anybody's (emu/vmcs/names.def) or encodings. A "vmcs ADDRESS" begins the next VMCS,
 * and so does the field with which this one began.
 */
#define _GNU_SOURCE             /* memmem() */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "emu/vmcs/snapshot.h"

/* A VMCS while its lines are read. */
struct list {
    struct snapshot_reader *reader;
    struct snapshot *s;
    const char *about;                  /* "guest", "host": what the heading says, or NULL */
    enum vmcs_field first;              /* that it began with */
    bool any;
    bool bare;                          /* numbers are hexadecimal without 0x */
    struct list_numbers numbers;        /* how the values are written */
    enum { STOP_NO, STOP_END, STOP_NEXT } stop;
};

enum { NAME_MAX_BYTES = 120 };

static bool wordy(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* How a number is written: with 0x or an h; without, but with letters or a 0 in front, which is hexadecimal; with digits that
 * say nothing of the base, of which it depends what they are; with a digit that is the same in all of them. */
enum form { FORM_MARKED, FORM_HEXADECIMAL, FORM_DIGITS, FORM_ONE_DIGIT };

/* A number at the beginning of a word: 0x..., digits with an "h", or digits that are decimal unless they look otherwise, or
 * unless `bare` says that they are hexadecimal. Rust puts "_" between digits, WinDbg "`". */
static const char *number(const char *c, const char *end, bool bare, uint64_t *value, enum form *form)
{
    const char *start = c;
    bool hex = end - c > 2 && c[0] == '0' && (c[1] | 32) == 'x', letters = false;
    unsigned digits = 0;
    uint64_t decimal = 0;
    bool overflow = false;

    if (hex)
        c += 2;
    for (*value = 0; c < end && (isxdigit((unsigned char)*c) || ((*c == '_' || *c == '`') && digits)); c++) {
        unsigned digit = *c <= '9' ? (unsigned)(*c - '0') : (unsigned)((*c | 32) - 'a' + 10);

        if (*c == '_' || *c == '`')
            continue;
        letters |= digit > 9;
        digits++;
        *value = *value << 4 | digit;
        overflow |=
            __builtin_mul_overflow(decimal, (uint64_t)10, &decimal) || __builtin_add_overflow(decimal, digit, &decimal);
    }
    if (c < end && (*c | 32) == 'h' && !hex && digits) {
        hex = true;
        c++;
    }
    while (hex && c < end && ((*c | 32) == 'u' || (*c | 32) == 'l'))    /* C's suffixes */
        c++;
    if (!digits || (c < end && (wordy(*c) || *c == '.')))
        return NULL;
    *form = hex ? FORM_MARKED
            : letters || (digits > 3 && *start == '0') ? FORM_HEXADECIMAL
            : decimal > 9 ? FORM_DIGITS : FORM_ONE_DIGIT;
    if (!bare && (*form == FORM_DIGITS || *form == FORM_ONE_DIGIT)) {
        *value = decimal;
        return overflow ? NULL : c;
    }
    return digits <= 16 ? c : NULL;
}

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

/* Is a value due here?  After =, :, |, ->, what separates columns, or a blank. */
static bool value_due(const char *start, const char *c)
{
    return c > start && strchr(" \t=:|>\"'(,;", c[-1]) && c[-1];
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
    return c < end && number(c, end, list->bare, &value, &form);
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
        if (isalnum((unsigned char)*c) && number(c, end, list->bare, &value, &form))
            return true;
        if (end - c > 5 && strncasecmp(c, "value", 5) == 0)
            c += 4;
        else if (wordy(*c))
            return false;
    }
    return false;
}

/* "guest", "host" or NULL: what a heading is about, or what the subject of a line is about. */
static const char *about(const char *text, size_t length)
{
    for (size_t i = 0; i + 4 <= length; i++) {
        if (i + 5 <= length && strncasecmp(text + i, "guest", 5) == 0)
            return "guest";
        if (strncasecmp(text + i, "host", 4) == 0)
            return "host";
    }
    return NULL;
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

/* A piece of a line. */
struct piece {
    const char *start, *end;
};

/* "Guest CS Segment - Selector: 0x10  Limit: 0x0": the field of what the line is about, and of a word of it. */
static enum vmcs_field by_subject(const struct list *list, struct piece subject, struct piece name, bool *high)
{
    char text[2 * NAME_MAX_BYTES + 2];
    size_t length = (size_t)(subject.end - subject.start), more = (size_t)(name.end - name.start);
    enum vmcs_field field = VMCS_FIELD_COUNT;

    if (!length)
        return field;
    if (length + 1 + more <= sizeof text) {
        memcpy(text, subject.start, length);
        text[length] = ' ';
        memcpy(text + length + 1, name.start, more);
        if ((field = field_by_any_name(text, length + 1 + more, NULL, high)) == VMCS_FIELD_COUNT && list->about)
            field = field_by_any_name(text, length + 1 + more, list->about, high);
    }
    return field != VMCS_FIELD_COUNT ? field : field_by_any_name(name.start, more, about(subject.start, length), high);
}

/* The field of a name that says not all: with what the line or a heading is about. */
static enum vmcs_field by_heading(const struct list *list, struct piece subject, struct piece name, bool *high)
{
    size_t length = (size_t)(name.end - name.start);
    enum vmcs_field field = by_subject(list, subject, name, high);

    if (field == VMCS_FIELD_COUNT)
        field = field_by_any_name(name.start, length, about(name.start, length), high);
    if (field == VMCS_FIELD_COUNT && list->about)
        field = field_by_any_name(name.start, length, list->about, high);
    return field;
}

/* A field that only the guest has needs no heading, once there was a field: "ss ar", "rflags". */
static enum vmcs_field guest_alone(const struct list *list, struct piece subject, struct piece name, bool *high)
{
    struct list guest = *list, host = *list;

    if (list->about || !list->any)
        return VMCS_FIELD_COUNT;
    guest.about = "guest";
    host.about = "host";
    return by_heading(&host, subject, name, high) == VMCS_FIELD_COUNT ? by_heading(&guest, subject, name, high)
                                                                      : VMCS_FIELD_COUNT;
}

/* The field of a name: by itself (*whole), or with what the line or a heading is about. */
static enum vmcs_field resolve(const struct list *list, struct piece subject, struct piece name, bool *high, bool *whole)
{
    size_t length = (size_t)(name.end - name.start);
    enum vmcs_field field = length ? field_by_any_name(name.start, length, NULL, high) : VMCS_FIELD_COUNT;

    *whole = field != VMCS_FIELD_COUNT;
    if (!length || *whole)
        return field;
    field = by_heading(list, subject, name, high);
    return field != VMCS_FIELD_COUNT ? field : guest_alone(list, subject, name, high);
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

/* A value is given to a field: how it is written. */
static void count_form(struct list *list, enum form form, bool encoding)
{
    list->numbers.encodings += encoding;
    list->numbers.fields++;
    list->numbers.marked += form == FORM_MARKED;
    list->numbers.hexadecimal += form == FORM_HEXADECIMAL;
    list->numbers.digits += form == FORM_DIGITS;
}

/*
 * A line of two numbers and a name, of which one number is the encoding of the field with that name: the other is the value, in
 * whatever order. "0x0, GUEST_RFLAGS, 0x6820"
 */
static bool name_and_encoding(struct list *list, const char *line, const char *end)
{
    struct piece number_at[2], part[3];
    uint64_t value[2], other;
    enum form form[2], other_form;
    unsigned count = 0;

    for (const char *c = line; c < end; c++) {
        bool due = isalnum((unsigned char)*c) && (c == line || value_due(line, c));
        const char *rest = due ? number(c, end, list->bare, &other, &other_form) : NULL;

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
        enum vmcs_field field = resolve(list, (struct piece){ line, line }, name, &high, &whole);
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
        count_form(list, form[first], false);
        return true;
    }
    return false;
}

/* "cs desc[0]  0x0/0xffffffff/0xa09b": base, limit and access rights in one. Returns where they end, or NULL. */
static const char *descriptor(struct list *list, struct piece name, const char *c, const char *end)
{
    static const char *const part[] = { "base", "limit", "access rights" };
    const char *subject = about(name.start, (size_t)(name.end - name.start));
    uint64_t value[3];
    enum form form[3];
    unsigned count = 0;
    enum vmcs_field field[3];

    while (count < 3 && (c = number(c, end, list->bare, &value[count], &form[count])) != NULL) {
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
        count_form(list, form[i], false);
    }
    return c;
}

/* The pairs of a line. Returns whether there were any. */
static bool pairs(struct list *list, const char *line, const char *end)
{
    struct piece subject = { line, line }, encoded = { line, line };    /* encoded: the name whose encoding stands after it */
    const char *start = line;                           /* of the name */
    bool found = false;

    for (const char *c = line; c < end; c++) {
        uint64_t value;
        enum form form;
        bool high = false, whole, due = isalnum((unsigned char)*c) && value_due(start, c);
        const char *rest = due ? number(c, end, list->bare, &value, &form) : NULL;

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
        enum vmcs_field field = resolve(list, subject, name, &high, &whole);
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
            count_form(list, form, is_encoding(field, high, c, rest, value));
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

/* The line without its comment. */
static size_t without_comment(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((line[i] == '#' || (line[i] == '/' && i + 1 < length && line[i + 1] == '/')) &&
            (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t'))
            return i;
    return length;
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

/* "NAME = " with a name that has the shape of a field's, and nothing that could be read: worth a note. */
static void doubt(struct list *list, const char *line, const char *end)
{
    const char *c = after_prefix(line, end), *name, *name_stop;
    bool high, underscore = false;

    for (name = c; c < end && wordy(*c); c++)
        underscore |= *c == '_';
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
    bool numeric = after < end && number(after, end, list->bare, &value, &form);
    int shown = name_stop - name < 60 ? (int)(name_stop - name) : 60;

    if (known && !numeric)
        snapshot_note(list->s, list->reader->cursor.line, "\"%.*s\" is there without a number of 64 bits", shown, name);
    else if (!known && numeric && equals && underscore)
        snapshot_note(list->s, list->reader->cursor.line, "\"%.*s\" is no VMCS field that is known here", shown, name);
}

static void read_line(struct list *list, const char *line, size_t length)
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
    if (begins(line, end, "vmcs", &rest) && rest < end && number(rest, end, list->bare, &value, &form) == end) {
        if (list->any) {
            list->stop = STOP_NEXT;
            return;
        }
        list->s->vmcs.pa = value;
        list->s->line = list->reader->cursor.line;
    } else if (begins(line, end, "end", &rest) && rest == end && list->any) {
        list->stop = STOP_END;
    } else if (!processor_line(list->s, list->reader->cursor.line, line, length) &&
               !name_and_encoding(list, line, end) && !pairs(list, line, end)) {
        const char *heading = length < 80 ? about(line, length) : NULL;

        if (heading)
            list->about = heading;
        else if (length < 80 && memmem(line, length, "ontrol", 6))
            list->about = NULL;
        doubt(list, line, end);
    }
}

/* Is it a sentence, or a line of something else?  It has words that no field accounts for. */
static bool sentence(const char *line, size_t length, unsigned fields)
{
    enum { WORDS = 3, WORDS_A_FIELD = 6 };              /* "Guest IA32_EFER full (VM-entry control 15) = 0x500" */
    unsigned words = 0;

    for (size_t i = 0; i < length; i++)
        words += isalpha((unsigned char)line[i]) && (i == 0 || line[i - 1] == ' ');
    return words >= WORDS + WORDS_A_FIELD * fields;
}

/*
 * What the whole text is, before any of it is read: in which base the numbers without 0x are, and whether it is a list at all.
 * One number without 0x that has letters, among values of which none has 0x, says that all are hexadecimal. HAXM prints
 * "4000 VMX_PIN_CONTROLS: 16". A few fields in many sentences are somebody's examples, and a text that gives fields nothing but
 * their encodings defines these.
 */
static void survey(struct snapshot_reader *reader, struct snapshot *snapshot)
{
    enum { FEW_FIELDS = 20, SENTENCES_A_FIELD = 4, FEW_SENTENCES = 16 };
    const struct cursor start = reader->cursor;
    struct list list = { .reader = reader, .s = snapshot };
    unsigned sentences = 0, in_sentences = 0;           /* in_sentences: fields */
    const char *line;
    size_t length;

    snapshot_begin(reader, snapshot);
    while (cursor_line(&reader->cursor, &line, &length)) {
        unsigned before = list.numbers.fields;

        read_line(&list, line, length);
        if (list.stop) {
            bool again = list.stop == STOP_NEXT;

            list.stop = STOP_NO;
            list.any = false;
            snapshot_begin(reader, snapshot);
            if (again)
                read_line(&list, line, length);
        }
        if (sentence(line, without_comment(line, length), list.numbers.fields - before)) {
            sentences++;
            in_sentences += list.numbers.fields - before;
        }
    }
    reader->cursor = start;
    reader->numbers = list.numbers;
    reader->bare = list.numbers.hexadecimal && !list.numbers.marked;
    unsigned fields = list.numbers.fields - in_sentences;
    reader->prose = list.numbers.fields && fields < FEW_FIELDS && sentences > FEW_SENTENCES + SENTENCES_A_FIELD * fields;
    reader->definitions = list.numbers.fields > 1 && list.numbers.encodings == list.numbers.fields;
    reader->surveyed = true;
}

/* How the numbers of a VMCS were read, where that was not written. */
static const char *base_text(const struct list *list)
{
    const struct list_numbers *all = &list->reader->numbers;

    if (list->bare)
        return list->numbers.fields > list->numbers.marked
                   ? "numbers without 0x are read as hexadecimal: some of the file's have letters or a 0 in front, and none has 0x"
                   : NULL;
    if (!list->numbers.digits)
        return NULL;
    if (all->hexadecimal)
        return "numbers without 0x are read as decimal, except those with letters or a 0 in front: the file has some with 0x, too";
    return all->marked ? "numbers without 0x are read as decimal: the file has others with 0x"
                       : "numbers are read as decimal: nothing in the file tells their base (0x in front makes one hexadecimal)";
}

/* A verdict and what an exit says of itself, and next to nothing of what was entered. */
static bool verdict_alone(const struct snapshot *s)
{
    unsigned fields = 0;
    uint64_t value;

    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        fields += s->given[i] && i != FIELD_guest_rip && VMCS_ENCODING_TYPE(vmcs_encoding(i)) != VMCS_TYPE_EXIT_INFORMATION;
    return !fields && s->given[FIELD_exit_reason] && snapshot_verdict(s, &value) != VERDICT_NONE;
}

bool list_read(struct snapshot_reader *reader, struct snapshot *snapshot)
{
    const char *line;
    size_t length;

    if (!reader->surveyed)
        survey(reader, snapshot);
    struct list list = {
        .reader = reader, .s = snapshot, .bare = reader->bare,
    };
    snapshot_begin(reader, snapshot);
    if (reader->prose || reader->definitions) {
        reader->common = *snapshot;
        reader->common.notes = 0;
        if (reader->definitions)
            snapshot_note(&reader->common, 1, "all %u values are the encodings of their fields", reader->numbers.fields);
        else
            snapshot_note(&reader->common, 1, "a text with %u values of fields in it, no list: to check them, leave only their lines",
                          reader->numbers.fields);
        return false;
    }
    while (!list.stop) {
        const struct cursor start = reader->cursor;
        bool empty = !list.any;

        if (!cursor_line(&reader->cursor, &line, &length))
            break;
        read_line(&list, line, length);
        if (list.stop == STOP_NEXT)
            reader->cursor = start;
        else if (empty && list.any && !snapshot->line)
            snapshot->line = reader->cursor.line;
        uint64_t value;
        bool before;
        enum verdict_kind kind = list.stop ? VERDICT_NONE : verdict_line(line, line + length, &value, &before);
        if (kind != VERDICT_NONE) {
            snapshot->verdict = kind;
            snapshot->verdict_value = value;
        }
    }
    snapshot->numbers = base_text(&list);
    if (list.any && verdict_alone(snapshot)) {
        reader->verdict = snapshot_verdict(snapshot, &reader->verdict_value);
        return false;
    }
    if (!list.any)
        reader->common = *snapshot;                     /* its notes say why */
    return list.any;
}
