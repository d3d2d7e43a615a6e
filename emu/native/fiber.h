/* SPDX-License-Identifier: MIT */
/*
 * Coroutines on stacks of their own, for native L0 code that calls "enter the guest" and waits for its return. Switching
 * makes no system call. Announced to AddressSanitizer.
 */
#ifndef SESQUI_EMU_FIBER_H
#define SESQUI_EMU_FIBER_H

#include <stdbool.h>
#include <stddef.h>

struct fiber {
    void *stack;                /* lowest address */
    size_t stack_size;
    void *sp;                   /* of this fiber while it is suspended */
    void *resumer_sp;           /* of whoever resumed it */
    void (*body)(void *);
    void *argument;
    void *fake_stack, *resumer_fake_stack;  /* AddressSanitizer's */
    const void *resumer_stack;
    size_t resumer_stack_size;
};

/* False: no memory. The fiber starts at its first fiber_resume(). `body` must never return. */
bool fiber_create(struct fiber *fiber, size_t stack_size, void (*body)(void *), void *argument);
/* Frees the stack; a suspended fiber is abandoned where it is. */
void fiber_destroy(struct fiber *fiber);
/* Runs the fiber until it yields. */
void fiber_resume(struct fiber *fiber);
/* Returns to whoever resumed the fiber; called on the fiber itself. */
void fiber_yield(struct fiber *fiber);

#endif
