/* SPDX-License-Identifier: MIT */
/*
 * An NMI that comes while L0 runs (hv/nmi.c). On the model that is between two instructions of the core; so the test stands before hal_enter()
 * (linked with --wrap, tests/hv/nmi.opts), and lets one come before the entry that it chooses.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "arch/late_load.h"
#include "emu/machine/parts.h"
#include "emu/native/state.h"
#include "emu/scenario/scenario.h"
#include "tests/suite.h"

static unsigned level, entries;                 /* the NMI comes before an entry into this level, behind so many others */
static unsigned told;                           /* how often hal_enter() told of one */
static bool with_init;                          /* an INIT comes with it */
static bool refusing;                           /* the processor refuses all entries */

enum hal_result __real_hal_enter(struct hal_registers *registers, bool launch);
enum hal_result __wrap_hal_enter(struct hal_registers *registers, bool launch);
enum hal_result __wrap_hal_enter(struct hal_registers *registers, bool launch)
{
    if (native_here->level == level && !entries--) {
        native_here->cpu->nmi_pending = true;
        native_here->cpu->init_pending |= with_init;
    }
    enum hal_result result = refusing && !native_here->cpu->nmi_pending ? HAL_FAIL_VALID : __real_hal_enter(registers, launch);
    told += result == HAL_NMI;
    return result;
}

static const char *const strategy[] = { "trap", "copy", "flip" };
#define PREPARED                                                                                                    \
    "l1 prepare vmx\nl1 prepare region 0x10000\nl1 vmxon 0x10000\nl1 prepare region 0x11000\nl1 vmclear 0x11000\n"      \
    "l1 vmptrld 0x11000\nl1 prepare vmcs\n"

/* `text` behind "l0 native STRATEGY". */
static void run(unsigned which, unsigned into, unsigned others, const char *text)
{
    struct program program;
    struct scenario_error error = { "" };
    struct scenario_options options = { 0 };
    char whole[2048];

    level = into;
    entries = others;
    told = 0;
    snprintf(whole, sizeof whole, "l0 native %s\n%s", strategy[which], text);
    ck_assert_msg(scenario_parse_text(whole, strlen(whole), "test", &program, &error), "%s", error.text);
    const bool good = scenario_run(&program, &options, NULL, &error);
    scenario_free(&program);
    ck_assert_msg(good, "%s", error.text);
    ck_assert_uint_eq(told, 1);
}

/* L1's first entry is L0's own, at its start. */
START_TEST(l1_gets_it)
{
    run(_i / 2, 1, 1, _i % 2 ? "l1 cpuid 0\nexpect event 0x2\n" : "l1 wrmsr 0x1b 0xfee00100\nexpect event 0x2\n");
}
END_TEST

/* INIT comes first, and forgets it. */
START_TEST(an_init_forgets_it)
{
    with_init = true;
    run(_i, 1, 1, "l1 cpuid 0\nexpect exit init_signal to=l0\nexpect register rip 0xfff0\nl1 cpuid 0\nl1 cpuid 0\n");
    with_init = false;
}
END_TEST

/* The entry is L1's, or one of L0's after an exit that is not L1's. */
#define WITH_BITMAP PREPARED "l1 set proc.use_msr_bitmaps\nl1 vmwrite msr_bitmap_address 0x20000\n"

START_TEST(l2_gets_it)
{
    if (_i % 2)
        run(_i / 2, 2, 1, WITH_BITMAP "l1 vmlaunch\nl2 rdmsr 0x1a0\nexpect event 0x2\nexpect level l2\n");
    else
        run(_i / 2, 2, 0, PREPARED "l1 vmlaunch\nexpect event 0x2\nexpect level l2\n");
}
END_TEST

/* Hardware's exit is the one that L0 asked for, L1's is the NMI. */
START_TEST(l1_gets_the_exit)
{
#define EXIT "expect exit nmi_window\nexpect level l1\nl1 vmread exit_reason\nexpect value 0\nl1 vmread exit_interruption_information\nexpect value 0x80000202\n"  \
             "l1 vmresume\nl2 vmcall\nexpect exit vmcall to=l1\n"         /* what L0 asked for is gone */
    if (_i % 2)
        run(_i / 2, 2, 1, WITH_BITMAP "l1 set pin.nmi_exiting\nl1 vmlaunch\nl2 rdmsr 0x1a0\n" EXIT);
    else
        run(_i / 2, 2, 0, PREPARED "l1 set pin.nmi_exiting\nl1 vmlaunch\n" EXIT);
}
END_TEST

/* L2 is in a handler: its virtual NMIs are blocked, which does not hold back L1's exit. */
START_TEST(l1_gets_the_exit_in_a_handler_of_l2)
{
    run(_i, 2, 1, WITH_BITMAP "l1 set pin.nmi_exiting\nl1 set pin.virtual_nmis\nl1 vmwrite guest_interruptibility_state 8\nl1 vmlaunch\nl2 rdmsr 0x1a0\n"
        "l2 rdtsc\nexpect exit monitor_trap_flag\nexpect level l1\nl1 vmread exit_reason\nexpect value 0\n"
        "l1 vmread exit_interruption_information\nexpect value 0x80000202\nl1 vmread guest_interruptibility_state\nexpect value 8\n"
        "l1 vmresume\nl2 rdtsc\nexpect level l2\n");
}
END_TEST

/* Controls that are wrong fail as they do without an NMI, which is L1's then. */
START_TEST(wrong_controls_stay_wrong)
{
    run(_i, 2, 0, PREPARED "l1 set pin.virtual_nmis\nl1 vmlaunch\nexpect event 0x2\n"
                   "l1 vmread vm_instruction_error\nexpect value 7\n");
}
END_TEST

/* It came while L0 found out, in its trial of an entry, that it cannot slide beneath the guest. */
START_TEST(a_guest_that_goes_on_without_l0_gets_it)
{
    const struct machine_options options = { .memory_size = 64 << 20, .cpus = 1, .hypervisor = HYPERVISOR_TRAP + (unsigned)_i, .late = true };
    char message[MACHINE_MESSAGE_MAX];
    struct machine *machine = machine_open(&options, message, sizeof message);
    ck_assert_msg(machine != NULL, "%s", message);
    struct cpu *cpu = machine_cpu(machine, 0);

    for (unsigned round = 0; round < 2; round++) {      /* the second time none comes */
        level = 1;
        entries = round;
        refusing = true;
        ck_assert_int_eq(native_load(machine->native, cpu), STATUS_OK);
        ck_assert_int_eq(native_resume(machine->native, cpu), STATUS_OK);
        refusing = false;
        ck_assert_uint_eq(cpu->gpr[RAX], LATE_REFUSED);
        ck_assert(!native_active(machine->native, cpu));
        ck_assert_int_eq(cpu->nmi_pending, !round);
        cpu->nmi_pending = false;
    }
    machine_close(machine);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv nmi");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, l1_gets_it, 0, 6);
    tcase_add_loop_test(tcase, an_init_forgets_it, 0, 3);
    tcase_add_loop_test(tcase, l2_gets_it, 0, 6);
    tcase_add_loop_test(tcase, l1_gets_the_exit, 0, 6);
    tcase_add_loop_test(tcase, l1_gets_the_exit_in_a_handler_of_l2, 0, 3);
    tcase_add_loop_test(tcase, wrong_controls_stay_wrong, 0, 3);
    tcase_add_loop_test(tcase, a_guest_that_goes_on_without_l0_gets_it, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
