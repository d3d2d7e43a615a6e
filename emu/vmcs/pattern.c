/* SPDX-License-Identifier: MIT */
/*
 * The patterns of the *_lines.def tables.
 *
 *   %   a hexadecimal number, with or without 0x, that ends where the word does
 *   ~   a decimal one
 *   *   any text up to the character that follows in the pattern, within a line
 *   ' ' any blanks, or none; a line end among them, or an empty line: mailers wrap where there is a blank
 *   any other character stands for itself; blanks may stand before = and :
 */
#include "emu/vmcs/snapshot.h"

static bool blank(char c) { return c == ' ' || c == '\t'; }

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool word(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
}

const char *hexadecimal(const char *c, const char *end, uint64_t *value)
{
    unsigned digits = 0;

    if (end - c > 2 && c[0] == '0' && (c[1] == 'x' || c[1] == 'X'))
        c += 2;
    for (*value = 0; c < end && digit(*c) >= 0; c++, digits++)
        *value = *value << 4 | (unsigned)digit(*c);
    return digits && digits <= 16 && (c == end || !word(*c)) ? c : NULL;
}

static const char *decimal(const char *c, const char *end, uint64_t *value)
{
    const char *start = c;

    for (*value = 0; c < end && *c >= '0' && *c <= '9' && c - start < 10; c++)
        *value = 10 * *value + (unsigned)(*c - '0');
    return c > start && (c == end || !word(*c)) ? c : NULL;
}

static const char *skip(const char *c, const char *end, unsigned line_ends)
{
    while (c < end && (blank(*c) || (*c == '\n' && line_ends)))
        line_ends -= *c++ == '\n';
    return c;
}

const char *pattern_match(const char *pattern, const char *c, const char *end, uint64_t value[PATTERN_VALUES_MAX],
                          bool *started)
{
    unsigned count = 0;

    *started = false;
    for (const char *p = pattern; *p; p++) {
        switch (*p) {
        case ' ':
            c = skip(c, end, 2);
            break;
        case '%':
        case '~':
            *started = true;
            c = skip(c, end, p > pattern && (p[-1] == '=' || p[-1] == ':') ? 0 : 2);
            c = *p == '%' ? hexadecimal(c, end, &value[count++]) : decimal(c, end, &value[count++]);
            if (!c)
                return NULL;
            break;
        case '*':
            while (c < end && *c != p[1] && *c != '\n')
                c++;
            break;
        default:
            if (*p == '=' || *p == ':')
                c = skip(c, end, 0);
            if (c == end || *c++ != *p)
                return NULL;
        }
    }
    return c;
}
