/* SPDX-License-Identifier: MIT */
/* The same as entry.S for legacy protected and virtual-8086 mode: out of IA-32e mode and back (SDM Vol. 3, 10.8.5). */
#include "tests/processor/layout.h"

#define EFER 0xc0000080
#define EFER_LME 0x100
#define FLAGS_VM 0x20000
#define HARNESS_CR0 0x80000033
#define HARNESS_CR4 0x20

    .code64
    .text

/* void enter_legacy(const struct start *start) */
    .globl enter_legacy
enter_legacy:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, harness_rsp
    movq %rdi, %rsi
    lgdt START_GDTR(%rsi)
    pushq $SELECTOR_CODE32
    pushq $1f
    lretq

    .code32
1:  movl %cr0, %eax
    andl $0x7fffffff, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    rdmsr
    andl $~EFER_LME, %eax
    wrmsr
    movl START_CR4(%esi), %eax
    movl %eax, %cr4
    movl START_CR3(%esi), %eax
    movl %eax, %cr3
    movl START_CR0(%esi), %eax
    movl %eax, %cr0
    lidt START_IDTR(%esi)
    movl START_TR(%esi), %eax
    ltr %ax
    movl START_LDTR(%esi), %eax
    lldt %ax
    movl START_DR(%esi), %eax
    movl %eax, %dr0
    movl START_DR + 8(%esi), %eax
    movl %eax, %dr1
    movl START_DR + 16(%esi), %eax
    movl %eax, %dr2
    movl START_DR + 24(%esi), %eax
    movl %eax, %dr3
    movl $legacy_stack_top, %esp
    testl $FLAGS_VM, START_FRAME + 16(%esi)
    jz 2f
    pushl START_SEGMENTS + 12(%esi)         /* GS, FS, DS, ES */
    pushl START_SEGMENTS + 8(%esi)
    pushl START_SEGMENTS(%esi)
    pushl START_SEGMENTS + 4(%esi)
    jmp 3f
2:  movl START_SEGMENTS + 4(%esi), %eax
    movl %eax, %es
    movl START_SEGMENTS + 8(%esi), %eax
    movl %eax, %fs
    movl START_SEGMENTS + 12(%esi), %eax
    movl %eax, %gs
    testb $3, START_FRAME + 8(%esi)
    jnz 3f
    movl START_FRAME + 32(%esi), %eax       /* the same level: its stack is in use already */
    movl %eax, %ss
    movl START_FRAME + 24(%esi), %esp
    jmp 4f
3:  pushl START_FRAME + 32(%esi)
    pushl START_FRAME + 24(%esi)
4:  pushl START_FRAME + 16(%esi)
    pushl START_FRAME + 8(%esi)
    pushl START_FRAME(%esi)
    movl START_DR7(%esi), %eax
    movl %eax, %dr7
    movl START_SEGMENTS(%esi), %eax         /* of virtual-8086 mode: in the frame */
    testl $FLAGS_VM, START_FRAME + 16(%esi)
    jnz 5f
    movl %eax, %ds
5:  movl %cs:START_GPRS(%esi), %eax
    movl %cs:START_GPRS + 8(%esi), %ecx
    movl %cs:START_GPRS + 16(%esi), %edx
    movl %cs:START_GPRS + 24(%esi), %ebx
    movl %cs:START_GPRS + 40(%esi), %ebp
    movl %cs:START_GPRS + 56(%esi), %edi
    movl %cs:START_GPRS + 48(%esi), %esi
    iretl

    .balign 16
    .globl stubs_legacy
stubs_legacy:
    .set vector, 0
    .rept 32
    .balign 16
    .if (vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17)
    .else
    pushl $0
    .endif
    pushl $vector
    jmp ended
    .set vector, vector + 1
    .endr

ended:
    pushl %ds
    pushl $SELECTOR_DATA
    popl %ds
    movl %eax, record + RECORD_GPRS
    movl %ecx, record + RECORD_GPRS + 8
    movl %edx, record + RECORD_GPRS + 16
    movl %ebx, record + RECORD_GPRS + 24
    movl %esp, record + RECORD_GPRS + 32
    movl %ebp, record + RECORD_GPRS + 40
    movl %esi, record + RECORD_GPRS + 48
    movl %edi, record + RECORD_GPRS + 56
    popl record + RECORD_SEGMENTS
    popl record + RECORD_VECTOR
    popl record + RECORD_ERROR
    popl record + RECORD_FRAME
    popl record + RECORD_FRAME + 8
    popl record + RECORD_FRAME + 16
    movl %es, %eax
    movl %eax, record + RECORD_SEGMENTS + 8
    movl %fs, %eax
    movl %eax, record + RECORD_SEGMENTS + 16
    movl %gs, %eax
    movl %eax, record + RECORD_SEGMENTS + 24
    movl %ss, %eax
    movl %eax, record + RECORD_SEGMENTS + 32
    testl $FLAGS_VM, record + RECORD_FRAME + 16
    jnz 1f
    testb $3, record + RECORD_FRAME + 8
    jnz 2f
    movl %esp, record + RECORD_FRAME + 24
    movl %eax, record + RECORD_FRAME + 32
    jmp leave_legacy
1:  popl record + RECORD_FRAME + 24
    popl record + RECORD_FRAME + 32
    popl record + RECORD_SEGMENTS + 8       /* ES, DS, FS, GS */
    popl record + RECORD_SEGMENTS
    popl record + RECORD_SEGMENTS + 16
    popl record + RECORD_SEGMENTS + 24
    jmp leave_legacy
2:  popl record + RECORD_FRAME + 24
    popl record + RECORD_FRAME + 32
    jmp leave_legacy

/* A double fault is a task of its own, which needs nothing that the program may have spoilt. What it left is in its TSS. */
    .globl fault_task
fault_task:
    movl $8, record + RECORD_VECTOR
    popl record + RECORD_ERROR

leave_legacy:
    movl %dr6, %eax
    movl %eax, record + RECORD_DR6
    movl %dr7, %eax
    movl %eax, record + RECORD_DR7
    xorl %eax, %eax
    movl %eax, %dr7
    sldt %ax
    movl %eax, record + RECORD_LDTR
    str %ax
    movl %eax, record + RECORD_TR
    movl %cr2, %eax
    movl %eax, record + RECORD_CR2
    movl %cr3, %eax
    movl %eax, record + RECORD_CR3
    movl %cr4, %eax
    movl %eax, record + RECORD_CR4
    movl %cr0, %eax
    movl %eax, record + RECORD_CR0
    movl $HARNESS_CR0 & 0x7fffffff, %eax
    movl %eax, %cr0
    movl $HARNESS_CR4, %eax
    movl %eax, %cr4
    movl harness_cr3, %eax
    movl %eax, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    wrmsr
    movl $HARNESS_CR0, %eax
    movl %eax, %cr0
    ljmp $SELECTOR_CODE64, $ended_64bit

    .bss
    .balign 16
    .skip 256
legacy_stack_top:

    .section .note.GNU-stack, "", @progbits
