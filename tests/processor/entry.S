/* SPDX-License-Identifier: MIT */
/* Into a program and, by whatever exception ends it, out again. Everything here lies below 4 GB. */
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
    movl $48, %eax                          /* its accessed and busy flags are fresh: see environment.c */
    lgdt START_GDTR(%rsi)
    lidt START_IDTR(%rsi)
    movl START_TR(%rsi), %eax
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
    pushq START_FRAME + 32(%rsi)
    pushq START_FRAME + 24(%rsi)
    pushq START_FRAME + 16(%rsi)
    pushq START_FRAME + 8(%rsi)
    pushq START_FRAME(%rsi)
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
    movq %rax, record + 16
    movq %rcx, record + 24
    movq %rdx, record + 32
    movq %rbx, record + 40
    movq %rsp, record + 48
    movq %rbp, record + 56
    movq %rsi, record + 64
    movq %rdi, record + 72
    movq %r8, record + 80
    movq %r9, record + 88
    movq %r10, record + 96
    movq %r11, record + 104
    movq %r12, record + 112
    movq %r13, record + 120
    movq %r14, record + 128
    movq %r15, record + 136
    popq record
    popq record + 8
    movq $record + 144, %rdi
    movl $5, %ecx
1:  popq (%rdi)                             /* RIP, CS, RFLAGS, RSP, SS */
    addq $8, %rdi
    loop 1b
    xorl %eax, %eax
    movl %ds, %eax
    movq %rax, record + 184
    movl %es, %eax
    movq %rax, record + 192
    movl %fs, %eax
    movq %rax, record + 200
    movl %gs, %eax
    movq %rax, record + 208
    movl %ss, %eax
    movq %rax, record + 216
    sldt %eax
    movq %rax, record + 224
    str %eax
    movq %rax, record + 232
    movl $0xc0000100, %ecx                  /* IA32_FS_BASE, IA32_GS_BASE */
    rdmsr
    movl %eax, record + 240
    movl %edx, record + 244
    incl %ecx
    rdmsr
    movl %eax, record + 248
    movl %edx, record + 252
    movq %cr2, %rax
    movq %rax, record + 256
    movq %dr6, %rax
    movq %rax, record + 264
    cld
    lgdt harness_gdtr
    movl $16, %eax
    movl %eax, %ss
    movl %eax, %ds
    movl %eax, %es
    movq harness_rsp, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    .bss
    .balign 8
    .globl record, harness_gdtr
record:
    .skip RECORD_SIZE
harness_rsp:
    .skip 8
harness_gdtr:
    .skip 10

    .section .note.GNU-stack, "", @progbits
