/* SPDX-License-Identifier: MIT */
#include "scenarios/guests/lib/exit_here.h"

/*
 * The real-mode guest of turnstile, at 0800:0000. O(x) is the offset of a label in its segment, A(x) its linear
 * address. Its conversation partner is real.c.
 */
#define O(label) (label - l2_real_start)
#define A(label) (label - l2_real_start + 0x8000)
#define COUNTER 0x6000
#define VECTOR 0x21

    .section .rodata
    .code16
    exit_here l2_real_start
    movw $O(text), %si
1:  movb %cs:(%si), %al
    testb %al, %al
    jz 2f
    exit_here l2_real_out
    outb %al, $0xe9
    incw %si
    jmp 1b

2:  xorl %eax, %eax
    exit_here l2_real_cpuid
    cpuid
    movw %bx, %bp

    /* INT through the vector table at 0000:0000, which this code writes itself. */
    xorw %ax, %ax
    movw %ax, %ds
    movw $O(handler), VECTOR * 4
    movw %cs, VECTOR * 4 + 2
    int $VECTOR
    int $VECTOR
    movw COUNTER, %bx
    exit_here l2_real_counted
    vmcall

    /* REP OUTS is one exit here: L1 takes the string from memory. */
    movw $0x800, %ax
    movw %ax, %ds
    movw $O(text), %si
    movw $6, %cx
    movw $0xe9, %dx
    cld
    exit_here l2_real_outs
    rep outsb

    /* To 32-bit protected mode without paging: "unrestricted guest" asks no exit for it. */
    lgdtl %cs:O(gdt_pointer)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $8, $A(protected)
    .code32
protected:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %ss
    movl $0x7ff0, %esp
    pushl $0x5e591
    popl %ebx
    exit_here l2_real_protected
    vmcall
    exit_here l2_real_halt
    hlt

    .code16
handler:
    incw COUNTER
    iretw

text:
    .asciz "sesqui"
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
gdt_pointer:
    .word 23
    .long A(gdt)
    exit_here l2_real_end

    .section .note.GNU-stack, "", @progbits
