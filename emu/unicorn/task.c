/* SPDX-License-Identifier: MIT */
/* Task switches (SDM Vol. 3, ch. 8) are refused by name: the library's own would change CR3 and TR behind the model. */
#include "emu/unicorn/engine.h"

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

void __wrap_helper_iret_protected_x86_64(library_env *env, int shift, int next_rip)
{
    make_exact(RETURN_ADDRESS);
    if ((ENV64(env, EFLAGS) & RFLAGS_NT) && !(ENV32(env, HFLAGS) & HF_LMA))
        refuse(engine_here(), task_switch, 0);
    __real_helper_iret_protected_x86_64(env, shift, next_rip);
}
