/* SPDX-License-Identifier: MIT */
/*
 * Slide: a program on bare hardware asks for L0 beneath it, gets rid of it, asks again, and finalises (docs/metal.md). With "two" on its
 * command line: the second one's load fails first, and the first one must go back.
 */
#include <stdbool.h>
#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/late.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/lib/second.h"
#include "scenarios/guests/slide/user.h"

enum { NO_FUNCTION = 99, EXIT_NOT_OFFERED = 2, EXIT_MISMATCH = 1, ROUNDS = 300 };

unsigned main(const void *information);

static late_load *load;
static unsigned mismatches;
static volatile int turn;                       /* what the second processor may do; negative: it has done it */
static volatile uint64_t second_answer;
static uint8_t second_vmxon_region[PAGE] __attribute__((aligned(PAGE)));

static void expect(const char *what, uint64_t value, uint64_t wanted)
{
    print("%s: %lx\n", what, value);
    if (value == wanted)
        return;
    mismatches++;
    print("MISMATCH: expected %lx\n", wanted);
}

/* VMCALL to L0: its answer, or 0x100 and the vector of the exception. */
static uint64_t ask_about(uint64_t rax, uint64_t rbx, uint64_t rcx)
{
    fault_vector = -1;
    __asm__ volatile("movq $1f, fault_resume\n vmcall\n1: movq $0, fault_resume" : "+a"(rax) : "b"(rbx), "c"(rcx) : "memory", "cc");
    return fault_vector >= 0 ? 0x100u + (unsigned)fault_vector : rax;
}

static uint64_t ask(uint64_t rax, uint64_t rbx) { return ask_about(rax, rbx, 0); }

static uint64_t call(uint64_t function) { return ask(LATE_CALL, function); }

enum { UNDEFINED = 0x106 };

/* Gives a page to L0 (docs/core.md). */
enum { GIVE_PAGE = 0x53716731, GIVEN = 0, TOO_EARLY = 4 };
static uint64_t give(void)
{
    static _Alignas(4096) uint8_t page[4096];

    return ask(GIVE_PAGE, (uintptr_t)page);
}

/* How often this processor has exited, by reason: what is done between two looks, and nothing else. */
static void look_at_exits(const char *where)
{
    static _Alignas(PAGE) struct late_exits before, now;
    uint32_t eax = 0, ebx, ecx, edx;
    uint64_t more = 0, of_l2 = 0;

    print("exits %s\n", where);
    expect("call", ask_about(LATE_CALL, LATE_EXITS, (uintptr_t)&before), LATE_DONE);
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    expect("call for where no RAM is", ask_about(LATE_CALL, LATE_EXITS, 0xfee00000), LATE_REFUSED);
    expect("call for an absurd address", ask_about(LATE_CALL, LATE_EXITS, ~(uint64_t)(PAGE - 1)), LATE_REFUSED);
    expect("call for the midst of a page", ask_about(LATE_CALL, LATE_EXITS, (uintptr_t)&now + 8), LATE_REFUSED);
    expect("call", ask_about(LATE_CALL, LATE_EXITS, (uintptr_t)&now), LATE_DONE);
    for (unsigned i = 0; i < LATE_EXIT_REASONS; i++) {
        more += now.of[0][i] - before.of[0][i];
        of_l2 += now.of[1][i];
    }
    expect("CPUIDs", now.of[0][EXIT_REASON_cpuid] - before.of[0][EXIT_REASON_cpuid], 1);
    expect("VMCALLs", now.of[0][EXIT_REASON_vmcall] - before.of[0][EXIT_REASON_vmcall], 4);
    expect("all", more, 5);
    expect("of L2", of_l2, 0);
}

static void second_does(int what)
{
    turn = what;
    while (turn > 0)
        __asm__ volatile("pause");
}

static void await(int what)
{
    while (turn != what)
        __asm__ volatile("pause");
}

void second_main(void)
{
    const char *missing;

    idt_load();
    await(1);
    missing = vmx_start_on(second_vmxon_region);    /* on bare hardware */
    turn = missing ? -99 : -1;
    await(2);
    second_answer = load();
    turn = -2;
    await(3);
    __asm__ volatile("vmxoff");
    write_cr4(read_cr4() & ~CR4_VMXE);
    turn = -3;
    await(4);
    second_answer = load();
    turn = -4;
    await(5);
    second_answer = call(LATE_UNLOAD);
    turn = -5;
}

/* VMX operation over L0, and out of it again: what L0 had for it must not stay in the processor's hands. */
static void use_vmx(void)
{
    static uint8_t vmcs[PAGE] __attribute__((aligned(PAGE)));
    const char *missing = vmx_start();

    expect("VMXON", missing != NULL, false);
    if (missing)
        return;
    *(uint32_t *)vmcs = vmcs_revision();
    expect("VMCLEAR", (uint64_t)vmclear((uintptr_t)vmcs), 0);
    expect("VMPTRLD", (uint64_t)vmptrld((uintptr_t)vmcs), 0);
    expect("VMWRITE", (uint64_t)vmwrite(VMCS_guest_rip, 0x1234), 0);
    expect("VMREAD", vmread(VMCS_guest_rip), 0x1234);
    look_at_exits("in VMX operation");
    expect("VMXOFF", (uint64_t)vmxoff(), 0);
    write_cr4(read_cr4() & ~CR4_VMXE);
}

/* So often that L0 would run out of memory if it kept what it needs for one life. */
static uint64_t load_and_unload(unsigned times)
{
    uint64_t done = 0;

    while (done < times && load() == LATE_DONE && call(LATE_UNLOAD) == LATE_DONE)
        done++;
    return done;
}

static void two_processors(void)
{
    print("-- two processors: the second one is in VMX operation\n");
    second_wake();
    second_does(1);
    expect("VMXON of the second", (uint64_t)-turn, 1);
    expect("load of the first", load(), LATE_DONE);
    expect("call", call(NO_FUNCTION), LATE_UNKNOWN);
    second_does(2);
    expect("load of the second", second_answer, LATE_REFUSED);
    for (volatile int i = 0; i < 100000; i++)
        ;
    expect("call: the first has gone back", call(NO_FUNCTION), UNDEFINED);
    second_does(3);
    expect("load of the first", load(), LATE_DONE);
    second_does(4);
    expect("load of the second", second_answer, LATE_DONE);
}

unsigned main(const void *information)
{
    const bool two = late_asked(information, "two");

    console_open();
    idt_load();
    user_prepare();
    load = late_find(information);
    if (!load) {
        print("slide: no multiboot module offers L0\n");
        return EXIT_NOT_OFFERED;
    }
    print("-- load and unload\n");
    expect("call on bare hardware", call(NO_FUNCTION), UNDEFINED);
    expect("load", load(), LATE_DONE);
    expect("call of no function", call(NO_FUNCTION), LATE_UNKNOWN);
    expect("VMXOFF at CPL 3", user_executes_vmxoff(), VECTOR_UD);
    expect("unload at CPL 3", user_executes_vmcall(LATE_CALL, LATE_UNLOAD), VECTOR_UD);
    expect("exits at CPL 3", user_executes_vmcall(LATE_CALL, LATE_EXITS), VECTOR_UD);
    look_at_exits("since the load");
    expect("call", call(NO_FUNCTION), LATE_UNKNOWN);
    use_vmx();
    expect("unload", call(LATE_UNLOAD), LATE_DONE);
    expect("load and unload, many times", load_and_unload(ROUNDS), ROUNDS);
    expect("call", call(NO_FUNCTION), UNDEFINED);
    expect("VMXOFF at CPL 3 on bare hardware", user_executes_vmxoff(), VECTOR_UD);
    if (two)
        two_processors();
    else
        expect("load again", load(), LATE_DONE);
    expect("give a page", give(), TOO_EARLY);
    print("-- for good\n");
    expect("finalise", call(LATE_FINALISE), LATE_DONE);
    expect("give a page", give(), GIVEN);
    expect("unload", call(LATE_UNLOAD), LATE_REFUSED);
    if (two) {
        second_does(5);
        expect("unload of the second", second_answer, LATE_REFUSED);
    }
    expect("VMXOFF at CPL 3", user_executes_vmxoff(), VECTOR_UD);
    expect("call", call(NO_FUNCTION), LATE_UNKNOWN);
    print("slide: %s\n", mismatches ? "mismatches" : "all as expected");
    return mismatches ? EXIT_MISMATCH : 0;
}
