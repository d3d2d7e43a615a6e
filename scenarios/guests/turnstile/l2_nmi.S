/* SPDX-License-Identifier: MIT */
#include "scenarios/guests/lib/exit_here.h"

/*
 * A 64-bit guest in the handler of an NMI that another one waits for, at GUEST_CODE. Its IRET finds no translation of the stack
 * at its first attempt. The other half of the conversation: nmi.c.
 */
#define A(label) (label - l2_nmi_start + 0x8000)

    .section .rodata
    .code64
    exit_here l2_nmi_start
    movq %rsp, %rbx
    pushq $0x10                             /* GUEST_SS */
    pushq %rbx
    pushfq
    pushq $8                                /* GUEST_CS */
    pushq $A(l2_nmi_returned)
    exit_here l2_nmi_blocked
    vmcall
    iretq
    exit_here l2_nmi_returned
    vmcall
    hlt

    exit_here l2_nmi_on_nmi
    popq %rax                               /* where the NMI found it */
    exit_here l2_nmi_taken
    vmcall
    pushq %rax
    iretq
    exit_here l2_nmi_end

    .section .note.GNU-stack, "", @progbits
