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
    cld
    movl %eax, %ebp
    movl $PHYSICAL(boot_pml4), %eax
    long_mode
    lgdt PHYSICAL(boot_gdt_pointer)
    ljmp $SELECTOR_CODE, $PHYSICAL(3f)
    .code64
3:  movq $processors + PROCESSOR_STACK_TOP, %rsp
    movl %ebp, %edi
    movl %ebx, %esi
    movq $image_main, %rax
    call *%rax

    /* Copied to the page TRAMPOLINE, at whose end trampoline_write() puts CR3 and the address of the GDT. */
#define HERE(symbol) ((symbol) - trampoline)
    .code16
    .globl trampoline, trampoline_end, protected_mode
trampoline:
    movw %cs, %ax
    movw %ax, %ds
    lock incl TRAMPOLINE_COUNT
1:  pause
    movl TRAMPOLINE_CR3, %eax
    testl %eax, %eax
    jz 1b
    lgdtl TRAMPOLINE_GDT
    long_mode
    ljmpl $SELECTOR_CODE, $TRAMPOLINE + HERE(1f)
    .code64
    /* EDI: the processor's number; the first one counted as 0. */
1:  movl $1, %edi
    lock xaddl %edi, processor_count
    cmpl processor_blocks, %edi
    jae 2f
    imulq $PROCESSOR_SIZE, %rdi, %rax
    leaq processors + PROCESSOR_STACK_TOP(%rax), %rsp
    movq $image_other, %rax
    call *%rax
2:  hlt
    jmp 2b

    /* To flat 32-bit protected mode without paging, as a boot loader leaves it, from where the image is one to one. ESI: entry, ECX:
     * IA32_EFER, EDX: 0. */
protected_mode:
    pushq $SELECTOR_CODE_32
    leaq 1f(%rip), %rax
    pushq %rax
    lretq
    .code32
1:  movl $0x11, %eax                        /* ET, PE */
    movl %eax, %cr0
    xorl %eax, %eax
    movl %eax, %cr4
    wrmsr
    movl $0x2badb002, %eax
    jmp *%esi
trampoline_end:

    /* Page directories for 4 GB one to one. What points to them is in image.ld. */
    .data
    .globl boot_directories
    .balign 4096
boot_directories:
    .set at, 0x83                           /* present, writable, 2 MB */
    .rept 4 * 512
    .quad at
    .set at, at + 0x200000
    .endr
