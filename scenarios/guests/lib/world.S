/* SPDX-License-Identifier: MIT */
/*
 * int world_enter(uint64_t gpr[16], bool launch): VMLAUNCH or VMRESUME with these registers, in arch/x86.h's order.
 * 0: a VM exit, gpr holds the guest's registers. -1: VMfailInvalid, -2: VMfailValid.
 */
#define VMCS_HOST_RSP 0x6c14

    .text
    .globl world_enter
world_enter:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movl $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
    testb %sil, %sil                    /* ZF lives until the jump: MOV leaves the flags alone */
    movq 0*8(%rdi), %rax
    movq 1*8(%rdi), %rcx
    movq 2*8(%rdi), %rdx
    movq 3*8(%rdi), %rbx
    movq 5*8(%rdi), %rbp
    movq 6*8(%rdi), %rsi
    movq 8*8(%rdi), %r8
    movq 9*8(%rdi), %r9
    movq 10*8(%rdi), %r10
    movq 11*8(%rdi), %r11
    movq 12*8(%rdi), %r12
    movq 13*8(%rdi), %r13
    movq 14*8(%rdi), %r14
    movq 15*8(%rdi), %r15
    movq 7*8(%rdi), %rdi
    jz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  movl $-2, %eax                      /* nothing ran */
    movl $-1, %ecx
    cmovcl %ecx, %eax
    popq %rdi
    jmp 3f

    .globl world_exit
world_exit:                             /* HOST_RIP */
    pushq %rdi
    movq 8(%rsp), %rdi
    movq %rax, 0*8(%rdi)
    movq %rcx, 1*8(%rdi)
    movq %rdx, 2*8(%rdi)
    movq %rbx, 3*8(%rdi)
    movq %rbp, 5*8(%rdi)
    movq %rsi, 6*8(%rdi)
    popq 7*8(%rdi)
    movq %r8, 8*8(%rdi)
    movq %r9, 9*8(%rdi)
    movq %r10, 10*8(%rdi)
    movq %r11, 11*8(%rdi)
    movq %r12, 12*8(%rdi)
    movq %r13, 13*8(%rdi)
    movq %r14, 14*8(%rdi)
    movq %r15, 15*8(%rdi)
    popq %rdi
    xorl %eax, %eax
3:  popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

    .section .note.GNU-stack, "", @progbits
