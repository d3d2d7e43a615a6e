/* SPDX-License-Identifier: MIT */
/*
 * Reading the VMCS that Linux KVM prints to its log when a VM entry failed. Whatever stands before a line (timestamps, a
 * host's name, "kvm_intel:") is skipped, lines that are not known are too: it is a log.
 */
#define _GNU_SOURCE             /* memmem() */
#include <inttypes.h>
#include <string.h>

#include "emu/vmcs/snapshot.h"

enum section { NO_SECTION, SECTION_GUEST, SECTION_HOST, SECTION_CONTROL };
enum { VALUES_MAX = 7, PREFIX_MAX = 200 };
#define NONE VMCS_FIELD_COUNT

/* Fields by number, from 1; 0 ends a row, and NONE + 1 is for values that no field holds. */
enum {
#define FIELD(name, encoding, exists) NUMBER_##name = FIELD_##name + 1,
#include "arch/vmcs_fields.def"
    NUMBER_none = NONE + 1,
    NUMBER_ = 0,
};
#define NUMBERS(_1, _2, _3, _4, _5, _6, _7, ...)                                                                     \
    { NUMBER_##_1, NUMBER_##_2, NUMBER_##_3, NUMBER_##_4, NUMBER_##_5, NUMBER_##_6, NUMBER_##_7 }

static const struct line {
    enum section section;
    const char *pattern;
    uint16_t number[VALUES_MAX];
} lines[] = {
#define LINE(section, pattern, ...) { SECTION_##section, pattern, NUMBERS(__VA_ARGS__, , , , , , , ) },
#include "emu/vmcs/kvm_lines.def"
};
enum { LINES = sizeof lines / sizeof lines[0] };

static bool blank(char c) { return c == ' ' || c == '\t'; }

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A number of at most 16 hexadecimal digits; returns what follows, or NULL. */
static const char *hexadecimal(const char *c, const char *end, uint64_t *value)
{
    unsigned digits = 0;

    if (end - c > 2 && c[0] == '0' && (c[1] == 'x' || c[1] == 'X'))
        c += 2;
    for (*value = 0; c < end && digit(*c) >= 0; c++, digits++)
        *value = *value << 4 | (unsigned)digit(*c);
    return digits && digits <= 16 ? c : NULL;
}

/* How far a pattern fits: the end of the text that it covers, or NULL. *started: its words up to the first number did. */
static const char *match(const char *pattern, const char *c, const char *end, uint64_t value[VALUES_MAX], bool *started)
{
    unsigned count = 0;

    *started = false;
    for (const char *p = pattern; *p; p++) {
        if (*p == ' ') {
            while (c < end && blank(*c))
                c++;
        } else if (*p == '%') {
            *started = true;
            while (c < end && blank(*c))
                c++;
            c = hexadecimal(c, end, &value[count++]);
            if (!c)
                return NULL;
        } else {
            if (*p == '=' || *p == ':')                 /* blanks before it come and go between releases */
                while (c < end && blank(*c))
                    c++;
            if (c == end || *c++ != *p)
                return NULL;
        }
    }
    return c;
}

static enum snapshot_read store(struct snapshot_reader *reader, struct snapshot *s, const struct line *line,
                                const uint64_t value[VALUES_MAX])
{
    for (unsigned i = 0; i < VALUES_MAX && line->number[i]; i++) {
        enum vmcs_field field = line->number[i] - 1u;

        if (field == NONE)
            continue;
        if (value[i] & ~vmcs_field_mask(field))
            return reader_error(reader, "0x%" PRIx64 " does not fit into %s", value[i], vmcs_field_name(field));
        s->vmcs.field[field] = value[i];
        s->given[field] = true;
    }
    return SNAPSHOT_READ;
}

/* Reads what stands in one line: often one pattern, sometimes two after each other. */
static enum snapshot_read section_line(struct snapshot_reader *reader, struct snapshot *s, enum section section,
                                       const char *c, const char *end)
{
    const char *limit = c + PREFIX_MAX;

    for (const char *start = c; c < end && c < limit; c++) {
        if (c > start && !blank(c[-1]))
            continue;
        const struct line *broken = NULL;

        for (unsigned i = 0; i < LINES; i++) {
            uint64_t value[VALUES_MAX];
            bool started;

            if (lines[i].section != section)
                continue;
            const char *rest = match(lines[i].pattern, c, end, value, &started);
            if (rest) {
                if (store(reader, s, &lines[i], value) == SNAPSHOT_ERROR)
                    return SNAPSHOT_ERROR;
                broken = NULL;
                start = c = rest;
                c--;
                break;
            }
            if (started && !broken)
                broken = &lines[i];
        }
        if (broken)
            return reader_error(reader, "this should read \"%s\", %% standing for hexadecimal numbers", broken->pattern);
    }
    return SNAPSHOT_READ;
}

static bool contains(const char *line, size_t length, const char *text)
{
    return memmem(line, length, text, strlen(text));
}

static enum section title(const char *line, size_t length)
{
    return contains(line, length, "*** Guest State ***") ? SECTION_GUEST
           : contains(line, length, "*** Host State ***") ? SECTION_HOST
           : contains(line, length, "*** Control State ***") ? SECTION_CONTROL : NO_SECTION;
}

/* What is not in the log: everything that a processor may offer is taken as offered. */
static void assume_processor(struct snapshot *s)
{
    struct vmx_capability *c = &s->capability;

    s->kvm = true;
    s->physical_address_width = 52;
    s->ia32e = VMCS(&s->vmcs, exit_controls) & EXIT_host_address_space_size;
    c->pin.allowed = c->proc.allowed = c->proc2.allowed = c->exit.allowed = c->entry.allowed = 0xffffffff;
    c->proc2.required = 0;
    c->cr0_fixed1 = 0xffffffff;
    c->cr4_fixed1 = ~0ull;
    /* Linux uses 5-level paging where the processor has it: without it, addresses are canonical by 48 bits. */
    if (!((VMCS(&s->vmcs, host_cr4) | VMCS(&s->vmcs, guest_cr4)) & CR4_LA57))
        c->cr4_fixed1 &= ~(uint64_t)CR4_LA57;
    c->vmfunc = ~0ull;
    c->misc |= 0x1ffull << 16 | CAPABILITY_INJECT_LENGTH_0;
    c->ept_vpid |= CAPABILITY_EPT_UNCACHEABLE | CAPABILITY_EPT_WRITE_BACK | CAPABILITY_EPT_ACCESSED_DIRTY;
}

enum snapshot_read kvm_read(struct snapshot_reader *reader, struct snapshot *s)
{
    enum section section = NO_SECTION;
    const char *line;
    size_t length;

    for (;;) {
        struct snapshot_reader before = *reader;

        if (!reader_line(reader, &line, &length))
            break;
        enum section next = title(line, length);
        if (next == SECTION_GUEST && section != NO_SECTION) {
            *reader = before;               /* the next VMCS */
            break;
        }
        if (next == SECTION_GUEST)
            s->line = reader->line;
        if (next != NO_SECTION && (section != NO_SECTION || next == SECTION_GUEST))
            section = next;
        else if (section != NO_SECTION && section_line(reader, s, section, line, line + length) == SNAPSHOT_ERROR)
            return SNAPSHOT_ERROR;
    }
    if (section == NO_SECTION)
        return SNAPSHOT_END;
    if (section != SECTION_CONTROL)
        return reader_error(reader, "the VMCS that begins in line %u has no \"*** Control State ***\"", s->line);
    assume_processor(s);
    return SNAPSHOT_READ;
}
