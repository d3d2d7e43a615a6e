/* SPDX-License-Identifier: MIT */
/*
 * Events on their way in and out: event injection (SDM Vol. 3, 25.8.3, 27.6) and IDT-vectoring information (25.9.3,
 * 28.2.4).
 *
 *    31     30   12   11    10  8   7   0
 *   +-----+---------+-----+-------+-------+
 *   |valid|    0    |error| type  |vector |
 *   +-----+---------+-----+-------+-------+
 */
#include "model/vmx/internal.h"

static bool software(unsigned type)
{
    return type == EVENT_SOFTWARE_INTERRUPT || type == EVENT_PRIVILEGED_SOFTWARE_EXCEPTION ||
           type == EVENT_SOFTWARE_EXCEPTION;
}

uint32_t vectoring_information(const struct event *event)
{
    if (!event->valid)
        return 0;
    return INTERRUPTION_VALID | event->vector | (event->type & 7u) << 8 |
           (event->has_error_code ? INTERRUPTION_ERROR_CODE_VALID : 0);
}

/* The event during whose delivery the exit occurred. */
void vectoring_record(struct vmcs *vmcs, const struct event *delivering)
{
    VMCS(vmcs, idt_vectoring_information) = vectoring_information(delivering);
    if (!delivering->valid)
        return;
    VMCS(vmcs, idt_vectoring_error_code) = delivering->error_code;
    if (software(delivering->type))
        VMCS(vmcs, exit_instruction_length) = delivering->instruction_length;
}

/* The event that VM entry injects; type 7 (pending MTF exit) is none. */
struct event vectoring_injection(const struct vmcs *vmcs)
{
    uint32_t information = (uint32_t)VMCS(vmcs, entry_interruption_information);
    struct event event = { .valid = false, .injected = true };

    if (!(information & INTERRUPTION_VALID) || INTERRUPTION_TYPE(information) == EVENT_OTHER)
        return event;
    event.valid = true;
    event.vector = (uint8_t)INTERRUPTION_VECTOR(information);
    event.type = (uint8_t)INTERRUPTION_TYPE(information);
    if (information & INTERRUPTION_ERROR_CODE_VALID) {
        event.has_error_code = true;
        event.error_code = (uint32_t)VMCS(vmcs, entry_exception_error_code);
    }
    if (software(event.type))
        event.instruction_length = (uint8_t)VMCS(vmcs, entry_instruction_length);
    return event;
}
