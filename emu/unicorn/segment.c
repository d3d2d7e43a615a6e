/* SPDX-License-Identifier: MIT */
/*
 * Loads of segment registers in protected mode. The library may do those that cannot fault and change nothing in memory;
 * all others, and all far transfers, are the model's (model/cpu/segment.h).
 */
#include "model/cpu/segment.h"

#include "emu/unicorn/engine.h"

/* Would the load set no accessed flag and fault nowhere? */
static bool is_plain(struct engine *e, const library_env *env, enum segment_register number, uint16_t selector)
{
    unsigned table = selector & 4 ? SEG_LDTR : LIBRARY_GDTR;
    uint64_t at = SEGMENT(uint64_t, env, table, SEGMENT_BASE) + (selector & 0xfff8);
    struct descriptor descriptor = { .low = 0 };
    enum vector vector;

    if (!(selector & 0xfffc))
        return number != SEG_SS;
    if ((ENV32(env, HFLAGS) & HF_SMAP) && (ENV64(env, EFLAGS) & RFLAGS_AC))
        return false;           /* RFLAGS.AC does not override SMAP for descriptor tables; in the library it does */
    return (selector | 7u) <= SEGMENT(uint32_t, env, table, SEGMENT_LIMIT) &&
           !(table == SEG_LDTR && (e->cpu->seg[SEG_LDTR].access_rights & AR_UNUSABLE)) &&
           peek(e, ENV32(env, HFLAGS) & HF_LMA ? at : (uint32_t)at, &descriptor.low, sizeof descriptor.low) &&
           segment_permitted(number, selector, &descriptor, ENV32(env, HFLAGS) & 3, &vector) &&
           (descriptor_rights(&descriptor) & TYPE_ACCESSED);
}

void __wrap_helper_load_seg_x86_64(library_env *env, int segment, int selector)
{
    struct engine *e = engine_here();
    if (!is_plain(e, env, (enum segment_register)segment, (uint16_t)selector))
        leave(e, LEFT_UD, WITHIN_BLOCK, RETURN_ADDRESS);
    cpu_restore_state_x86_64(e->library, RETURN_ADDRESS, false);    /* a fault while it reads the table finds RIP exact */
    __real_helper_load_seg_x86_64(env, segment, selector);
}

/* The library gives up: at a stack switch without a TSS, say. Everything known to lead there is the model's. */
_Noreturn void __wrap_cpu_abort_x86_64(library_cpu *cpu, const char *format, ...)
{
    (void)cpu, (void)format;
    refuse(engine_here(), "code that the CPU engine gives up", 0);
}
