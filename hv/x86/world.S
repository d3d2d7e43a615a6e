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
    .irp register, rbx, rbp, r12, r13, r14, r15
    pushq %\register
    .endr
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
3:  .irp register, r15, r14, r13, r12, rbp, rbx
    popq %\register
    .endr
    ret

/*
 * Late load. late_entry is called by the guest, in 64-bit mode, at the physical address of the image's copy in the pool, which
 * the guest maps one to one, as L0 does. It goes on in late_main() with the guest's registers in late_guest, CR3 behind them.
 */
    .globl late_entry, late_leave
late_entry:
    pushfq
    cli
1:  lock btsl $0, late_lock(%rip)
    jc 1b
    popq late_guest + 17*8(%rip)
    movq %rdi, late_guest + 7*8(%rip)
    leaq late_guest(%rip), %rdi
    exchange store
    movq %rsp, 4*8(%rdi)
    movq %cr3, %rax
    movq %rax, 16*8(%rdi)
    movq late_cr3(%rip), %rax
    movq %rax, %cr3
    movq late_stack(%rip), %rsp
    movq $late_main, %rax
    call *%rax

    /* RDI: registers, and RIP, CS, RFLAGS, RSP, SS behind them; RSI: CR3. At the physical address, too. */
late_leave:
    movq %rsi, %cr3
    leaq 16*8(%rdi), %rsp
    exchange load
    movq 7*8(%rdi), %rdi
    iretq
