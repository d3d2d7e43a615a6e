/* SPDX-License-Identifier: MIT */
/*
 * The events at an instruction boundary, as the SDM has them and not as model/cpu/boundary.def does: which of two comes first, in
 * which activity states each takes place, and what blocks it. Each event here is an exit or a delivery that can be told apart.
 */
#include "model/cpu/boundary.h"
#include "model/vmx/apic.h"
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void) { fixture_open(&f); }
static void teardown(void) { fixture_close(&f); }

enum { VIRTUAL_APIC = 0xa000, VIRTUAL_VECTOR = 0x55 };

static bool requested(void *context, struct cpu *cpu)
{
    (void)context, (void)cpu;
    return true;
}

/* ---- how each becomes due, in non-root operation ---- */

static void make_apic_write(struct cpu *cpu) { cpu->vmx.apic_write = APIC_ICR_LOW; }
static void make_tpr_at_entry(struct cpu *cpu) { cpu->vmx.tpr_exit = true; }
static void make_init_signal(struct cpu *cpu) { cpu->init_pending = true; }
static void make_startup_ipi(struct cpu *cpu) { cpu->sipi_pending = true; }
static void make_monitor_trap_flag(struct cpu *cpu) { cpu->vmx.mtf_pending = true; }
static void make_preemption_timer(struct cpu *cpu) { cpu->vmx.preemption_deadline = cpu->clock; }
static void make_nmi(struct cpu *cpu) { cpu->nmi_pending = true; }
static void make_virtual_interrupt(struct cpu *cpu) { cpu->vmx.virtual_interrupt = true; }
static void make_interrupt(struct cpu *cpu) { cpu->model->bus.interrupt_requested = requested; }

static void make_debug_trap(struct cpu *cpu)
{
    VMCS(cpu->vmx.current, exception_bitmap) = 1u << VECTOR_DB;
    cpu->pending_debug = PENDING_DEBUG_BS;
}

static void make_nmi_window(struct cpu *cpu)
{
    VMCS(cpu->vmx.current, processor_based_controls) |= PROC_nmi_window_exiting;
}

static void make_interrupt_window(struct cpu *cpu)
{
    VMCS(cpu->vmx.current, processor_based_controls) |= PROC_interrupt_window_exiting;
}

/* From the highest priority down. states: letters of the activity states; blocked: S by STI, M by MOV SS. */
static const struct {
    const char *name;
    void (*make)(struct cpu *cpu);
    const char *states, *blocked;
    int seen;                           /* exit reason, 1000 + vector of an exception's or NMI's exit, 2000 + vector delivered */
} order[] = {
    { "APIC-write emulation", make_apic_write, "AHSW", "", EXIT_REASON_apic_write },
    { "TPR below threshold at entry", make_tpr_at_entry, "AH", "", EXIT_REASON_tpr_below_threshold },
    { "INIT", make_init_signal, "AHS", "", EXIT_REASON_init_signal },
    { "SIPI", make_startup_ipi, "W", "", EXIT_REASON_startup_ipi },
    { "monitor trap flag", make_monitor_trap_flag, "AH", "", EXIT_REASON_monitor_trap_flag },
    { "debug trap", make_debug_trap, "AH", "M", 1000 + VECTOR_DB },
    { "preemption timer", make_preemption_timer, "AHS", "", EXIT_REASON_preemption_timer_expired },
    { "NMI window", make_nmi_window, "AHS", "M", EXIT_REASON_nmi_window },
    { "NMI", make_nmi, "AHS", "SM", 1000 + VECTOR_NMI },
    { "interrupt window", make_interrupt_window, "AH", "SM", EXIT_REASON_interrupt_window },
    { "virtual interrupt", make_virtual_interrupt, "AH", "SM", 2000 + VIRTUAL_VECTOR },
    { "external interrupt", make_interrupt, "AH", "SM", EXIT_REASON_external_interrupt },
};
enum { EVENTS = sizeof(order) / sizeof(order[0]) };

static void enter(void)
{
    struct vmcs *v = f.cpu->vmx.current;

    VMCS(v, pin_based_controls) |= PIN_external_interrupt_exiting | PIN_nmi_exiting | PIN_virtual_nmis |
                                   PIN_activate_preemption_timer;
    VMCS(v, preemption_timer_value) = 1000;
    VMCS(v, virtual_apic_address) = VIRTUAL_APIC;
    VMCS(v, guest_interrupt_status) = VIRTUAL_VECTOR;
    fixture_enter(&f);
}

static int see(void)
{
    enum status status = boundary(f.cpu);

    if (status == STATUS_OK)
        return -1;
    if (status == STATUS_EVENT)
        return 2000 + f.cpu->event.vector;
    ck_assert_int_eq(status, STATUS_VM_EXIT);
    if (f.exit.a != EXIT_REASON_exception_or_nmi)
        return (int)f.exit.a;
    return 1000 + (int)INTERRUPTION_VECTOR(VMCS(f.cpu->vmx.current, exit_interruption_information));
}

static bool takes_place(unsigned event, unsigned state) { return strchr(order[event].states, "AHSW"[state]); }

/* 6.9, 26.2, 26.5.2, 27.7.5-27.7.8: of two that are due, the one that stands first. */
START_TEST(priority)
{
    for (unsigned other = (unsigned)_i + 1; other < EVENTS; other++)
        for (unsigned state = 0; state < 4; state++) {
            if (!takes_place((unsigned)_i, state) || !takes_place(other, state))
                continue;
            fixture_close(&f);
            fixture_open(&f);
            enter();
            f.cpu->activity = state;
            order[other].make(f.cpu);
            order[_i].make(f.cpu);
            ck_assert_msg(see() == order[_i].seen, "%s before %s in state %u", order[_i].name, order[other].name, state);
        }
}
END_TEST

START_TEST(states_and_blocking)
{
    static const struct { uint32_t bits; const char *letters; } blocking[] = {
        { 0, "" }, { BLOCKING_BY_STI, "S" }, { BLOCKING_BY_MOV_SS, "M" },
    };

    for (unsigned state = 0; state < 4; state++)
        for (unsigned b = 0; b < 3; b++) {
            bool held = *blocking[b].letters && strstr(order[_i].blocked, blocking[b].letters);

            fixture_close(&f);
            fixture_open(&f);
            enter();
            f.cpu->activity = state;
            f.cpu->interruptibility = blocking[b].bits;
            order[_i].make(f.cpu);
            f.cpu->sipi_vector = 0x9a;
            ck_assert_msg(see() == (takes_place((unsigned)_i, state) && !held ? order[_i].seen : -1),
                          "%s in state %u, blocking %x", order[_i].name, state, blocking[b].bits);
            if (order[_i].seen == EXIT_REASON_init_signal || order[_i].seen == EXIT_REASON_startup_ipi || order[_i].seen == 1000 + VECTOR_NMI) {
                bool gone = !f.cpu->init_pending && !f.cpu->sipi_pending && !f.cpu->nmi_pending;

                /* What has taken place is pending no longer; a SIPI that does not is lost. */
                ck_assert_msg(gone == ((takes_place((unsigned)_i, state) && !held) || order[_i].seen == EXIT_REASON_startup_ipi), "%s stays", order[_i].name);
                if (takes_place((unsigned)_i, state) && order[_i].seen == EXIT_REASON_startup_ipi)
                    ck_assert_uint_eq(VMCS(f.cpu->vmx.current, exit_qualification), 0x9a);
            }
        }
}
END_TEST

/* 28.7: RESET alone ends the shutdown after a VMX abort; an abort is one whatever caused it. */
START_TEST(nothing_after_an_abort)
{
    fixture_close(&f);
    fixture_open(&f);
    VMCS(f.cpu->vmx.current, exit_msr_load_count) = 1;
    fixture_store64(&f, FIXTURE_MSR_AREA + 0x800, MSR_ia32_fs_base);
    enter();
    ck_assert_int_eq(vmx_exit(f.cpu, &(struct exit_information){ .reason = EXIT_REASON_cpuid }), STATUS_SHUTDOWN);
    order[_i].make(f.cpu);
    f.cpu->rflags |= RFLAGS_IF;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert(!f.cpu->event.valid);
    ck_assert_uint_eq(f.cpu->activity, ACTIVITY_SHUTDOWN);
    cpu_power_on(f.cpu);
    ck_assert(!f.cpu->vmx.aborted);
}
END_TEST

/* 28.5, 28.7: from IA-32e mode no exit leads to a host outside it; bytes 4-7 of the VMCS region say so. */
START_TEST(abort_to_a_host_of_32_bits)
{
    fixture_enter(&f);
    VMCS(f.cpu->vmx.current, exit_controls) &= ~(uint64_t)EXIT_host_address_space_size;
    ck_assert_int_eq(vmx_exit(f.cpu, &(struct exit_information){ .reason = EXIT_REASON_cpuid }), STATUS_SHUTDOWN);
    ck_assert_uint_eq(f.shutdown.a, 6);
    ck_assert_uint_eq(memory_read32(&f.model->memory, FIXTURE_VMCS + 4), 6);
    ck_assert(f.cpu->vmx.aborted);
}
END_TEST

/* Without virtual NMIs the guest's blocking is the processor's (26.3, 27.7.1). */
START_TEST(blocking_by_nmi)
{
    enter();
    f.cpu->interruptibility = BLOCKING_BY_NMI;
    f.cpu->nmi_pending = true;
    ck_assert_int_eq(see(), 1000 + VECTOR_NMI);
    fixture_close(&f);
    fixture_open(&f);
    VMCS(f.cpu->vmx.current, pin_based_controls) |= PIN_nmi_exiting;
    fixture_enter(&f);
    f.cpu->interruptibility = BLOCKING_BY_NMI;
    f.cpu->nmi_pending = true;
    ck_assert_int_eq(see(), -1);
    fixture_close(&f);
    fixture_open(&f);
    enter();
    f.cpu->interruptibility = BLOCKING_BY_NMI;
    make_nmi_window(f.cpu);
    ck_assert_int_eq(see(), -1);
}
END_TEST

/* 26.2: without external-interrupt exiting RFLAGS.IF decides; a SIPI that nobody waits for is lost, an INIT waits. */
START_TEST(masked_lost_and_waiting)
{
    fixture_enter(&f);
    make_interrupt(f.cpu);
    f.cpu->rflags &= ~RFLAGS_IF;
    ck_assert_int_eq(see(), -1);
    f.cpu->rflags |= RFLAGS_IF;
    ck_assert_int_eq(see(), 2000);
    f.cpu->event.valid = false;
    f.model->bus.interrupt_requested = NULL;
    f.cpu->sipi_pending = true;
    ck_assert_int_eq(see(), -1);
    ck_assert(!f.cpu->sipi_pending);
    f.cpu->activity = ACTIVITY_WAIT_FOR_SIPI;
    f.cpu->init_pending = true;
    ck_assert_int_eq(see(), -1);
    ck_assert(f.cpu->init_pending);
}
END_TEST

/* 27.7.7: in shutdown it waits for an event that leaves that state in non-root operation. */
START_TEST(tpr_at_entry_waits_in_shutdown)
{
    struct vmcs *v = f.cpu->vmx.current;

    VMCS(v, processor_based_controls) |= PROC_use_tpr_shadow;
    VMCS(v, secondary_processor_based_controls) |= PROC2_virtualize_apic_accesses;
    VMCS(v, virtual_apic_address) = VIRTUAL_APIC;
    VMCS(v, apic_access_address) = 0xb000;
    VMCS(v, tpr_threshold) = 3;
    VMCS(v, guest_activity_state) = ACTIVITY_SHUTDOWN;
    fixture_enter(&f);
    ck_assert_int_eq(see(), -1);
    f.cpu->nmi_pending = true;
    ck_assert_int_eq(see(), 2000 + VECTOR_NMI);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);       /* its delivery comes first */
    f.cpu->event.valid = false;
    ck_assert_int_eq(see(), EXIT_REASON_tpr_below_threshold);
}
END_TEST

/* An event that is injected or raised comes first; nothing that an earlier delivery has left stays. */
START_TEST(what_is_delivered_first)
{
    fixture_enter(&f);
    f.cpu->vmx.delivering = (struct event){ .valid = true, .vector = 7 };
    ck_assert_int_eq(see(), -1);
    ck_assert(!f.cpu->vmx.delivering.valid);
    f.cpu->event = (struct event){ .valid = true, .vector = VECTOR_GP, .type = EVENT_HARDWARE_EXCEPTION };
    f.cpu->vmx.apic_write = 0x80;
    f.cpu->vmx.delivering.valid = true;
    f.cpu->nmi_pending = true;
    ck_assert_int_eq(see(), -1);
    ck_assert(!f.cpu->vmx.delivering.valid && !f.cpu->vmx.apic_write && f.cpu->nmi_pending);
}
END_TEST

/* When to look again, at the latest: the next instruction where one may end what blocks an event, else the timer. */
START_TEST(deadlines)
{
    enum { TIMER = 500 };
    static const struct {
        void (*make)(struct cpu *);
        uint32_t blocking;
        bool next;
    } rows[] = {
        { NULL, 0, false }, { make_nmi, BLOCKING_BY_MOV_SS, true }, { make_nmi, BLOCKING_BY_NMI, true }, { make_nmi_window, BLOCKING_BY_NMI, false },
        { make_nmi_window, BLOCKING_BY_MOV_SS, true }, { make_debug_trap, BLOCKING_BY_MOV_SS, true },
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned late = 0; late < 3; late++) {
            fixture_close(&f);
            fixture_open(&f);
            enter();
            f.cpu->clock = 100;
            f.cpu->vmx.preemption_deadline = late == 0 ? TIMER : late == 1 ? 100 : 101;
            f.cpu->interruptibility = rows[i].blocking;
            if (rows[i].make)
                rows[i].make(f.cpu);
            ck_assert_msg(boundary_deadline(f.cpu) == (late == 1 ? 100 : late == 2 ? 101 : rows[i].next ? 101 : TIMER), "row %u, %u: %lu", i, late,
                          (unsigned long)boundary_deadline(f.cpu));
        }
    }
    f.cpu->vmx.preemption_deadline = TIMER;
    f.cpu->pending_debug = 0;
    f.cpu->activity = ACTIVITY_WAIT_FOR_SIPI;
    f.cpu->nmi_pending = true;
    ck_assert_uint_eq(boundary_deadline(f.cpu), TIMER);
    fixture_exit(&f, EXIT_REASON_cpuid);
    f.cpu->nmi_pending = false;
    ck_assert_uint_eq(boundary_deadline(f.cpu), ~0ull);
}
END_TEST

/* The table that docs/events.md prints is the one that was walked. */
START_TEST(table)
{
    for (unsigned i = 0; i < BOUNDARY_ROWS; i++) {
        ck_assert(*boundary_table[i].name && *boundary_table[i].text && *boundary_table[i].section);
        ck_assert_uint_ne(boundary_table[i].states, 0);
        ck_assert(!(boundary_table[i].states >> 4) && !(boundary_table[i].blocking >> 4));
    }
    ck_assert_uint_eq(BOUNDARY_ROWS, EVENTS + 1);       /* a SIPI is two rows there: taken or lost */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("model/cpu boundary");
    TCase *tcase = tcase_create("boundary");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, priority, 0, EVENTS);
    tcase_add_loop_test(tcase, states_and_blocking, 0, EVENTS);
    tcase_add_loop_test(tcase, nothing_after_an_abort, 0, EVENTS);
    tcase_add_test(tcase, abort_to_a_host_of_32_bits);
    tcase_add_test(tcase, blocking_by_nmi);
    tcase_add_test(tcase, masked_lost_and_waiting);
    tcase_add_test(tcase, tpr_at_entry_waits_in_shutdown);
    tcase_add_test(tcase, what_is_delivered_first);
    tcase_add_test(tcase, deadlines);
    tcase_add_test(tcase, table);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
