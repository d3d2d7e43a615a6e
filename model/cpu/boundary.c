/* SPDX-License-Identifier: MIT */
/*
 * Between two instructions: what is due, in the order of model/cpu/boundary.def. INIT and SIPI outside non-root operation are the
 * machine's, which knows how a processor starts.
 */
#include "model/cpu/boundary.h"

#include "model/cpu/execute.h"
#include "model/cpu/raise.h"
#include "model/model.h"
#include "model/vmx/apic.h"
#include "model/vmx/vmx.h"

#define PENDING_TRAP (PENDING_DEBUG_ENABLED | PENDING_DEBUG_BS)

enum { A = 1u << ACTIVITY_ACTIVE, H = 1u << ACTIVITY_HLT, S = 1u << ACTIVITY_SHUTDOWN, W = 1u << ACTIVITY_WAIT_FOR_SIPI };

const struct boundary_event boundary_table[BOUNDARY_ROWS] = {
#define BOUNDARY(name, states, blocking, section, text) { #name, (states), (blocking), (section), (text) },
#include "model/cpu/boundary.def"
};

/* May the event take place in the present activity state? */
static bool in_its_state(const struct cpu *cpu, enum boundary_row row)
{
    return boundary_table[row].states >> (cpu->activity & 3) & 1;
}

static bool blocked(const struct cpu *cpu, uint32_t by)
{
    return cpu->interruptibility & by;
}

/* ---- is it due, apart from activity state and blocking? ---- */

static bool apic_write_due(const struct cpu *cpu)
{
    return cpu->vmx.apic_write;
}

/* Stays due in the shutdown state, until an event leaves that state in non-root operation. */
static bool tpr_at_entry_due(const struct cpu *cpu)
{
    return cpu->vmx.tpr_exit;
}

static bool init_signal_due(const struct cpu *cpu)
{
    return cpu->vmx.non_root && cpu->init_pending;
}

static bool startup_ipi_due(const struct cpu *cpu)
{
    return cpu->vmx.non_root && cpu->sipi_pending;
}

static bool startup_ipi_lost_due(const struct cpu *cpu)
{
    return startup_ipi_due(cpu);
}

static bool monitor_trap_flag_due(const struct cpu *cpu)
{
    if (!cpu->vmx.non_root)
        return false;
    return cpu->vmx.mtf_pending || ((cpu_proc_controls(cpu) & PROC_monitor_trap_flag) &&
                                    cpu->instructions != cpu->vmx.entry_instructions);
}

static bool debug_trap_due(const struct cpu *cpu)
{
    return cpu->pending_debug & PENDING_TRAP;
}

static bool preemption_timer_due(const struct cpu *cpu)
{
    return cpu->vmx.non_root && cpu->clock >= cpu->vmx.preemption_deadline;
}

static bool nmi_window_due(const struct cpu *cpu)
{
    return cpu_proc_controls(cpu) & PROC_nmi_window_exiting;
}

/* With virtual NMIs the blocking that `interruptibility` tells is the guest's alone; NMIs themselves are not blocked. */
static bool nmi_due(const struct cpu *cpu)
{
    return cpu->nmi_pending && ((cpu_pin_controls(cpu) & PIN_virtual_nmis) || !blocked(cpu, BLOCKING_BY_NMI));
}

/* The next three wait for the interrupt window, which needs RFLAGS.IF. */
static bool wants_interrupt_window(const struct cpu *cpu)
{
    return cpu_proc_controls(cpu) & PROC_interrupt_window_exiting;
}

static bool wants_virtual_interrupt(const struct cpu *cpu)
{
    return apic_interrupt_recognized(cpu);
}

static bool wants_interrupt(const struct cpu *cpu)
{
    const struct bus *bus = &cpu->model->bus;

    return bus->interrupt_requested && bus->interrupt_requested(bus->context, &cpu->model->cpu[cpu->index]);
}

static bool interrupts_exit(const struct cpu *cpu)
{
    return cpu_pin_controls(cpu) & PIN_external_interrupt_exiting;
}

static bool interrupt_window_due(const struct cpu *cpu)
{
    return wants_interrupt_window(cpu) && (cpu->rflags & RFLAGS_IF);
}

static bool virtual_interrupt_due(const struct cpu *cpu)
{
    return wants_virtual_interrupt(cpu) && (cpu->rflags & RFLAGS_IF);
}

static bool interrupt_due(const struct cpu *cpu)
{
    return ((cpu->rflags & RFLAGS_IF) || interrupts_exit(cpu)) && wants_interrupt(cpu);
}

/* ---- what follows ---- */

static enum status exit_with(struct cpu *cpu, enum exit_reason reason)
{
    return cpu_vm_exit(cpu, &(struct exit_information){ .reason = reason });
}

static enum status apic_write_take(struct cpu *cpu)
{
    return apic_write_emulate(cpu);
}

static enum status tpr_at_entry_take(struct cpu *cpu)
{
    return exit_with(cpu, EXIT_REASON_tpr_below_threshold);
}

static enum status init_signal_take(struct cpu *cpu)
{
    cpu->init_pending = false;
    return exit_with(cpu, EXIT_REASON_init_signal);
}

static enum status startup_ipi_take(struct cpu *cpu)
{
    cpu->sipi_pending = false;
    return cpu_vm_exit(cpu, &(struct exit_information){ .reason = EXIT_REASON_startup_ipi,
                                                     .qualification = cpu->sipi_vector });
}

static enum status startup_ipi_lost_take(struct cpu *cpu)
{
    cpu->sipi_pending = false;
    return STATUS_OK;
}

static enum status monitor_trap_flag_take(struct cpu *cpu)
{
    return exit_with(cpu, EXIT_REASON_monitor_trap_flag);
}

static enum status debug_trap_take(struct cpu *cpu)
{
    struct event event = {
        .vector = VECTOR_DB, .type = EVENT_HARDWARE_EXCEPTION,
        .address = cpu->pending_debug & (PENDING_DEBUG_BREAKPOINTS | PENDING_DEBUG_BS),
    };

    cpu->pending_debug = 0;
    return cpu_raise(cpu, event);
}

static enum status preemption_timer_take(struct cpu *cpu)
{
    return exit_with(cpu, EXIT_REASON_preemption_timer_expired);
}

static enum status nmi_window_take(struct cpu *cpu)
{
    return exit_with(cpu, EXIT_REASON_nmi_window);
}

static enum status exit_for_event(struct cpu *cpu, const struct event *event)
{
    return cpu_vm_exit(cpu, &(struct exit_information){
        .reason = event->type == EVENT_NMI ? EXIT_REASON_exception_or_nmi : EXIT_REASON_external_interrupt,
        .interruption_information = vectoring_information(event),
    });
}

static enum status nmi_take(struct cpu *cpu)
{
    struct event event = { .valid = true, .vector = VECTOR_NMI, .type = EVENT_NMI };

    cpu->nmi_pending = false;
    return vmx_intercepts_event(cpu, &event) ? exit_for_event(cpu, &event) : cpu_deliver(cpu, &event);
}

static enum status interrupt_window_take(struct cpu *cpu)
{
    return exit_with(cpu, EXIT_REASON_interrupt_window);
}

static enum status virtual_interrupt_take(struct cpu *cpu)
{
    return apic_interrupt_deliver(cpu);
}

/* Acknowledged only when taken: a VM exit leaves the interrupt pending unless "acknowledge interrupt on exit" is 1. */
static enum status interrupt_take(struct cpu *cpu)
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

enum status boundary(struct cpu *cpu)
{
    cpu->vmx.delivering.valid = false;
    if (cpu->vmx.aborted)       /* 28.7: nothing but RESET ends the shutdown of a VMX abort */
        return STATUS_OK;
    if (cpu->event.valid) {     /* injected or raised: delivered first */
        cpu->vmx.apic_write = 0;        /* an instruction that wrote to a virtual register faulted after all */
        return STATUS_OK;
    }
#define BOUNDARY(name, states, blocking, section, text)                                                              \
    if (name##_due(cpu) && !blocked(cpu, (blocking)) && in_its_state(cpu, BOUNDARY_##name))                           \
        TRY(name##_take(cpu));
#include "model/cpu/boundary.def"
    return STATUS_OK;
}

bool boundary_awaits_interrupt_window(const struct cpu *cpu)
{
    return in_its_state(cpu, BOUNDARY_interrupt) &&
           (wants_interrupt_window(cpu) || wants_virtual_interrupt(cpu) || wants_interrupt(cpu));
}

/* Is it due once what blocks it is gone, which one instruction may do? */
static bool due_after_blocking(const struct cpu *cpu, bool due, enum boundary_row row)
{
    return due && in_its_state(cpu, row);
}

uint64_t boundary_deadline(const struct cpu *cpu)
{
    bool next = due_after_blocking(cpu, nmi_due(cpu), BOUNDARY_nmi) ||
                due_after_blocking(cpu, nmi_window_due(cpu) && !blocked(cpu, BLOCKING_BY_NMI), BOUNDARY_nmi_window) ||
                due_after_blocking(cpu, debug_trap_due(cpu), BOUNDARY_debug_trap) ||
                due_after_blocking(cpu, cpu_proc_controls(cpu) & PROC_monitor_trap_flag, BOUNDARY_monitor_trap_flag);
    uint64_t deadline = cpu->vmx.non_root ? cpu->vmx.preemption_deadline : ~0ull;

    if (cpu->vmx.mtf_pending)
        return cpu->clock;
    return next && deadline > cpu->clock + 1 ? cpu->clock + 1 : deadline;
}
