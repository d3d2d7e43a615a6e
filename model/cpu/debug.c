/* SPDX-License-Identifier: MIT */
/* Which breakpoints an access meets: SDM Vol. 3, 18.2.4 "Debug Control Register (DR7)", 18.2.5. */
#include "model/cpu/debug.h"

#include "model/memory.h"

enum { BREAK_EXECUTE, BREAK_WRITE, BREAK_IO, BREAK_ACCESS };

static bool enabled(const struct cpu *cpu, unsigned i)
{
    return cpu->dr7 >> 2 * i & 3;
}

/* I/O breakpoints exist with CR4.DE = 1; else the encoding is undefined, and nothing here. */
static bool watches(const struct cpu *cpu, unsigned i, enum debug_access access)
{
    switch (cpu->dr7 >> (16 + 4 * i) & 3) {
    case BREAK_EXECUTE:
        return access == DEBUG_FETCH;
    case BREAK_WRITE:
        return access == DEBUG_WRITE;
    case BREAK_IO:
        return access == DEBUG_PORT && (cpu->cr4 & CR4_DE);
    default:
        return access == DEBUG_READ || access == DEBUG_WRITE;
    }
}

static uint64_t length(const struct cpu *cpu, unsigned i)
{
    static const uint8_t bytes[4] = { 1, 2, 8, 4 };

    return bytes[cpu->dr7 >> (18 + 4 * i) & 3];
}

uint64_t debug_matches(const struct cpu *cpu, enum debug_access access, uint64_t address, unsigned size)
{
    uint64_t hits = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t n = access == DEBUG_FETCH ? 1 : length(cpu, i), from = cpu->dr[i] & ~(n - 1);

        /* Both ranges may end at the top of the address space. */
        if (enabled(cpu, i) && watches(cpu, i, access) && (address - from < n || from - address < size))
            hits |= 1u << i;
    }
    return hits;
}

uint64_t debug_watches_page(const struct cpu *cpu, uint64_t linear)
{
    return debug_matches(cpu, DEBUG_WRITE, linear & PAGE_MASK, (unsigned)PAGE_SIZE);
}

bool debug_armed(const struct cpu *cpu)
{
    for (unsigned i = 0; i < 4; i++)
        if (enabled(cpu, i) && (watches(cpu, i, DEBUG_FETCH) || watches(cpu, i, DEBUG_WRITE)))
            return true;
    return false;
}

void debug_note(struct cpu *cpu, enum debug_access access, uint64_t address, unsigned size)
{
    uint64_t hits = debug_matches(cpu, access, address, size);

    if (hits)
        cpu->pending_debug |= PENDING_DEBUG_ENABLED | hits;
}
