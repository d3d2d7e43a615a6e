/* SPDX-License-Identifier: MIT */
/* Exceptions and what they combine to, interceptions of events, instruction boundaries. SDM Vol. 3, 6.9, 6.15, 26.2, 28.2. */
#include "tests/model/vmx_fixture.h"
#include "tests/suite.h"

static struct vmx_fixture f;

static void setup(void)
{
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_close(&f);
}

static struct vmcs *vmcs(void)
{
    return f.cpu->vmx.current;
}

/* ---- state ---- */

START_TEST(reset)
{
    cpu_power_on(f.cpu);
    ck_assert_uint_eq(f.cpu->rip, 0xfff0);
    ck_assert_uint_eq(f.cpu->seg[SEG_CS].base, 0xffff0000);
    ck_assert_uint_eq(f.cpu->cr0, 0x60000010);
    ck_assert_uint_eq(f.cpu->rflags, 2);
    ck_assert_uint_eq(f.cpu->gpr[RDX], 0x50654);
    ck_assert_uint_eq(f.cpu->dr6, 0xffff0ff0);
    ck_assert_uint_eq(f.cpu->dr7, 0x400);
    ck_assert_uint_eq(cpu_cpl(f.cpu), 0);
    ck_assert_ptr_eq(f.cpu->model, f.model);
    ck_assert_uint_eq(f.model->cpu[1].activity, ACTIVITY_WAIT_FOR_SIPI);
}
END_TEST

START_TEST(privilege_levels)
{
    f.cpu->seg[SEG_SS].access_rights = 0xc0f3;
    ck_assert_uint_eq(cpu_cpl(f.cpu), 3);
    f.cpu->cr0 &= ~CR0_PE;
    ck_assert_uint_eq(cpu_cpl(f.cpu), 0);
    f.cpu->cr0 |= CR0_PE;
    f.cpu->seg[SEG_SS].access_rights = 0xc093;
    f.cpu->rflags |= RFLAGS_VM;
    ck_assert_uint_eq(cpu_cpl(f.cpu), 3);
}
END_TEST

START_TEST(retirement)
{
    f.cpu->rip = 0xffffffff;
    f.cpu->interruptibility = BLOCKING_BY_STI | BLOCKING_BY_MOV_SS | BLOCKING_BY_NMI;
    f.cpu->rflags |= RFLAGS_RF;
    cpu_retire(f.cpu, 2);
    ck_assert_uint_eq(f.cpu->rip, 0x100000001);
    ck_assert_uint_eq(f.cpu->interruptibility, BLOCKING_BY_NMI);
    ck_assert_uint_eq(f.cpu->rflags & RFLAGS_RF, 0);
    ck_assert_uint_eq(f.cpu->clock, 1);
    ck_assert_uint_eq(f.cpu->instructions, 1);
    ck_assert_uint_eq(f.cpu->pending_debug, 0);
    f.cpu->rflags |= RFLAGS_TF;
    f.cpu->seg[SEG_CS].access_rights = 0xc09b;
    f.cpu->rip = 0xffffffff;
    cpu_retire(f.cpu, 2);
    ck_assert_uint_eq(f.cpu->rip, 1);
    ck_assert_uint_eq(f.cpu->pending_debug, 1 << 14);
    f.cpu->pending_debug = 0;
    CPU_MSR(f.cpu, ia32_debugctl) = DEBUGCTL_BTF;       /* nothing that ends here is a branch */
    cpu_retire(f.cpu, 2);
    ck_assert_uint_eq(f.cpu->pending_debug, 0);
    f.cpu->seg[SEG_CS].access_rights = 0x9b;
    f.cpu->rip = 0xffff;                                /* EIP, in 16-bit code as well */
    cpu_retire(f.cpu, 2);
    ck_assert_uint_eq(f.cpu->rip, 0x10001);
}
END_TEST

/* ---- Table 6-5 ---- */

enum outcome { SERIAL, DOUBLE, TRIPLE };
#define HARD(v) { .valid = true, .type = EVENT_HARDWARE_EXCEPTION, .vector = (v) }

static const struct {
    struct event first;
    uint8_t second;
    enum outcome outcome;
} combinations[] = {
    { HARD(VECTOR_UD), VECTOR_GP, SERIAL },     { HARD(VECTOR_DB), VECTOR_PF, SERIAL },
    { HARD(VECTOR_AC), VECTOR_SS, SERIAL },     { HARD(VECTOR_GP), VECTOR_AC, SERIAL },
    { HARD(VECTOR_GP), VECTOR_GP, DOUBLE },     { HARD(VECTOR_DE), VECTOR_NP, DOUBLE },
    { HARD(VECTOR_TS), VECTOR_SS, DOUBLE },     { HARD(VECTOR_NP), VECTOR_TS, DOUBLE },
    { HARD(VECTOR_SS), VECTOR_CP, DOUBLE },     { HARD(VECTOR_GP), VECTOR_PF, SERIAL },
    { HARD(VECTOR_PF), VECTOR_PF, DOUBLE },     { HARD(VECTOR_PF), VECTOR_GP, DOUBLE },
    { HARD(VECTOR_PF), VECTOR_DB, SERIAL },     { HARD(VECTOR_VE), VECTOR_PF, DOUBLE },
    { HARD(VECTOR_DF), VECTOR_GP, TRIPLE },     { HARD(VECTOR_DF), VECTOR_PF, TRIPLE },
    { HARD(VECTOR_DF), VECTOR_AC, SERIAL },
    /* Interrupts are benign, whatever their vector. */
    { { .valid = true, .type = EVENT_EXTERNAL_INTERRUPT, .vector = 13 }, VECTOR_GP, SERIAL },
    { { .valid = true, .type = EVENT_SOFTWARE_INTERRUPT, .vector = 14 }, VECTOR_PF, SERIAL },
    { { .valid = true, .type = EVENT_NMI, .vector = 2 }, VECTOR_NP, SERIAL },
    { { .valid = true, .type = EVENT_SOFTWARE_EXCEPTION, .vector = 3 }, VECTOR_GP, SERIAL },
};

static enum status second_fault(unsigned i)
{
    f.cpu->event = combinations[i].first;
    return cpu_raise(f.cpu, (struct event){ .type = EVENT_HARDWARE_EXCEPTION, .vector = combinations[i].second,
                                            .has_error_code = true, .error_code = 0x88 });
}

START_TEST(combining_in_root_operation)
{
    enum status status = second_fault((unsigned)_i);

    switch (combinations[_i].outcome) {
    case SERIAL:
        ck_assert_int_eq(status, STATUS_EVENT);
        ck_assert_uint_eq(f.cpu->event.vector, combinations[_i].second);
        ck_assert_uint_eq(f.cpu->event.error_code, 0x88);
        break;
    case DOUBLE:
        ck_assert_int_eq(status, STATUS_EVENT);
        ck_assert_uint_eq(f.cpu->event.vector, VECTOR_DF);
        ck_assert(f.cpu->event.has_error_code);
        ck_assert_uint_eq(f.cpu->event.error_code, 0);
        break;
    case TRIPLE:
        ck_assert_int_eq(status, STATUS_SHUTDOWN);
        ck_assert_uint_eq(f.cpu->activity, ACTIVITY_SHUTDOWN);
        ck_assert_int_eq(f.shutdown.kind, NOTICE_SHUTDOWN);
        break;
    }
}
END_TEST

START_TEST(combining_in_non_root_operation)
{
    enum status status;

    fixture_enter(&f);
    status = second_fault((unsigned)_i);
    if (combinations[_i].outcome == TRIPLE) {
        ck_assert_int_eq(status, STATUS_VM_EXIT);
        ck_assert_uint_eq(VMCS(vmcs(), exit_reason), EXIT_REASON_triple_fault);
        ck_assert_uint_eq(VMCS(vmcs(), idt_vectoring_information) & INTERRUPTION_VALID, 0);
    } else {
        ck_assert_int_eq(status, STATUS_EVENT);
        ck_assert_uint_eq(f.cpu->event.vector,
                          combinations[_i].outcome == DOUBLE ? VECTOR_DF : combinations[_i].second);
    }
}
END_TEST

/* The bitmap is asked about the second exception itself; only then does it become a double fault. */
START_TEST(the_second_exception_is_intercepted_first)
{
    VMCS(vmcs(), exception_bitmap) = 1u << combinations[_i].second;
    if (combinations[_i].second == VECTOR_PF)
        VMCS(vmcs(), page_fault_error_code_mask) = 0;
    fixture_enter(&f);
    ck_assert_int_eq(second_fault((unsigned)_i), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_reason), EXIT_REASON_exception_or_nmi);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information),
                      INTERRUPTION_VALID | INTERRUPTION_ERROR_CODE_VALID | 3 << 8 | combinations[_i].second);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_error_code), 0x88);
    ck_assert_uint_eq(VMCS(vmcs(), idt_vectoring_information),
                      INTERRUPTION_VALID | (unsigned)combinations[_i].first.type << 8 | combinations[_i].first.vector);
    ck_assert(!f.cpu->event.valid);
}
END_TEST

START_TEST(an_intercepted_double_fault_is_no_delivery)
{
    VMCS(vmcs(), exception_bitmap) = 1u << VECTOR_DF;
    fixture_enter(&f);
    f.cpu->event = (struct event)HARD(VECTOR_PF);
    ck_assert_int_eq(cpu_fault(f.cpu, VECTOR_GP, 0x10), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information),
                      INTERRUPTION_VALID | INTERRUPTION_ERROR_CODE_VALID | 3 << 8 | VECTOR_DF);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_error_code), 0);
    ck_assert_uint_eq(VMCS(vmcs(), idt_vectoring_information) & INTERRUPTION_VALID, 0);     /* 28.2.4 */
}
END_TEST

/* ---- what an exit by an exception tells ---- */

START_TEST(page_fault_exit)
{
    VMCS(vmcs(), exception_bitmap) = 1u << VECTOR_PF;
    fixture_enter(&f);
    ck_assert_int_eq(cpu_page_fault(f.cpu, 0x123456789, PF_WRITE | PF_USER), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information), 0x80000b0e);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_error_code), 6);
    ck_assert_uint_eq(VMCS(vmcs(), exit_qualification), 0x123456789);
    ck_assert_uint_eq(VMCS(vmcs(), guest_rflags) & RFLAGS_RF, RFLAGS_RF);
    ck_assert_uint_eq(f.cpu->cr2, 0);
}
END_TEST

START_TEST(page_fault_mask_and_match)
{
    VMCS(vmcs(), page_fault_error_code_mask) = PF_USER;         /* bitmap bit 0: exits where they do not match */
    VMCS(vmcs(), page_fault_error_code_match) = 0;
    fixture_enter(&f);
    ck_assert_int_eq(cpu_page_fault(f.cpu, 0x1000, PF_WRITE), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.address, 0x1000);
    f.cpu->event.valid = false;
    ck_assert_int_eq(cpu_page_fault(f.cpu, 0x1000, PF_USER), STATUS_VM_EXIT);
}
END_TEST

START_TEST(debug_exception_exit)
{
    VMCS(vmcs(), exception_bitmap) = 1u << VECTOR_DB;
    fixture_enter(&f);
    f.cpu->rflags |= RFLAGS_TF;
    cpu_retire(f.cpu, 1);
    ck_assert_int_eq(boundary(f.cpu), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information), 0x80000301);
    ck_assert_uint_eq(VMCS(vmcs(), exit_qualification), 1 << 14);
    ck_assert_uint_eq(VMCS(vmcs(), guest_rflags) & RFLAGS_RF, 0);       /* a trap */
    ck_assert_uint_eq(VMCS(vmcs(), guest_rip), FIXTURE_GUEST_RIP + 1);
}
END_TEST

START_TEST(breakpoint_exit)
{
    VMCS(vmcs(), exception_bitmap) = 1u << VECTOR_BP;
    fixture_enter(&f);
    ck_assert_int_eq(cpu_raise(f.cpu, (struct event){ .vector = VECTOR_BP, .type = EVENT_SOFTWARE_EXCEPTION,
                                                      .instruction_length = 1 }), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information), 0x80000603);
    ck_assert_uint_eq(VMCS(vmcs(), exit_instruction_length), 1);
    ck_assert_uint_eq(VMCS(vmcs(), guest_rip), FIXTURE_GUEST_RIP);
    ck_assert_uint_eq(VMCS(vmcs(), guest_rflags) & RFLAGS_RF, 0);
}
END_TEST

START_TEST(software_interrupts_are_not_intercepted)
{
    VMCS(vmcs(), exception_bitmap) = 0xffffffff;
    fixture_enter(&f);
    ck_assert_int_eq(cpu_raise(f.cpu, (struct event){ .vector = 3, .type = EVENT_SOFTWARE_INTERRUPT,
                                                      .instruction_length = 2 }), STATUS_EVENT);
    /* But a fault on their way is, and tells of them. */
    ck_assert_int_eq(cpu_fault(f.cpu, VECTOR_NP, 0x1a), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), idt_vectoring_information), 0x80000403);
    ck_assert_uint_eq(VMCS(vmcs(), exit_instruction_length), 2);
}
END_TEST

START_TEST(ept_violation_during_delivery)
{
    struct translation t = { .result = TRANSLATION_EPT_VIOLATION, .gpa = 0x5000, .qualification = 0x181 };

    fixture_enter(&f);
    f.cpu->event = (struct event){ .valid = true, .vector = VECTOR_GP, .type = EVENT_HARDWARE_EXCEPTION,
                                   .has_error_code = true, .error_code = 0x33 };
    ck_assert_int_eq(translation_fault(f.cpu, 0x5000, &t, false), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_reason), EXIT_REASON_ept_violation);
    ck_assert_uint_eq(VMCS(vmcs(), idt_vectoring_information), 0x80000b0d);
    ck_assert_uint_eq(VMCS(vmcs(), idt_vectoring_error_code), 0x33);
    /* And it is not told again by the next one. */
    ck_assert_int_eq(vmx_enter(f.cpu, false, &(vmx_result){ 0 }), STATUS_VM_ENTRY);
    ck_assert_int_eq(translation_fault(f.cpu, 0x5000, &t, false), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), idt_vectoring_information), 0);
}
END_TEST

START_TEST(no_error_code_in_real_mode)
{
    f.cpu->cr0 &= ~(CR0_PE | CR0_PG);
    CPU_MSR(f.cpu, ia32_efer) = 0;
    ck_assert_int_eq(cpu_fault(f.cpu, VECTOR_GP, 0), STATUS_EVENT);
    ck_assert(!f.cpu->event.has_error_code);
    ck_assert_int_eq(cpu_fault(f.cpu, VECTOR_GP, 0), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_DF);
    ck_assert(!f.cpu->event.has_error_code);
    f.cpu->event.valid = false;                                         /* nor where the CPU engine met it */
    ck_assert_int_eq(cpu_raise(f.cpu, (struct event){ .vector = VECTOR_GP, .type = EVENT_HARDWARE_EXCEPTION, .has_error_code = true,
                                                      .error_code = 8 }), STATUS_EVENT);
    ck_assert(!f.cpu->event.has_error_code && !f.cpu->event.error_code);
}
END_TEST

START_TEST(error_codes_by_vector)
{
    for (unsigned vector = 0; vector < 22; vector++) {
        bool expected = vector == 8 || vector == 10 || vector == 11 || vector == 12 || vector == 13 || vector == 14 ||
                        vector == 17 || vector == 21;

        f.cpu->event.valid = false;
        cpu_fault(f.cpu, vector, 0x28);
        ck_assert_int_eq(f.cpu->event.has_error_code, expected);
        ck_assert_uint_eq(f.cpu->event.error_code, expected ? 0x28 : 0);
    }
}
END_TEST

/* ---- boundaries ---- */

static bool requested;
static unsigned acknowledged;

static bool interrupt_requested(void *context, struct cpu *cpu)
{
    (void)context;
    (void)cpu;
    return requested;
}

static uint8_t interrupt_acknowledge(void *context, struct cpu *cpu)
{
    (void)context;
    (void)cpu;
    requested = false;
    acknowledged++;
    return 0x41;
}

static void request_interrupt(void)
{
    f.model->bus.interrupt_requested = interrupt_requested;
    f.model->bus.interrupt_acknowledge = interrupt_acknowledge;
    requested = true;
    acknowledged = 0;
}

static void enter_with(uint64_t pin, uint64_t proc)
{
    VMCS(vmcs(), pin_based_controls) |= pin;
    VMCS(vmcs(), processor_based_controls) |= proc;
    fixture_enter(&f);
}

static void expect_exit(enum exit_reason reason)
{
    ck_assert_int_eq(boundary(f.cpu), STATUS_VM_EXIT);
    ck_assert_uint_eq(VMCS(vmcs(), exit_reason), reason);
}

START_TEST(nothing_is_due)
{
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(boundary_deadline(f.cpu), ~0ull);
    ck_assert(!boundary_awaits_interrupt_window(f.cpu));
    fixture_enter(&f);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(boundary_deadline(f.cpu), ~0ull);
}
END_TEST

START_TEST(interrupts_need_the_flag)
{
    request_interrupt();
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert(boundary_awaits_interrupt_window(f.cpu));
    f.cpu->rflags |= RFLAGS_IF;
    f.cpu->interruptibility = BLOCKING_BY_STI;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    f.cpu->interruptibility = BLOCKING_BY_MOV_SS;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(acknowledged, 0);
    f.cpu->interruptibility = 0;
    f.cpu->activity = ACTIVITY_HLT;
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(acknowledged, 1);
    ck_assert_uint_eq(f.cpu->activity, ACTIVITY_ACTIVE);
    ck_assert_uint_eq(f.cpu->event.vector, 0x41);
    ck_assert_uint_eq(f.cpu->event.type, EVENT_EXTERNAL_INTERRUPT);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);               /* delivery first */
    ck_assert_uint_eq(f.cpu->event.vector, 0x41);
}
END_TEST

START_TEST(waiting_for_sipi_hears_nothing)
{
    request_interrupt();
    f.cpu->rflags |= RFLAGS_IF;
    f.cpu->nmi_pending = true;
    f.cpu->activity = ACTIVITY_WAIT_FOR_SIPI;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    f.cpu->activity = ACTIVITY_SHUTDOWN;                        /* an NMI ends shutdown, an interrupt does not */
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.type, EVENT_NMI);
}
END_TEST

START_TEST(external_interrupt_exit)
{
    request_interrupt();
    VMCS(vmcs(), guest_rflags) &= ~RFLAGS_IF;                   /* the flag has no say */
    VMCS(vmcs(), guest_activity_state) = ACTIVITY_HLT;
    enter_with(PIN_external_interrupt_exiting, 0);
    expect_exit(EXIT_REASON_external_interrupt);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information), 0);
    ck_assert_uint_eq(acknowledged, 0);
    ck_assert_uint_eq(VMCS(vmcs(), guest_activity_state), ACTIVITY_HLT);
}
END_TEST

START_TEST(external_interrupt_exit_acknowledged)
{
    request_interrupt();
    VMCS(vmcs(), exit_controls) |= EXIT_acknowledge_interrupt_on_exit;
    enter_with(PIN_external_interrupt_exiting, 0);
    expect_exit(EXIT_REASON_external_interrupt);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information), 0x80000041);
    ck_assert_uint_eq(acknowledged, 1);
}
END_TEST

START_TEST(external_interrupt_to_the_guest)
{
    request_interrupt();
    enter_with(0, 0);
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert(f.cpu->vmx.non_root);
    ck_assert_uint_eq(f.cpu->event.vector, 0x41);
}
END_TEST

START_TEST(interrupt_window)
{
    VMCS(vmcs(), guest_interruptibility_state) = BLOCKING_BY_STI;
    request_interrupt();
    enter_with(0, PROC_interrupt_window_exiting);
    ck_assert(boundary_awaits_interrupt_window(f.cpu));
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    cpu_retire(f.cpu, 1);
    f.cpu->rflags &= ~RFLAGS_IF;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    f.cpu->rflags |= RFLAGS_IF;
    expect_exit(EXIT_REASON_interrupt_window);                  /* before the interrupt itself */
    ck_assert_uint_eq(acknowledged, 0);
}
END_TEST

START_TEST(nmis)
{
    f.cpu->nmi_pending = true;
    f.cpu->interruptibility = BLOCKING_BY_MOV_SS;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(boundary_deadline(f.cpu), f.cpu->clock + 1);
    f.cpu->interruptibility = BLOCKING_BY_STI;                  /* comes after the next instruction */
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(boundary_deadline(f.cpu), f.cpu->clock + 1);
    f.cpu->interruptibility = 0;
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, 2);
    ck_assert(f.cpu->interruptibility & BLOCKING_BY_NMI);
    f.cpu->event.valid = false;
    f.cpu->nmi_pending = true;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(boundary_deadline(f.cpu), ~0ull);
}
END_TEST

START_TEST(nmi_exit)
{
    f.cpu->nmi_pending = true;
    enter_with(PIN_nmi_exiting, 0);
    expect_exit(EXIT_REASON_exception_or_nmi);
    ck_assert_uint_eq(VMCS(vmcs(), exit_interruption_information), 0x80000202);
    ck_assert(f.cpu->interruptibility & BLOCKING_BY_NMI);
    ck_assert(!f.cpu->nmi_pending);
}
END_TEST

START_TEST(virtual_nmis)
{
    VMCS(vmcs(), guest_interruptibility_state) = BLOCKING_BY_NMI;       /* virtual-NMI blocking */
    enter_with(PIN_nmi_exiting | PIN_virtual_nmis, PROC_nmi_window_exiting);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    f.cpu->nmi_pending = true;
    expect_exit(EXIT_REASON_exception_or_nmi);                          /* real ones come through */
    VMCS(vmcs(), guest_interruptibility_state) = 0;
    ck_assert_int_eq(vmx_enter(f.cpu, false, &(vmx_result){ 0 }), STATUS_VM_ENTRY);
    expect_exit(EXIT_REASON_nmi_window);
}
END_TEST

START_TEST(monitor_trap_flag)
{
    request_interrupt();
    enter_with(PIN_external_interrupt_exiting, PROC_monitor_trap_flag);
    ck_assert_uint_eq(boundary_deadline(f.cpu), f.cpu->clock + 1);
    requested = false;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    cpu_retire(f.cpu, 2);
    requested = true;
    expect_exit(EXIT_REASON_monitor_trap_flag);                         /* before the interrupt */
    ck_assert_uint_eq(VMCS(vmcs(), guest_rip), FIXTURE_GUEST_RIP + 2);
    ck_assert_int_eq(vmx_enter(f.cpu, false, &(vmx_result){ 0 }), STATUS_VM_ENTRY);
    expect_exit(EXIT_REASON_external_interrupt);                        /* none is pending at once */
}
END_TEST

START_TEST(monitor_trap_flag_after_injection)
{
    VMCS(vmcs(), entry_interruption_information) = INTERRUPTION_VALID | 3 << 8 | VECTOR_UD;
    enter_with(0, PROC_monitor_trap_flag);
    ck_assert(f.cpu->event.valid);
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    ck_assert_uint_eq(boundary_deadline(f.cpu), f.cpu->clock);          /* deliver, run nothing */
    f.cpu->event.valid = false;                                         /* as the engine does */
    f.cpu->rip = 0x7000;
    expect_exit(EXIT_REASON_monitor_trap_flag);
    ck_assert_uint_eq(VMCS(vmcs(), guest_rip), 0x7000);
}
END_TEST

START_TEST(preemption_timer)
{
    f.model->capability.misc = (f.model->capability.misc & ~31ull) | 5;   /* counts at multiples of 32 */
    VMCS(vmcs(), preemption_timer_value) = 2;
    f.cpu->clock = 10;
    enter_with(PIN_activate_preemption_timer, 0);
    ck_assert_uint_eq(boundary_deadline(f.cpu), 64);
    f.cpu->clock = 63;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    f.cpu->clock = 64;
    f.cpu->activity = ACTIVITY_HLT;
    f.cpu->nmi_pending = true;
    expect_exit(EXIT_REASON_preemption_timer_expired);
    ck_assert_uint_eq(boundary_deadline(f.cpu), f.cpu->clock + 1);      /* the NMI, in the host */
}
END_TEST

/* The instruction behind MOV SS meets general detect: its #DB is the debug exception, and none is left for the handler's first instruction. */
START_TEST(general_detect_behind_mov_ss)
{
    f.cpu->pending_debug = 1 << 14;
    f.cpu->interruptibility = BLOCKING_BY_MOV_SS;
    f.cpu->dr7 |= 1 << 13;
    ck_assert_int_eq(execute(f.cpu, &(struct insn){ .id = INSN_mov_to_dr, .length = 3, .kind = OPERAND_REGISTER, .rm = RAX, .operand_size = 8 }),
                     STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_DB);
    ck_assert_uint_eq(f.cpu->pending_debug, 0);
}
END_TEST

START_TEST(debug_traps_wait_for_mov_ss)
{
    f.cpu->pending_debug = 1 << 14;
    f.cpu->interruptibility = BLOCKING_BY_MOV_SS;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    f.cpu->interruptibility = 0;
    f.cpu->dr7 |= 1 << 13;
    f.cpu->nmi_pending = true;
    ck_assert_int_eq(boundary(f.cpu), STATUS_EVENT);
    ck_assert_uint_eq(f.cpu->event.vector, VECTOR_DB);
    ck_assert_uint_eq(f.cpu->event.address, 1 << 14);
    ck_assert_uint_eq(f.cpu->dr7, 0x400);                               /* GD is cleared on the way */
    ck_assert_uint_eq(f.cpu->pending_debug, 0);
    ck_assert(f.cpu->nmi_pending);
    f.cpu->event.valid = false;
    f.cpu->nmi_pending = false;
    f.cpu->pending_debug = 1;                                           /* B0 without bit 12: not pending */
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
}
END_TEST

START_TEST(init_and_sipi_in_non_root_operation)
{
    f.cpu->init_pending = true;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);                       /* held back in root operation */
    ck_assert(f.cpu->init_pending);
    enter_with(0, PROC_monitor_trap_flag);
    cpu_retire(f.cpu, 1);
    expect_exit(EXIT_REASON_init_signal);
    ck_assert(!f.cpu->init_pending);
    VMCS(vmcs(), guest_activity_state) = ACTIVITY_WAIT_FOR_SIPI;
    VMCS(vmcs(), processor_based_controls) &= ~(uint64_t)PROC_monitor_trap_flag;
    ck_assert_int_eq(vmx_enter(f.cpu, false, &(vmx_result){ 0 }), STATUS_VM_ENTRY);
    f.cpu->init_pending = true;
    ck_assert_int_eq(boundary(f.cpu), STATUS_OK);
    f.cpu->sipi_pending = true;
    f.cpu->sipi_vector = 0x9a;
    expect_exit(EXIT_REASON_startup_ipi);
    ck_assert_uint_eq(VMCS(vmcs(), exit_qualification), 0x9a);
    ck_assert(f.cpu->init_pending);
}
END_TEST

START_TEST(refusals_are_cut_to_fit)
{
    char text[400];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    ck_assert_int_eq(model_refuse(f.cpu, text), STATUS_REFUSED);
    ck_assert_uint_eq(strlen(f.model->refusal), REFUSAL_MAX - 1);
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("cpu");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, reset);
    tcase_add_test(tcase, privilege_levels);
    tcase_add_test(tcase, retirement);
    tcase_add_loop_test(tcase, combining_in_root_operation, 0, ROWS(combinations));
    tcase_add_loop_test(tcase, combining_in_non_root_operation, 0, ROWS(combinations));
    tcase_add_loop_test(tcase, the_second_exception_is_intercepted_first, 0, ROWS(combinations));
    tcase_add_test(tcase, an_intercepted_double_fault_is_no_delivery);
    tcase_add_test(tcase, page_fault_exit);
    tcase_add_test(tcase, page_fault_mask_and_match);
    tcase_add_test(tcase, debug_exception_exit);
    tcase_add_test(tcase, breakpoint_exit);
    tcase_add_test(tcase, software_interrupts_are_not_intercepted);
    tcase_add_test(tcase, ept_violation_during_delivery);
    tcase_add_test(tcase, no_error_code_in_real_mode);
    tcase_add_test(tcase, error_codes_by_vector);
    tcase_add_test(tcase, nothing_is_due);
    tcase_add_test(tcase, interrupts_need_the_flag);
    tcase_add_test(tcase, waiting_for_sipi_hears_nothing);
    tcase_add_test(tcase, external_interrupt_exit);
    tcase_add_test(tcase, external_interrupt_exit_acknowledged);
    tcase_add_test(tcase, external_interrupt_to_the_guest);
    tcase_add_test(tcase, interrupt_window);
    tcase_add_test(tcase, nmis);
    tcase_add_test(tcase, nmi_exit);
    tcase_add_test(tcase, virtual_nmis);
    tcase_add_test(tcase, monitor_trap_flag);
    tcase_add_test(tcase, monitor_trap_flag_after_injection);
    tcase_add_test(tcase, preemption_timer);
    tcase_add_test(tcase, general_detect_behind_mov_ss);
    tcase_add_test(tcase, debug_traps_wait_for_mov_ss);
    tcase_add_test(tcase, init_and_sipi_in_non_root_operation);
    tcase_add_test(tcase, refusals_are_cut_to_fit);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
