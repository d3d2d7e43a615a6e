/* SPDX-License-Identifier: MIT */
/* Start of a 32-bit multiboot program: the header, then `start`. The stack is below the image. */
    .section .multiboot, "a"
    .balign 4
    .long 0x1badb002, 0, -0x1badb002
    .text
    .globl start
start:
    cli
    movl $0x80000, %esp
    .section .note.GNU-stack, "", @progbits
    .text
