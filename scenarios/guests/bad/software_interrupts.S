/* SPDX-License-Identifier: MIT */
/* A program that waits by INT n, as systems do whose threads yield by it: the handler returns behind the instruction, so that nothing is stuck. */
#include "scenarios/guests/bad/program.h"
    lgdt gdt_pointer
    ljmp $8, $1f
1:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl $handler, %eax
    movw %ax, gate
    shrl $16, %eax
    movw %ax, gate + 6
    lidt idt_pointer
    movl $0x80000, %esp
again:
    int $6
    jmp again
handler:
    iretl

    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word 23
    .long gdt
    .balign 8
idt:
    .fill 6, 8, 0
gate:
    .word 0, 8, 0x8e00, 0                   /* vector 6 */
idt_pointer:
    .word 55
    .long idt
