/* SPDX-License-Identifier: MIT */
/* Names of numbers, from the tables in arch/. */
#include <stddef.h>

#include "model/vmx/vmx.h"

const char *exit_reason_text(uint32_t basic_reason)
{
    switch (basic_reason) {
#define EXIT_REASON(name, number, text) case (number): return (text);
#include "arch/exit_reasons.def"
    default:
        return NULL;
    }
}

const char *exit_reason_name(uint32_t basic_reason)
{
    switch (basic_reason) {
#define EXIT_REASON(name, number, text) case (number): return #name;
#include "arch/exit_reasons.def"
    default:
        return NULL;
    }
}

const char *vm_error_text(int error)
{
    switch (error) {
#define VM_ERROR(number, name, text) case (number): return (text);
#include "arch/vm_instruction_errors.def"
    default:
        return NULL;
    }
}
