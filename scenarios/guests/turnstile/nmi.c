/* SPDX-License-Identifier: MIT */
/*
 * NMIs that go to the guest itself. Blocking ends with an IRET that succeeds: one whose stack an EPT violation hides has ended
 * it too early, and who lets it try again blocks NMIs again (SDM Vol. 3, 28.2.3). The guest's half: l2_nmi.S.
 */
#include "scenarios/guests/turnstile/guests.h"

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/turnstile/apic.h"
#include "scenarios/guests/turnstile/transcript.h"

extern const uint8_t l2_nmi_start[], l2_nmi_end[];
extern const uint8_t l2_nmi_blocked[], l2_nmi_returned[], l2_nmi_on_nmi[], l2_nmi_taken[];

static const struct controls controls = { .proc = PROC_hlt_exiting, .entry = ENTRY_ia32e_mode_guest };

static uint64_t place(const uint8_t *label) { return (uint64_t)(label - l2_nmi_start) + GUEST_CODE; }

/* The exit leaves NMIs blocked for us as well (28.5.5): the one we send waits for the guest's IRET. */
static void send_nmi(struct guest *guest)
{
    check("blocking by NMI", vmread(VMCS_guest_interruptibility_state), BLOCKING_BY_NMI);
    apic_self_nmi();
    report("INVEPT", guest_invept(guest), 0);
    skip_instruction();
}

static void check_taken(struct guest *guest)
{
    check("where the NMI found the guest", guest->gpr[RAX], place(l2_nmi_returned));
    check("blocking by NMI", vmread(VMCS_guest_interruptibility_state), BLOCKING_BY_NMI);
    skip_instruction();
}

static void check_returned(struct guest *guest)
{
    (void)guest;
    check("blocking by NMI", vmread(VMCS_guest_interruptibility_state), 0);
    skip_instruction();
}

static const struct step steps[] = {
    { EXIT_REASON_vmcall, 0, l2_nmi_blocked, NULL, send_nmi },
    { EXIT_REASON_vmcall, 0, l2_nmi_taken, NULL, check_taken },
    { EXIT_REASON_vmcall, 0, l2_nmi_returned, NULL, check_returned },
};

const char *nmi_guest_create(struct guest *guest)
{
    const char *missing = guest_create(guest, 4, &controls, l2_nmi_start, l2_nmi_end);

    if (missing)
        return missing;
    guest_long_mode(guest);
    guest_gate(guest, VECTOR_NMI, place(l2_nmi_on_nmi));
    vmwrite(VMCS_guest_interruptibility_state, BLOCKING_BY_NMI);
    return NULL;
}

void nmi_guest_run(struct guest *guest)
{
    print("-- NMIs of the guest\n");
    follow(guest, l2_nmi_start, steps, sizeof(steps) / sizeof(*steps));
}
