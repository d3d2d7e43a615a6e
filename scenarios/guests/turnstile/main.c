/* SPDX-License-Identifier: MIT */
/*
 * turnstile: a guest hypervisor that counts who passes. It runs a 64-bit and a real-mode guest, takes interrupts in
 * them and beneath them, fails on purpose where the SDM says how, and checks every exit. Its transcript is the same on every
 * correct machine, with or without another hypervisor below.
 */
#include "scenarios/guests/lib/console.h"
#include "scenarios/guests/lib/idt.h"
#include "scenarios/guests/lib/late.h"
#include "scenarios/guests/lib/processor.h"
#include "scenarios/guests/turnstile/apic.h"
#include "scenarios/guests/turnstile/guests.h"
#include "scenarios/guests/turnstile/transcript.h"

enum { VECTOR_TIMER = 0x40, VECTOR_SELF = 0x41, TICKS = 10000, EXIT_NOT_OFFERED = 2 };

unsigned main(const void *information);

static struct guest long_guest, real_guest, nmi_guest;

static void await_interrupt(const char *what, uint8_t vector, uint32_t wanted)
{
    while (interrupts_taken[vector] < wanted)
        wait_for_interrupt();
    apic_end_of_interrupt();
    print("%s: taken\n", what);
}

/* VMX instructions outside VMX operation: SDM Vol. 3, 24.7, ch. 31. */
static void check_undefined(const char *when)
{
    int vector;

    ATTEMPT("vmxoff", vector);
    print("VMXOFF %s: exception %u\n", when, (unsigned)vector);
    check("exception", (uint64_t)vector, VECTOR_UD);
    ATTEMPT("vmcall", vector);
    print("VMCALL %s: exception %u\n", when, (unsigned)vector);
    check("exception", (uint64_t)vector, VECTOR_UD);
}

static unsigned not_offered(const char *what)
{
    print("turnstile: this processor does not offer what the test needs: %s\n", what);
    return EXIT_NOT_OFFERED;
}

unsigned main(const void *information)
{
    late_load *const load = late_find(information);
    const char *missing;

    console_open();
    idt_load();
    print("turnstile: every exit is checked\n-- interrupts of L1\n");
    apic_enable(false);
    apic_timer(VECTOR_TIMER, TICKS);
    await_interrupt("timer, xAPIC mode", VECTOR_TIMER, 1);

    if (load)                                   /* L0 slides beneath: nothing must tell */
        check("late load", load(), LATE_DONE);
    check_undefined("before VMXON");
    missing = vmx_start();
    if (missing)
        return not_offered(missing);

    if (!apic_has_x2apic())
        return not_offered("x2APIC mode");
    apic_enable(true);
    apic_timer(VECTOR_TIMER, TICKS);
    await_interrupt("timer, x2APIC mode", VECTOR_TIMER, 2);
    apic_self_ipi(VECTOR_SELF);
    await_interrupt("self-IPI, x2APIC mode", VECTOR_SELF, 1);

    missing = real_guest_create(&real_guest);
    if (!missing)
        missing = long_guest_create(&long_guest);
    if (missing)
        return not_offered(missing);
    try_every_register();
    provoke_instruction_errors(&long_guest);
    provoke_entry_failures(&long_guest);
    long_guest_run(&long_guest);
    report("VMLAUNCH of a launched VMCS", (long_guest.launched = false, guest_enter(&long_guest)),
           VM_ERROR_vmlaunch_not_clear);
    check("VMPTRLD", (uint64_t)vmptrld((uint64_t)real_guest.vmcs), 0);
    real_guest_run(&real_guest);
    missing = nmi_guest_create(&nmi_guest);
    if (missing)
        return not_offered(missing);
    nmi_guest_run(&nmi_guest);

    print("-- the end\n");
    check("VMCLEAR", (uint64_t)vmclear((uint64_t)real_guest.vmcs), 0);
    check("VMCLEAR", (uint64_t)vmclear((uint64_t)long_guest.vmcs), 0);
    check("VMCLEAR", (uint64_t)vmclear((uint64_t)nmi_guest.vmcs), 0);
    report("VMXOFF", vmxoff(), 0);
    check_undefined("after VMXOFF");
    return transcript_end("turnstile");
}
