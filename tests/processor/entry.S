/* SPDX-License-Identifier: MIT */
/* Into a step of a program in IA-32e mode and, by whatever exception ends it, out again. Everything here lies below 4 GB. */
#include "tests/processor/layout.h"

    .code64
    .text

/* void enter(const struct start *start): returns when an exception has been recorded. */
    .globl enter
enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, harness_rsp
    movq %rdi, %rsi
    lgdt START_GDTR(%rsi)
    lidt START_IDTR(%rsi)
    movl START_TR(%rsi), %eax               /* available: environment_again() */
    ltr %ax
    movl START_LDTR(%rsi), %eax
    lldt %ax
    movl START_SEGMENTS(%rsi), %eax
    movl %eax, %ds
    movl START_SEGMENTS + 4(%rsi), %eax
    movl %eax, %es
    movl START_SEGMENTS + 8(%rsi), %eax
    movl %eax, %fs
    movl START_SEGMENTS + 12(%rsi), %eax
    movl %eax, %gs
    movq START_CR0(%rsi), %rax
    movq %rax, %cr0
    movq START_CR4(%rsi), %rax
    movq %rax, %cr4
    movq START_DR(%rsi), %rax
    movq %rax, %dr0
    movq START_DR + 8(%rsi), %rax
    movq %rax, %dr1
    movq START_DR + 16(%rsi), %rax
    movq %rax, %dr2
    movq START_DR + 24(%rsi), %rax
    movq %rax, %dr3
    pushq START_FRAME + 32(%rsi)
    pushq START_FRAME + 24(%rsi)
    pushq START_FRAME + 16(%rsi)
    pushq START_FRAME + 8(%rsi)
    pushq START_FRAME(%rsi)
    movq START_DR7(%rsi), %rax
    movq %rax, %dr7
    movq START_GPRS(%rsi), %rax
    movq START_GPRS + 8(%rsi), %rcx
    movq START_GPRS + 16(%rsi), %rdx
    movq START_GPRS + 24(%rsi), %rbx
    movq START_GPRS + 40(%rsi), %rbp
    movq START_GPRS + 56(%rsi), %rdi
    movq START_GPRS + 48(%rsi), %rsi
    xorl %r8d, %r8d
    movl $9, %r9d
    movl $10, %r10d
    movl $11, %r11d
    movl $12, %r12d
    movl $13, %r13d
    movl $14, %r14d
    movl $15, %r15d
    iretq

/* One stub a vector: error code (or 0), vector. */
    .balign 16
    .globl stubs
stubs:
    .set vector, 0
    .rept 32
    .balign 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17)
    .else
    pushq $0
    .endif
    pushq $vector
    jmp ended
    .set vector, vector + 1
    .endr

ended:
    movq %rax, record + RECORD_GPRS
    movq %rcx, record + RECORD_GPRS + 8
    movq %rdx, record + RECORD_GPRS + 16
    movq %rbx, record + RECORD_GPRS + 24
    movq %rsp, record + RECORD_GPRS + 32
    movq %rbp, record + RECORD_GPRS + 40
    movq %rsi, record + RECORD_GPRS + 48
    movq %rdi, record + RECORD_GPRS + 56
    movq %r8, record + RECORD_GPRS + 64
    movq %r9, record + RECORD_GPRS + 72
    movq %r10, record + RECORD_GPRS + 80
    movq %r11, record + RECORD_GPRS + 88
    movq %r12, record + RECORD_GPRS + 96
    movq %r13, record + RECORD_GPRS + 104
    movq %r14, record + RECORD_GPRS + 112
    movq %r15, record + RECORD_GPRS + 120
    movq %dr6, %rax
    movq %rax, record + RECORD_DR6
    movq %dr7, %rax
    movq %rax, record + RECORD_DR7
    xorl %eax, %eax
    movq %rax, %dr7
    popq record + RECORD_VECTOR
    popq record + RECORD_ERROR
    movq $record + RECORD_FRAME, %rdi
    movl $5, %ecx
1:  popq (%rdi)                             /* RIP, CS, RFLAGS, RSP, SS */
    addq $8, %rdi
    decl %ecx
    jnz 1b
    movl %ds, %eax
    movq %rax, record + RECORD_SEGMENTS
    movl %es, %eax
    movq %rax, record + RECORD_SEGMENTS + 8
    movl %fs, %eax
    movq %rax, record + RECORD_SEGMENTS + 16
    movl %gs, %eax
    movq %rax, record + RECORD_SEGMENTS + 24
    movl %ss, %eax
    movq %rax, record + RECORD_SEGMENTS + 32
    xorl %eax, %eax
    sldt %ax
    movq %rax, record + RECORD_LDTR
    str %ax
    movq %rax, record + RECORD_TR
    movl $0xc0000100, %ecx                  /* IA32_FS_BASE, IA32_GS_BASE */
    rdmsr
    movl %eax, record + RECORD_FS_BASE
    movl %edx, record + RECORD_FS_BASE + 4
    incl %ecx
    rdmsr
    movl %eax, record + RECORD_GS_BASE
    movl %edx, record + RECORD_GS_BASE + 4
    movq %cr2, %rax
    movq %rax, record + RECORD_CR2
    movq %cr0, %rax
    movq %rax, record + RECORD_CR0
    movq %cr3, %rax
    movq %rax, record + RECORD_CR3
    movq %cr4, %rax
    movq %rax, record + RECORD_CR4

    .globl ended_64bit                      /* from here on the same for legacy.S */
ended_64bit:
    lgdt harness_gdtr
    movl $SELECTOR_DATA, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movq harness_rsp, %rsp
    pushq $2
    popfq
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 8
    .globl record, harness_gdtr, harness_rsp
record:
    .skip RECORD_SIZE
harness_rsp:
    .skip 8
harness_gdtr:
    .skip 10

    .section .note.GNU-stack, "", @progbits
