/* SPDX-License-Identifier: MIT */
/* The guests of relay: count in memory, look at a page that their hypervisor exchanges, and tell both. */
    .section .rodata
    .code64
    .globl l2_count_start, l2_count_end
l2_count_start:
    incq 0x6000
    movq 0x6000, %rbx
    movq 0x9000, %rsi
    cpuid
    jmp l2_count_start
l2_count_end:

    .section .note.GNU-stack, "", @progbits
