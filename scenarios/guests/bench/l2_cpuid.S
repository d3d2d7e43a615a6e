/* SPDX-License-Identifier: MIT */
/* The guest of roundtrip. */
    .section .rodata
    .code64
    .globl l2_cpuid_start, l2_cpuid_end
l2_cpuid_start:
    cpuid
    jmp l2_cpuid_start
l2_cpuid_end:

    .section .note.GNU-stack, "", @progbits
