/* SPDX-License-Identifier: MIT */
/* For world.S and passage.S. */
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
