/* SPDX-License-Identifier: MIT */
/* A program: a few steps, each an instruction with what it needs, and INT3 behind it. */
#include "tests/processor/program.h"

static const struct kind *const families[] = { transfer_kinds, system_kinds, access_kinds };
enum { FAMILIES = sizeof families / sizeof *families };

static unsigned kind_modes(const struct program *p)
{
    return p->virtual_8086 ? IN_V86 : p->mode == MODE_LONG ? IN_LONG : IN_LEGACY;
}

static unsigned weight(const struct program *p, const struct kind *kind)
{
    return kind->modes & kind_modes(p) ? kind->weight : 0;
}

static const struct kind *choose(struct program *p)
{
    unsigned total = 0, draw;

    for (unsigned f = 0; f < FAMILIES; f++)
        for (const struct kind *kind = families[f]; kind->name; kind++)
            total += weight(p, kind);
    draw = below(p, total);
    for (unsigned f = 0; f < FAMILIES; f++)
        for (const struct kind *kind = families[f]; kind->name; kind++) {
            if (draw < weight(p, kind))
                return kind;
            draw -= weight(p, kind);
        }
    return NULL;
}

void generate(struct program *p)
{
    p->steps = 1 + below(p, STEPS_MAX);
    for (unsigned i = 0; i < p->steps; i++) {
        const struct kind *kind = choose(p);

        p->start = &p->step[i];
        p->length = i * STEP_SIZE;
        p->kind[i] = kind->name;
        environment_registers(p, p->length);
        kind->emit(p);
    }
}
