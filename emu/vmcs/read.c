/* SPDX-License-Identifier: MIT */
/* Reading snapshots: lines of NAME = VALUE, as write.c makes them. KVM's format: kvm.c. The text is not trusted. */
#define _GNU_SOURCE             /* memmem() */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "emu/vmcs/snapshot.h"

enum { LINE_BYTES = 1000, WORDS_MAX = 5 };

bool reader_line(struct snapshot_reader *reader, const char **line, size_t *length)
{
    if (reader->at >= reader->length)
        return false;
    const char *start = reader->text + reader->at, *end = memchr(start, '\n', reader->length - reader->at);

    *line = start;
    *length = end ? (size_t)(end - start) : reader->length - reader->at;
    reader->at += *length + (end != NULL);
    reader->line++;
    if (*length && start[*length - 1] == '\r')
        --*length;
    return true;
}

enum snapshot_read reader_error(struct snapshot_reader *reader, const char *format, ...)
{
    va_list arguments;
    int used = snprintf(reader->error, sizeof reader->error, "%.100s:%u: ", reader->path, reader->line);

    va_start(arguments, format);
    vsnprintf(reader->error + used, sizeof reader->error - (size_t)used, format, arguments);
    va_end(arguments);
    for (char *c = reader->error; *c; c++)      /* it quotes what the file says */
        if (*c < ' ' || *c > '~')
            *c = '?';
    return SNAPSHOT_ERROR;
}

/* ---- words of a line ---- */

struct words {
    char text[LINE_BYTES];
    char *word[WORDS_MAX];
    unsigned count;
};

/* Splits at blanks; what follows # does not count. False: too long, or too many words. */
static bool split(struct words *words, const char *line, size_t length)
{
    const char *comment = memchr(line, '#', length);

    words->count = 0;
    if (comment)
        length = (size_t)(comment - line);
    if (length >= LINE_BYTES || memchr(line, '\0', length))
        return false;
    memcpy(words->text, line, length);
    words->text[length] = '\0';
    for (char *rest = words->text;;) {
        rest += strspn(rest, " \t");
        if (!*rest)
            return true;
        if (words->count == WORDS_MAX)
            return false;
        words->word[words->count++] = rest;
        rest += strcspn(rest, " \t");
        if (*rest)
            *rest++ = '\0';
    }
}

/* 0x... or decimal digits, nothing else, at most 64 bits. */
static bool number(const char *text, uint64_t *value)
{
    unsigned base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;

    *value = 0;
    if (base == 16)
        text += 2;
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = *text >= '0' && *text <= '9' ? (unsigned)(*text - '0')
                         : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a' + 10)
                         : *text >= 'A' && *text <= 'F' ? (unsigned)(*text - 'A' + 10) : 16;
        if (digit >= base || __builtin_mul_overflow(*value, (uint64_t)base, value) ||
            __builtin_add_overflow(*value, (uint64_t)digit, value))
            return false;
    }
    return true;
}

/* ---- the lines ---- */

static enum snapshot_read field_line(struct snapshot_reader *reader, struct snapshot *s, const char *name, uint64_t value)
{
    enum vmcs_field field = vmcs_field_by_name(name);

    if (field == VMCS_FIELD_COUNT)
        return reader_error(reader, "\"%s\" is no VMCS field (names: arch/vmcs_fields.def)", name);
    if (value & ~vmcs_field_mask(field))
        return reader_error(reader, "0x%" PRIx64 " does not fit into %s", value, name);
    if (s->given[field])
        return reader_error(reader, "%s is there twice", name);
    s->vmcs.field[field] = value;
    s->given[field] = true;
    return SNAPSHOT_READ;
}

static enum snapshot_read processor_line(struct snapshot_reader *reader, struct snapshot *s, const char *name, uint64_t value)
{
    if (strcmp(name, "ia32e") == 0 && value <= 1)
        s->ia32e = value;
    else if (strcmp(name, "physical_address_width") == 0 && value >= 32 && value <= 52)
        s->physical_address_width = (unsigned)value;
    else
        return reader_error(reader, "processor: ia32e = 0 or 1, or physical_address_width = 32 to 52");
    return SNAPSHOT_READ;
}

static enum snapshot_read capability_line(struct snapshot_reader *reader, struct snapshot *s, const char *name, uint64_t value)
{
    for (unsigned i = 0; i < capability_part_count; i++) {
        const struct capability_part *part = &capability_parts[i];

        if (strcmp(name, part->name) != 0)
            continue;
        if (!part->wide && value >> 32)
            return reader_error(reader, "0x%" PRIx64 " does not fit into 32 bits", value);
        memcpy((char *)&s->capability + part->offset, &value, part->wide ? 8 : 4);
        return SNAPSHOT_READ;
    }
    return reader_error(reader, "\"%s\" is no capability", name);
}

static enum snapshot_read memory_line(struct snapshot_reader *reader, struct snapshot *s, const char *name, uint64_t value)
{
    if (s->words == SNAPSHOT_WORDS)
        return reader_error(reader, "more than %d words of memory", SNAPSHOT_WORDS);
    if (!number(name, &s->word[s->words].address))
        return reader_error(reader, "\"%s\" is no address", name);
    s->word[s->words++].value = value;
    return SNAPSHOT_READ;
}

/* NAME = VALUE, or KIND NAME = VALUE. */
static enum snapshot_read value_line(struct snapshot_reader *reader, struct snapshot *s, const struct words *w)
{
    static const struct {
        const char *word;
        enum snapshot_read (*read)(struct snapshot_reader *, struct snapshot *, const char *, uint64_t);
    } kinds[] = { { "processor", processor_line }, { "capability", capability_line }, { "memory", memory_line } };
    uint64_t value;

    if (w->count < 3 || w->count > 4 || strcmp(w->word[w->count - 2], "=") != 0)
        return reader_error(reader, "expected NAME = VALUE");
    if (!number(w->word[w->count - 1], &value))
        return reader_error(reader, "\"%s\" is no number of 64 bits", w->word[w->count - 1]);
    if (w->count == 3)
        return field_line(reader, s, w->word[0], value);
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(w->word[0], kinds[i].word) == 0)
            return kinds[i].read(reader, s, w->word[1], value);
    return reader_error(reader, "\"%s\": expected processor, capability, memory or a field's name", w->word[0]);
}

void snapshot_begin(struct snapshot *s)
{
    memset(s, 0, sizeof *s);
    capability_init(&s->capability, NULL);
    s->physical_address_width = 40;
    s->ia32e = true;
}

/* From a line "vmcs ADDRESS", or the first line of a file without one, to "end", the next "vmcs" or the end of the file. */
static enum snapshot_read own_read(struct snapshot_reader *reader, struct snapshot *s)
{
    const char *line;
    size_t length;
    bool begun = false;

    snapshot_begin(s);
    for (;;) {
        struct snapshot_reader before = *reader;
        struct words words;

        if (!reader_line(reader, &line, &length))
            return begun ? SNAPSHOT_READ : SNAPSHOT_END;
        if (!split(&words, line, length))
            return reader_error(reader, "this line is too long or has too many words");
        if (words.count == 0)
            continue;
        if (words.count == 2 && strcmp(words.word[0], "vmcs") == 0) {
            if (begun) {
                *reader = before;
                return SNAPSHOT_READ;
            }
            if (!number(words.word[1], &s->vmcs.pa))
                return reader_error(reader, "\"%s\" is no address", words.word[1]);
        } else if (words.count == 1 && strcmp(words.word[0], "end") == 0 && begun) {
            return SNAPSHOT_READ;
        } else if (value_line(reader, s, &words) == SNAPSHOT_ERROR) {
            return SNAPSHOT_ERROR;
        }
        if (!begun)
            s->line = reader->line;
        begun = true;
    }
}

enum snapshot_read snapshot_read(struct snapshot_reader *reader, struct snapshot *snapshot)
{
    static const char title[] = "*** Guest State ***";

    if (memmem(reader->text, reader->length, title, sizeof title - 1)) {
        snapshot_begin(snapshot);
        return kvm_read(reader, snapshot);
    }
    return own_read(reader, snapshot);
}
