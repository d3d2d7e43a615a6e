/* SPDX-License-Identifier: MIT */
#include "scenarios/guests/lib/exit_here.h"

/*
 * The 32-bit guest of wicket, at GUEST_CODE; its conversation partner is legacy.c. It is started with ESI: bits of CR4 that
 * its page tables need, EDI and EBX: the roots of two address spaces, EDX: where to find the PDPTE of WINDOW in the second
 * one, or 0 without PAE.
 */
#define A(label) (label - l2_legacy_start + 0x8000)
#define WINDOW 0x40000000
#define NOT_PRESENT 0x50000000

    .section .rodata
    .code32
    exit_here l2_legacy_start
    movl %cr0, %eax
    testl %eax, %eax
    js paging
    movl %cr4, %eax                         /* "unrestricted guest": paging is this program's own business */
    orl %esi, %eax
    movl %eax, %cr4
    movl %edi, %cr3
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    jmp paging
paging:
    movl WINDOW, %eax
    exit_here l2_legacy_first
    vmcall
    movl %ebx, %cr3
    movl WINDOW, %eax
    exit_here l2_legacy_second
    vmcall

    movl $0x4000ca11, %eax
    exit_here l2_legacy_cpuid
    cpuid
    movl %eax, NOT_PRESENT                  /* #PF, handled here */
after_page_fault:

    /* PDPTEs are registers: what memory says counts when CR3 is loaded (SDM Vol. 3, 4.4.1). */
    testl %edx, %edx
    jz halt
    movl $0, (%edx)
    movl WINDOW, %eax
    exit_here l2_legacy_still_there
    vmcall
    movl %cr3, %eax
    movl %eax, %cr3
    movl $A(after_reload), %ebp
    movl WINDOW, %eax                       /* #PF again */
after_reload:
halt:
    exit_here l2_legacy_halt
    hlt

    exit_here l2_legacy_on_page_fault
    popl %ecx                               /* error code */
    movl %cr2, %eax
    exit_here l2_legacy_page_fault
    vmcall
    movl %ebp, (%esp)                       /* where to go on */
    iretl
    exit_here l2_legacy_after_page_fault_at
    .long A(after_page_fault)
    exit_here l2_legacy_end

    .section .note.GNU-stack, "", @progbits
