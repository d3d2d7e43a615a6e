/* SPDX-License-Identifier: MIT */
/* A VM entry and what came of it: see vectors.h. */
#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/vectors/vectors.h"

/* The fields that a VM exit may save into, and the one that it changes among the controls (SDM Vol. 3, 28.3, 27.8). */
static const struct {
    const char *name;
    uint32_t encoding;
} fields[] = {
#define FIELD(name, encoding, exists) { #name, (encoding) },
#include "arch/vmcs_fields.def"
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static uint64_t before[FIELDS];
static struct guest registers;      /* only its registers are used */

static bool saved(uint32_t encoding)
{
    return VMCS_ENCODING_TYPE(encoding) == VMCS_TYPE_GUEST || encoding == VMCS_entry_controls ||
           encoding == VMCS_entry_interruption_information;
}

void guest_state_note(void)
{
    for (unsigned i = 0; i < FIELDS; i++)
        if (saved(fields[i].encoding))
            before[i] = vmread(fields[i].encoding);
}

/* Unless it is loaded, what is saved is what an earlier vector left in the processor. */
static bool cet_state(uint32_t encoding)
{
    return encoding == VMCS_guest_ia32_s_cet || encoding == VMCS_guest_ssp ||
           encoding == VMCS_guest_ia32_interrupt_ssp_table;
}

static void print_changes(void)
{
    bool cet_loaded = vmread(VMCS_entry_controls) & ENTRY_load_cet_state;

    for (unsigned i = 0; i < FIELDS; i++) {
        uint32_t encoding = fields[i].encoding;

        if (saved(encoding) && (cet_loaded || !cet_state(encoding)) && vmread(encoding) != before[i])
            print(" %s=%lx", fields[i].name, vmread(encoding));
    }
}

/* Of the exit's information what is defined for any exit: 25.9.2, 25.9.3. */
static void print_exit(void)
{
    uint64_t event = vmread(VMCS_exit_interruption_information), vectoring = vmread(VMCS_idt_vectoring_information);

    print("exit %u qualification=%lx", (unsigned)vmread(VMCS_exit_reason) & 0xffff, vmread(VMCS_exit_qualification));
    if (event & INTERRUPTION_VALID)
        print(" event=%lx", event);
    if (event & INTERRUPTION_VALID && event & INTERRUPTION_ERROR_CODE_VALID)
        print(" error_code=%lx", vmread(VMCS_exit_interruption_error_code));
    if (vectoring & INTERRUPTION_VALID)
        print(" vectoring=%lx", vectoring);
    if (vectoring & INTERRUPTION_VALID && vectoring & INTERRUPTION_ERROR_CODE_VALID)
        print(" vectoring_error_code=%lx", vmread(VMCS_idt_vectoring_error_code));
}

void print_verdict(void)
{
    vmx_result result;

    registers.launched = false;
    result = guest_enter(&registers);
    host_restore();
    if (result) {
        print(result == VMX_INVALID ? "invalid" : "error %u", (unsigned)result);
        return;
    }
    if (vmread(VMCS_exit_reason) & EXIT_REASON_ENTRY_FAILURE) {
        print("refused, ");
        print_exit();
        return;
    }
    print("entered, ");
    print_exit();
    print_changes();
}
