/* SPDX-License-Identifier: MIT */
/*
 * Far transfers and segment loads: what the library checks too little. Task switches (SDM Vol. 3, ch. 8) are refused by
 * name: the library's own would change CR3 and TR behind the model.
 */
#include "emu/unicorn/engine.h"

#include "model/cpu/walk.h"

static const char task_switch[] = "task switch: not implemented";

/* Is the selector's descriptor a TSS or a task gate? */
static bool is_task(struct engine *e, unsigned selector)
{
    library_env *env = e->env;
    unsigned table = selector & 4 ? SEG_LDTR : LIBRARY_GDTR;
    uint8_t descriptor[8];
    if (!(selector & 0xfffc) || (selector | 7) > SEGMENT(uint32_t, env, table, SEGMENT_LIMIT) ||
        !peek(e, SEGMENT(uint64_t, env, table, SEGMENT_BASE) + (selector & 0xfff8), descriptor, sizeof descriptor))
        return false;
    switch (descriptor[5] & 0x1f) {
    case 1: case 3: case 5: case 9: case 11: return true;
    default: return false;
    }
}

static void check_far(library_env *env, int selector)
{
    struct engine *e = engine_here();
    if (!(ENV32(env, HFLAGS) & HF_LMA) && is_task(e, (unsigned)selector & 0xffff))
        refuse(e, task_switch, 0);
}

/* A more privileged stack is to be found in the TSS, and TR holds none (no LTR since reset): the library would abort. */
_Noreturn void __wrap_cpu_abort_x86_64(library_cpu *cpu, const char *format, ...)
{
    (void)cpu, (void)format;
    refuse(engine_here(), "a stack switch while the task register holds no TSS", 0);
}

/*
 * The library's own faults in these helpers find their instruction by the helper's return address, which here is not
 * generated code. So RIP and flags are made exact beforehand, and the library's look-up finds nothing to do.
 */
static void make_exact(uintptr_t ra) { cpu_restore_state_x86_64(engine_here()->library, ra, false); }

void __wrap_helper_ljmp_protected_x86_64(library_env *env, int selector, uint64_t rip, uint64_t next_rip)
{
    make_exact(RETURN_ADDRESS);
    check_far(env, selector);
    __real_helper_ljmp_protected_x86_64(env, selector, rip, next_rip);
}

void __wrap_helper_lcall_protected_x86_64(library_env *env, int selector, uint64_t rip, int shift, uint64_t next_rip)
{
    make_exact(RETURN_ADDRESS);
    check_far(env, selector);
    __real_helper_lcall_protected_x86_64(env, selector, rip, shift, next_rip);
}

/* A return to an outer level makes selectors of segments that it must not use null; bases of FS and GS stay (SDM Vol. 2, IRET). */
struct bases { uint64_t fs, gs; };

static struct bases bases(const library_env *env)
{
    return (struct bases){ SEGMENT(uint64_t, env, SEG_FS, SEGMENT_BASE), SEGMENT(uint64_t, env, SEG_GS, SEGMENT_BASE) };
}

static void keep_bases(library_env *env, struct bases before)
{
    if (!(ENV32(env, HFLAGS) & HF_LMA))
        return;
    if (!SEGMENT(uint32_t, env, SEG_FS, SEGMENT_SELECTOR))
        SEGMENT(uint64_t, env, SEG_FS, SEGMENT_BASE) = before.fs;
    if (!SEGMENT(uint32_t, env, SEG_GS, SEGMENT_SELECTOR))
        SEGMENT(uint64_t, env, SEG_GS, SEGMENT_BASE) = before.gs;
}

void __wrap_helper_iret_protected_x86_64(library_env *env, int shift, int next_rip)
{
    struct bases before = bases(env);
    make_exact(RETURN_ADDRESS);
    if ((ENV64(env, EFLAGS) & RFLAGS_NT) && !(ENV32(env, HFLAGS) & HF_LMA))
        refuse(engine_here(), task_switch, 0);
    __real_helper_iret_protected_x86_64(env, shift, next_rip);
    keep_bases(env, before);
}

void __wrap_helper_lret_protected_x86_64(library_env *env, int shift, int addend)
{
    struct bases before = bases(env);
    make_exact(RETURN_ADDRESS);
    __real_helper_lret_protected_x86_64(env, shift, addend);
    keep_bases(env, before);
}

/* A null SS in 64-bit mode needs RPL = CPL (SDM Vol. 2, MOV). */
void __wrap_helper_load_seg_x86_64(library_env *env, int segment, int selector)
{
    make_exact(RETURN_ADDRESS);
    if (segment == SEG_SS && !(selector & 0xfffc) && ((uint32_t)selector & 3) != (ENV32(env, HFLAGS) & 3))
        leave_event(engine_here(), VECTOR_GP, true, 0, WITHIN_BLOCK, 0);
    __real_helper_load_seg_x86_64(env, segment, selector);
}

/*
 * In IA-32e mode the base of an LDT or TSS must be canonical (SDM Vol. 2, LLDT, LTR). Only where everything else is as it
 * must be: the library sees to the rest.
 */
static void check_base(library_env *env, unsigned selector, uint8_t access)
{
    struct engine *e = engine_here();
    unsigned index = selector & 0xfff8;
    uint64_t base;
    uint8_t d[16];
    if (!(ENV32(env, HFLAGS) & HF_LMA) || !(selector & 0xfffc) || (selector & 4) ||
        index + 15 > SEGMENT(uint32_t, env, LIBRARY_GDTR, SEGMENT_LIMIT) ||
        !peek(e, SEGMENT(uint64_t, env, LIBRARY_GDTR, SEGMENT_BASE) + index, d, sizeof d) || (d[5] & 0x9f) != access)
        return;
    base = d[2] | d[3] << 8 | d[4] << 16 | (uint64_t)d[7] << 24;
    for (unsigned i = 0; i < 4; i++)
        base |= (uint64_t)d[8 + i] << (32 + 8 * i);
    if (!register_canonical(e->cpu, base))
        leave_event(e, VECTOR_GP, true, selector & 0xfffc, WITHIN_BLOCK, 0);
}

void __wrap_helper_lldt_x86_64(library_env *env, int selector)
{
    make_exact(RETURN_ADDRESS);
    check_base(env, (unsigned)selector & 0xffff, 0x82);
    __real_helper_lldt_x86_64(env, selector);
}

void __wrap_helper_ltr_x86_64(library_env *env, int selector)
{
    make_exact(RETURN_ADDRESS);
    check_base(env, (unsigned)selector & 0xffff, 0x89);
    __real_helper_ltr_x86_64(env, selector);
}
