/* SPDX-License-Identifier: MIT */
/* The transcript: see transcript.h. */
#include "scenarios/guests/turnstile/transcript.h"

#include <stddef.h>

#include "scenarios/guests/lib/console.h"

/* Bits 8:0 of an EPT violation's qualification are the same everywhere; above them lie optional reports (28.2.1). */
#define EPT_VIOLATION_ALWAYS 0x1ffull

static unsigned exits, mismatches;

static const char *reason_name(uint32_t reason)
{
    switch (reason & 0xffff) {
#define EXIT_REASON(name, number, text) case number: return #name;
#include "arch/exit_reasons.def"
    default: return "unknown";
    }
}

void check(const char *what, uint64_t value, uint64_t wanted)
{
    if (value == wanted)
        return;
    mismatches++;
    print("MISMATCH %s: %lx, expected %lx\n", what, value, wanted);
}

static void print_result(vmx_result result)
{
    if (result > 0)
        print("VM-instruction error %u", (unsigned)result);
    else
        print("%s", result ? "VMfailInvalid" : "VMsucceed");
}

void report(const char *what, vmx_result result, vmx_result wanted)
{
    print("%s: ", what);
    print_result(result);
    print("\n");
    check(what, (uint64_t)result, (uint64_t)wanted);
}

/* Reads the qualification of the latest exit, cut to what is comparable. */
static uint64_t comparable_qualification(uint32_t reason)
{
    uint64_t qualification = vmread(VMCS_exit_qualification);
    return reason == EXIT_REASON_ept_violation ? qualification & EPT_VIOLATION_ALWAYS : qualification;
}

void report_entry_failure(const char *what, uint32_t reason, uint64_t qualification)
{
    uint32_t got = (uint32_t)vmread(VMCS_exit_reason);

    exits++;
    print("%s: exit %s qualification=%lx\n", what, reason_name(got), vmread(VMCS_exit_qualification));
    check("exit reason", got, reason | EXIT_REASON_ENTRY_FAILURE);
    check("exit qualification", vmread(VMCS_exit_qualification), qualification);
}

void skip_instruction(void)
{
    vmwrite(VMCS_guest_rip, vmread(VMCS_guest_rip) + vmread(VMCS_exit_instruction_length));
}

/* Where the guest is, counted from its program's first byte. */
static uint64_t place(void)
{
    return vmread(VMCS_guest_cs_base) + vmread(VMCS_guest_rip) - GUEST_CODE;
}

static bool follow_step(struct guest *guest, const uint8_t *program, const struct step *step)
{
    uint64_t at = (uint64_t)(step->at - program), until = step->until ? (uint64_t)(step->until - program) : at + 1;
    unsigned before = mismatches;
    vmx_result result = guest_enter(guest);
    uint32_t reason;

    if (result) {
        report("VM entry", result, 0);
        return false;
    }
    exits++;
    reason = (uint32_t)vmread(VMCS_exit_reason);
    print("exit %s qualification=%lx ", reason_name(reason), comparable_qualification(reason));
    if (place() >= at && place() < until && step->until)
        print("rip=waiting\n");
    else
        print("rip=+%lx\n", place());
    check("exit reason", reason, step->reason);
    check("exit qualification", comparable_qualification(reason), step->qualification);
    if (place() < at || place() >= until)
        check("rip", place(), at);
    if (mismatches != before)
        return false;
    if (step->handle)
        step->handle(guest);
    else
        skip_instruction();
    return true;
}

bool follow(struct guest *guest, const uint8_t *program, const struct step *steps, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!follow_step(guest, program, &steps[i]))
            return false;
    }
    return true;
}

unsigned transcript_end(const char *program)
{
    if (mismatches)
        print("%s: %u exits, %u mismatches\n", program, exits, mismatches);
    else
        print("%s: %u exits, all as expected\n", program, exits);
    return mismatches != 0;
}
