/* SPDX-License-Identifier: MIT */
/*
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT as Intel processors execute them (SDM Vol. 2): the library skips the first and third,
 * checks too little in the others, and gives SYSRET's SS the RPL of IA32_STAR.
 */
#include "emu/unicorn/engine.h"

/* Attributes of the flat segments these instructions load, as in a descriptor's second doubleword. */
enum { CODE64 = 0xa09b00, CODE32 = 0xc09b00, DATA = 0xc09300, USER = 3 << 13 };

static bool canonical(const library_env *env, uint64_t address)
{
    unsigned unused = ENV64(env, CR + 32) & CR4_LA57 ? 64 - 57 : 64 - 48;
    return (int64_t)(address << unused) >> unused == (int64_t)address;
}

static uint64_t *gpr(library_env *env, enum gpr index) { return &ENV64(env, REGS) + index; }

static void flat(library_env *env, unsigned selector_cs, unsigned selector_ss, uint32_t code, uint32_t privilege)
{
    set_segment(env, SEG_CS, selector_cs, 0, 0xffffffff, code | privilege);
    set_segment(env, SEG_SS, selector_ss, 0, 0xffffffff, DATA | privilege);
}

/* Arithmetic flags live apart from the others in the library. */
static void set_flags(library_env *env, uint64_t flags)
{
    ENV32(env, CC_OP) = 1;              /* CC_OP_EFLAGS: they are in CC_SRC */
    ENV64(env, CC_SRC) = flags & RFLAGS_ARITHMETIC;
    ENV32(env, DF) = flags & RFLAGS_DF ? ~0u : 1;
    ENV64(env, EFLAGS) = (flags & ~(RFLAGS_ARITHMETIC | RFLAGS_DF)) | RFLAGS_FIXED;
}

static _Noreturn void fault(enum vector vector, uintptr_t ra)
{
    struct engine *e = engine_here();
    if (vector == VECTOR_UD)
        leave(e, LEFT_UD, WITHIN_BLOCK, ra);
    leave_event(e, vector, true, 0, WITHIN_BLOCK, ra);
}

void __wrap_helper_syscall_x86_64(library_env *env, int length)
{
    if (!(ENV64(env, EFER) & EFER_SCE) || !(ENV32(env, HFLAGS) & HF_CS64))
        fault(VECTOR_UD, RETURN_ADDRESS);
    uint64_t flags = __real_helper_read_eflags_x86_64(env) & ~RFLAGS_RF;
    unsigned selector = (ENV64(env, STAR) >> 32) & 0xfffc;
    *gpr(env, RCX) = ENV64(env, EIP) + (uint64_t)length;
    *gpr(env, R11) = flags;
    set_flags(env, flags & ~ENV64(env, FMASK));
    flat(env, selector, (selector + 8) & 0xffff, CODE64, 0);
    ENV64(env, EIP) = ENV64(env, LSTAR);
}

void __wrap_helper_sysret_x86_64(library_env *env, int size)
{
    uint64_t flags = *gpr(env, R11);
    unsigned selector = (unsigned)(ENV64(env, STAR) >> 48);
    if (!(ENV64(env, EFER) & EFER_SCE) || !(ENV32(env, HFLAGS) & HF_CS64))
        fault(VECTOR_UD, RETURN_ADDRESS);
    if ((ENV32(env, HFLAGS) & 3) || (size == 2 && !canonical(env, *gpr(env, RCX))))
        fault(VECTOR_GP, RETURN_ADDRESS);
    set_flags(env, flags & 0x3c7fd7);
    if (size == 2)
        flat(env, ((selector + 16) | 3) & 0xffff, ((selector + 8) | 3) & 0xffff, CODE64, USER);
    else
        flat(env, (selector | 3) & 0xffff, ((selector + 8) | 3) & 0xffff, CODE32, USER);
    ENV64(env, EIP) = size == 2 ? *gpr(env, RCX) : (uint32_t)*gpr(env, RCX);
}

void __wrap_helper_sysenter_x86_64(library_env *env, int length)
{
    unsigned selector = ENV32(env, SYSENTER_CS) & 0xfffc;
    bool long_mode = ENV32(env, HFLAGS) & HF_LMA;
    (void)length;
    if (!selector)
        fault(VECTOR_GP, RETURN_ADDRESS);
    ENV64(env, EFLAGS) &= ~(RFLAGS_VM | RFLAGS_IF | RFLAGS_RF);
    flat(env, selector, (selector + 8) & 0xffff, long_mode ? CODE64 : CODE32, 0);
    ENV64(env, EIP) = long_mode ? ENV64(env, SYSENTER_EIP) : (uint32_t)ENV64(env, SYSENTER_EIP);
    *gpr(env, RSP) = long_mode ? ENV64(env, SYSENTER_ESP) : (uint32_t)ENV64(env, SYSENTER_ESP);
}

void __wrap_helper_sysexit_x86_64(library_env *env, int size)
{
    unsigned selector = ENV32(env, SYSENTER_CS) & 0xfffc;
    uint64_t rip = *gpr(env, RDX), rsp = *gpr(env, RCX);
    if (!selector || (ENV32(env, HFLAGS) & 3) || (size == 2 && !(canonical(env, rip) && canonical(env, rsp))))
        fault(VECTOR_GP, RETURN_ADDRESS);
    if (size == 2) {
        flat(env, ((selector + 32) | 3) & 0xffff, ((selector + 40) | 3) & 0xffff, CODE64, USER);
    } else {
        flat(env, ((selector + 16) | 3) & 0xffff, ((selector + 24) | 3) & 0xffff, CODE32, USER);
        rip = (uint32_t)rip;
        rsp = (uint32_t)rsp;
    }
    ENV64(env, EIP) = rip;
    *gpr(env, RSP) = rsp;
}

/* STI shadows the next instruction only if it found IF clear (SDM Vol. 2, STI). */
void __wrap_helper_sti_x86_64(library_env *env)
{
    struct engine *e = engine_here();
    e->sti_shadows = !(ENV64(env, EFLAGS) & RFLAGS_IF);
    __real_helper_sti_x86_64(env);
}

/* PUSHF: the image has RF and VM clear (SDM Vol. 2, PUSHF). */
uint64_t __wrap_helper_read_eflags_x86_64(library_env *env)
{
    return __real_helper_read_eflags_x86_64(env) & ~(RFLAGS_RF | RFLAGS_VM);
}
