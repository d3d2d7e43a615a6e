/* SPDX-License-Identifier: MIT */
/*
 * Reading snapshots: which format a text has, and what the formats share. log.c and list.c read them. The text is not
 * trusted, and no part of it is an error: what cannot be read becomes a note.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "emu/vmcs/snapshot.h"

/* CR4: bits 14:0, 25:16, LASS (27), LAM_SUP (28) and FRED (32). The others are reserved on every processor (2.5). */
#define CR4_DEFINED (0x7fffull | 0x3ffull << 16 | 3ull << 27 | 1ull << 32)

bool cursor_line(struct cursor *cursor, const char **line, size_t *length)
{
    if (cursor->at >= cursor->length)
        return false;
    const char *start = cursor->text + cursor->at, *end = memchr(start, '\n', cursor->length - cursor->at);

    *line = start;
    *length = end ? (size_t)(end - start) : cursor->length - cursor->at;
    cursor->at += *length + (end != NULL);
    cursor->line++;
    return true;
}

void snapshot_note(struct snapshot *s, unsigned line, const char *format, ...)
{
    char *note = s->note[s->notes < SNAPSHOT_NOTES ? s->notes : SNAPSHOT_NOTES - 1];
    va_list arguments;

    if (s->notes++ >= SNAPSHOT_NOTES)
        return;
    int used = snprintf(note, SNAPSHOT_NOTE_MAX, "line %u: ", line);

    va_start(arguments, format);
    vsnprintf(note + used, SNAPSHOT_NOTE_MAX - (size_t)used, format, arguments);
    va_end(arguments);
    for (char *c = note; *c; c++)                       /* it quotes what the file says */
        if (*c < ' ' || *c > '~')
            *c = '?';
}

void snapshot_begin(const struct snapshot_reader *reader, struct snapshot *s)
{
    *s = reader->common;
    s->line = reader->cursor.line;
    if (reader->common.capability.pin.required)
        return;
    /* What is not given: everything that a processor may offer is taken as offered. */
    capability_init(&s->capability, NULL);
    struct vmx_capability *c = &s->capability;

    c->pin.allowed = c->proc.allowed = c->proc2.allowed = c->exit.allowed = c->entry.allowed = 0xffffffff;
    c->proc2.required = 0;
    c->cr0_fixed1 = 0xffffffff;
    c->cr4_fixed1 = CR4_DEFINED;
    c->vmfunc = ~0ull;
    c->misc |= 0x1ffull << 16 | CAPABILITY_INJECT_LENGTH_0;
    c->ept_vpid |=
        CAPABILITY_EPT_UNCACHEABLE | CAPABILITY_EPT_WRITE_BACK | CAPABILITY_EPT_ACCESSED_DIRTY | CAPABILITY_EPT_WALK_5;
    s->physical_address_width = 52;
    s->ia32e = true;
}

void snapshot_give(struct snapshot *s, unsigned line, enum vmcs_field field, uint64_t value)
{
    /* Natural-width and 32-bit values that are printed sign-extended to 64 bits. */
    if (value & ~vmcs_field_mask(field) && vmcs_field_mask(field) == 0xffffffff && value >> 31 == 0x1ffffffff)
        value &= 0xffffffff;
    if (value & ~vmcs_field_mask(field)) {
        snapshot_note(s, line, "0x%" PRIx64 " does not fit into %s", value, vmcs_field_name(field));
    } else if (s->given[field] && s->vmcs.field[field] != value) {
        snapshot_note(s, line, "%s is there again, with 0x%" PRIx64 "; 0x%" PRIx64 " counts", vmcs_field_name(field), value,
                      s->vmcs.field[field]);
    } else {
        s->vmcs.field[field] = value;
        s->given[field] = true;
    }
}

/* ---- what a file says of the processor ---- */

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
        unsigned digit = isdigit((unsigned char)*text) ? (unsigned)(*text - '0')
                         : isxdigit((unsigned char)*text) ? (unsigned)((*text | 32) - 'a' + 10) : 16;
        if (digit >= base || __builtin_mul_overflow(*value, (uint64_t)base, value) ||
            __builtin_add_overflow(*value, (uint64_t)digit, value))
            return false;
    }
    return true;
}

static void processor(struct snapshot *s, unsigned line, const char *name, uint64_t value)
{
    if (strcmp(name, "ia32e") == 0 && value <= 1) {
        s->ia32e = value;
        s->ia32e_given = true;
    } else if (strcmp(name, "physical_address_width") == 0 && value >= 32 && value <= 52) {
        s->physical_address_width = (unsigned)value;
        s->width_given = true;
    } else {
        snapshot_note(s, line, "processor: ia32e = 0 or 1, or physical_address_width = 32 to 52");
    }
}

static void give_part(struct snapshot *s, unsigned line, unsigned part, uint64_t value)
{
    if (!capability_parts[part].wide && value >> 32) {
        snapshot_note(s, line, "capability %s: 0x%" PRIx64 " does not fit into 32 bits", capability_parts[part].name, value);
        return;
    }
    memcpy((char *)&s->capability + capability_parts[part].offset, &value, capability_parts[part].wide ? 8 : 4);
    s->part_given[part] = true;
}

static void capability(struct snapshot *s, unsigned line, const char *name, uint64_t value)
{
    for (unsigned i = 0; i < capability_part_count; i++)
        if (strcmp(name, capability_parts[i].name) == 0) {
            give_part(s, line, i, value);
            return;
        }
    if (!capability_msr_give(s, name, value))
        snapshot_note(s, line, "\"%.40s\" is no capability", name);
}

static void memory(struct snapshot *s, unsigned line, const char *name, uint64_t value)
{
    uint64_t address;

    if (s->words == SNAPSHOT_WORDS) {
        snapshot_note(s, line, "more than %d words of memory", SNAPSHOT_WORDS);
    } else if (!number(name, &address)) {
        snapshot_note(s, line, "\"%.40s\" is no address", name);
    } else {
        s->word[s->words].address = address;
        s->word[s->words++].value = value;
    }
}

/* The next word at *c, cut out; words end at blanks and at "=", which is a word of its own. */
static void next_word(const char **c, const char *end, char *word, size_t size)
{
    size_t length = 0;

    while (*c < end && (**c == ' ' || **c == '\t'))
        ++*c;
    if (*c < end && **c == '=')
        word[length++] = *(*c)++;
    else
        for (; *c < end && !strchr(" \t=#", **c) && length < size - 1; ++*c)
            word[length++] = **c;
    word[length] = '\0';
}

bool processor_line(struct snapshot *s, unsigned line, const char *text, size_t length)
{
    static const struct {
        const char *word;
        void (*read)(struct snapshot *, unsigned, const char *, uint64_t);
    } kinds[] = { { "processor", processor }, { "capability", capability }, { "memory", memory } };
    const char *end = text + length;
    char kind[12], name[48], equals[2], text_value[24];
    uint64_t value;

    while (text < end && (*text == ' ' || *text == '\t'))
        text++;
    if (text == end || !strchr("pcm", *text))           /* most lines are none */
        return false;
    next_word(&text, end, kind, sizeof kind);
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].word) != 0)
            continue;
        next_word(&text, end, name, sizeof name);
        next_word(&text, end, equals, sizeof equals);
        next_word(&text, end, text_value, sizeof text_value);
        if (strcmp(equals, "=") != 0)
            return false;
        if (!number(text_value, &value))
            snapshot_note(s, line, "\"%s\" is no number of 64 bits", text_value);
        else
            kinds[i].read(s, line, name, value);
        return true;
    }
    return false;
}

/* The name of a capability MSR, without IA32_VMX_, VMX_ or MSR_ in front. */
static const char *bare_name(const char *name)
{
    static const char *const fronts[] = { "MSR_", "IA32_", "VMX_" };

    for (unsigned i = 0; i < 3; i++)
        if (strncasecmp(name, fronts[i], strlen(fronts[i])) == 0)
            name += strlen(fronts[i]);
    return name;
}

bool capability_msr_give(struct snapshot *s, const char *name, uint64_t value)
{
    /* Controls: bits 31:0 must be 1, bits 63:32 may be 1 (A.3 to A.5). Where there are TRUE MSRs they say what must. */
    static const struct { const char *name; bool plain; enum control_word_id word; } controls[] = {
        { "PINBASED_CTLS", true, WORD_PIN }, { "TRUE_PINBASED_CTLS", false, WORD_PIN },
        { "PROCBASED_CTLS", true, WORD_PROC }, { "TRUE_PROCBASED_CTLS", false, WORD_PROC },
        { "PROCBASED_CTLS2", false, WORD_PROC2 }, { "EXIT_CTLS", true, WORD_EXIT }, { "TRUE_EXIT_CTLS", false, WORD_EXIT },
        { "ENTRY_CTLS", true, WORD_ENTRY }, { "TRUE_ENTRY_CTLS", false, WORD_ENTRY },
    };
    static const struct { const char *name, *part; } wide[] = {
        { "BASIC", "basic" }, { "MISC", "misc" }, { "CR0_FIXED0", "cr0_fixed0" }, { "CR0_FIXED1", "cr0_fixed1" }, { "CR4_FIXED0", "cr4_fixed0" },
        { "CR4_FIXED1", "cr4_fixed1" }, { "EPT_VPID_CAP", "ept_vpid" }, { "VMFUNC", "vmfunc" },
    };
    const char *bare = bare_name(name);

    if (bare == name && strchr(name, '_') == NULL)
        return false;
    for (unsigned i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        if (strcasecmp(bare, controls[i].name) != 0)
            continue;
        struct control_word *word = &s->capability.word[controls[i].word];

        if (controls[i].plain)
            word->default1 = (uint32_t)value;
        else
            word->required = (uint32_t)value;
        word->allowed = (uint32_t)(value >> 32);
        s->part_given[3 * controls[i].word + 2] = true;
        s->part_given[3 * controls[i].word + 1] |= !controls[i].plain;
        return true;
    }
    for (unsigned i = 0; i < sizeof wide / sizeof wide[0]; i++)
        if (strcasecmp(bare, wide[i].name) == 0 && bare != name)
            for (unsigned j = 0; j < capability_part_count; j++)
                if (strcmp(capability_parts[j].name, wide[i].part) == 0) {
                    give_part(s, 0, j, value);
                    return true;
                }
    return false;
}

/* ---- formats ---- */

static bool read_one(struct snapshot_reader *reader, struct snapshot *snapshot)
{
    if (!reader->log)
        return list_read(reader, snapshot);
    /* A title in somebody's prose begins nothing. */
    while (log_read(reader, snapshot))
        if (memchr(snapshot->given, true, sizeof snapshot->given) || snapshot->notes)
            return true;
    return false;
}

bool snapshot_read(struct snapshot_reader *reader, struct snapshot *snapshot)
{
    if (!reader->begun) {
        struct snapshot_reader here = { .turn = 0 };

        snapshot_begin(&here, &reader->common);
        reader->log = log_recognised(reader->cursor.text, reader->cursor.length);
        reader->begun = true;
    }
    if (read_one(reader, snapshot)) {
        reader->found = true;
        return true;
    }
    if (!reader->found && reader->formats)      /* the source of what prints a log */
        return false;
    if (!reader->found && reader->log) {        /* somebody's list with a word of KVM's logs in it */
        reader->log = false;
        reader->cursor.at = reader->cursor.line = 0;
        if (read_one(reader, snapshot))
            return reader->found = true;
    }
    if (!reader->found && memchr(reader->cursor.text, '#', reader->cursor.length) && !reader->hashes && !reader->prose && !reader->definitions && reader->common.verdict == VERDICT_NONE) {
        struct snapshot_reader again = { .cursor = { .text = reader->cursor.text, .length = reader->cursor.length }, .begun = true, .hashes = true };

        snapshot_begin(&(struct snapshot_reader){ .turn = 0 }, &again.common);
        if (read_one(&again, snapshot)) {
            *reader = again;
            return reader->found = true;
        }
        reader->hashes = true;
    }
    return false;
}
