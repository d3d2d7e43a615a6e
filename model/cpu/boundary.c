/* SPDX-License-Identifier: MIT */
/*
 * Between two instructions: what is due, in the order of SDM Vol. 3, 6.9 (Table 6-2) and 26.5.1, 26.5.2, 26.2:
 *
 *   APIC-write emulation | INIT, SIPI | TPR below threshold at VM entry | monitor trap flag | debug traps |
 *   VMX-preemption timer | NMI window | NMI | interrupt window, virtual interrupt | interrupt
 *
 * INIT and SIPI outside non-root operation are the machine's, which knows how a processor starts.
 */
#include "model/cpu/execute.h"
#include "model/cpu/raise.h"
#include "model/model.h"
#include "model/vmx/apic.h"
#include "model/vmx/vmx.h"

#define PENDING_TRAP (PENDING_DEBUG_ENABLED | PENDING_DEBUG_BS)

static bool blocked(const struct cpu *cpu, uint32_t by)
{
    return cpu->interruptibility & by;
}

/* ---- what each waits for ---- */

static bool trap_flag_due(const struct cpu *cpu)
{
    if (!cpu->vmx.non_root)
        return false;
    return cpu->vmx.mtf_pending || ((cpu_proc_controls(cpu) & PROC_monitor_trap_flag) &&
                                    cpu->instructions != cpu->vmx.entry_instructions);
}

static bool debug_trap_due(const struct cpu *cpu)
{
    return (cpu->pending_debug & PENDING_TRAP) && !blocked(cpu, BLOCKING_BY_MOV_SS) && cpu->activity <= ACTIVITY_HLT;
}

/* 26.5.1: the timer counts in every activity state but expires in wait-for-SIPI without an exit. */
static bool timer_due(const struct cpu *cpu)
{
    return cpu->vmx.non_root && cpu->clock >= cpu->vmx.preemption_deadline &&
           cpu->activity != ACTIVITY_WAIT_FOR_SIPI;
}

static bool wants_nmi_window(const struct cpu *cpu)
{
    return (cpu_proc_controls(cpu) & PROC_nmi_window_exiting) && !blocked(cpu, BLOCKING_BY_NMI) &&
           cpu->activity != ACTIVITY_WAIT_FOR_SIPI;
}

/* With virtual NMIs the blocking that `interruptibility` tells is the guest's alone; NMIs themselves are not blocked. */
static bool wants_nmi(const struct cpu *cpu)
{
    bool virtual_nmis = cpu_pin_controls(cpu) & PIN_virtual_nmis;

    return cpu->nmi_pending && (virtual_nmis || !blocked(cpu, BLOCKING_BY_NMI)) &&
           cpu->activity != ACTIVITY_WAIT_FOR_SIPI;
}

static bool wants_interrupt_window(const struct cpu *cpu)
{
    return (cpu_proc_controls(cpu) & PROC_interrupt_window_exiting) && cpu->activity <= ACTIVITY_HLT;
}

static bool wants_interrupt(const struct cpu *cpu)
{
    const struct bus *bus = &cpu->model->bus;

    return cpu->activity <= ACTIVITY_HLT && bus->interrupt_requested &&
           bus->interrupt_requested(bus->context, &cpu->model->cpu[cpu->index]);
}

/* A virtual interrupt wakes from the same states as an external one (30.2.2). */
static bool wants_virtual_interrupt(const struct cpu *cpu)
{
    return apic_interrupt_recognized(cpu) && cpu->activity <= ACTIVITY_HLT;
}

/* "External-interrupt exiting" takes RFLAGS.IF out of the decision (26.2). */
static bool interrupts_exit(const struct cpu *cpu)
{
    return cpu_pin_controls(cpu) & PIN_external_interrupt_exiting;
}

static bool interrupt_flag_shadow(const struct cpu *cpu)
{
    return blocked(cpu, BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
}

static bool virtual_interrupt_due(const struct cpu *cpu)
{
    return wants_virtual_interrupt(cpu) && (cpu->rflags & RFLAGS_IF) && !interrupt_flag_shadow(cpu);
}

/* ---- what follows ---- */

static enum status exit_with(struct cpu *cpu, enum exit_reason reason)
{
    return cpu_vm_exit(cpu, &(struct exit_information){ .reason = reason });
}

static enum status debug_trap(struct cpu *cpu)
{
    struct event event = {
        .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION,
        .address = cpu->pending_debug & (PENDING_DEBUG_BREAKPOINTS | PENDING_DEBUG_BS),
    };

    cpu->pending_debug = 0;
    return cpu_raise(cpu, event);
}

static enum status exit_for_event(struct cpu *cpu, const struct event *event)
{
    return cpu_vm_exit(cpu, &(struct exit_information){
        .reason = event->type == EVENT_NMI ? EXIT_REASON_exception_or_nmi : EXIT_REASON_external_interrupt,
        .interruption_information = vectoring_information(event),
    });
}

static enum status take_nmi(struct cpu *cpu)
{
    struct event event = { .valid = true, .vector = VECTOR_NMI, .type = EVENT_NMI };

    cpu->nmi_pending = false;
    return vmx_intercepts_event(cpu, &event) ? exit_for_event(cpu, &event) : cpu_deliver(cpu, &event);
}

/* Acknowledged only when taken: a VM exit leaves the interrupt pending unless "acknowledge interrupt on exit" is 1. */
static enum status take_interrupt(struct cpu *cpu)
{
    const struct bus *bus = &cpu->model->bus;
    struct event event = { .type = EVENT_EXTERNAL_INTERRUPT };

    if (interrupts_exit(cpu) && !(VMCS(cpu->vmx.current, exit_controls) & EXIT_acknowledge_interrupt_on_exit))
        return exit_for_event(cpu, &event);
    event.valid = true;
    event.vector = bus->interrupt_acknowledge ? bus->interrupt_acknowledge(bus->context, cpu) : 0;
    if (interrupts_exit(cpu) && apic_posted_process(cpu, event.vector))     /* that alone does not end HLT */
        return virtual_interrupt_due(cpu) ? apic_interrupt_deliver(cpu) : STATUS_OK;
    return interrupts_exit(cpu) ? exit_for_event(cpu, &event) : cpu_deliver(cpu, &event);
}

/* 26.2: INIT exits unless in wait-for-SIPI, where it is blocked; SIPI exits in wait-for-SIPI, else it is discarded. */
static enum status startup(struct cpu *cpu)
{
    bool waiting = cpu->activity == ACTIVITY_WAIT_FOR_SIPI, sipi = cpu->sipi_pending;

    if (!waiting && cpu->init_pending) {
        cpu->init_pending = false;
        return exit_with(cpu, EXIT_REASON_init_signal);
    }
    cpu->sipi_pending = false;
    if (waiting && sipi)
        return cpu_vm_exit(cpu, &(struct exit_information){ .reason = EXIT_REASON_startup_ipi,
                                                         .qualification = cpu->sipi_vector });
    return STATUS_OK;
}

enum status boundary(struct cpu *cpu)
{
    cpu->vmx.delivering.valid = false;
    if (cpu->event.valid)       /* the instruction that wrote to a virtual register faulted after all */
        cpu->vmx.apic_write = 0;
    if (cpu->event.valid) {     /* injected or raised: delivered first; that is an instruction boundary for MTF (26.5.2) */
        cpu->vmx.mtf_pending = cpu->vmx.mtf_pending || (cpu_proc_controls(cpu) & PROC_monitor_trap_flag);
        return STATUS_OK;
    }
    TRY(apic_write_emulate(cpu));       /* 30.4.3.2: before INIT and everything that comes after it */
    if (cpu->vmx.non_root)
        TRY(startup(cpu));
    if (cpu->vmx.tpr_exit)              /* 27.7.7 */
        return exit_with(cpu, EXIT_REASON_tpr_below_threshold);
    if (trap_flag_due(cpu))
        return exit_with(cpu, EXIT_REASON_monitor_trap_flag);
    if (debug_trap_due(cpu))
        return debug_trap(cpu);
    if (timer_due(cpu))
        return exit_with(cpu, EXIT_REASON_preemption_timer_expired);
    if (wants_nmi_window(cpu) && !blocked(cpu, BLOCKING_BY_MOV_SS))
        return exit_with(cpu, EXIT_REASON_nmi_window);
    if (wants_nmi(cpu) && !interrupt_flag_shadow(cpu))      /* STI too "may" hold an NMI back: as most processors do */
        return take_nmi(cpu);
    if (wants_interrupt_window(cpu) && (cpu->rflags & RFLAGS_IF) && !interrupt_flag_shadow(cpu))
        return exit_with(cpu, EXIT_REASON_interrupt_window);
    if (virtual_interrupt_due(cpu))
        return apic_interrupt_deliver(cpu);
    if (wants_interrupt(cpu) && ((cpu->rflags & RFLAGS_IF) || interrupts_exit(cpu)) && !interrupt_flag_shadow(cpu))
        return take_interrupt(cpu);
    return STATUS_OK;
}

bool boundary_awaits_interrupt_window(const struct cpu *cpu)
{
    return wants_interrupt_window(cpu) || wants_virtual_interrupt(cpu) || wants_interrupt(cpu);
}

uint64_t boundary_deadline(const struct cpu *cpu)
{
    bool next = wants_nmi(cpu) || wants_nmi_window(cpu) || (cpu->pending_debug & PENDING_TRAP) ||
                (cpu_proc_controls(cpu) & PROC_monitor_trap_flag);
    uint64_t deadline = cpu->vmx.non_root ? cpu->vmx.preemption_deadline : ~0ull;

    if (cpu->vmx.mtf_pending)
        return cpu->clock;
    return next && deadline > cpu->clock + 1 ? cpu->clock + 1 : deadline;
}
