/* SPDX-License-Identifier: MIT */
/*
 * The second processor, from its start-up IPI (real mode, at SECOND_START, where [second_start, second_end) was copied)
 * to second_main(): it takes over the first one's GDT and paging. SDM Vol. 3, 9.4.4.
 */
#define SECOND_START 0x8000
#define AT(label) (SECOND_START + (label) - second_start)
#define STACK_SIZE 16384
#define STACKS 128

    .text
    .code16
    .globl second_start, second_end, second_gdtr, second_cr3
second_start:
    cli
    cld
    xorl %eax, %eax
    movw %ax, %ds
    lgdtl AT(second_gdtr)
    movl $0x20, %eax                        /* CR4.PAE */
    movl %eax, %cr4
    movl AT(second_cr3), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx                  /* IA32_EFER.LME */
    movl $0x100, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80010031, %eax                  /* PG, WP, NE, ET, PE */
    movl %eax, %cr0
    ljmpl $8, $second64
second_gdtr:
    .word 0
    .long 0
second_cr3:
    .long 0
second_end:

    .code64
second64:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl $1, %eax
    lock xaddl %eax, started                /* each life has a stack of its own, as long as they last */
    andl $STACKS - 1, %eax
    imull $STACK_SIZE, %eax
    leal stack_top - (STACKS - 1) * STACK_SIZE(%rax), %esp
    xorl %ebp, %ebp
    call second_main
1:  hlt
    jmp 1b

    .bss
started:
    .skip 4
    .balign 16
    .skip STACKS * STACK_SIZE
stack_top:

    .section .note.GNU-stack, "", @progbits
