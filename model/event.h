/* SPDX-License-Identifier: MIT */
/* An exception or interrupt: raised, being delivered, or to be injected. */
#ifndef SESQUI_MODEL_EVENT_H
#define SESQUI_MODEL_EVENT_H

#include <stdbool.h>
#include <stdint.h>

struct event {
    bool valid;
    uint8_t vector;
    uint8_t type;               /* enum event_type */
    bool has_error_code;
    uint32_t error_code;
    uint8_t instruction_length; /* software interrupts and exceptions: RIP still points at the instruction; the return
                                   address that delivery pushes is RIP + this */
    uint64_t address;           /* #PF: goes to CR2 on delivery; #DB: bits for DR6 */
    bool injected;              /* by VM entry: some effects of delivery do not take place (model/cpu/deliver.def) */
    bool begun;                 /* its effects have taken place: delivery_begin() */
    bool pushes_resume_flag;    /* one of them: the image of RFLAGS that delivery saves has RF = 1 */
};

#endif
