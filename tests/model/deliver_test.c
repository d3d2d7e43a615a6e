/* SPDX-License-Identifier: MIT */
/*
 * What delivery does beside the frame: each kind of event, raised and injected, against what SDM Vol. 3, 6.7.1, 6.15, 18.2, 18.3.1.1,
 * 18.4, 27.6.1.1, 27.7 and 28.1 want, written down here once more; and what a VM exit on the way saves.
 */
#include "model/cpu/deliver.h"
#include "model/cpu/raise.h"
#include "model/cpu/translate.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

#define OLD_DR6 0xffff4ff5ull           /* BS and B0, B2 of earlier exceptions */
#define OLD_DR7 0x2400ull               /* GD */
#define BD (1ull << 13)
enum { OLD_CR2 = 0x7777000, ADDRESS = 0x1234568, SHADOW = BLOCKING_BY_STI };

/* f: RF in the image; p: CR2; d: DR6, GD, DEBUGCTL change; n: NMIs blocked; c: pending debug exceptions are gone. */
static const struct {
    const char *name;
    struct event event;
    const char *raised, *injected;
} kinds[] = {
    { "external interrupt", { .vector = 0x40, .type = EVENT_EXTERNAL_INTERRUPT }, "", "c" },
    { "NMI", { .vector = VECTOR_NMI, .type = EVENT_NMI }, "n", "nc" },
    { "#DB, trap", { .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION, .address = PENDING_DEBUG_BS | 2 }, "dc", "c" },
    { "#DB, general detect", { .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION, .address = BD }, "fdc", "c" },
    { "#UD", { .vector = VECTOR_UD, .type = EVENT_HARDWARE_EXCEPTION }, "f", "c" },
    { "#GP", { .vector = VECTOR_GP, .type = EVENT_HARDWARE_EXCEPTION, .has_error_code = true, .error_code = 8 }, "f", "c" },
    { "#PF", { .vector = VECTOR_PF, .type = EVENT_HARDWARE_EXCEPTION, .has_error_code = true, .address = ADDRESS }, "fp", "c" },
    { "#DF", { .vector = VECTOR_DF, .type = EVENT_HARDWARE_EXCEPTION, .has_error_code = true }, "", "c" },
    { "#MC", { .vector = VECTOR_MC, .type = EVENT_HARDWARE_EXCEPTION }, "", "c" },
    { "INT n", { .vector = 0x80, .type = EVENT_SOFTWARE_INTERRUPT, .instruction_length = 2 }, "", "c" },
    { "INT 1", { .vector = VECTOR_DB, .type = EVENT_SOFTWARE_INTERRUPT, .instruction_length = 2 }, "", "c" },
    { "INT3", { .vector = VECTOR_BP, .type = EVENT_SOFTWARE_EXCEPTION, .instruction_length = 1 }, "", "c" },
    { "INT1", { .vector = VECTOR_DB, .type = EVENT_PRIVILEGED_SOFTWARE_EXCEPTION, .instruction_length = 1 }, "c", "c" },
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void inject(const struct event *event, uint32_t rf)
{
    struct vmcs *v = f.cpu->vmx.current;

    VMCS(v, entry_interruption_information) = INTERRUPTION_VALID | event->vector | (uint32_t)event->type << 8 |
                                              (event->has_error_code ? INTERRUPTION_ERROR_CODE_VALID : 0);
    VMCS(v, entry_exception_error_code) = event->error_code;
    VMCS(v, entry_instruction_length) = event->instruction_length;
    VMCS(v, guest_rflags) = RFLAGS_FIXED | RFLAGS_IF | rf;
    VMCS(v, guest_dr7) = OLD_DR7;
    VMCS(v, guest_ia32_debugctl) = DEBUGCTL_BTF;
    VMCS(v, guest_pending_debug_exceptions) = PENDING_DEBUG_ENABLED | 1;
    fixture_enter(&f);
}

/* In non-root operation; nothing exits by itself. */
static void begin(unsigned kind, bool injected, uint32_t rf)
{
    f.cpu->dr6 = OLD_DR6;
    f.cpu->cr2 = OLD_CR2;
    if (injected) {
        inject(&kinds[kind].event, rf);
        return;
    }
    fixture_enter(&f);
    f.cpu->dr7 = OLD_DR7;
    CPU_MSR(f.cpu, ia32_debugctl) = DEBUGCTL_BTF;
    f.cpu->pending_debug = PENDING_DEBUG_ENABLED | 1;
    f.cpu->rflags |= rf;
    f.cpu->interruptibility = SHADOW;
    f.cpu->activity = ACTIVITY_HLT;
    ck_assert_int_eq(cpu_raise(f.cpu, kinds[kind].event), STATUS_EVENT);
}

static void expect_effects(unsigned kind, const char *effects, bool injected)
{
    const struct cpu *cpu = f.cpu;
    uint64_t dr6 = strchr(effects, 'd') ? (OLD_DR6 & ~0xfull) | kinds[kind].event.address : OLD_DR6;

    ck_assert_msg(cpu->event.valid && cpu->event.pushes_resume_flag == (strchr(effects, 'f') != NULL), "%s: RF", kinds[kind].name);
    ck_assert_msg(cpu->cr2 == (strchr(effects, 'p') ? ADDRESS : OLD_CR2), "%s: CR2", kinds[kind].name);
    ck_assert_msg(cpu->dr6 == dr6, "%s: DR6 0x%lx", kinds[kind].name, (unsigned long)cpu->dr6);
    ck_assert_msg(cpu->dr7 == (strchr(effects, 'd') ? 0x400 : OLD_DR7), "%s: DR7", kinds[kind].name);
    ck_assert_msg(CPU_MSR(cpu, ia32_debugctl) == (strchr(effects, 'd') ? 0 : DEBUGCTL_BTF), "%s: DEBUGCTL", kinds[kind].name);
    ck_assert_msg(cpu->interruptibility == (strchr(effects, 'n') ? BLOCKING_BY_NMI : 0), "%s: blocking", kinds[kind].name);
    ck_assert_msg(cpu->activity == ACTIVITY_ACTIVE, "%s: activity", kinds[kind].name);
    ck_assert_msg(!cpu->pending_debug == (strchr(effects, 'c') != NULL), "%s: pending debug exceptions", kinds[kind].name);
    ck_assert(cpu->event.injected == injected);
}

START_TEST(effects_of_raised_events)
{
    begin((unsigned)_i, false, 0);
    expect_effects((unsigned)_i, kinds[_i].raised, false);
}
END_TEST

START_TEST(effects_of_injected_events)
{
    begin((unsigned)_i, true, 0);
    expect_effects((unsigned)_i, kinds[_i].injected, true);
}
END_TEST

/* 28.3.3: an EPT violation on the way saves RF as the image would have had it: for an injected event, as it was loaded. */
START_TEST(exit_on_the_way)
{
    for (unsigned injected = 0; injected < 2; injected++)
        for (unsigned rf = 0; rf < 2; rf++) {
            struct translation violation = { .result = TRANSLATION_EPT_VIOLATION, .gpa = 0x5000 };
            bool pushed = rf || (!injected && strchr(kinds[_i].raised, 'f'));
            struct vmcs *v;

            fixture_close(&f);
            fixture_open(&f);
            begin((unsigned)_i, injected, rf ? (uint32_t)RFLAGS_RF : 0);
            v = f.cpu->vmx.current;
            ck_assert_int_eq(translation_fault(f.cpu, 0x5000, &violation, false), STATUS_VM_EXIT);
            ck_assert_msg(!(VMCS(v, guest_rflags) & RFLAGS_RF) == !pushed, "%s, injected %u, RF %u", kinds[_i].name, injected, rf);
            ck_assert_uint_eq(VMCS(v, idt_vectoring_information) & 0xff, kinds[_i].event.vector);
            ck_assert_uint_eq(VMCS(v, guest_activity_state), ACTIVITY_ACTIVE);          /* 28.1: indirectly */
            ck_assert_uint_eq(VMCS(v, guest_interruptibility_state),
                              kinds[_i].event.type == EVENT_NMI ? BLOCKING_BY_NMI : 0);
            ck_assert_uint_eq(VMCS(v, guest_dr7), strchr(kinds[_i].raised, 'd') && !injected ? 0x400 : OLD_DR7);
        }
}
END_TEST

/* 28.2.4: a triple fault does not count as met during the delivery of the double fault. */
START_TEST(triple_fault_on_the_way)
{
    struct vmcs *v = f.cpu->vmx.current;

    for (unsigned kind = 0; kind < KINDS; kind++) {
        fixture_close(&f);
        fixture_open(&f);
        begin(kind, false, 0);
        v = f.cpu->vmx.current;
        VMCS(v, idt_vectoring_information) = ~0u;
        ck_assert_int_eq(cpu_triple_fault(f.cpu), STATUS_VM_EXIT);
        ck_assert_uint_eq(VMCS(v, exit_reason), 2);
        ck_assert_uint_eq(VMCS(v, idt_vectoring_information) >> 31, 0);
        ck_assert(!f.cpu->event.valid);
    }
    fixture_close(&f);
    fixture_open(&f);
    f.cpu->event = kinds[4].event;
    f.cpu->event.valid = true;
    ck_assert_int_eq(cpu_triple_fault(f.cpu), STATUS_SHUTDOWN);
    ck_assert(f.cpu->activity == ACTIVITY_SHUTDOWN && !f.cpu->event.valid);
}
END_TEST

/* 28.1: an event that exits directly has none of these effects. */
START_TEST(exit_directly)
{
    struct vmcs *v = f.cpu->vmx.current;

    if (kinds[_i].event.type < EVENT_HARDWARE_EXCEPTION || kinds[_i].event.type == EVENT_SOFTWARE_INTERRUPT)
        return;
    VMCS(v, exception_bitmap) = 1u << kinds[_i].event.vector;
    fixture_enter(&f);
    f.cpu->dr6 = OLD_DR6;
    f.cpu->cr2 = OLD_CR2;
    f.cpu->dr7 = OLD_DR7;
    CPU_MSR(f.cpu, ia32_debugctl) = DEBUGCTL_BTF;
    f.cpu->activity = ACTIVITY_HLT;
    f.cpu->interruptibility = SHADOW;
    ck_assert_int_eq(cpu_raise(f.cpu, kinds[_i].event), STATUS_VM_EXIT);
    ck_assert_uint_eq(f.cpu->dr6, OLD_DR6);
    ck_assert_uint_eq(f.cpu->cr2, OLD_CR2);
    ck_assert_uint_eq(VMCS(v, guest_dr7), OLD_DR7);
    ck_assert_uint_eq(VMCS(v, guest_ia32_debugctl), DEBUGCTL_BTF);
    ck_assert_uint_eq(VMCS(v, guest_activity_state), ACTIVITY_HLT);
    ck_assert_uint_eq(VMCS(v, guest_interruptibility_state), SHADOW);
    ck_assert(!(VMCS(v, guest_rflags) & RFLAGS_RF) == !strchr(kinds[_i].raised, 'f'));
}
END_TEST

/* 26.5.2: delivery is an instruction boundary for the monitor trap flag, whichever way the event came. */
START_TEST(monitor_trap_flag)
{
    for (unsigned injected = 0; injected < 2; injected++) {
        fixture_close(&f);
        fixture_open(&f);
        VMCS(f.cpu->vmx.current, processor_based_controls) |= PROC_monitor_trap_flag;
        begin((unsigned)_i, injected, 0);
        ck_assert_msg(f.cpu->vmx.mtf_pending, "%s, injected %u", kinds[_i].name, injected);
        ck_assert_int_eq(boundary(f.cpu), STATUS_OK);           /* delivered first */
        f.cpu->event.valid = false;
        ck_assert_int_eq(boundary(f.cpu), STATUS_VM_EXIT);
        ck_assert_uint_eq(f.exit.a, EXIT_REASON_monitor_trap_flag);
    }
}
END_TEST

/* 6.15, Interrupt 14: a second page fault overwrites CR2 although a double or triple fault comes of it; not if it exits. */
START_TEST(second_page_fault)
{
    ck_assert_int_eq(cpu_page_fault(f.cpu, 0x1000, 0), STATUS_EVENT);
    ck_assert_int_eq(cpu_page_fault(f.cpu, 0x2000, 0), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_DF);
    ck_assert_uint_eq(f.cpu->cr2, 0x2000);
    ck_assert_int_eq(cpu_page_fault(f.cpu, 0x3000, 0), STATUS_SHUTDOWN);
    ck_assert_uint_eq(f.cpu->cr2, 0x3000);
    fixture_close(&f);
    fixture_open(&f);
    VMCS(f.cpu->vmx.current, exception_bitmap) = 1u << VECTOR_PF;
    VMCS(f.cpu->vmx.current, page_fault_error_code_mask) = VMCS(f.cpu->vmx.current, page_fault_error_code_match) = PF_WRITE;
    fixture_enter(&f);
    ck_assert_int_eq(cpu_page_fault(f.cpu, 0x1000, 0), STATUS_EVENT);
    ck_assert_int_eq(cpu_page_fault(f.cpu, 0x2000, PF_WRITE), STATUS_VM_EXIT);
    ck_assert_uint_eq(f.cpu->cr2, 0x1000);
}
END_TEST

/* 27.6.1: vectors that mean nothing on this processor are benign; with their capability they combine. */
START_TEST(classes_follow_capabilities)
{
    static const struct { struct event first; struct vmx_lacks lacks; } table[] = {
        { { .vector = VECTOR_VE, .type = EVENT_HARDWARE_EXCEPTION }, { .word[WORD_PROC2] = PROC2_ept_violation_ve } },
        { { .vector = VECTOR_CP, .type = EVENT_HARDWARE_EXCEPTION }, { .word[WORD_ENTRY] = ENTRY_load_cet_state } },
    };

    for (unsigned i = 0; i < 2; i++)
        for (unsigned lacks = 0; lacks < 2; lacks++) {
            fixture_close(&f);
            fixture_open(&f);
            capability_init(&f.model->capability, lacks ? &table[i].lacks : NULL);
            inject(&table[i].first, 0);
            ck_assert_int_eq(cpu_fault(f.cpu, VECTOR_GP, 0), STATUS_EVENT);
            ck_assert_uint_eq(f.cpu->event.vector, lacks ? VECTOR_GP : VECTOR_DF);
        }
}
END_TEST

/* 27.7.3: a software event after MOV SS keeps them; shutdown and wait-for-SIPI do not. */
START_TEST(pending_debug_exceptions_at_entry)
{
    VMCS(f.cpu->vmx.current, guest_activity_state) = (unsigned)_i ? ACTIVITY_WAIT_FOR_SIPI : ACTIVITY_SHUTDOWN;
    VMCS(f.cpu->vmx.current, guest_pending_debug_exceptions) = PENDING_DEBUG_ENABLED | 1;
    fixture_enter(&f);
    ck_assert_uint_eq(f.cpu->pending_debug, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/cpu delivery");
    TCase *tcase = tcase_create("delivery");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, effects_of_raised_events, 0, KINDS);
    tcase_add_loop_test(tcase, effects_of_injected_events, 0, KINDS);
    tcase_add_loop_test(tcase, exit_on_the_way, 0, KINDS);
    tcase_add_test(tcase, triple_fault_on_the_way);
    tcase_add_loop_test(tcase, exit_directly, 0, KINDS);
    tcase_add_loop_test(tcase, monitor_trap_flag, 0, KINDS);
    tcase_add_test(tcase, second_page_fault);
    tcase_add_test(tcase, classes_follow_capabilities);
    tcase_add_loop_test(tcase, pending_debug_exceptions_at_entry, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
