/* SPDX-License-Identifier: MIT */
/*
 * From a multiboot loader (flat 32-bit protected mode, EAX magic, EBX information) and, for the other processors, from a
 * SIPI (real mode) into 64-bit mode and C. SDM Vol. 3, 10.8.5.
 */
#include "hv/x86/layout.h"
#define PHYSICAL(symbol) ((symbol) - IMAGE_VIRTUAL)

    /* EAX: CR3. Clobbers EAX, ECX, EDX. */
    .macro long_mode
    movl %eax, %cr3
    movl $START_CR4, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    xorl %edx, %edx
    movl $START_EFER, %eax
    wrmsr
    movl $START_CR0, %eax
    movl %eax, %cr0
    .endm

    .text
    .code32
    .globl start
start:
    cli
    cld
    movl %eax, %ebp
    /* 4 GB one to one; the image's addresses are the first of them. */
    movl $PHYSICAL(boot_pdpt) + 3, %eax
    movl %eax, PHYSICAL(boot_pml4)
    movl %eax, PHYSICAL(boot_pml4) + 511 * 8
    movl $PHYSICAL(boot_directories) + 3, %eax
    movl %eax, PHYSICAL(boot_pdpt) + 510 * 8
    xorl %ecx, %ecx
1:  movl %eax, PHYSICAL(boot_pdpt)(,%ecx,8)
    addl $0x1000, %eax
    incl %ecx
    cmpl $4, %ecx
    jb 1b
    movl $0x83, %eax                        /* present, writable, 2 MB */
    xorl %ecx, %ecx
2:  movl %eax, PHYSICAL(boot_directories)(,%ecx,8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $4 * 512, %ecx
    jb 2b
    movl $PHYSICAL(boot_pml4), %eax
    long_mode
    lgdt PHYSICAL(boot_gdt_pointer)
    ljmp $SELECTOR_CODE, $PHYSICAL(3f)
    .code64
3:  movq $4f, %rax
    jmp *%rax
4:  movq $processors + PROCESSOR_STACK_TOP, %rsp
    movl %ebp, %edi
    movl %ebx, %esi
    call image_main

    /* Copied to the page TRAMPOLINE; CR3 is filled in there. */
#define HERE(symbol) ((symbol) - trampoline)
    .code16
    .globl trampoline, trampoline_cr3, trampoline_end
trampoline:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl HERE(trampoline_gdt_pointer)
    movl HERE(trampoline_cr3), %eax
    long_mode
    ljmpl $SELECTOR_CODE, $TRAMPOLINE + HERE(1f)
    .code64
1:  movq $2f, %rax
    jmp *%rax
    .balign 8
trampoline_cr3:
    .long 0
trampoline_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long TRAMPOLINE + HERE(boot_gdt)
    .balign 8
boot_gdt:
    .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff  /* null, unused, 64-bit code, data */
boot_gdt_end:
trampoline_end:

    /* EDI: the processor's number; the first one counted as 0. */
2:  movl $1, %edi
    lock xaddl %edi, processor_count(%rip)
    cmpl $PROCESSORS, %edi
    jae 3f
    imulq $PROCESSOR_SIZE, %rdi, %rax
    leaq processors + PROCESSOR_STACK_TOP(%rax), %rsp
    call image_other
3:  hlt
    jmp 3b

    .section .rodata
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long PHYSICAL(boot_gdt)

    .bss
    .balign 4096
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_directories:
    .skip 4 * 4096

    .section .note.GNU-stack, "", @progbits
