/* SPDX-License-Identifier: MIT */
#include "scenarios/guests/lib/exit_here.h"

/*
 * The 64-bit guest of turnstile. It runs at GUEST_CODE; A(x) is the address of a label there. Every label with a global
 * name is a place where it must exit: long.c holds the other half of the conversation.
 */
#define A(label) (label - l2_long_start + 0x8000)
#define COUNTER 0x6000
#define COUNTER_UD 0x6008
#define LAZY_PAGE 0x10000
#define MISCONFIGURED_PAGE 0x11000
#define NOT_PRESENT 0x200000

    .section .rodata
    .code64
    exit_here l2_long_start
    movl $0x4000ca11, %eax
    exit_here l2_long_cpuid
    cpuid
    addl %ebx, %eax
    addl %ecx, %eax
    addl %edx, %eax
    exit_here l2_long_out
    outl %eax, $0x99
    movl $0x1234, %edx
    xorl %eax, %eax
    exit_here l2_long_in
    inw %dx, %ax
    movl %eax, %ebx
    exit_here l2_long_hello
    vmcall

    /* IA32_SYSENTER_CS is intercepted, IA32_SYSENTER_ESP is not. */
    movl $0x174, %ecx
    exit_here l2_long_rdmsr
    rdmsr
    incl %eax
    exit_here l2_long_wrmsr
    wrmsr
    movl $0x175, %ecx
    movl $0x5e9, %eax
    xorl %edx, %edx
    wrmsr
    xorl %eax, %eax
    rdmsr
    exit_here l2_long_msr
    vmcall

    movq %cr4, %rax                     /* VMXE is 1, but reads as 0 */
    movq %rax, %rbx
    orl $0x2000, %eax
    exit_here l2_long_cr4
    movq %rax, %cr4
    movl $0x1000, %ecx
    exit_here l2_long_cr3
    movq %rcx, %cr3
    exit_here l2_long_invlpg
    invlpg NOT_PRESENT
    exit_here l2_long_rdtsc
    rdtsc
    movl $0x400, %eax
    exit_here l2_long_dr7
    movq %rax, %dr7

    /* One page, three rights, each granted when it is missed. */
    movl $LAZY_PAGE, %edi
    exit_here l2_long_ept_read
    movq (%rdi), %rbx
    exit_here l2_long_ept_write
    movb $0xc3, (%rdi)                  /* RET */
    call *%rdi
    movl $MISCONFIGURED_PAGE, %edi
    exit_here l2_long_misconfigured
    movl 8(%rdi), %ebp
    exit_here l2_long_mapped
    vmcall

    movl $NOT_PRESENT, %esi
    movb $1, (%rsi)                     /* #PF, handled here; goes on below */
after_page_fault:
    exit_here l2_long_page_fault
    vmcall
    exit_here l2_long_ud
    ud2                                 /* #UD, intercepted and injected; goes on below */
after_ud:
    movl COUNTER_UD, %ebx
    exit_here l2_long_ud_taken
    vmcall

    /* An interrupt: exit, acknowledged by L1, injected; the handler of this guest counts it. */
    sti
    exit_here l2_long_await
    vmcall
    exit_here l2_long_waiting
1:  pause
    cmpl $1, COUNTER
    jne 1b
    exit_here l2_long_waiting_end
    movl COUNTER, %ebx
    exit_here l2_long_interrupted
    vmcall

    /* One that L1 takes itself, after an exit that leaves it pending: it sets RAX to let us go. */
    xorl %eax, %eax
    exit_here l2_long_await_pending
    vmcall
    exit_here l2_long_pending
1:  pause
    testl %eax, %eax
    jz 1b
    exit_here l2_long_pending_end

    /* An interrupt window opens one instruction after STI. */
    cli
    exit_here l2_long_window
    vmcall
    sti
    nop
    exit_here l2_long_window_open
    nop
    movl COUNTER, %ebx
    exit_here l2_long_window_taken
    vmcall
    exit_here l2_long_halt
    hlt

    exit_here l2_long_on_page_fault
    popq %rbx                           /* error code */
    movq %cr2, %rax
    movq $A(after_page_fault), (%rsp)
    iretq
    exit_here l2_long_on_ud
    incl COUNTER_UD
    movq $A(after_ud), (%rsp)
    iretq
    exit_here l2_long_on_interrupt
    incl COUNTER
    iretq
    exit_here l2_long_end

    .section .note.GNU-stack, "", @progbits
