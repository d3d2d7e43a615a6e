/* SPDX-License-Identifier: MIT */
/* A step of a program of tests/processor as a guest: its VMCS, its EPT, and what is told of its exits. */
#ifndef SESQUI_TESTS_EXITS_H
#define SESQUI_TESTS_EXITS_H

#include "scenarios/guests/lib/vmx.h"
#include "tests/processor/program.h"

/* Enters VMX operation, makes the second stage. */
void guest_open(void);
/* Controls, bitmaps, masks, rights of the second stage: at random, for all steps of the program. */
void guest_controls(struct program *program);
/* Guest state of a step, in a VMCS that is clear. */
void guest_load(const struct program *program, const struct start *start);
/* VMLAUNCH or VMRESUME. 0: a VM exit; else an error of VM entry. */
vmx_result guest_run(uint64_t gpr[16], int launch);
/* An EPT violation: from now on the page at this address has all rights. */
void guest_grant(uint64_t address);

#endif
