/* SPDX-License-Identifier: MIT */
/*
 * Handover: a guest on two processors that give pages to the L0 beneath (docs/core.md) at the same time, each while the
 * other one works on in memory around them. What was given is gone for both; what was not is as it was.
 */
#include <stdbool.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/second.h"

enum { PAGE = 4096, GIVEN = 20, PAGES = 30, LIST = 64, GENERAL_PROTECTION = 13 };
enum { GIVE_PAGE = 0x53716731, DONE = 0, NOT_YOURS = 1, LIST_FULL = 2 };

unsigned main(void);

static _Alignas(PAGE) volatile uint64_t page[2][PAGES][PAGE / 8];
static _Alignas(PAGE) volatile uint64_t more[LIST][PAGE / 8];
static volatile unsigned arrived;
static volatile unsigned wrong[2];
static volatile bool second_done;

static uint32_t give(const volatile void *what)
{
    uint32_t result = GIVE_PAGE;

    __asm__ volatile("vmcall" : "+a"(result) : "b"(what) : "memory", "cc");
    return result;
}

/* Both touch every page there is before any is given, so that both remember them. */
static void meet(void)
{
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    while (arrived < 2)
        __asm__ volatile("pause");
}

static void take_part(unsigned self)
{
    for (unsigned i = 0; i < PAGES; i++)
        wrong[self] += page[1 - self][i][1] != 0;
    for (unsigned i = 0; i < PAGES; i++)
        page[self][i][0] = i + 1;
    meet();
    for (unsigned i = 0; i < GIVEN; i++) {
        wrong[self] += give(page[self][i]) != DONE;
        for (unsigned j = GIVEN; j < PAGES; j++)
            wrong[self] += page[self][j][0]++ != j + 1 + i;
    }
}

void second_main(void)
{
    take_part(1);
    second_done = true;
}

static bool gone(const volatile void *what)
{
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n\tcmpb $0, (%0)\n1:\tmovq $0, fault_resume" : : "r"(what) : "memory", "cc");
    return fault_vector == GENERAL_PROTECTION;
}

unsigned main(void)
{
    unsigned absent = 0, given = 2 * GIVEN;
    uint32_t last;

    console_open();
    idt_load();
    second_wake();
    take_part(0);
    while (!second_done)
        __asm__ volatile("pause");
    for (unsigned who = 0; who < 2; who++)
        for (unsigned i = 0; i < PAGES; i++)
            absent += gone(page[who][i]);
    wrong[0] += give(page[1][0]) != NOT_YOURS;
    for (unsigned i = 0; (last = give(more[i])) == DONE; i++)
        given++;
    wrong[0] += given != LIST || last != LIST_FULL || gone(more[LIST - 1]);
    print("handover: %u pages given, %u gone after both had given %u\n", given, absent, GIVEN);
    if (wrong[0] || wrong[1] || absent != 2 * GIVEN) {
        print("handover: NOT as expected\n");
        return 1;
    }
    print("handover: all as expected\n");
    return 0;
}
