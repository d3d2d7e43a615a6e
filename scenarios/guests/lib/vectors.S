/* SPDX-License-Identifier: MIT */
/* One stub of 16 bytes for each vector; all end in interrupt() of idt.c. The stack's layout is its struct frame. */
    .text
    .balign 16
    .globl vector_stubs
vector_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    /* These push an error code of their own: SDM Vol. 3, Table 6-1. */
    .if (vector != 8) && (vector < 10 || vector > 14) && (vector != 17) && (vector != 21)
    pushq $0
    .endif
    pushq $vector
    jmp common
    .set vector, vector + 1
    .endr

    .balign 16
common:
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    cld
    movq %rsp, %rdi
    call interrupt                  /* RSP is aligned: the processor aligned it and pushed 5 words, we pushed 11 */
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    popq %r8
    popq %r9
    popq %r10
    popq %r11
    addq $16, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
