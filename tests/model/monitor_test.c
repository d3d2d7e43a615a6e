/* SPDX-License-Identifier: MIT */
/* MONITOR and MWAIT: what arms, what ends the wait, and what VM entries and exits do to it. */
#include "model/cpu/monitor.h"

#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

enum { LINE = 0x50000 };

static struct vmx_fixture f;
static bool requested;

static bool interrupt_requested(void *context, struct cpu *cpu)
{
    (void)context, (void)cpu;
    return requested;
}

static void setup(void)
{
    fixture_open(&f);
    requested = false;
    f.model->bus.interrupt_requested = interrupt_requested;
    f.cpu->rflags &= ~RFLAGS_IF;
}

static void teardown(void) { fixture_close(&f); }

static enum status monitor(uint64_t address)
{
    const struct insn insn = { .id = INSN_monitor, .length = 3, .address_size = 8, .kind = OPERAND_MEMORY, .segment = SEG_DS, .base = RAX,
                               .index = NO_REGISTER };

    f.cpu->gpr[RAX] = address;
    f.cpu->gpr[RCX] = f.cpu->gpr[RDX] = 0;
    return execute(f.cpu, &insn);
}

static enum status mwait(uint64_t extensions)
{
    const struct insn insn = { .id = INSN_mwait, .length = 3 };

    f.cpu->gpr[RAX] = 0x20;
    f.cpu->gpr[RCX] = extensions;
    return execute(f.cpu, &insn);
}

static void enter(void)
{
    f.cpu->vmx.current->launch_state = LAUNCH_CLEAR;
    fixture_enter(&f);
    f.cpu->rflags &= ~RFLAGS_IF;
}

static void wait_for_it(uint64_t extensions)
{
    ck_assert_int_eq(monitor(LINE + 8), STATUS_OK);
    ck_assert_int_eq(mwait(extensions), STATUS_OK);
    ck_assert(monitor_waits(f.cpu));
    ck_assert(!cpu_runs(f.cpu));
    ck_assert_uint_eq(f.cpu->activity, ACTIVITY_ACTIVE);
}

START_TEST(a_store_ends_the_wait)
{
    static const struct { uint64_t address; bool ends; } table[] = {
        { LINE - 8, false }, { LINE, true }, { LINE + 56, true }, { LINE + 64, false },
    };

    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint64_t rip = f.cpu->rip;

        wait_for_it(0);
        ck_assert_uint_eq(f.cpu->rip, rip + 6);
        fixture_store64(&f, table[i].address, 100 + i);
        ck_assert_int_eq(!monitor_waits(f.cpu), table[i].ends);
    }
}
END_TEST

/* Nothing named a line, or it was stored to meanwhile, or the line was waited for already. */
START_TEST(without_an_armed_line_nobody_waits)
{
    ck_assert_int_eq(mwait(0), STATUS_OK);
    ck_assert(!monitor_waits(f.cpu));
    monitor(LINE);
    fixture_store64(&f, LINE, 7);
    mwait(0);
    ck_assert(!monitor_waits(f.cpu));
    wait_for_it(0);
    f.cpu->monitor.waiting = false;
    mwait(0);
    ck_assert(!monitor_waits(f.cpu));
}
END_TEST

START_TEST(interrupts)
{
    wait_for_it(0);
    requested = true;
    ck_assert(monitor_waits(f.cpu));            /* masked */
    ck_assert(!interrupts_wake(f.cpu));
    requested = false;
    wait_for_it(1);
    ck_assert(interrupts_wake(f.cpu));
    ck_assert(monitor_waits(f.cpu));
    requested = true;
    ck_assert(!monitor_waits(f.cpu));
    ck_assert(!f.cpu->event.valid);             /* it still is masked */
    requested = false;
    wait_for_it(0);
    f.cpu->event.valid = true;
    ck_assert(!monitor_waits(f.cpu));
}
END_TEST

START_TEST(faults_arm_nothing)
{
    ck_assert_int_eq(monitor(1ull << 62), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    ck_assert(!f.cpu->monitor.armed);
    f.cpu->event.valid = false;
    monitor(LINE);
    ck_assert_int_eq(mwait(2), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_GP);
    ck_assert(!f.cpu->monitor.waiting);
    ck_assert(f.cpu->monitor.armed);
}
END_TEST

/* 27.3.3, 28.5.6: entries and exits clear the monitoring. 28.2.1: the qualification says whether it was armed. */
START_TEST(vm_entries_and_exits)
{
    VMCS(f.cpu->vmx.current, processor_based_controls) |= PROC_mwait_exiting;
    monitor(LINE);
    enter();
    ck_assert(!f.cpu->monitor.armed);
    ck_assert_int_eq(mwait(0), STATUS_VM_EXIT);
    ck_assert_uint_eq(f.exit.a, EXIT_REASON_mwait);
    ck_assert_uint_eq(f.exit.b, 0);
    enter();
    monitor(LINE);
    ck_assert_int_eq(mwait(0), STATUS_VM_EXIT);
    ck_assert_uint_eq(f.exit.b, 1);
    ck_assert(!f.cpu->monitor.armed);
    enter();
    mwait(2);                                   /* the exit comes before the fault */
    ck_assert_uint_eq(f.exit.a, EXIT_REASON_mwait);
}
END_TEST

/* 26.3: MWAIT of a guest that would end with masked interrupts does not wait while an interrupt window is awaited. The saved state is active. */
START_TEST(in_a_guest)
{
    VMCS(f.cpu->vmx.current, processor_based_controls) &= ~(uint64_t)(PROC_mwait_exiting | PROC_monitor_exiting);
    enter();
    wait_for_it(0);
    fixture_exit(&f, EXIT_REASON_external_interrupt);
    ck_assert(cpu_runs(f.cpu));
    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, guest_activity_state), ACTIVITY_ACTIVE);
    VMCS(f.cpu->vmx.current, processor_based_controls) |= PROC_interrupt_window_exiting;
    enter();
    wait_for_it(0);
    f.cpu->monitor.waiting = false;
    monitor(LINE);
    mwait(1);
    ck_assert(!monitor_waits(f.cpu));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("monitor");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_store_ends_the_wait);
    tcase_add_test(tcase, without_an_armed_line_nobody_waits);
    tcase_add_test(tcase, interrupts);
    tcase_add_test(tcase, faults_arm_nothing);
    tcase_add_test(tcase, vm_entries_and_exits);
    tcase_add_test(tcase, in_a_guest);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
