/* SPDX-License-Identifier: MIT */
/*
 * wicket: the small gate beside turnstile. A guest hypervisor whose guests are 32-bit, with both kinds of paging of 32-bit
 * mode, or in real mode. It is built twice, as a 32-bit program (its own paging is 32-bit, or PAE if its command line says
 * "pae") and as a 64-bit one (4-level, or 5-level with "la57").
 */
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/turnstile/guests.h"
#include "scenarios/guests/turnstile/transcript.h"
#include "scenarios/guests/wicket/legacy.h"
#include "scenarios/guests/wicket/own.h"

enum { EXIT_NOT_OFFERED = 2 };

unsigned main(void);

static struct guest legacy_guest, real_guest;

static unsigned not_offered(const char *what)
{
    print("wicket: this processor does not offer what the test needs: %s\n", what);
    return EXIT_NOT_OFFERED;
}

unsigned main(void)
{
    const char *missing;

    console_open();
    print("wicket: every exit is checked; own paging: %s\n", own_paging());
    missing = vmx_start();
    if (!missing)
        missing = real_guest_create(&real_guest);
    for (unsigned i = 0; i < 4 && !missing; i++) {
        enum guest_paging paging = i & 1 ? GUEST_PAGING_PAE : GUEST_PAGING_32;
        bool on = i < 2;
        missing = legacy_guest_create(&legacy_guest, paging, on);
        if (missing)
            break;
        if (i < 2) {
            provoke_instruction_errors(&legacy_guest);
            provoke_entry_failures(&legacy_guest);
        }
        legacy_guest_run(&legacy_guest, paging, on);
        check("VMCLEAR", (uint64_t)vmclear((uintptr_t)legacy_guest.vmcs), 0);
    }
    if (missing)
        return not_offered(missing);
    check("VMPTRLD", (uint64_t)vmptrld((uintptr_t)real_guest.vmcs), 0);
    real_guest_run(&real_guest);
    check("VMCLEAR", (uint64_t)vmclear((uintptr_t)real_guest.vmcs), 0);
    report("VMXOFF", vmxoff(), 0);
    provoke_own_paging();
    return transcript_end("wicket");
}
