/* SPDX-License-Identifier: MIT */
/* Coroutines: stack switching for x86-64 hosts (System V ABI: rbx, rbp, r12-r15 and the stack belong to the caller). */
#include "emu/native/fiber.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu/machine/host_memory.h"

enum { STACK_FIRST = 16 << 10 };                /* bytes of a stack that are used always */

#ifndef __x86_64__
#error "fiber.c knows x86-64 hosts only; the CPU engine's layout is checked for them alone"
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define FORGET(stack, size) __asan_unpoison_memory_region((stack), (size))
#define START_SWITCH(save, bottom, size) __sanitizer_start_switch_fiber((save), (bottom), (size))
#define FINISH_SWITCH(fake, bottom, size) __sanitizer_finish_switch_fiber((fake), (bottom), (size))
#else
#define FORGET(stack, size) ((void)(stack), (void)(size))
#define START_SWITCH(save, bottom, size) ((void)(save), (void)(bottom), (void)(size))
#define FINISH_SWITCH(fake, bottom, size) ((void)(fake), (void)(bottom), (void)(size))
#endif

/* Saves the caller's registers on its stack, stores its stack pointer to *save and continues at `to`. */
void fiber_switch_stack(void **save, void *to);
__asm__(".text\n"
        ".type fiber_switch_stack, @function\n"
        "fiber_switch_stack:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".type fiber_first, @function\n"
        "fiber_first:\n"                        /* r12 holds the fiber; the stack is aligned as after a call */
        "    movq %r12, %rdi\n"
        "    call fiber_start\n"
        "    ud2\n");
void fiber_first(void);
void fiber_start(struct fiber *fiber);

void fiber_start(struct fiber *fiber)
{
    FINISH_SWITCH(NULL, &fiber->resumer_stack, &fiber->resumer_stack_size);
    fiber->body(fiber->argument);
}

bool fiber_create(struct fiber *fiber, size_t stack_size, void (*body)(void *), void *argument)
{
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);
    *fiber = (struct fiber){ .stack_size = stack_size + guard, .body = body, .argument = argument };
    void *stack = mmap(NULL, fiber->stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED)
        return false;
    fiber->stack = stack;
    mprotect(stack, guard, PROT_NONE);
    host_memory_touch((uint8_t *)stack + fiber->stack_size - STACK_FIRST, STACK_FIRST);
    uintptr_t *top = (uintptr_t *)((uint8_t *)stack + fiber->stack_size);
    *--top = 0;                                 /* keeps the stack 16-byte aligned at fiber_first's call */
    *--top = 0;
    *--top = (uintptr_t)fiber_first;
    *--top = 0;                                 /* rbp */
    *--top = 0;                                 /* rbx */
    *--top = (uintptr_t)fiber;                  /* r12 */
    *--top = 0, *--top = 0, *--top = 0;         /* r13, r14, r15 */
    fiber->sp = top;
    return true;
}

void fiber_destroy(struct fiber *fiber)
{
    if (fiber->stack) {
        FORGET(fiber->stack, fiber->stack_size);   /* frames still on it were poisoned; the address may come back */
        munmap(fiber->stack, fiber->stack_size);
    }
    fiber->stack = NULL;
}

void fiber_resume(struct fiber *fiber)
{
    START_SWITCH(&fiber->resumer_fake_stack, fiber->stack, fiber->stack_size);
    fiber_switch_stack(&fiber->resumer_sp, fiber->sp);
    FINISH_SWITCH(fiber->resumer_fake_stack, &(const void *){ NULL }, &(size_t){ 0 });
}

void fiber_yield(struct fiber *fiber)
{
    START_SWITCH(&fiber->fake_stack, fiber->resumer_stack, fiber->resumer_stack_size);
    fiber_switch_stack(&fiber->sp, fiber->resumer_sp);
    FINISH_SWITCH(fiber->fake_stack, &fiber->resumer_stack, &fiber->resumer_stack_size);
}
