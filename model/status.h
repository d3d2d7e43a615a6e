/* SPDX-License-Identifier: MIT */
/* What became of an instruction, an access or an event: the one status type of the model. */
#ifndef SESQUI_MODEL_STATUS_H
#define SESQUI_MODEL_STATUS_H

enum status {
    STATUS_OK,          /* done; for an instruction: executed, RIP advanced */
    STATUS_EVENT,       /* cpu->event holds an exception or interrupt to deliver through the IDT */
    STATUS_VM_EXIT,     /* a VM exit took place: the processor holds the host state */
    STATUS_VM_ENTRY,    /* a VM entry took place: the processor holds the guest state (cpu->event may be set) */
    STATUS_NATIVE,      /* not intercepted and not the model's business: the CPU engine executes it */
    STATUS_SHUTDOWN,    /* triple fault outside VMX non-root operation, or VMX abort */
    STATUS_REFUSED,     /* the model does not implement this: cpu->model->refusal says what */
};

/* Leaves the function with the status of `expression` unless that is STATUS_OK. */
#define TRY(expression)                                                                                             \
    do {                                                                                                            \
        enum status try_status_ = (expression);                                                                     \
        if (try_status_ != STATUS_OK)                                                                               \
            return try_status_;                                                                                     \
    } while (0)

#endif
