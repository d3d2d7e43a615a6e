/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints in DR0-DR3 (SDM Vol. 3, 18.2). While one is armed the engine runs one instruction a block and compares: the
 * library's own breakpoints end the process. I/O breakpoints are the model's, which executes IN and OUT.
 */
#include "emu/unicorn/engine.h"

enum { BREAK_EXECUTE, BREAK_WRITE, BREAK_IO, BREAK_ACCESS };

static bool enabled(const struct cpu *cpu, unsigned i) { return cpu->dr7 >> 2 * i & 3; }
static unsigned condition(const struct cpu *cpu, unsigned i) { return cpu->dr7 >> (16 + 4 * i) & 3; }

static uint64_t length(const struct cpu *cpu, unsigned i)
{
    static const uint8_t bytes[4] = { 1, 2, 8, 4 };
    return bytes[cpu->dr7 >> (18 + 4 * i) & 3];
}

void debug_prepare(struct engine *e)
{
    e->debug_armed = false;
    e->debug_hits = 0;
    for (unsigned i = 0; i < 4; i++)
        if (enabled(e->cpu, i) && condition(e->cpu, i) != BREAK_IO)
            e->debug_armed = true;
}

static bool watches(const struct cpu *cpu, unsigned i)
{
    return enabled(cpu, i) && (condition(cpu, i) == BREAK_WRITE || condition(cpu, i) == BREAK_ACCESS);
}

bool debug_watches_page(const struct engine *e, uint64_t linear)
{
    for (unsigned i = 0; i < 4; i++)
        if (watches(e->cpu, i) && (e->cpu->dr[i] & PAGE_MASK) == (linear & PAGE_MASK))
            return true;
    return false;
}

void debug_access(struct engine *e, uint64_t linear, unsigned size, enum access_kind kind)
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t n = length(e->cpu, i), from = e->cpu->dr[i] & ~(n - 1);
        if (watches(e->cpu, i) && (kind == ACCESS_WRITE || condition(e->cpu, i) == BREAK_ACCESS) &&
            linear < from + n && from < linear + (size ? size : 1))
            e->debug_hits |= 1u << i;
    }
}

/* Before each instruction: the trap of the one before, then the fault of this one, which RFLAGS.RF suppresses. */
void debug_block(struct engine *e, uint64_t linear_pc)
{
    uint64_t hits = e->debug_hits;
    if (!hits && !(ENV64(e->env, EFLAGS) & RFLAGS_RF))
        for (unsigned i = 0; i < 4; i++)
            if (enabled(e->cpu, i) && condition(e->cpu, i) == BREAK_EXECUTE && e->cpu->dr[i] == linear_pc)
                hits |= 1u << i;
    /* MOV SS and POP SS hold data breakpoints back, and suppress the next instruction's own (SDM Vol. 3, 6.8.3). */
    if (!hits || (e->current && e->current->shadow == BLOCKING_BY_MOV_SS && (ENV32(e->env, HFLAGS) & HF_SHADOW)))
        return;
    e->debug_hits = 0;
    e->event = (struct event){ .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION, .address = hits };
    leave(e, LEFT_EVENT, BETWEEN_BLOCKS, 0);
}
