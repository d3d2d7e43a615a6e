/* SPDX-License-Identifier: MIT */
/*
 * int world_enter(struct hal_registers *registers, bool launch): VMLAUNCH or VMRESUME. Returns 0 at the next VM exit, -1
 * for VMfailInvalid, -2 for VMfailValid (enum hal_result).
 *
 * HOST_RSP is the processor's frame; the words above it say where to go on, those below are scratch:
 *   0(frame) registers   8(frame) RSP of the C code that entered
 */
#include "hv/x86/layout.h"

    /* Moves every register but RSP and RDI between the processor and the block at RDI. */
    .macro exchange instruction
    .set at, 0
    .irp register, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    .ifnc \register, rsp
    .ifnc \register, rdi
    \instruction \register, at
    .endif
    .endif
    .set at, at + 8
    .endr
    .endm
    .macro load register, at
    movq \at(%rdi), %\register
    .endm
    .macro store register, at
    movq %\register, \at(%rdi)
    .endm

    .text
    .globl world_enter, world_exit
world_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rdi, %gs:PROCESSOR_FRAME
    movq %rsp, %gs:PROCESSOR_FRAME + 8
    testb %sil, %sil                    /* ZF lives until the jump: MOV leaves the flags alone */
    exchange load
    movq 7*8(%rdi), %rdi
    jz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  movl $-2, %eax                      /* nothing ran */
    movl $-1, %ecx
    cmovcl %ecx, %eax
    jmp 3f

world_exit:                             /* HOST_RIP */
    pushq %rdi
    movq 8(%rsp), %rdi
    exchange store
    popq 7*8(%rdi)
    movq 8(%rsp), %rsp
    xorl %eax, %eax
3:  popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .section .note.GNU-stack, "", @progbits
