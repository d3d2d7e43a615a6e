/* SPDX-License-Identifier: MIT */
/*
 * Exceptions: intercepted, delivered, or combined with the event whose delivery they interrupt (SDM Vol. 3, 6.15, 26.2,
 * 28.2). cpu->event.valid says whether an event is being delivered: see cpu.h.
 */
#include "model/cpu/raise.h"

#include "model/cpu/deliver.h"
#include "model/cpu/execute.h"
#include "model/model.h"
#include "model/vmx/vmx.h"

void cpu_notify(const struct cpu *cpu, const struct notice *notice)
{
    const struct observer *observer = &cpu->model->observer;
    struct notice told = *notice;

    told.cpu = cpu;
    if (observer->notify)
        observer->notify(observer->context, &told);
}

uint32_t cpu_pin_controls(const struct cpu *cpu)
{
    return cpu->vmx.non_root ? (uint32_t)VMCS(cpu->vmx.current, pin_based_controls) : 0;
}

uint32_t cpu_proc_controls(const struct cpu *cpu)
{
    return cpu->vmx.non_root ? (uint32_t)VMCS(cpu->vmx.current, processor_based_controls) : 0;
}

uint32_t cpu_proc2_controls(const struct cpu *cpu)
{
    return cpu_proc_controls(cpu) & PROC_activate_secondary_controls
        ? (uint32_t)VMCS(cpu->vmx.current, secondary_processor_based_controls) : 0;
}

/* ---- kinds of events ---- */

static bool is_exception(const struct event *event, enum vector vector)
{
    return event->type == EVENT_HARDWARE_EXCEPTION && event->vector == vector;
}

/* Exceptions whose handler finds an error code: SDM Vol. 3, Table 6-1. */
static bool has_error_code(unsigned vector)
{
    return vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= VECTOR_PF) || vector == VECTOR_AC ||
           vector == VECTOR_CP;
}

static bool is_software(const struct event *event)
{
    return event->type == EVENT_SOFTWARE_INTERRUPT || event->type == EVENT_SOFTWARE_EXCEPTION ||
           event->type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION;
}

/* SDM Vol. 3, Table 6-4: classes for double faults. Vectors without a meaning on this processor are benign (27.6.1). */
enum fault_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

static enum fault_class class_of(const struct cpu *cpu, const struct event *event)
{
    if (event->type != EVENT_HARDWARE_EXCEPTION)
        return CLASS_BENIGN;
    switch (event->vector) {
    case VECTOR_DE: case VECTOR_TS: case VECTOR_NP: case VECTOR_SS: case VECTOR_GP:
        return CLASS_CONTRIBUTORY;
    case VECTOR_CP:
        return cr4_allowed(cpu) & CR4_CET ? CLASS_CONTRIBUTORY : CLASS_BENIGN;
    case VECTOR_PF:
        return CLASS_PAGE_FAULT;
    case VECTOR_VE:
        return capability_control_allowed(&cpu->model->capability, CONTROL_PROC2_ept_violation_ve) ? CLASS_PAGE_FAULT
                                                                                                   : CLASS_BENIGN;
    case VECTOR_DF:
        return CLASS_DOUBLE_FAULT;
    default:
        return CLASS_BENIGN;
    }
}

enum combination { HANDLE_SERIALLY, DOUBLE_FAULT, TRIPLE_FAULT };

/* SDM Vol. 3, Table 6-5. */
static enum combination combine(const struct cpu *cpu, const struct event *first, const struct event *second)
{
    static const enum combination table[4][3] = {
        /*                         benign           contributory     page fault */
        [CLASS_BENIGN]       = { HANDLE_SERIALLY, HANDLE_SERIALLY, HANDLE_SERIALLY },
        [CLASS_CONTRIBUTORY] = { HANDLE_SERIALLY, DOUBLE_FAULT,    HANDLE_SERIALLY },
        [CLASS_PAGE_FAULT]   = { HANDLE_SERIALLY, DOUBLE_FAULT,    DOUBLE_FAULT },
        [CLASS_DOUBLE_FAULT] = { HANDLE_SERIALLY, TRIPLE_FAULT,    TRIPLE_FAULT },
    };
    enum fault_class class = class_of(cpu, second);

    return class == CLASS_DOUBLE_FAULT ? TRIPLE_FAULT : table[class_of(cpu, first)][class];
}

/* ---- ways out ---- */

enum status cpu_vm_exit(struct cpu *cpu, const struct exit_information *information)
{
    struct exit_information told = *information;

    if (cpu->event.valid && is_software(&cpu->event))
        told.instruction_length = cpu->event.instruction_length;
    if (cpu->event.valid && cpu->event.pushes_resume_flag)     /* 28.3.3: as in the image that its delivery would have saved */
        cpu->rflags |= RFLAGS_RF;
    cpu->vmx.delivering = cpu->event;
    cpu->event.valid = false;
    cpu->vmx.mtf_pending = false;
    cpu->vmx.nmi_blocking_by_iret = false;
    return vmx_exit(cpu, &told);
}

enum status cpu_triple_fault(struct cpu *cpu)
{
    cpu->event.valid = false;   /* 28.2.4: not considered to occur during event delivery */
    if (cpu->vmx.non_root)
        return cpu_vm_exit(cpu, &(struct exit_information){ .reason = EXIT_REASON_triple_fault });
    cpu->activity = ACTIVITY_SHUTDOWN;
    cpu_notify(cpu, &(struct notice){ .kind = NOTICE_SHUTDOWN });
    return STATUS_SHUTDOWN;
}

bool cpu_iret_unblocked_nmi(const struct cpu *cpu)
{
    return cpu->vmx.nmi_blocking_by_iret && cpu->vmx.iret_instructions == cpu->instructions;
}

/* VM exit by an exception: 28.2.1, 28.2.2. */
static enum status exit_for(struct cpu *cpu, const struct event *event)
{
    struct exit_information information = {
        .reason = EXIT_REASON_exception_or_nmi,
        .interruption_information = vectoring_information(event),
        .interruption_error_code = event->has_error_code ? event->error_code : 0,
        .instruction_length = is_software(event) ? event->instruction_length : 0,
    };

    if (is_exception(event, VECTOR_PF) || is_exception(event, VECTOR_DB))
        information.qualification = event->address;
    if (event->type == EVENT_HARDWARE_EXCEPTION && event->vector != VECTOR_DF && !cpu->event.valid &&
        cpu_iret_unblocked_nmi(cpu))
        information.interruption_information |= INTERRUPTION_NMI_UNBLOCKING;
    if (delivery_pushes_resume_flag(event))
        cpu->rflags |= RFLAGS_RF;
    return cpu_vm_exit(cpu, &information);
}

enum status cpu_deliver(struct cpu *cpu, const struct event *event)
{
    cpu->event = *event;
    cpu->event.valid = true;
    delivery_begin(cpu);
    cpu_notify(cpu, &(struct notice){ .kind = NOTICE_INJECT, .a = event->vector, .b = event->type,
                                      .c = event->error_code, .d = event->has_error_code });
    return STATUS_EVENT;
}

static enum status raise_one(struct cpu *cpu, const struct event *event)
{
    return cpu->vmx.non_root && vmx_intercepts_event(cpu, event) ? exit_for(cpu, event) : cpu_deliver(cpu, event);
}

enum status cpu_raise(struct cpu *cpu, struct event event)
{
    struct event double_fault = {
        .valid = true, .vector = VECTOR_DF, .type = EVENT_HARDWARE_EXCEPTION, .has_error_code = cpu_protected(cpu),
    };

    event.valid = true;
    if (event.type == EVENT_HARDWARE_EXCEPTION && !cpu_protected(cpu)) {
        event.has_error_code = false;   /* in real-address mode there are none, whoever met the exception: 21.1.4, 28.2.2 */
        event.error_code = 0;
    }
    cpu_notify(cpu, &(struct notice){ .kind = NOTICE_RAISED, .event = &event });
    /* 26.2: the exception bitmap is asked about an exception before it can become a double fault. */
    if (!cpu->event.valid || (cpu->vmx.non_root && vmx_intercepts_event(cpu, &event)))
        return raise_one(cpu, &event);
    delivery_page_fault(cpu, &event);
    switch (combine(cpu, &cpu->event, &event)) {
    case HANDLE_SERIALLY:
        return raise_one(cpu, &event);
    case DOUBLE_FAULT:
        cpu->event.valid = false;       /* 28.2.4: an exit by the #DF is not one during delivery of the first event */
        return raise_one(cpu, &double_fault);
    case TRIPLE_FAULT:
        break;
    }
    return cpu_triple_fault(cpu);
}

enum status cpu_fault(struct cpu *cpu, enum vector vector, uint32_t error_code)
{
    bool error = has_error_code(vector);

    return cpu_raise(cpu, (struct event){
        .vector = (uint8_t)vector, .type = EVENT_HARDWARE_EXCEPTION, .has_error_code = error,
        .error_code = error ? error_code : 0,
    });
}

enum status cpu_page_fault(struct cpu *cpu, uint64_t linear, uint32_t error_code)
{
    return cpu_raise(cpu, (struct event){
        .vector = VECTOR_PF, .type = EVENT_HARDWARE_EXCEPTION, .has_error_code = true, .error_code = error_code,
        .address = linear,
    });
}
