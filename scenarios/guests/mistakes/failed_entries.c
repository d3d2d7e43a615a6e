/* SPDX-License-Identifier: MIT */
/* VM entries with fields that are wrong, before and after the guest has run. */
#include <stddef.h>

#include "scenarios/guests/mistakes/mistakes.h"

extern const uint8_t halter[], halter_end[];
__asm__(".pushsection .rodata\n"
        "halter: hlt\n"
        "   jmp halter\n"
        "halter_end:\n"
        ".popsection");

static struct guest *const guest = &guest_of_mistakes;

/* The first entry, or one after an exit. */
static void enter_with(unsigned long field, uint64_t value)
{
    vmwrite(field, value);
    guest_enter(guest);
    vmclear((uintptr_t)guest->vmcs);
    vmxoff();
}

static void wrong_control(void)
{
    start_guest(halter, halter_end);
    enter_with(VMCS_cr3_target_count, 5);
}

static void wrong_host_state(void)
{
    start_guest(halter, halter_end);
    enter_with(VMCS_host_tr_selector, 0);
}

static void wrong_guest_state(void)
{
    start_guest(halter, halter_end);
    enter_with(VMCS_guest_cs_access_rights, 0xa08b);
}

/* RFLAGS is a field that strategies with a shadow VMCS have written without an exit. */
static void wrong_after_exit(void)
{
    start_guest(halter, halter_end);
    must(!guest_enter(guest) && vmread(VMCS_exit_reason) == EXIT_REASON_hlt, "the guest does not halt");
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + 1);
    enter_with(VMCS_guest_rflags, 0);
}

const struct mistake mistakes_of_failed_entries[] = {
    { "wrong-control", wrong_control },
    { "wrong-host-state", wrong_host_state },
    { "wrong-guest-state", wrong_guest_state },
    { "wrong-after-exit", wrong_after_exit },
    { NULL, NULL },
};
