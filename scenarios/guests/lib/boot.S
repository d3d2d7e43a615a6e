/* SPDX-License-Identifier: MIT */
/*
 * From a multiboot loader to main(): enters with flat 32-bit protected mode (Multiboot 0.6.96, 3.2), maps 0 to 4 GB one
 * to one with 2 MB pages, and goes on in 64-bit mode (SDM Vol. 3, 10.8.5). If the command line has the word "la57", with
 * 5-level paging.
 */
#define MULTIBOOT_MAGIC 0x1badb002
#define STACK_SIZE 16384

    .section .multiboot, "a"
    .balign 4
    .long MULTIBOOT_MAGIC, 0, -MULTIBOOT_MAGIC

    .text
    .code32
    .globl start
start:
    cli
    cld
    movl $stack_top, %esp

    /* PML4[0] -> PDPT; PDPT[0..3] -> four page directories; 2,048 large pages. */
    movl $(pdpt + 3), pml4
    movl $(page_directories + 3), %eax
    movl $pdpt, %edi
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    cmpl $(pdpt + 4 * 8), %edi
    jne 1b
    movl $0x83, %eax                        /* present, writable, 2 MB page */
    movl $page_directories, %edi
2:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    cmpl $(page_directories + 4 * 4096), %edi
    jne 2b

    movl $0x20, %edx                        /* CR4.PAE */
    movl $pml4, %edi
    testb $4, (%ebx)                        /* is there a command line? */
    jz 5f
    movl 16(%ebx), %esi
3:  cmpl $0x3735616c, (%esi)                /* "la57" */
    je 4f
    cmpb $0, (%esi)
    je 5f
    incl %esi
    jmp 3b
4:  movl $(pml4 + 3), pml5
    orl $0x1000, %edx                       /* CR4.LA57 */
    movl $pml5, %edi
5:  movl %cr4, %eax
    orl %edx, %eax
    movl %eax, %cr4
    movl %edi, %cr3
    movl $0xc0000080, %ecx                  /* IA32_EFER.LME */
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80010031, %eax                  /* PG, WP, NE, ET, PE */
    movl %eax, %cr0

    movl $tss, %eax                         /* TSS descriptor: base 31:0; the image lies below 4 GB */
    movw %ax, gdt_tss + 2
    shrl $16, %eax
    movb %al, gdt_tss + 4
    movb %ah, gdt_tss + 7
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movl $24, %eax
    ltr %ax
    movl $stack_top, %esp
    xorl %ebp, %ebp
    movl %ebx, %edi                         /* untouched since the loader */
    call main
    movl %eax, %edi
    call quit

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff                /*  8: 64-bit code */
    .quad 0x00cf93000000ffff                /* 16: data */
gdt_tss:
    .quad 0x0000890000000067                /* 24: available 64-bit TSS, 104 bytes */
    .quad 0
    .quad 0x000082000000ffff, 0             /* 40: LDT */
    .quad 0x00af9b000000ffff                /* 56: as 8 */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

    .bss
    .balign 4096
pml5:
    .skip 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
page_directories:
    .skip 4 * 4096
tss:
    .skip 104
    .balign 16
stack:
    .skip STACK_SIZE
stack_top:

    .section .note.GNU-stack, "", @progbits
