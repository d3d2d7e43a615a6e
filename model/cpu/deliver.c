/* SPDX-License-Identifier: MIT */
/* The side effects of delivering an event: SDM Vol. 3, ch. 6, 18.2, 18.3.1.1, 27.6.1.1, 28.1; the rows of deliver.def. */
#include "model/cpu/deliver.h"

#include "model/cpu/raise.h"

#define DR6_BREAKPOINTS 0xfull
#define DR6_CAUSES 0xe00full                    /* B0-B3, BD, BS, BT */
#define DR6_GENERAL_DETECT (1ull << 13)         /* BD */
#define DR7_GENERAL_DETECT (1ull << 13)         /* GD */

/* FAULT: exceptions of fault class, but for an instruction breakpoint. DEBUG_INT1: #DB of any origin. */
enum delivery_events { EVERY, FAULT, NMI, PAGE_FAULT, DEBUG, DEBUG_INT1 };

const struct delivery_effect delivery_table[DELIVERY_ROWS] = {
#define EFFECT(name, events, on_raised, on_injected, section, text) { #name, #events, on_raised, on_injected, section, text },
#include "model/cpu/deliver.def"
};

static bool is_fault(const struct event *event)
{
    if (event->type != EVENT_HARDWARE_EXCEPTION)
        return false;
    if (event->vector == VECTOR_DB)
        return event->address & DR6_GENERAL_DETECT;
    return event->vector != VECTOR_DF && event->vector != VECTOR_MC;
}

static bool concerns(const struct event *event, enum delivery_events events)
{
    bool exception = event->type == EVENT_HARDWARE_EXCEPTION;

    switch (events) {
    case FAULT:
        return is_fault(event);
    case NMI:
        return event->type == EVENT_NMI;
    case PAGE_FAULT:
        return exception && event->vector == VECTOR_PF;
    case DEBUG:
        return exception && event->vector == VECTOR_DB;
    case DEBUG_INT1:
        return event->vector == VECTOR_DB && event->type != EVENT_SOFTWARE_INTERRUPT;
    default:
        return true;
    }
}

/* ---- the effects ---- */

static void pending_debug_discarded(struct cpu *cpu, struct event *event)
{
    bool kept = (event->type == EVENT_SOFTWARE_INTERRUPT || event->type == EVENT_SOFTWARE_EXCEPTION) &&
                (cpu->interruptibility & BLOCKING_BY_MOV_SS);

    if (!kept)
        cpu->pending_debug = 0;
}

static void pending_debug_delivered(struct cpu *cpu, struct event *event)
{
    (void)event;
    cpu->pending_debug = 0;
}

static void resume_flag_pushed(struct cpu *cpu, struct event *event)
{
    (void)cpu;
    event->pushes_resume_flag = true;
}

static void activity_active(struct cpu *cpu, struct event *event)
{
    (void)event;
    cpu->activity = ACTIVITY_ACTIVE;
    cpu->monitor.waiting = false;
}

static void interrupt_shadow_ended(struct cpu *cpu, struct event *event)
{
    (void)event;
    cpu->interruptibility &= ~(uint32_t)(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS);
}

static void nmi_blocked(struct cpu *cpu, struct event *event)
{
    (void)event;
    cpu->interruptibility |= BLOCKING_BY_NMI;
}

static void fault_address_loaded(struct cpu *cpu, struct event *event)
{
    cpu->cr2 = event->address;
}

static void debug_status_set(struct cpu *cpu, struct event *event)
{
    cpu->dr6 = (cpu->dr6 & ~DR6_BREAKPOINTS) | (event->address & DR6_CAUSES);
}

static void general_detect_ended(struct cpu *cpu, struct event *event)
{
    (void)event;
    cpu->dr7 &= ~DR7_GENERAL_DETECT;
}

static void branch_records_ended(struct cpu *cpu, struct event *event)
{
    (void)event;
    CPU_MSR(cpu, ia32_debugctl) &= ~(DEBUGCTL_LBR | DEBUGCTL_BTF);
}

static void monitor_trap_pending(struct cpu *cpu, struct event *event)
{
    (void)event;
    if (cpu_proc_controls(cpu) & PROC_monitor_trap_flag)
        cpu->vmx.mtf_pending = true;
}

void delivery_begin(struct cpu *cpu)
{
    struct event *event = &cpu->event;

    if (event->begun)
        return;
    event->begun = true;
#define EFFECT(name, events, on_raised, on_injected, section, text)                                                  \
    if (concerns(event, (events)) && (event->injected ? (on_injected) : (on_raised)))                                 \
        name(cpu, event);
#include "model/cpu/deliver.def"
}

void delivery_page_fault(struct cpu *cpu, const struct event *event)
{
    struct event copy = *event;

    if (concerns(event, PAGE_FAULT))
        fault_address_loaded(cpu, &copy);
}

uint64_t delivery_flags(const struct cpu *cpu)
{
    const struct event *event = &cpu->event;
    bool by_instruction = event->type == EVENT_SOFTWARE_INTERRUPT || event->type == EVENT_SOFTWARE_EXCEPTION ||
                          event->type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION;

    if (event->pushes_resume_flag)
        return cpu->rflags | RFLAGS_RF;
    return by_instruction && !event->injected ? cpu->rflags & ~RFLAGS_RF : cpu->rflags;
}

bool delivery_pushes_resume_flag(const struct event *event)
{
    return concerns(event, FAULT);
}
