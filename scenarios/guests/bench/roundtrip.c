/* SPDX-License-Identifier: MIT */
/* VM exit and entry, 300,000 times: the guest executes CPUID for ever, its hypervisor moves it on. */
#include <stddef.h>

#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/guest.h"
#include "scenarios/guests/lib/idt.h"

enum { ROUNDS = 300000, CPUID_LENGTH = 2, EXIT_NOT_OFFERED = 2 };

extern const uint8_t l2_cpuid_start[], l2_cpuid_end[];

unsigned main(void);

static struct guest guest;

unsigned main(void)
{
    const struct controls controls = { .entry = ENTRY_ia32e_mode_guest };
    const char *missing;

    console_open();
    idt_load();
    missing = vmx_start();
    if (!missing)
        missing = guest_create(&guest, 1, &controls, l2_cpuid_start, l2_cpuid_end);
    if (missing) {
        print("roundtrip: this processor does not offer what it needs: %s\n", missing);
        return EXIT_NOT_OFFERED;
    }
    guest_long_mode(&guest);
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (guest_enter(&guest) || vmread(VMCS_exit_reason) != EXIT_REASON_cpuid)
            return 1;
        vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + CPUID_LENGTH);
    }
    return 0;
}
