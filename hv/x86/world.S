/* SPDX-License-Identifier: MIT */
/*
 * int world_enter(struct hal_registers *registers, bool launch): VMLAUNCH or VMRESUME. Returns 0 at the next VM exit, -1
 * for VMfailInvalid, -2 for VMfailValid, 1 if an NMI has come (enum hal_result).
 *
 * Between the look for an NMI and the instruction that enters, an NMI makes its handler (fault.c) go on at world_nmi: so none that comes
 * to L0 is overlooked, and one that comes when the guest runs is the guest's by itself.
 *
 * HOST_RSP is the processor's frame; the words above it say where to go on, those below are scratch:
 *   0(frame) registers   8(frame) RSP of the C code that entered
 */
#include "hv/x86/layout.h"
#include "hv/x86/exchange.h"

    .text
    .globl world_enter, world_exit, world_last_look, world_entered, world_nmi
world_enter:
    .irp register, rbx, rbp, r12, r13, r14, r15
    pushq %\register
    .endr
    movq %rdi, %gs:PROCESSOR_FRAME
    movq %rsp, %gs:PROCESSOR_FRAME + 8
world_last_look:
    cmpb $0, %gs:PROCESSOR_NMI
    jne world_nmi
    testb %sil, %sil                    /* ZF lives until the jump: MOV leaves the flags alone */
    exchange load
    movq 7*8(%rdi), %rdi
    jz 1f
    vmlaunch
    jmp 2f
1:  vmresume
world_entered:
2:  movl $-2, %eax                      /* nothing ran */
    movl $-1, %ecx
    cmovcl %ecx, %eax
    jmp 3f

world_nmi:
    movq %gs:PROCESSOR_FRAME + 8, %rsp
    movzbl %gs:PROCESSOR_NMI, %eax
    jmp 3f

world_exit:                             /* HOST_RIP */
    pushq %rdi
    movq 8(%rsp), %rdi
    exchange store
    popq 7*8(%rdi)
    movq 8(%rsp), %rsp
    xorl %eax, %eax
3:  .irp register, r15, r14, r13, r12, rbp, rbx
    popq %\register
    .endr
    ret
