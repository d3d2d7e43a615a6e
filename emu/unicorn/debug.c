/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints in DR0-DR3 (SDM Vol. 3, 18.2) and single steps. While a breakpoint is armed the engine runs one instruction
 * a block and compares: the library's own breakpoints end the process. Traps become pending debug exceptions; when they
 * are due the model knows (boundary()).
 */
#include "emu/unicorn/engine.h"

void debug_prepare(struct engine *e)
{
    e->debug_armed = debug_armed(e->cpu);
    e->debug_pending = 0;
}

void debug_access(struct engine *e, uint64_t linear, unsigned size, enum access_kind kind)
{
    uint64_t hits = debug_matches(e->cpu, kind == ACCESS_WRITE ? DEBUG_WRITE : DEBUG_READ, linear, size ? size : 1);
    if (hits)
        e->debug_pending |= PENDING_DEBUG_ENABLED | hits;
}

bool debug_held_back(const struct engine *e)
{
    return e->count->current && e->count->current->shadow == BLOCKING_BY_MOV_SS && (ENV32(e->env, HFLAGS) & HF_SHADOW);
}

/* With IA32_DEBUGCTL.BTF only branches that were taken (18.4.3). A repeated string instruction that is not done yet stays
 * where it is, and so does a branch to itself, which is missed here. */
bool debug_steps(const struct engine *e)
{
    uint64_t pc = ENV64(e->env, EIP) + SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE);
    if (!(CPU_MSR(e->cpu, ia32_debugctl) & DEBUGCTL_BTF))
        return true;
    return e->count->current && pc != e->count->current->pc && pc != e->count->current->pc + e->count->current->length;
}

/* Before each instruction: the trap of the one before, then the fault of this one, which RFLAGS.RF suppresses. */
void debug_block(struct engine *e, uint64_t linear_pc)
{
    /* MOV SS and POP SS hold data breakpoints back, and suppress the next instruction's own (SDM Vol. 3, 6.8.3). */
    if (debug_held_back(e))
        return;
    if (e->debug_pending)
        leave(e, LEFT_POLL, BETWEEN_BLOCKS, 0);
    uint64_t hits = ENV64(e->env, EFLAGS) & RFLAGS_RF ? 0 : debug_matches(e->cpu, DEBUG_FETCH, linear_pc, 1);
    if (!hits)
        return;
    e->event = (struct event){ .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION, .address = hits };
    leave(e, LEFT_EVENT, BETWEEN_BLOCKS, 0);
}
