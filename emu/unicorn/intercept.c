/* SPDX-License-Identifier: MIT */
/* Leaving generated code: record why, unwind, ask the library to return. */
#include "emu/unicorn/engine.h"

#include <string.h>

_Noreturn void leave(struct engine *e, enum left left, enum position position, uintptr_t return_address)
{
    e->left = left;
    e->position = position;
    FIELD(int32_t, e->library, CPU_EXCEPTION_INDEX) = (int32_t)left;
    ENV32(e->env, EXCEPTION_IS_INT) = 0;    /* else the library would move RIP */
    cpu_loop_exit_restore_x86_64(e->library, return_address);
}

_Noreturn void leave_event(struct engine *e, enum vector vector, bool has_error_code, uint32_t error_code,
                           enum position position, uintptr_t return_address)
{
    e->event = (struct event){ .vector = (uint8_t)vector, .type = EVENT_HARDWARE_EXCEPTION,
                               .has_error_code = has_error_code, .error_code = error_code };
    leave(e, LEFT_EVENT, position, return_address);
}

_Noreturn void refuse(struct engine *e, const char *text, uintptr_t return_address)
{
    e->text = text;
    leave(e, LEFT_REFUSED, WITHIN_BLOCK, return_address);
}

static bool has_error_code(uint32_t vector)     /* SDM Vol. 3, Table 6-1 */
{
    return vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= VECTOR_PF) || vector == VECTOR_AC;
}

/*
 * A single step completed: SDM Vol. 3, 18.3.1.4. It becomes a pending debug exception; what comes before its delivery the
 * model knows. MOV SS and POP SS hold it back (6.8.3).
 */
static _Noreturn void single_step(struct engine *e)
{
    if (debug_steps(e))
        e->debug_pending |= PENDING_DEBUG_BS;
    leave(e, e->debug_pending && !debug_held_back(e) ? LEFT_POLL : LEFT_AGAIN, BETWEEN_BLOCKS, 0);
}

/* The library calls this before it raises any exception, and before INT n, INT3 and INTO (then RIP is theirs). */
void __wrap_cpu_svm_check_intercept_param_x86_64(library_env *env, uint32_t type, uint64_t param, uintptr_t ra)
{
    struct engine *e = engine_here();
    (void)env;
    uint32_t vector = type - SVM_EXCEPTION;
    if (type == SVM_SOFTWARE_INTERRUPT)
        leave(e, LEFT_SOFTWARE_INTERRUPT, WITHIN_BLOCK, ra);
    if (vector >= 32)
        return;
    if (vector == VECTOR_UD)
        leave(e, LEFT_UD, WITHIN_BLOCK, ra);
    if (vector == VECTOR_DB)
        single_step(e);
    leave_event(e, (enum vector)vector, has_error_code(vector), (uint32_t)param, WITHIN_BLOCK, ra);
}

/* A locked access that the library can only do with all other processors stopped: not on this path with one thread. */
_Noreturn void __wrap_cpu_loop_exit_atomic_x86_64(library_cpu *cpu, uintptr_t ra)
{
    (void)cpu;
    refuse(engine_here(), "an atomic access that the CPU engine cannot do", ra);
}

/*
 * The library ends the process where its translator meets something it does not expect, and guest code can bring that
 * about. Nothing is lost by leaving instead: the next translation begins afresh. Other callers (there is one abort() in a
 * program) get what they asked for.
 */
_Noreturn void __wrap_abort(void)
{
    struct engine *e = engine_here();
    if (e && e->running && !e->stopping)
        refuse(e, "code that the CPU engine cannot translate", 0);
    __real_abort();
}

_Noreturn void __wrap___assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    struct engine *e = engine_here();
    if (e && e->running && !e->stopping)
        refuse(e, "code that the CPU engine cannot execute", 0);
    __real___assert_fail(assertion, file, line, function);
}

/* Called on each pass of the library's outer loop: at the start, after STI, IRET, POPF, MOV SS and every far transfer. */
bool __wrap_x86_cpu_exec_interrupt_x86_64(library_cpu *cpu, int request)
{
    struct engine *e = engine_here();
    (void)cpu, (void)request;
    if (e->stopping || e->probing)
        return false;
    if (e->request->stop_when_interruptible && !e->request->single_step && (ENV64(e->env, EFLAGS) & RFLAGS_IF) &&
        !(ENV32(e->env, HFLAGS) & HF_SHADOW))
        leave(e, LEFT_INTERRUPTIBLE, BETWEEN_BLOCKS, 0);
    return false;
}

/* The library's loop shows every exception here, ours included, with no generated code on the stack. */
static void on_exception(uc_engine *uc, uint32_t index, void *data)
{
    struct engine *e = data;
    switch (index) {
    case LEFT_FLUSH:
        code_flush(e);
        /* fall through */
    case LEFT_AGAIN:
        e->left = LEFT_NOT;
        return;
    default:
        if (e->left != (enum left)index) {
            e->left = LEFT_REFUSED;
            e->text = "an exception that came past the CPU engine's intercepts";
        }
        e->stopping = true;
        uc_emu_stop(uc);
    }
}

bool intercept_open(struct engine *e)
{
    uc_hook hook;
    return !uc_hook_add(e->uc, &hook, UC_HOOK_INTR, (void *)on_exception, e, 1, 0);
}
