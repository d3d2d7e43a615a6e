/* SPDX-License-Identifier: MIT */
/*
 * The firmware of a machine whose memory holds what memory_image.c wrote: 64 KB at 0xf0000. From the reset vector to the
 * machine state of the Multiboot Specification (0.6.96, 3.2), if the image has the sum that it should have.
 *
 * Bochs 2.7 reads an image file in one go into host memory, which it gives to the guest in blocks of 128 KB in the order of
 * their first use. So the image must be read upwards before anything else is touched; the sum does that, and proves it.
 */
#define START 0x8f000               /* memory_image.c's file "start": entry, information, words, sum */
#define IMAGE 0x100000
#define UART 0x3f8
#define UART_EMPTY 0x20
#define MULTIBOOT_LOADER_MAGIC 0x2badb002
#define ROM_SIZE 0x10000

    .code16
    .text
begin:
    cli
    cld
    inb $0x92, %al                  /* the A20 gate */
    orb $2, %al
    outb %al, $0x92
    lgdtl %cs:(gdt_pointer - begin)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $8, $(0xf0000 + protected - begin)

    .code32
protected:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl $IMAGE, %esi
    movl START + 8, %ecx
    xorl %edx, %edx
1:  lodsl
    addl %eax, %edx
    decl %ecx
    jnz 1b
    cmpl %edx, START + 12
    jne damaged
    movl $MULTIBOOT_LOADER_MAGIC, %eax
    movl START + 4, %ebx
    jmpl *START

damaged:
    movw $(UART + 3), %dx
    movb $3, %al                    /* words of 8 bits */
    outb %al, %dx
    movl $(0xf0000 + damaged_text - begin), %esi
1:  movw $(UART + 5), %dx
    inb %dx, %al
    testb $UART_EMPTY, %al
    jz 1b
    lodsb
    testb %al, %al
    jz 2f
    movw $UART, %dx
    outb %al, %dx
    jmp 1b
2:  hlt
    jmp 2b
damaged_text:
    .asciz "firmware: the image did not arrive in memory as it was written\r\n"

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff        /*  8: flat code */
    .quad 0x00cf93000000ffff        /* 16: flat data */
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long 0xf0000 + gdt - begin

    .code16
    .org ROM_SIZE - 16              /* the reset vector: SDM Vol. 3, 10.1.4 "First Instruction Executed" */
    ljmp $0xf000, $(begin - begin)
    .org ROM_SIZE

    .section .note.GNU-stack, "", @progbits
