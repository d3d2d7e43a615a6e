/* SPDX-License-Identifier: MIT */
/* An IDT is loaded; its gates name the loader's code selector, and no GDT is there. */
#include "scenarios/guests/bad/program.h"
    movl $handler, %eax
    movw %ax, gate
    shrl $16, %eax
    movw %ax, gate + 6
    lidt idt_pointer
    ud2
handler:
    hlt
    .balign 8
idt:
    .fill 6, 8, 0
gate:
    .word 0, 8, 0x8e00, 0                   /* vector 6 */
    .fill 25, 8, 0
idt_pointer:
    .word 32 * 8 - 1
    .long idt
