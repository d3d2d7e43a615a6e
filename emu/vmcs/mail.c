/* SPDX-License-Identifier: MIT */
/*
 * What happens to a log on its way through mailers, forums and terminals, undone before anything is read. Lines keep their
 * numbers: a line that a soft break has split comes back whole, and empty lines take the places of its parts. Lines that
 * were wrapped stay so: the patterns of the readers let blanks be line ends.
 */
#define _GNU_SOURCE             /* memmem() */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "emu/vmcs/snapshot.h"

struct out {
    char *text;
    size_t length;
};

static void put(struct out *out, char c) { out->text[out->length++] = c; }

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- UTF-16, as Windows writes files: every second byte is 0 ---- */

static void narrow(struct out *out, const char *text, size_t length)
{
    size_t even = 0, odd = 0, sample = length < 4096 ? length : 4096;

    for (size_t i = 0; i < sample; i++)
        *(i & 1 ? &odd : &even) += !text[i];
    bool little = odd > sample / 4, big = even > sample / 4;

    if (little == big) {                                /* bytes of 0 are damage */
        for (size_t i = 0; i < length; i++)
            if (text[i])
                put(out, text[i]);
        return;
    }
    for (size_t i = 0; i + 1 < length; i += 2) {
        char low = text[i + big], high = text[i + little];
        if (low || high)
            put(out, high ? ' ' : low);
    }
}

/* ---- quoted-printable: RFC 2045, 6.7 ---- */

static bool soft_break(const char *c, const char *end, size_t *length)
{
    const char *start = c++;                            /* "=" */

    while (c < end && (*c == ' ' || *c == '\t' || *c == '\r'))
        c++;
    *length = (size_t)(c + 1 - start);
    return c < end && *c == '\n';
}

/* A mail's header may say it. Otherwise: are most equals signs written as =3D? */
static bool quoted_printable(const char *text, size_t length)
{
    static const char header[] = "ransfer-Encoding: quoted-printable";
    const char *end = text + length;
    size_t equals = 0, others = 0, ignored;

    if (memmem(text, length, header, sizeof header - 1))
        return true;
    for (const char *c = text; (c = memchr(c, '=', (size_t)(end - c))); c++) {
        if (end - c > 2 && memcmp(c + 1, "3D", 2) == 0)
            equals++;
        else if (!soft_break(c, end, &ignored) &&
                 !(end - c > 2 && (!memcmp(c + 1, "C2", 2) || !memcmp(c + 1, "A0", 2) || !memcmp(c + 1, "20", 2))))
            others++;
    }
    return equals > others;
}

static void unquote_printable(struct out *out, const char *c, const char *end)
{
    size_t joined = 0, length;

    while (c < end) {
        if (*c == '=' && soft_break(c, end, &length)) {
            c += length;
            joined++;
        } else if (*c == '=' && end - c > 2 && digit(c[1]) >= 0 && digit(c[2]) >= 0) {
            char byte = (char)(digit(c[1]) << 4 | digit(c[2]));
            put(out, byte == '\n' || !byte ? ' ' : byte);
            c += 3;
        } else {
            put(out, *c);
            if (*c++ == '\n')
                for (; joined; joined--)
                    put(out, '\n');
        }
    }
    for (; joined; joined--)
        put(out, '\n');
}

/* ---- what is no text ---- */

/* Tags that lay text out. Those that begin a line become a blank, for patterns may stand one after the other. */
static size_t tag(const char *c, const char *end)
{
    static const char *const names[] = { "br", "p", "pre", "div", "span", "code", "font", "tt", "b", "i", "td", "tr", "a" };
    const char *name = c + 1 + (end - c > 1 && c[1] == '/'),
               *close = memchr(c, '>', (size_t)(end - c < 200 ? end - c : 200));
    size_t length = 0;

    if (!close || memchr(c, '\n', (size_t)(close - c)))
        return 0;
    while (name + length < close && ((name[length] | 32) >= 'a' && (name[length] | 32) <= 'z'))
        length++;
    if (name + length < close && name[length] != ' ' && name[length] != '/')
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == length && strncasecmp(name, names[i], length) == 0)
            return (size_t)(close + 1 - c);
    return 0;
}

/* "&gt;", "&#61;", "&#x3D;": its length and character, or 0. */
static size_t entity(const char *c, const char *end, char *character)
{
    static const struct { const char *name; char character; } names[] = {
        { "&gt;", '>' }, { "&lt;", '<' }, { "&amp;", '&' }, { "&quot;", '"' }, { "&apos;", '\'' }, { "&nbsp;", ' ' },
        { "&equals;", '=' }, { "&ast;", '*' }, { "&lowbar;", '_' }, { "&colon;", ':' },
    };
    size_t left = (size_t)(end - c);
    unsigned value = 0, base = 10, digits = 0;
    const char *d = c + 2;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i].name);
        if (left >= length && memcmp(c, names[i].name, length) == 0) {
            *character = names[i].character;
            return length;
        }
    }
    if (left < 4 || c[1] != '#')
        return 0;
    if (*d == 'x' || *d == 'X') {
        base = 16;
        d++;
    }
    for (; d < end && digits < 6 && digit(*d) >= 0 && (unsigned)digit(*d) < base; d++, digits++)
        value = value * base + (unsigned)digit(*d);
    if (!digits || d == end || *d != ';')
        return 0;
    *character = value >= ' ' && value <= '~' ? (char)value : ' ';
    return (size_t)(d + 1 - c);
}

/* A terminal's control sequence: ESC [ ... letter. */
static size_t escape(const char *c, const char *end)
{
    size_t length = 1;

    if (end - c > 1 && c[1] == '[')
        for (length = 2; c + length < end && length < 20 && c[length] != '\n'; )
            if (c[length++] >= '@')
                break;
    return length;
}

/* Blanks of UTF-8 that are not ' ': U+00A0, U+2000 to U+200B, U+202F, U+3000, and the byte-order mark. */
static size_t wide_blank(const char *c, const char *end)
{
    const unsigned char *u = (const unsigned char *)c;

    if (end - c >= 2 && u[0] == 0xc2 && u[1] == 0xa0)
        return 2;
    if (end - c >= 3 && ((u[0] == 0xe2 && u[1] == 0x80 && (u[2] <= 0x8b || u[2] == 0xaf)) ||
                         (u[0] == 0xe3 && u[1] == 0x80 && u[2] == 0x80) || (u[0] == 0xef && u[1] == 0xbb && u[2] == 0xbf)))
        return 3;
    return *u == 0xa0 ? 1 : 0;
}

static void plain(struct out *out, const char *c, const char *end)
{
    bool start = true;                  /* nothing but marks of quotation so far in this line */

    while (c < end) {
        size_t length = 0;
        char character = *c;

        if (*c == '\x1b') {
            c += escape(c, end);
            continue;
        }
        if (*c == '&')
            length = entity(c, end, &character);
        else if (*c == '<' && (length = tag(c, end)))
            character = ' ';
        else if ((length = wide_blank(c, end)))
            character = ' ';
        c += length ? length : 1;
        if (character == '\r' || character == '\0')
            continue;
        if (start && character == '>')
            character = ' ';
        if (character == '\n')
            start = true;
        else if (character != ' ' && character != '\t')
            start = false;
        put(out, character);
    }
}

/* ---- lines that a terminal has cut at its width ---- */

/* A time of day or a number of seconds, with which a line begins and none goes on: "00:00:18.504330", "9021.3150" */
static bool is_stamp(const char *c, const char *end)
{
    const char *start = c;

    while (c < end && *c >= '0' && *c <= '9')
        c++;
    return c > start && end - c > 1 && (*c == ':' || *c == '.' || *c == '-') && c[1] >= '0' && c[1] <= '9';
}

/* Does the line begin with digits that are no word's first letters, and no time? */
static bool goes_on(const char *c, const char *end)
{
    const char *start = c;

    if (is_stamp(c, end))
        return false;
    while (c < end && digit(*c) >= 0)
        c++;
    return c > start && (c == end || !(((*c | 32) >= 'a' && (*c | 32) <= 'z') || *c == '_'));
}

/* The width at which lines were cut: the longest line's, if several have it and a number goes on in the next line. */
static size_t cut_width(const char *text, size_t length)
{
    size_t width = 0, reached = 0, continued = 0;

    for (const char *line = text, *end = text + length; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t this = (size_t)((next ? next : end) - line);

        if (this > width) {
            width = this;
            reached = continued = 0;
        }
        if (this == width && this) {
            reached++;
            continued += next && digit(line[this - 1]) >= 0 && goes_on(next + 1, end);
        }
        line = next ? next + 1 : end;
    }
    return width >= 40 && reached >= 3 && continued >= 2 ? width : 0;
}

static void rejoin(struct out *out, const char *text, size_t length)
{
    size_t width = cut_width(text, length), joined = 0;

    for (const char *line = text, *end = text + length; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t this = (size_t)((next ? next : end) - line);

        memcpy(out->text + out->length, line, this);
        out->length += this;
        if (next && width && this == width && next + 1 < end && next[1] != '[' && next[1] != '(' && next[1] != '\n' && !is_stamp(next + 1, end)) {
            joined++;
        } else if (next) {
            for (joined++; joined; joined--)
                put(out, '\n');
        }
        line = next ? next + 1 : end;
    }
}

char *mail_clean(const char *text, size_t length, size_t *clean_length)
{
    struct out first = { .text = malloc(length + 1) }, second = { .text = malloc(length + 1) };

    if (!first.text || !second.text) {
        free(first.text);
        free(second.text);
        return NULL;
    }
    narrow(&first, text, length);
    if (quoted_printable(first.text, first.length)) {
        unquote_printable(&second, first.text, first.text + first.length);
        first.length = 0;
        plain(&first, second.text, second.text + second.length);
    } else {
        plain(&second, first.text, first.text + first.length);
        first.length = 0;
        memcpy(first.text, second.text, second.length);
        first.length = second.length;
    }
    second.length = 0;
    rejoin(&second, first.text, first.length);
    free(first.text);
    *clean_length = second.length;
    return second.text;
}
