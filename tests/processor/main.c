/* SPDX-License-Identifier: MIT */
/* One line for each program: how it ended, and what it left behind. Options on the command line: seed=, first=, count=, code. */
#include "scenarios/guests/lib/console.h"
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

static uint64_t option(const char *name, uint64_t otherwise)
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

static void hexadecimal(uint64_t value)
{
    char text[17];
    unsigned at = 16;

    text[at] = 0;
    do
        text[--at] = "0123456789abcdef"[value & 15];
    while (value >>= 4);
    print(" %s", text + at);
}

static void tell_code(const struct program *p)
{
    print("code %u bits, level %u:", p->bits, p->level);
    for (unsigned i = 0; i < p->length; i++)
        hexadecimal(p->code[i]);
    print("\n");
}

static void tell(unsigned index)
{
    const volatile struct record *r = &record;
    uint64_t registers = 0, address = r->cr2, stack = r->rsp - WINDOW_AT(PAGE_STACK), inner = r->rsp - WINDOW_AT(PAGE_INNER);

    /* What a pointer in memory is read first of, its offset or its selector, is the processor's choice. */
    if (address / PAGE == WINDOW_AT(PAGE_DATA) / PAGE)
        address &= ~(uint64_t)(PAGE - 1);
    /* What lies below the stack pointer nobody may rely on: some push before they find the fault. */
    stack = stack < PAGE ? stack : 0;
    inner = inner < PAGE ? inner : 0;
    for (unsigned i = 0; i < 16; i++)
        if (i != RSP)
            registers = (registers ^ r->gpr[i]) * 0x100000001b3;
    print("%u:", index);
    hexadecimal(r->vector), hexadecimal(r->error_code), hexadecimal(r->cs), hexadecimal(r->rip), hexadecimal(r->rflags);
    hexadecimal(r->ss), hexadecimal(r->rsp), hexadecimal(r->handler_ss);
    print(" |");
    hexadecimal(r->ds), hexadecimal(r->es), hexadecimal(r->fs), hexadecimal(r->gs), hexadecimal(r->fs_base), hexadecimal(r->gs_base);
    hexadecimal(r->ldtr), hexadecimal(r->tr);
    print(" |");
    hexadecimal(registers >> 32), hexadecimal(address), hexadecimal(r->dr6);
    print(" |");
    hexadecimal(environment_sum(PAGE_GDT, 0)), hexadecimal(environment_sum(PAGE_LDT, 0)), hexadecimal(environment_sum(PAGE_TSS, 0));
    hexadecimal(environment_sum(PAGE_STACK, stack)), hexadecimal(environment_sum(PAGE_INNER, inner));
    hexadecimal(environment_flags());
    print("\n");
}

int main(const uint32_t *information);
int main(const uint32_t *information)
{
    static struct program program;
    uint64_t seed, first, count;

    console_open();
    if (information[0] & COMMAND_LINE_FLAG) {
        const char *from = (const char *)(uintptr_t)information[COMMAND_LINE_AT / 4];
        for (unsigned i = 0; from[i] && i + 1 < sizeof command_line; i++)
            command_line[i] = from[i];
    }
    seed = option("seed", 1), first = option("first", 0), count = option("count", 300);
    environment_open();
    for (uint64_t i = first; i < first + count; i++) {
        program.random = seed * 0x100000000 + i;
        program.length = 0;
        environment_prepare(&program);
        generate(&program);
        if (option("code", 0))
            tell_code(&program);
        enter(&program.start);
        tell((unsigned)i);
    }
    print("done\n");
    return 0;
}
