/* SPDX-License-Identifier: MIT */
/*
 * L0's exceptions. Each vector's stub is 16 bytes; all end in exception() of fault.c with the stack as its struct frame.
 * An NMI and a machine check belong to the guest. Their stubs return without IRET: NMIs stay blocked until the VM entry unblocks them, and a second one
 * waits in the processor (SDM Vol. 3, 6.7.1, 27.3.1.5).
 */
    .text
    .globl vector_stubs
    .balign 16
vector_stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if (vector != 8) && (vector < 10 || vector > 14) && (vector != 17) && (vector != 21)
    pushq $0                            /* where the processor pushes no error code */
    .endif
    pushq $vector
    jmp common
    .set vector, vector + 1
    .endr

    .balign 16
common:
    .irp register, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    pushq %\register
    .endr
    movq %rsp, %rdi
    call exception
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    popq %\register
    .endr
    cmpl $2, (%rsp)
    je 1f
    cmpl $18, (%rsp)
    je 1f
    addq $16, %rsp
    iretq
1:  pushq 32(%rsp)                      /* RFLAGS */
    popfq
    movq 40(%rsp), %rsp                 /* exception() has pushed RIP on the interrupted stack */
    ret
