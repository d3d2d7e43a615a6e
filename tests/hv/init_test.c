/* SPDX-License-Identifier: MIT */
/*
 * The account of L0's own INITs (hv/init.c) against a processor of which the test knows what is on its way: an INIT that comes out is L0's or L1's
 * as it was sent, one that was lost on its way to a disabled local APIC is sent again, and none is sent where it would not be accepted. The functions
 * of the HAL that init.c calls are the test's own (linked with --wrap, tests/hv/init.opts).
 */
#include <check.h>
#include <stdlib.h>

#include "hv/core.h"
#include "model/random.h"
#include "tests/suite.h"

static struct hv_machine machine;
static struct hv_cpu cpu;

/* The processor as it is. One INIT is kept, whoever sends it. */
static struct {
    bool enabled;                   /* its local APIC */
    bool pending, by_l0, for_l1;    /* an INIT has been accepted; L0 sent it; it stands for one of L1's */
    bool disabled_meanwhile;        /* L1's exit MSR-load list disables the APIC between L0's look and its INIT */
    unsigned resets;                /* what the guest sees of INITs */
} processor;

void __wrap_hal_lock(uint32_t *lock);
void __wrap_hal_lock(uint32_t *lock)
{
    ck_assert_uint_eq(*lock, 0);
    *lock = 1;
}

void __wrap_hal_unlock(uint32_t *lock);
void __wrap_hal_unlock(uint32_t *lock)
{
    ck_assert_uint_eq(*lock, 1);
    *lock = 0;
}

unsigned __wrap_hal_cpu_index(void);
unsigned __wrap_hal_cpu_index(void) { return 0; }

bool __wrap_hal_kick(unsigned target, enum hal_kick kind);
bool __wrap_hal_kick(unsigned target, enum hal_kick kind)
{
    ck_assert_uint_eq(target, 0);
    ck_assert_int_eq(kind, HAL_KICK_INIT);
    ck_assert(processor.enabled && !machine.lock);
    if (processor.pending)
        return false;
    if (processor.disabled_meanwhile) {
        processor.enabled = false;
        init_reachable(&cpu, false);
        return true;                            /* sent, and accepted by nobody */
    }
    processor.pending = processor.by_l0 = true;
    return true;
}

/* The rest of what an INIT of L1's does (apic.c, vmcs01.c) finds no local APIC, and a VMCS that keeps nothing. */
bool __wrap_hal_rdmsr(uint32_t index, uint64_t *value);
bool __wrap_hal_rdmsr(uint32_t index, uint64_t *value)
{
    (void)index, (void)value;
    return false;
}

uint64_t __wrap_hal_vmread(enum vmcs_encoding field);
uint64_t __wrap_hal_vmread(enum vmcs_encoding field)
{
    (void)field;
    return 0;
}

void __wrap_hal_vmwrite(enum vmcs_encoding field, uint64_t value);
void __wrap_hal_vmwrite(enum vmcs_encoding field, uint64_t value)
{
    processor.resets += field == VMCS_guest_rip && value == 0xfff0;
}

void __wrap_hal_write_cr2(uint64_t value);
void __wrap_hal_write_cr2(uint64_t value) { (void)value; }

void __wrap_hal_write_dr(unsigned number, uint64_t value);
void __wrap_hal_write_dr(unsigned number, uint64_t value) { (void)number, (void)value; }

struct hal_cpuid __wrap_hal_cpuid(uint32_t leaf, uint32_t subleaf);
struct hal_cpuid __wrap_hal_cpuid(uint32_t leaf, uint32_t subleaf)
{
    (void)leaf, (void)subleaf;
    return (struct hal_cpuid){ 0 };
}

void __wrap_hal_forget_nmi(void);
void __wrap_hal_forget_nmi(void) {}

enum hal_result __wrap_hal_invvpid(uint64_t type, uint16_t vpid, uint64_t linear);
enum hal_result __wrap_hal_invvpid(uint64_t type, uint16_t vpid, uint64_t linear)
{
    (void)type, (void)vpid, (void)linear;
    return HAL_OK;
}

static void begin(void)
{
    machine = (struct hv_machine){ .presence[0].over_l0 = true };
    cpu = (struct hv_cpu){ .machine = &machine, .presence = &machine.presence[0] };
    processor = (__typeof__(processor)){ .enabled = true };
}

static void come_out(void) { processor.pending = processor.by_l0 = processor.for_l1 = false; }

static void enable(bool enabled)
{
    processor.enabled = enabled;
    init_reachable(&cpu, enabled);
}

START_TEST(a_kick_that_a_disabled_apic_has_lost_is_sent_again_when_it_is_enabled)
{
    processor.disabled_meanwhile = true;
    init_kick(&machine, 0);
    ck_assert(!processor.pending && !init_on_its_way(&cpu));
    init_kick(&machine, 0);                     /* nothing goes to it now: __wrap_hal_kick() would complain */
    processor.disabled_meanwhile = false;
    enable(true);
    ck_assert(!init_on_its_way(&cpu));
    init_kick(&machine, 0);
    ck_assert(processor.pending && init_on_its_way(&cpu));
    ck_assert(init_of_l0(&cpu));
}
END_TEST

START_TEST(what_is_on_its_way_to_an_enabled_apic_stays_in_the_account)
{
    init_kick(&machine, 0);
    enable(true);                               /* L1 writes the same value again */
    ck_assert(init_on_its_way(&cpu));
    ck_assert(init_of_l0(&cpu));
    ck_assert(!init_on_its_way(&cpu));
}
END_TEST

START_TEST(nothing_goes_to_a_processor_that_l0_is_not_beneath)
{
    machine.presence[0].over_l0 = false;
    init_kick(&machine, 0);
    ck_assert(!processor.pending && !init_on_its_way(&cpu));
}
END_TEST

/* In VMX root operation it is blocked, and comes with the next L2, or behind VMXOFF. */
START_TEST(an_init_of_l1_comes_once)
{
    init_exit(&cpu, false);
    ck_assert_uint_eq(processor.resets, 1);
    cpu.nested.on = true;
    init_exit(&cpu, false);
    init_before_l2(&cpu);
    ck_assert(processor.pending && !cpu.init_held);
    ck_assert(!init_of_l0(&cpu));               /* L1's exit */
    come_out();
    init_before_l2(&cpu);
    ck_assert(!processor.pending);
    init_exit(&cpu, false);
    cpu.nested.on = false;
    init_after_vmxoff(&cpu);
    init_after_vmxoff(&cpu);
    ck_assert_uint_eq(processor.resets, 2);
    init_exit(&cpu, true);                      /* the first half of INIT-SIPI, which is done */
    ck_assert_uint_eq(processor.resets, 2);
}
END_TEST

/* A blocked one waits for the local APIC, by which L0 sends its stand-in. */
START_TEST(one_that_is_held_while_the_apic_is_disabled_is_kept)
{
    cpu.nested.on = true;
    init_exit(&cpu, false);
    enable(false);
    init_before_l2(&cpu);
    ck_assert(cpu.init_held && !processor.pending);
    enable(true);
    init_before_l2(&cpu);
    ck_assert(!cpu.init_held && processor.pending && !init_of_l0(&cpu));
}
END_TEST

/* One of L0's that is on its way when L1's is due behind VMXOFF stands for both. */
START_TEST(an_init_behind_vmxoff_waits_for_the_kick)
{
    cpu.init_held = true;
    init_kick(&machine, 0);
    init_after_vmxoff(&cpu);
    ck_assert_uint_eq(processor.resets, 0);
    ck_assert(!cpu.init_held);
    come_out();
    init_exit(&cpu, false);
    ck_assert_uint_eq(processor.resets, 1);
}
END_TEST

START_TEST(every_init_is_whose_it_is)
{
    uint64_t seed = 1;
    unsigned kicks = 0, own = 0, others = 0;

    for (unsigned i = 0; i < 100000; i++) {
        switch (random_next(&seed) >> 32 & 7) {
        case 0: case 1: case 2:
            init_kick(&machine, 0);
            kicks += processor.pending && processor.by_l0;
            ck_assert(processor.pending || !processor.enabled);
            break;
        case 3:                                 /* another processor's INIT, L1's */
            if (processor.enabled && !processor.pending)
                processor.pending = true;
            break;
        case 4:                                 /* L1's blocked one is due */
            cpu.init_held = true;
            processor.disabled_meanwhile = false;       /* it is the processor itself that sends */
            init_before_l2(&cpu);
            ck_assert(processor.pending || !processor.enabled);
            ck_assert_int_eq(cpu.init_held, !processor.enabled);
            processor.for_l1 |= processor.enabled;
            cpu.init_held = false;
            break;
        case 5: case 6:
            if (!processor.pending)
                break;
            ck_assert_int_eq(init_of_l0(&cpu), processor.by_l0 && !processor.for_l1);
            own += processor.by_l0 && !processor.for_l1;
            others += !processor.by_l0 || processor.for_l1;
            come_out();
            break;
        case 7:                                 /* WRMSR does it only where none of L0's is on its way */
            if (processor.enabled && !init_on_its_way(&cpu))
                enable(false);
            else if (!processor.enabled && !processor.pending)
                enable(true);
            break;
        }
        ck_assert_int_eq(init_on_its_way(&cpu), processor.enabled && processor.by_l0);
        processor.disabled_meanwhile = !(random_next(&seed) >> 32 & 15);
    }
    ck_assert_uint_gt(kicks, 1000);
    ck_assert_uint_gt(own, 1000);
    ck_assert_uint_gt(others, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("init");
    TCase *tests = tcase_create("the account");

    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, a_kick_that_a_disabled_apic_has_lost_is_sent_again_when_it_is_enabled);
    tcase_add_test(tests, what_is_on_its_way_to_an_enabled_apic_stays_in_the_account);
    tcase_add_test(tests, nothing_goes_to_a_processor_that_l0_is_not_beneath);
    tcase_add_test(tests, an_init_of_l1_comes_once);
    tcase_add_test(tests, one_that_is_held_while_the_apic_is_disabled_is_kept);
    tcase_add_test(tests, an_init_behind_vmxoff_waits_for_the_kick);
    tcase_add_test(tests, every_init_is_whose_it_is);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
