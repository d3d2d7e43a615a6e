/* SPDX-License-Identifier: MIT */
/*
 * Counting in translated code. A block begins with
 *
 *      retired += count; if (retired before >= limit) goto exhausted; current = block;
 *
 * and ends with the call of clock.c's function at `exhausted`. So while nothing is due, a block costs no call. `count` is
 * known when the block is translated; it is put in its place then. The counters lie in the library's processor, where its
 * code reaches them from the register it keeps for it: in place of the MTRRs, which no code reads there, for RDMSR and WRMSR stop.
 */
#include "emu/unicorn/engine.h"

#include "emu/unicorn/tcg.h"

#define COUNTER(member) (COUNTERS + offsetof(struct counters, member))

static library_value value_of(const struct engine *e, const library_temp *temp)
{
    return (library_value)((uintptr_t)temp - (uintptr_t)e->tcg);
}

/* The library makes its processor's registers known to its code generator: shows the generator, and how it names the processor. */
library_temp *__wrap_tcg_global_mem_new_internal_x86_64(library_tcg *tcg, int type, library_value base, intptr_t offset, const char *name)
{
    struct engine *e = engine_here();
    if (e) {
        e->tcg = tcg;
        e->tcg_env = (library_temp *)((uintptr_t)tcg + (uintptr_t)base);
    }
    return __real_tcg_global_mem_new_internal_x86_64(tcg, type, base, offset, name);
}

/* The first branch of a block is the library's own question whether to go on. What it asks for is never wanted while code runs. */
void __wrap_tcg_gen_brcondi_i32_x86_64(library_tcg *tcg, int condition, library_value a, int32_t b, library_label *label)
{
    struct engine *e = engine_here();
    if (e && e->asks_first) {
        e->asks_first = false;
        return;
    }
    __real_tcg_gen_brcondi_i32_x86_64(tcg, condition, a, b, label);
}

static library_temp *constant(struct engine *e, uint64_t value, library_op **op)
{
    library_temp *temp = tcg_temp_new_internal_x86_64(e->tcg, TCG_I64, false);
    library_op *movi = tcg_emit_op_x86_64(e->tcg, TCG_MOVI_I64);
    FIELD(uintptr_t, movi, OP_ARGUMENTS) = (uintptr_t)temp;
    FIELD(uint64_t, movi, OP_ARGUMENTS + 8) = value;
    if (op)
        *op = movi;
    return temp;
}

static library_temp *load(struct engine *e, size_t offset)
{
    library_temp *temp = tcg_temp_new_internal_x86_64(e->tcg, TCG_I64, false);
    tcg_gen_op3_x86_64(e->tcg, TCG_LD_I64, (uintptr_t)temp, (uintptr_t)e->tcg_env, offset);
    return temp;
}

/* Stores a temporary that is not needed afterwards. */
static void store(struct engine *e, library_temp *temp, size_t offset)
{
    tcg_gen_op3_x86_64(e->tcg, TCG_ST_I64, (uintptr_t)temp, (uintptr_t)e->tcg_env, offset);
    tcg_temp_free_internal_x86_64(e->tcg, temp);
}

static void set_label(struct engine *e, library_label *label)
{
    FIELD(uint32_t, label, 0) |= LABEL_PRESENT;
    tcg_gen_op1_x86_64(e->tcg, TCG_SET_LABEL, (uintptr_t)label);
}

void count_call(struct engine *e, struct called *called, const struct block *block)
{
    library_temp *argument = constant(e, (uintptr_t)block, NULL), *given[1] = { argument };
    if (called->known)
        tcg_gen_callN_x86_64(e->tcg, (void *)called->function, NULL, 1, given);
    else
        uc_add_inline_hook_x86_64(e->uc, called->hook, (void **)given, 1);
    called->known = true;
    tcg_temp_free_internal_x86_64(e->tcg, argument);
}

void count_begin(struct engine *e, const struct block *block)
{
    struct counting *counting = &e->counting;
    e->unlike |= e->asks_first;
    e->asks_first = false;
    if (!block->counted) {
        count_call(e, &e->block_begins, block);
        return;
    }
    if (ENV32(e->env, HFLAGS) & HF_SHADOW)
        store(e, load(e, COUNTER(current)), COUNTER(previous));
    library_temp *retired = load(e, COUNTER(retired)), *limit = load(e, COUNTER(limit));
    library_temp *count = constant(e, 1, &counting->count), *sum = tcg_temp_new_internal_x86_64(e->tcg, TCG_I64, false);
    tcg_gen_op3_x86_64(e->tcg, TCG_ADD_I64, (uintptr_t)sum, (uintptr_t)retired, (uintptr_t)count);
    store(e, sum, COUNTER(retired));
    tcg_temp_free_internal_x86_64(e->tcg, count);
    counting->exhausted = gen_new_label_x86_64(e->tcg);
    counting->counted = gen_new_label_x86_64(e->tcg);
    tcg_gen_brcond_i64_x86_64(e->tcg, TCG_GEU, value_of(e, retired), value_of(e, limit), counting->exhausted);
    tcg_temp_free_internal_x86_64(e->tcg, retired);
    tcg_temp_free_internal_x86_64(e->tcg, limit);
    store(e, constant(e, (uintptr_t)block, NULL), COUNTER(current));
    set_label(e, counting->counted);
}

void count_end(struct engine *e, const struct block *block)
{
    struct counting *counting = &e->counting;
    if (!block->counted)
        return;
    FIELD(uint64_t, counting->count, OP_ARGUMENTS + 8) = block->count;
    set_label(e, counting->exhausted);
    count_call(e, &e->block_begins, block);
    tcg_gen_brcond_i64_x86_64(e->tcg, TCG_ALWAYS, NULL, NULL, counting->counted);
}
