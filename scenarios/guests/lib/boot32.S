/* SPDX-License-Identifier: MIT */
/*
 * From a multiboot loader to main() in 32-bit protected mode: flat segments, a TSS, and paging by paging32.c, which is
 * given the boot information.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define STACK_SIZE 16384

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_MAGIC, 0, -MULTIBOOT_MAGIC

    .text
    .globl start
start:
    cli
    cld
    movl $stack_top, %esp
    movl $tss, %eax                         /* TSS descriptor: base 31:0 */
    movw %ax, gdt_tss + 2
    shrl $16, %eax
    movb %al, gdt_tss + 4
    movb %ah, gdt_tss + 7
    lgdt gdt_pointer
    ljmp $8, $1f
1:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl $24, %eax
    ltr %ax
    xorl %ebp, %ebp
    pushl %ebx
    call paging_start
    call main
    pushl %eax
    call quit

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff                /*  8: code */
    .quad 0x00cf93000000ffff                /* 16: data */
gdt_tss:
    .quad 0x0000890000000067                /* 24: available 32-bit TSS, 104 bytes */
    .quad 0
    .quad 0x000082000000ffff                /* 40: LDT */
    .quad 0
    .quad 0x00cf9b000000ffff                /* 56: as 8 */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .bss
    .balign 16
tss:
    .skip 104
    .balign 16
stack:
    .skip STACK_SIZE
stack_top:

    .section .note.GNU-stack, "", @progbits
