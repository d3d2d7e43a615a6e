/* SPDX-License-Identifier: MIT */
/*
 * Storm: what the roads by which L0 comes and goes must survive, one case a run, chosen by the last word of the command line. The same
 * program runs over both back ends, with many seeds of the scheduler (tests/backends/), and always says the same.
 */
#include "scenarios/guests/storm/storm.h"

unsigned main(const void *information);

enum { EXIT_MISMATCH = 1, EXIT_NO_CASE = 2, EXIT_NOT_OFFERED = 3, GIVE_PAGE = 0x53716731 };

late_load *volatile storm_load;
static unsigned mismatches;
static void (*volatile others_body)(unsigned);
static volatile unsigned others, done;

void expect(const char *what, uint64_t value, uint64_t wanted)
{
    if (value == wanted)
        return;
    mismatches++;
    print("MISMATCH: %s: %lx, expected %lx\n", what, value, wanted);
}

uint64_t ask(uint64_t rax, uint64_t rbx)
{
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n vmcall\n1: movq $0, fault_resume" : "+a"(rax) : "b"(rbx) : "memory", "cc");
    return fault_vector >= 0 ? 0x100u + (unsigned)fault_vector : rax;
}

uint64_t give(const volatile void *page) { return ask(GIVE_PAGE, (uintptr_t)page); }

void second_main(void)
{
    const unsigned number = __atomic_add_fetch(&others, 1, __ATOMIC_SEQ_CST);

    others_body(number);
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
}

void others_start(void (*body)(unsigned))
{
    others_body = body;
    others = done = 0;
    second_wake();
}

void others_await(unsigned count) { WAIT_UNTIL(done >= count); }

static const struct { const char *name, *text; void (*run)(void); } cases[] = {
#define CASE(name, text) { #name, text, case_##name },
#include "scenarios/guests/storm/cases.def"
#undef CASE
};

unsigned main(const void *information)
{
    console_open();
    idt_load();
    storm_load = late_find(information);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!late_asked(information, cases[i].name))
            continue;
        print("-- %s\n", cases[i].text);
        cases[i].run();
        print("storm: %s\n", mismatches ? "mismatches" : "all as expected");
        return mismatches ? EXIT_MISMATCH : 0;
    }
    print("storm: the last word of the command line names no case\n");
    return EXIT_NO_CASE;
}
