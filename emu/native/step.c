/* SPDX-License-Identifier: MIT */
/* Single-stepping the core. A trap tells the address of the next instruction; the one before it has been retired. */
#define _GNU_SOURCE                     /* register numbers of ucontext_t */
#include "emu/native/step.h"

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

#include "emu/native/state.h"

/* Bounds of the section that holds the core's text; the linker defines such symbols for a section named like this. */
extern const char __start_hv_text[], __stop_hv_text[];

static struct native *stepped;
static uintptr_t latest;                /* where the latest trap found the processor */
static bool away;                       /* the core has called out, and will be stepped again when the callee returns */

/* Where the core called out to, and returns: single-stepping is on again from there. */
void step_back(void);
uintptr_t step_return;
__asm__(".text\n"
        ".type step_back, @function\n"
        "step_back:\n"
        "    pushq $0\n"
        "    pushq %rax\n"
        "    movq step_return(%rip), %rax\n"
        "    movq %rax, 8(%rsp)\n"
        "    popq %rax\n"
        "    pushfq\n"
        "    orl $0x100, (%rsp)\n"
        "    popfq\n"                           /* the trap comes after the next instruction */
        "    ret\n");

static bool in_core(uintptr_t address)
{
    return address >= (uintptr_t)__start_hv_text && address < (uintptr_t)__stop_hv_text;
}

static void trap(int signal, siginfo_t *information, void *context)
{
    greg_t *const reg = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uintptr_t now = (uintptr_t)reg[REG_RIP];
    uintptr_t *const top = (uintptr_t *)reg[REG_RSP];

    (void)signal, (void)information;
    if (!stepped) {
        reg[REG_EFL] &= ~(greg_t)RFLAGS_TF;
        return;
    }
    if (in_core(latest)) {
        stepped->counts.instruction++;
        if (!in_core(now) && in_core(*top)) {   /* it called: the callee runs unstepped, and returns to step_back */
            step_return = *top;
            *top = (uintptr_t)step_back;
            reg[REG_EFL] &= ~(greg_t)RFLAGS_TF;
            away = true;
        }
    } else if (in_core(now)) {
        away = false;
    }
    latest = now;
}

bool step_begin(struct native *native)
{
    /* It stays: a core that is away when counting ends comes back through step_back, and traps once more. */
    const struct sigaction action = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO };

    if (stepped || native->model->cpu_count > 1)
        return false;
    away = false;
    latest = 0;
    if (sigaction(SIGTRAP, &action, NULL))
        return false;
    stepped = native;
    return true;
}

void step_again(const struct native *native)
{
    if (stepped != native || away)
        return;
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tleaq 128(%%rsp), %%rsp"
                     ::: "memory", "cc");
}

void step_end(const struct native *native)
{
    if (stepped == native)
        stepped = NULL;
}
