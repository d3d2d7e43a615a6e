/* SPDX-License-Identifier: MIT */
/*
 * Exact counting. A hook at the start of each block adds the block's instructions to `retired`; a stop inside a block
 * takes off those that were not reached. So the cost is one call a block, and the count is exact at every stop.
 */
#include "emu/unicorn/engine.h"

uint64_t clock_retired_at(const struct engine *e, uint64_t linear_pc)
{
    const struct block *b = e->current;
    if (!b)
        return e->retired;
    for (unsigned i = 0; i < b->count; i++)
        if (b->pc + b->offset[i] == linear_pc)
            return e->retired - b->count + i;
    return e->retired;
}

void clock_publish(struct engine *e)
{
    uintptr_t ra = FIELD(uintptr_t, e->library, CPU_MEM_IO_PC);
    uint64_t retired = e->retired;
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

static void on_block(uc_engine *uc, uint64_t address, uint32_t size, void *data)
{
    struct engine *e = engine_here();
    struct block *block = data;
    (void)uc, (void)size;
    if (e->retired >= e->budget || e->debug_armed) {
        ENV64(e->env, EIP) = address - SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE);
        if (e->retired >= e->budget)
            leave(e, e->flush_wanted ? LEFT_FLUSH : LEFT_POLL, BETWEEN_BLOCKS, 0);
        debug_block(e, address);
    }
    e->previous = e->current;
    e->current = block;
    e->retired += block->count;
    if (alignment_checked(e->env) != e->alignment_checked)
        fill_check_alignment(e, !e->alignment_checked);
    e->resumed_rf = ENV64(e->env, EFLAGS) & RFLAGS_RF;
    if (e->resumed_rf)          /* RF is clear after the instruction; state_store() restores it if it was not executed */
        ENV64(e->env, EFLAGS) &= ~RFLAGS_RF;
    if (block->aligned.address_size)
        alignment_check(e, block);
}

/* A store met translated code of its own block: the library cuts the block before the store and begins again there. */
_Noreturn void __wrap_cpu_loop_exit_noexc_x86_64(library_cpu *cpu)
{
    struct engine *e = engine_here();
    if (e) {
        e->retired = clock_retired_at(e, ENV64(e->env, EIP) + SEGMENT(uint64_t, e->env, SEG_CS, SEGMENT_BASE));
        e->current = NULL;
    }
    __real_cpu_loop_exit_noexc_x86_64(cpu);
}

/* A uc_hook is the address of the library's record; its user_data becomes a constant in each block's call of on_block,
 * so that code_translate() can give each block its own. */
bool clock_open(struct engine *e)
{
    uc_hook hook = 0;
    if (uc_hook_add(e->uc, &hook, UC_HOOK_BLOCK, (void *)on_block, &e->current, 1, 0))
        return false;
    void **data = (void **)(hook + HOOK_USER_DATA);
    if (data[0] == (void *)&e->current && data[-1] == (void *)on_block)
        e->hook_data = data;
    return e->hook_data != NULL;
}
