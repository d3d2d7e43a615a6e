/* SPDX-License-Identifier: MIT */
/*
 * What turnstile prints and how it knows that all is well. A guest is run by a script: one step for each exit it must
 * take. Only what is the same on every correct machine is printed: no addresses of ours, no clocks, no capabilities.
 */
#ifndef SESQUI_TURNSTILE_TRANSCRIPT_H
#define SESQUI_TURNSTILE_TRANSCRIPT_H

#include "scenarios/guests/lib/guest.h"

struct step {
    uint32_t reason;
    uint64_t qualification;
    const uint8_t *at;                      /* the place in the guest's program */
    const uint8_t *until;                   /* if set, the place is somewhere in [at, until): an interrupt's moment */
    void (*handle)(struct guest *guest);    /* NULL: go on behind the instruction */
};

/* Enters the guest once for each step. False: it left the script, and the rest was not run. */
bool follow(struct guest *guest, const uint8_t *program, const struct step *steps, unsigned count);
/* Moves the guest's RIP behind the instruction that caused the exit. */
void skip_instruction(void);

/* Prints the result of a VMX instruction. */
void report(const char *what, vmx_result result, vmx_result wanted);
/* Prints an entry failure after VM entry began: SDM Vol. 3, 27.8. */
void report_entry_failure(const char *what, uint32_t reason, uint64_t qualification);
/* Silent unless `value` is not `wanted`. */
void check(const char *what, uint64_t value, uint64_t wanted);

/* The last line of `program`; its exit status. */
unsigned transcript_end(const char *program);

#endif
