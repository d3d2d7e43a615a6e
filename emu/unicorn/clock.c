/* SPDX-License-Identifier: MIT */
/*
 * Exact counting. The start of each block adds the block's instructions to `retired` (count.c); a stop inside a block takes
 * off those that were not reached. What is due at the start of a block, or special about it, is seen to here.
 */
#include "emu/unicorn/engine.h"

uint64_t clock_retired_at(const struct engine *e, uint64_t linear_pc)
{
    const struct block *b = e->count->current;
    if (!b)
        return e->count->retired;
    for (unsigned i = 0; i < b->count; i++)
        if (b->pc + b->offset[i] == linear_pc)
            return e->count->retired - b->count + i;
    return e->count->retired;
}

void clock_publish(struct engine *e)
{
    uintptr_t ra = FIELD(uintptr_t, e->library, CPU_MEM_IO_PC);
    uint64_t retired = e->count->retired;
    if (ra && cpu_restore_state_x86_64(e->library, ra, false))
        retired = clock_retired_at(e, ENV64(e->env, EIP) + SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE));
    e->cpu->clock = e->start_clock + retired;
    e->cpu->instructions = e->start_instructions + retired;
}

/* SDM Vol. 3, 6.15, "Alignment Check Exception". */
static bool alignment_checked(const library_env *env)
{
    return (ENV64(env, EFLAGS) & RFLAGS_AC) && (ENV32(env, HFLAGS) & 3) == 3 && (ENV64(env, CR) & CR0_AM);
}

void clock_set_budget(struct engine *e, uint64_t budget)
{
    e->budget = budget;
    e->count->limit = e->alignment_checked ? 0 : budget;    /* the first block that is not checked has to be noticed */
}

static void on_block(struct block *block)
{
    struct engine *e = engine_here();
    struct counters *count = e->count;
    if (block->counted)
        count->retired -= block->count;
    if (count->retired >= e->budget || e->debug_armed) {
        ENV64(e->env, EIP) = block->pc - SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE);
        if (count->retired >= e->budget)
            leave(e, e->flush_wanted ? LEFT_FLUSH : LEFT_POLL, BETWEEN_BLOCKS, 0);
        debug_block(e, block->pc);
    }
    count->previous = count->current;
    count->current = block;
    count->retired += block->count;
    if (alignment_checked(e->env) != e->alignment_checked)
        fill_check_alignment(e, !e->alignment_checked);
    if (block->resumes)         /* RF is clear after the instruction; state_store() restores it if it was not executed */
        ENV64(e->env, EFLAGS) &= ~RFLAGS_RF;
}

/* A store met translated code of its own block: the library cuts the block before the store and begins again there. */
_Noreturn void __wrap_cpu_loop_exit_noexc_x86_64(library_cpu *cpu)
{
    struct engine *e = engine_here();
    if (e) {
        e->count->retired = clock_retired_at(e, ENV64(e->env, EIP) + SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE));
        e->count->current = NULL;
    }
    __real_cpu_loop_exit_noexc_x86_64(cpu);
}

/* The library takes functions that its code shall call as hooks only. This one hooks no block: no code lies at such an address. */
bool called_open(struct engine *e, struct called *called, void (*function)(struct block *block))
{
    const uint64_t nowhere = 1ull << 63;
    uc_hook hook = 0;
    if (uc_hook_add(e->uc, &hook, UC_HOOK_BLOCK, (void *)function, NULL, nowhere, nowhere))
        return false;
    *called = (struct called){ (void *)hook, function, false };
    return true;
}

bool clock_open(struct engine *e) { return called_open(e, &e->block_begins, on_block); }
