/* SPDX-License-Identifier: MIT */
/* Numbers that follow from a seed, options of the command line, and words for what happened. */
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"
#include "tests/processor/program.h"

/* ---- numbers ---- */

uint64_t random64(struct program *p)
{
    uint64_t x = p->random += 0x9e3779b97f4a7c15;       /* splitmix64 */

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

unsigned below(struct program *p, unsigned n) { return (unsigned)((random64(p) >> 32) * n >> 32); }

int chance(struct program *p, unsigned percent) { return below(p, 100) < percent; }

/* ---- options ---- */

enum { COMMAND_LINE_FLAG = 4, COMMAND_LINE_AT = 16 };
static char command_line[256];

static int begins(const char *text, const char *word)
{
    while (*word)
        if (*text++ != *word++)
            return 0;
    return 1;
}

uint64_t option(const char *name, uint64_t otherwise)
{
    for (const char *at = command_line; *at; at++) {
        uint64_t value = 0;
        if (!begins(at, name))
            continue;
        while (*at && *at != '=' && *at != ' ')
            at++;
        if (*at != '=')
            return 1;
        while (*++at >= '0' && *at <= '9')
            value = 10 * value + (uint64_t)(*at - '0');
        return value;
    }
    return otherwise;
}

/* ---- what is told ---- */

static int to_debug_port;

void put(const char *text)
{
    if (!to_debug_port)
        print("%s", text);
    else
        while (*text)
            outb(0xe9, (uint8_t)*text++);
}

void number_in(uint64_t value, unsigned base)
{
    char text[24];
    unsigned at = sizeof text - 1;

    text[at] = 0;
    do
        text[--at] = "0123456789abcdef"[value % base];
    while (value /= base);
    put(text + at);
}

void word(const char *name, uint64_t value)
{
    if (!value)
        return;
    put(" "), put(name), put("="), number_in(value, 16);
}

void report_open(const uint32_t *information)
{
    console_open();
    if (information[0] & COMMAND_LINE_FLAG) {
        const char *from = (const char *)(uintptr_t)information[COMMAND_LINE_AT / 4];
        for (unsigned i = 0; from[i] && i + 1 < sizeof command_line; i++)
            command_line[i] = from[i];
    }
    to_debug_port = (int)option("e9", 0);
}
