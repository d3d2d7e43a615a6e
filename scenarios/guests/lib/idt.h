/* SPDX-License-Identifier: MIT */
/* The interrupt descriptor table of the program itself: counts interrupts, survives faults that were announced. */
#ifndef SESQUI_GUESTS_IDT_H
#define SESQUI_GUESTS_IDT_H

#include <stdint.h>

/* Fills and loads the IDT, masks both 8259s: only the local APIC interrupts from here on. */
void idt_load(void);

/* Interrupts taken so far, by vector (32 and up). */
extern volatile uint32_t interrupts_taken[256];

/*
 * Executes one instruction that may fault and stores the vector of its exception in `vector`, or -1:
 *     ATTEMPT("vmxoff", vector);
 */
#define ATTEMPT(instruction, vector) \
    do { \
        fault_vector = -1; \
        __asm__ volatile("movq $1f, fault_resume\n\t" instruction "\n1:\tmovq $0, fault_resume" : : : "memory", "cc"); \
        (vector) = fault_vector; \
    } while (0)
extern volatile uint64_t fault_resume;
extern volatile int fault_vector;

#endif
